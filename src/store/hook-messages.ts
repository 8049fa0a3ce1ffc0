import { randomUUID } from 'node:crypto'
import { PUSH_ENDPOINT } from './ledger.ts'
import type { Transaction } from './rows.ts'
import type { SessionRecord } from './session-record.ts'
import type { AccountState, Delivery, HookMessage, LastError } from './store.ts'

/** Something that webhooks are told. It holds no personal data. */
export interface HookEvent {
  readonly type: `audience.${string}`
  readonly data: Readonly<Record<string, unknown>>
}

/** Everything of a session has arrived and settled. */
export function sessionSettled(record: SessionRecord): HookEvent {
  const { delivered, failed } = record.deliveries
  return {
    type: 'audience.session.settled',
    data: {
      apiKey: record.owner,
      sessionId: record.sessionId,
      audience: record.audienceName,
      type: record.type,
      state: failed > 0 ? 'failed' : 'delivered',
      batches: { received: record.receivedBatches, total: record.totalBatches },
      users: { received: record.receivedUsers, total: record.totalUsers },
      deliveries: { delivered, failed }
    }
  }
}

/** A delivery was given up. */
export function deliveryFailed(
  { owner, sessionId, audienceName }: SessionRecord,
  delivery: Delivery
): HookEvent {
  return {
    type: 'audience.delivery.failed',
    data: {
      apiKey: owner,
      sessionId,
      audience: audienceName,
      sequence: delivery.sequence,
      provider: delivery.provider,
      tag: delivery.tag,
      segment: delivery.segmentName,
      attempts: delivery.attempts,
      error: errorOf(delivery.lastError)
    }
  }
}

/** An account's deliveries wait for a person. */
export function accountHeld(account: string, { error }: AccountState): HookEvent {
  return { type: 'audience.account.held', data: { ...accountOf(account), error: errorOf(error) } }
}

/** An account's deliveries go on. */
export function accountReleased(account: string): HookEvent {
  return { type: 'audience.account.released', data: accountOf(account) }
}

/** Reads an `accountKey` or a `tagKey`. */
function accountOf(key: string) {
  const slash = key.indexOf('/')
  const [account, tag] = key.slice(slash + 1).split(' ')
  return { provider: key.slice(0, slash), account, ...(tag !== undefined && { tag }) }
}

function errorOf(error: LastError | undefined) {
  return error === undefined ? null : { code: error.code, message: error.message }
}

/**
 * Notes a message for each endpoint. The body has the form that Standard Webhooks recommends.
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export async function addHooks(
  transaction: Transaction,
  { type, data }: HookEvent,
  now: number
): Promise<void> {
  const body = JSON.stringify({ type, timestamp: new Date(now).toISOString(), data })
  for (const endpoint of transaction.options.hookEndpoints) {
    await addMessage(transaction, { endpoint, type, body }, now)
  }
}

/** Notes that whoever asked for it is to be told of a task's end. */
export async function addPush(
  transaction: Transaction,
  taskId: string,
  now: number
): Promise<void> {
  const message = { endpoint: PUSH_ENDPOINT, type: 'adcp.task.completed', body: taskId }
  await addMessage(transaction, message, now)
}

async function addMessage(
  { sql }: Transaction,
  { endpoint, type, body }: Pick<HookMessage, 'endpoint' | 'type' | 'body'>,
  now: number
): Promise<void> {
  await sql.run(
    `INSERT INTO hooks (id, endpoint, type, created_at, due_at, attempts, body)
     VALUES (?1, ?2, ?3, ?4, ?4, 0, ?5)`,
    [`msg_${randomUUID()}`, endpoint, type, now, body]
  )
}
