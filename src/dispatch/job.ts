import type { Attributes, Context } from '@opentelemetry/api'
import type { Audience, UploadResult } from '../../providers/provider.ts'
import {
  accountKey,
  type AccountState,
  type Delivery,
  type DeliveryChange,
  OPEN_ACCOUNT,
  tagKey,
  type Target,
  type Upload
} from '../store/store.ts'
import type { Destination } from './destination.ts'

/** A delivery and where it goes. */
export interface WithDestination {
  readonly destination: Destination
  readonly delivery: Delivery
}

/** A delivery on its way. */
export interface Job extends WithDestination {
  readonly upload: Upload
  readonly audience: Audience
  /** The trace it belongs to. */
  readonly parent: Context
  /** As the store has it. */
  delivery: Delivery
}

export function toAudience(upload: Upload, { segmentName }: Delivery): Audience {
  const { type, sessionId, sequence, totalBatches, totalUsers } = upload
  // What deletes a segment has no users to which a mode could apply.
  const mode = upload.mode === 'remove' ? 'remove' : 'add'
  return { segmentName, type, mode, sessionId, sequence, totalBatches, totalUsers }
}

/** The delivery after its platform took one more body with this many users. */
export function acknowledged(had: Delivery, users: number, result: UploadResult): DeliveryChange {
  const { ticket, warnings = [], invalid = 0 } = result
  // A platform that goes on with the work tells later how many it took.
  const received = result.received ?? (ticket === undefined ? users : 0)
  return {
    acknowledgedBodies: had.acknowledgedBodies + 1,
    sent: had.sent + users,
    received: had.received + received,
    invalid: had.invalid + invalid,
    tickets: ticket === undefined ? had.tickets : [...had.tickets, ticket],
    warnings: merged(had.warnings, warnings)
  }
}

/** The delivery after its platform finished the work behind one ticket. */
export function confirmed(had: Delivery, result: UploadResult): DeliveryChange {
  return {
    confirmedTickets: had.confirmedTickets + 1,
    received: had.received + (result.received ?? 0),
    invalid: had.invalid + (result.invalid ?? 0),
    warnings: merged(had.warnings, result.warnings ?? [])
  }
}

/** How the account of a delivery stands: held for its tag alone, or as a whole. */
export function accountOf(
  accounts: Readonly<Record<string, AccountState>>,
  target: Pick<Target, 'provider' | 'accountId' | 'tag'>
): AccountState {
  const tag = accounts[tagKey(target)]
  return tag?.status === 'held' ? tag : (accounts[accountKey(target)] ?? OPEN_ACCOUNT)
}

/** What a delivery that waits for a failing account tells of it; nothing where it does not fail. */
export function waitingFor(
  { status, since, error }: AccountState,
  { queuedAt, giveUpAt }: Delivery,
  retryForMs: number
): Pick<Delivery, 'state' | 'giveUpAt' | 'lastError'> | undefined {
  if (since === undefined || error === undefined) return undefined
  return {
    state: status === 'held' ? 'held' : 'retrying',
    giveUpAt: giveUpAt ?? Math.max(queuedAt, since) + retryForMs,
    lastError: error
  }
}

const merged = (had: readonly string[], more: readonly string[]) => [...new Set([...had, ...more])]

/** Why there was nothing to send, e.g. `no usable user (no_identifier: 12)`. */
export function noUsableUser(leftOut: Readonly<Record<string, number>>): string {
  const reasons = Object.entries(leftOut).map(([reason, users]) => `${reason}: ${users}`)
  return reasons.length === 0 ? 'no usable user' : `no usable user (${reasons.join(', ')})`
}

/** The upload as span attributes: counts and ids, no personal data. */
export function uploadAttributes(upload: Upload): Attributes {
  return {
    'audience.name': upload.audienceName,
    'audience.type': upload.type,
    'audience.mode': upload.mode,
    'audience.session_id': upload.sessionId,
    'audience.batch.sequence': upload.sequence,
    'audience.users': upload.users,
    ...(upload.pullDate !== undefined && { 'audience.pull_date': upload.pullDate })
  }
}

/** How a delivery stands, as span attributes. */
export function deliveryAttributes({ destination, upload, delivery }: Job): Attributes {
  return {
    ...uploadAttributes(upload),
    'audience.provider': destination.provider.name,
    'audience.tag': destination.tag,
    'audience.attempt': delivery.attempts,
    'audience.state': delivery.state,
    'audience.sent': delivery.sent,
    'audience.received': delivery.received,
    'audience.invalid': delivery.invalid
  }
}
