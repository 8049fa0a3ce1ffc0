import type { AudienceType } from '../audience/schemas.ts'
import { addHooks, sessionSettled } from './hook-messages.ts'
import type { Transaction } from './rows.ts'
import type { Row } from './sql.ts'
import type { DeliveryState, NewUpload, SessionState, SessionSummary } from './store.ts'

/**
 * What is known of a session without reading its uploads and deliveries. It belongs to the
 * transaction that holds the session's lock, which changes it as it goes.
 */
export interface SessionRecord {
  readonly owner: string
  readonly sessionId: number
  revision: number
  audienceName: string
  type: AudienceType
  /** Sequences count from 1, or from 0 once a 0 was seen. */
  firstSequence: 0 | 1
  /** As the upload that was accepted last says. */
  totalBatches: number
  totalUsers: number
  /** Different sequences. */
  receivedBatches: number
  missingBatches: number
  /** A batch that was sent again with other content counts once, as it was sent last. */
  receivedUsers: number
  readonly deliveries: Record<DeliveryState, number>
  startedAt: number
  changedAt: number
}

const NO_DELIVERIES: Readonly<Record<DeliveryState, number>> = {
  queued: 0,
  sending: 0,
  retrying: 0,
  held: 0,
  confirming: 0,
  delivered: 0,
  failed: 0
}

function unsettled({ deliveries }: SessionRecord): number {
  const { queued, sending, retrying, held, confirming } = deliveries
  return queued + sending + retrying + held + confirming
}

/** Everything has arrived and nothing is left to do. */
function isDone(record: SessionRecord): boolean {
  return record.receivedBatches > 0 && record.missingBatches === 0 && unsettled(record) === 0
}

/** `receiving` means that everything is done but batches are still to come. */
export function stateOf(record: SessionRecord): SessionState {
  if (unsettled(record) > 0) return 'sending'
  if (record.deliveries.failed > 0) return 'failed'
  return record.missingBatches > 0 ? 'receiving' : 'delivered'
}

export function summaryOf(record: SessionRecord): SessionSummary {
  return {
    sessionId: record.sessionId,
    audienceName: record.audienceName,
    type: record.type,
    state: stateOf(record),
    batches: { received: record.receivedBatches, total: record.totalBatches },
    users: { received: record.receivedUsers, total: record.totalUsers },
    deliveries: record.deliveries,
    startedAt: record.startedAt,
    changedAt: record.changedAt
  }
}

export function readSession(row: Row): SessionRecord {
  return JSON.parse(String(row['data']))
}

/**
 * Every transaction that changes something of a session locks it before anything else. So changes
 * of one session become visible in the order of their revisions, and nobody waits in a circle.
 * `undefined`: there is no such session.
 */
export async function lockSession(
  { sql }: Transaction,
  owner: string,
  sessionId: number
): Promise<SessionRecord | undefined> {
  const [row] = await sql.run(
    'UPDATE sessions SET revision = revision WHERE owner = ?1 AND session_id = ?2 RETURNING data',
    [owner, sessionId]
  )
  return row && readSession(row)
}

/** Locks the session of an upload, and begins it where it is the first one. */
export async function openSession({ sql }: Transaction, upload: NewUpload): Promise<SessionRecord> {
  const fresh: SessionRecord = {
    owner: upload.owner,
    sessionId: upload.sessionId,
    revision: 0,
    audienceName: upload.audienceName,
    type: upload.type,
    firstSequence: 1,
    totalBatches: 0,
    totalUsers: 0,
    receivedBatches: 0,
    missingBatches: 0,
    receivedUsers: 0,
    deliveries: { ...NO_DELIVERIES },
    startedAt: upload.acceptedAt,
    changedAt: upload.acceptedAt
  }
  const [row] = await sql.run(
    `INSERT INTO sessions (owner, session_id, revision, state, changed_at, data)
     VALUES (?1, ?2, 0, 'receiving', ?3, ?4)
     ON CONFLICT (owner, session_id) DO UPDATE SET revision = sessions.revision
     RETURNING data`,
    [upload.owner, upload.sessionId, upload.acceptedAt, JSON.stringify(fresh)]
  )
  return row === undefined ? fresh : readSession(row)
}

/** Does work on a locked session, writes down what it changed, and tells when all is done. */
export async function inSession<T>(
  transaction: Transaction,
  record: SessionRecord,
  now: number,
  work: () => Promise<T>
): Promise<T> {
  const { revision } = record
  const wasDone = isDone(record)
  const result = await work()
  if (record.revision === revision) return result
  // The clocks of several instances differ.
  record.changedAt = Math.max(record.changedAt, now)
  await saveSession(transaction, record)
  if (!wasDone && isDone(record)) await addHooks(transaction, sessionSettled(record), now)
  return result
}

export async function saveSession({ sql }: Transaction, record: SessionRecord): Promise<void> {
  await sql.run(
    `UPDATE sessions SET revision = ?3, state = ?4, changed_at = ?5, data = ?6
     WHERE owner = ?1 AND session_id = ?2`,
    [
      record.owner,
      record.sessionId,
      record.revision,
      stateOf(record),
      record.changedAt,
      JSON.stringify(record)
    ]
  )
}

/** Notes an upload that is written already. */
export async function countUpload(
  transaction: Transaction,
  record: SessionRecord,
  upload: NewUpload,
  /** The upload that was the last one of this sequence until now. */
  before: { readonly users: number } | undefined
): Promise<void> {
  const { firstSequence, totalBatches } = record
  if (upload.sequence === 0) record.firstSequence = 0
  record.totalBatches = upload.totalBatches
  record.totalUsers = upload.totalUsers
  record.receivedUsers += upload.users - (before?.users ?? 0)
  if (before === undefined) record.receivedBatches += 1
  const isSameRange = record.firstSequence === firstSequence && record.totalBatches === totalBatches
  if (!isSameRange) record.missingBatches = await countMissing(transaction, record)
  else if (before === undefined && isExpected(record, upload)) record.missingBatches -= 1
}

function isExpected(record: SessionRecord, { sequence }: NewUpload): boolean {
  return sequence < record.firstSequence + record.totalBatches
}

async function countMissing({ sql }: Transaction, record: SessionRecord): Promise<number> {
  const [row] = await sql.run(
    `SELECT COUNT(DISTINCT sequence) AS received FROM uploads
     WHERE owner = ?1 AND session_id = ?2 AND sequence >= ?3 AND sequence < ?4`,
    [
      record.owner,
      record.sessionId,
      record.firstSequence,
      record.firstSequence + record.totalBatches
    ]
  )
  return record.totalBatches - Number(row?.['received'] ?? 0)
}

/** Counts again from what is left of the session; `undefined` where that is nothing. */
export async function recount(
  transaction: Transaction,
  record: SessionRecord
): Promise<SessionRecord | undefined> {
  const { sql } = transaction
  const key = [record.owner, record.sessionId]
  const rows = await sql.run(
    'SELECT data FROM uploads WHERE owner = ?1 AND session_id = ?2 ORDER BY revision',
    key
  )
  const uploads = rows.map(({ data }): NewUpload => JSON.parse(String(data)))
  const [first] = uploads
  const last = uploads.at(-1)
  if (first === undefined || last === undefined) return undefined
  const users = new Map(uploads.map((upload) => [upload.sequence, upload.users]))
  const states = await sql.run(
    `SELECT state, COUNT(*) AS number FROM deliveries
     WHERE owner = ?1 AND session_id = ?2 GROUP BY state`,
    key
  )
  const counted = Object.fromEntries(states.map(({ state, number }) => [state, Number(number)]))
  const left: SessionRecord = {
    ...record,
    audienceName: first.audienceName,
    type: first.type,
    startedAt: first.acceptedAt,
    firstSequence: users.has(0) ? 0 : 1,
    totalBatches: last.totalBatches,
    totalUsers: last.totalUsers,
    receivedBatches: users.size,
    receivedUsers: users.values().reduce((sum, one) => sum + one, 0),
    deliveries: { ...NO_DELIVERIES, ...counted }
  }
  return { ...left, missingBatches: await countMissing(transaction, left) }
}
