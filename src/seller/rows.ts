import { adcpError } from '../adcp/protocol.ts'
import { type Destination, targetOf } from '../dispatch/destination.ts'
import { MAX_AUDIENCES } from '../adcp/schemas.ts'
import {
  type LedgerAudience,
  type LedgerTarget,
  stateOf,
  type SyncedAudience,
  type SyncTask
} from '../store/ledger.ts'
import type { Account } from './accounts.ts'
import { type LeftOut, readNote } from './note.ts'
import type { Fields } from './seller.ts'
import { targetingOf } from './targeting.ts'

/**
 * What a call did, as `sync_audiences` answers it.
 * @param account `undefined` where it is not configured any more.
 */
export function syncedFields(
  audiences: readonly SyncedAudience[],
  account: Account | undefined
): Fields {
  return present({
    audiences: audiences.map((synced) => toRow(synced, account)),
    sandbox: account?.sandbox === true ? true : undefined
  })
}

/** The result of a task that is completed: an answer of `sync_audiences` of its own. */
export function taskResult({ audiences }: SyncTask, account: Account | undefined): Fields {
  return { status: 'completed', ...syncedFields(audiences, account) }
}

/** One of `audiences`: `status` is there exactly where the audience is. */
function toRow(synced: SyncedAudience, account: Account | undefined): Fields {
  const { audienceId, action, uploaded, audience, note } = synced
  const error = failureOf(synced)
  if (error !== undefined) return { audience_id: audienceId, action: 'failed', errors: [error] }
  // It may also have been deleted by another call, before the task was completed that tells of it.
  if (audience === undefined) return { audience_id: audienceId, action: 'deleted' }
  return {
    audience_id: audienceId,
    action,
    uploaded_count: uploaded,
    ...audienceFields(audience, account, readNote(note).leftOut ?? [])
  }
}

const TOO_MANY = `This account has ${MAX_AUDIENCES} audiences, which is the most.`

/** Why nothing was done with an audience of a call: `core/error.json`. */
export function failureOf({ action, note }: SyncedAudience): object | undefined {
  switch (action) {
    case 'refused':
      return readNote(note).error ?? adcpError('INVALID_REQUEST', 'It was refused.')
    case 'too_many':
      return adcpError('INVALID_REQUEST', TOO_MANY, {
        suggestion: 'Change or delete audiences that there are.'
      })
    case 'not_found':
      return adcpError('REFERENCE_NOT_FOUND', 'No audience with this id on the account.', {
        field: 'audience_id'
      })
    default:
      return undefined
  }
}

function audienceFields(
  audience: LedgerAudience,
  account: Account | undefined,
  leftOut: readonly LeftOut[]
): Fields {
  const places = placesOf(audience, account)
  const targets = places.map(({ target }) => target)
  const status = stateOf({ targets })
  return present({
    name: audience.name,
    seller_id: targets[0]?.segmentName,
    status,
    total_uploaded_count: audience.uploaded,
    matched_count: status === 'ready' ? smallestCount(targets) : undefined,
    minimum_size: status === 'too_small' ? minimumOf(places, account) : undefined,
    last_synced_at: new Date(audience.syncedAt).toISOString(),
    description: audience.description,
    audience_type: audience.type,
    tags: audience.tags,
    consent_basis: audience.consentBasis,
    // The protocol has no fields for an audience that lies at several platforms.
    ext: { audience_api: details(places, leftOut) }
  })
}

/** Where an audience lies, with what is configured for it. */
interface Place {
  readonly target: LedgerTarget
  readonly destination: Destination | undefined
}

/** Tags that the account has no more are no part of its audiences. */
function placesOf({ targets }: LedgerAudience, account: Account | undefined): Place[] {
  const places = targets.map((target) => ({
    target,
    destination: account?.destinations.find((destination) => isAt(target, destination))
  }))
  return account === undefined ? places : places.filter(({ destination }) => destination)
}

/** Whether a target of the ledger is this tag, at the account that it stands for now. */
export function isAt(target: LedgerTarget, destination: Destination): boolean {
  const { provider, tag, accountId } = targetOf(destination)
  return target.provider === provider && target.tag === tag && target.accountId === accountId
}

/** Of all counts; where a platform tells none, nobody knows whether that is the smallest. */
function smallestCount(targets: readonly LedgerTarget[]): number | undefined {
  const counts = targets.flatMap(({ matched }) => matched ?? [])
  return counts.length === targets.length && counts.length > 0 ? Math.min(...counts) : undefined
}

/** The largest of those for which it is too small; of all where it has not been sent anywhere yet. */
function minimumOf(places: readonly Place[], account: Account | undefined): number {
  const tooSmall = places.filter(({ target }) => target.state === 'too_small')
  const destinations =
    places.length === 0
      ? (account?.destinations ?? [])
      : tooSmall.flatMap(({ destination }) => destination ?? [])
  return targetingOf(destinations)?.minimumSize ?? 1
}

function details(places: readonly Place[], leftOut: readonly LeftOut[]): Fields {
  const messages = [
    ...leftOut.map(({ channel, hashes }) => {
      const counts = Object.entries(hashes).map(([type, count]) => `${type} (${count})`)
      return `${channel} cannot match ${counts.join(' and ')}`
    }),
    ...places.flatMap(({ target: { provider, tag, error } }) =>
      error === undefined ? [] : [`${provider}/${tag}: ${error.message}`]
    )
  ]
  return present({
    message: messages.length === 0 ? undefined : messages.join('; '),
    destinations: places.map(({ target }) =>
      present({
        channel: `${target.provider}/${target.tag}`,
        status: target.state,
        matched_count: target.matched,
        segment_id: target.segmentId,
        message: target.error?.message
      })
    ),
    left_out:
      leftOut.length === 0
        ? undefined
        : leftOut.map(({ channel, hashes }) => ({ channel, ...hashes }))
  })
}

/** Without what is not known: absent and `null` are not the same to the protocol. */
export function present(fields: Fields): Fields {
  const known: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) known[name] = value
  return known
}
