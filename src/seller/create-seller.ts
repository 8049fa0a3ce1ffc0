import { isIP } from 'node:net'
import { AdcpError, REPLAY_TTL_SECONDS } from '../adcp/protocol.ts'
import { MAX_AUDIENCES } from '../adcp/schemas.ts'
import type { AccountReference, PushConfig } from '../adcp/sync-call.ts'
import type { Clock } from '../dispatch/clock.ts'
import type { Dispatcher } from '../dispatch/dispatcher.ts'
import type { SealedSyncCall } from '../dispatch/read-call.ts'
import { isPublicAddress } from '../dispatch/webhook-address.ts'
import type { LedgerStore, SyncOutcome, SyncTask } from '../store/ledger.ts'
import type { KeyRing } from '../store/sealing.ts'
import { type Account, type Accounts, isNamedBy } from './accounts.ts'
import { accountFields, capabilityFields } from './capabilities.ts'
import { type ChangesOf, deletionOf, toChange } from './changes.ts'
import { failureOf, present, syncedFields, taskResult } from './rows.ts'
import type { Seller, TaskAnswer } from './seller.ts'

export interface SellerOptions {
  readonly accounts: Accounts
  readonly store: Pick<LedgerStore, 'syncAudiences' | 'task'>
  readonly dispatcher: Pick<Dispatcher, 'push' | 'wake'>
  readonly keys: KeyRing
  readonly clock: Pick<Clock, 'now'>
  readonly segmentPrefix: string
  /** Calls that only list, per account and API key. */
  readonly listsPerMinute: number
  /** Whether push notifications may go to private and loopback addresses, and without TLS. */
  readonly privateAddresses: boolean
  /** Where others reach the service. */
  readonly publicUrl: string | undefined
}

/** Accounts on one page, where the caller asks for no other number. */
const PAGE = 50

export function createSeller(options: SellerOptions): Seller {
  const { accounts, store, dispatcher, clock } = options

  async function syncAudiences(
    principal: string,
    call: SealedSyncCall,
    traceparent: string | undefined
  ): Promise<TaskAnswer> {
    const account = accounts.resolve(principal, call.account)
    if (call.push !== undefined) checkAddress(call.push, options.privateAddresses)
    const { segmentPrefix } = options
    const changesOf: ChangesOf = {
      account,
      principal,
      segmentPrefix,
      traceparent,
      now: clock.now()
    }
    const outcome = await store.syncAudiences({
      principal,
      account: account.id,
      idempotencyKey: call.idempotencyKey,
      requestHash: call.requestHash,
      replayForMs: REPLAY_TTL_SECONDS * 1_000,
      changes: call.audiences?.map((audience, index) => toChange(audience, index, changesOf)),
      deleteMissing: call.deleteMissing,
      maxAudiences: MAX_AUDIENCES,
      deletion: deletionOf(changesOf),
      listsPerMinute: options.listsPerMinute,
      push: call.push,
      keys: options.keys,
      now: changesOf.now
    })
    if (outcome.kind !== 'done') throw refusalOf(outcome)
    dispatcher.push(outcome.turns)
    // What waits for these segments is cancelled now, not when its wait is over.
    if (outcome.audiences.some(({ action }) => action === 'deleted')) dispatcher.wake(outcome.turns)
    return answerOf(outcome, account)
  }

  /** A task of another account is none, whoever asks. */
  async function findTask(
    principal: string,
    taskId: string,
    reference: AccountReference | undefined
  ): Promise<SyncTask> {
    const account = reference && accounts.resolve(principal, reference)
    const task = await store.task(principal, taskId)
    const isSeen = accounts.visibleTo(principal).some(({ id }) => id === task?.account)
    if (task !== undefined && isSeen && (account?.id ?? task.account) === task.account) return task
    throw new AdcpError('REFERENCE_NOT_FOUND', 'There is no such task.', { field: 'task_id' })
  }

  return {
    capabilities: (principal) => capabilityFields(accounts.visibleTo(principal), options.publicUrl),

    listAccounts(principal, { status = 'active', sandbox, maxResults = PAGE, cursor, account }) {
      const found = accounts
        .visibleTo(principal)
        .filter(
          (one) =>
            status === 'active' &&
            (sandbox ?? one.sandbox) === one.sandbox &&
            (account === undefined || isNamedBy(one, account))
        )
      const after = cursor === undefined ? '' : idOf(cursor)
      const left = found.filter(({ id }) => id > after)
      const page = left.slice(0, maxResults)
      const last = page.at(-1)
      const hasMore = left.length > page.length
      return {
        accounts: page.map(accountFields),
        pagination: present({
          has_more: hasMore,
          cursor: hasMore && last ? cursorAt(last.id) : undefined,
          total_count: found.length
        })
      }
    },

    syncAudiences,

    async taskStatus(principal, { taskId, account, includeResult }) {
      const task = await findTask(principal, taskId, account)
      const { completedAt } = task
      return present({
        task_id: task.id,
        task_type: 'sync_audiences',
        protocol: 'media-buy',
        status: completedAt === undefined ? 'submitted' : 'completed',
        created_at: isoTime(task.createdAt),
        updated_at: isoTime(task.updatedAt),
        completed_at: completedAt === undefined ? undefined : isoTime(completedAt),
        has_webhook: task.hasPush,
        result:
          includeResult && completedAt !== undefined
            ? taskResult(task, accounts.find(task.account))
            : undefined
      })
    }
  }
}

const isoTime = (at: number) => new Date(at).toISOString()

type Done = Extract<SyncOutcome, { kind: 'done' }>

function answerOf({ audiences, taskId, isReplay, at }: Done, account: Account): TaskAnswer {
  const timestamp = isoTime(at)
  if (taskId === undefined) {
    return {
      status: 'completed',
      isReplay,
      fields: { timestamp, ...syncedFields(audiences, account) }
    }
  }
  // The result of the task tells them again, among what became of the others.
  const errors = audiences.flatMap((synced) => failureOf(synced) ?? [])
  return {
    status: 'submitted',
    isReplay,
    fields: present({
      timestamp,
      task_id: taskId,
      message:
        'Accepted. The platforms are matching; the task is completed when all of them are done.',
      errors: errors.length === 0 ? undefined : errors
    })
  }
}

/** Nothing was done. */
function refusalOf(outcome: Exclude<SyncOutcome, Done>): AdcpError {
  switch (outcome.kind) {
    case 'conflict':
      // Whoever has guessed the key must not learn what came with it.
      return new AdcpError(
        'IDEMPOTENCY_CONFLICT',
        'This idempotency_key came with another call before.'
      )
    case 'expired':
      return new AdcpError(
        'IDEMPOTENCY_EXPIRED',
        'This idempotency_key came so long ago that its answer is not kept any more.'
      )
    case 'too_many_lists': {
      const seconds = Math.ceil(outcome.againInMs / 1_000)
      return new AdcpError('RATE_LIMITED', 'Too many calls that only list audiences.', {
        retry_after: Math.min(Math.max(seconds, 1), 3_600)
      })
    }
  }
}

/**
 * Who is told `submitted` must be told of the end as well: an address that is never called is refused
 * at once. Where a name leads is found out each time that it is called.
 */
function checkAddress({ url }: PushConfig, privateAddresses: boolean): void {
  const field = 'push_notification_config.url'
  const { protocol, hostname = '', username, password } = URL.parse(url) ?? {}
  const isHttp = protocol === 'https:' || (protocol === 'http:' && privateAddresses)
  if (!isHttp || username !== '' || password !== '') {
    throw new AdcpError('INVALID_REQUEST', 'It must be an https address without a password.', {
      field
    })
  }
  const address = hostname.replace(/^\[|\]$/g, '')
  if (!privateAddresses && isIP(address) !== 0 && !isPublicAddress(address)) {
    throw new AdcpError('INVALID_REQUEST', 'It must be an address of the public internet.', {
      field
    })
  }
}

const cursorAt = (id: string) => Buffer.from(id).toString('base64url')

function idOf(cursor: string): string {
  const id = Buffer.from(cursor, 'base64url').toString()
  if (cursorAt(id) === cursor) return id
  throw new AdcpError('INVALID_REQUEST', 'No page ended with this cursor.', {
    field: 'pagination.cursor'
  })
}
