import { pageOf, readCursor } from './cursor.ts'
import type { Transaction } from './rows.ts'
import { readSession, summaryOf } from './session-record.ts'
import { DELIVERY, readDelivery, readUpload } from './sql-deliveries.ts'
import type { SqlValue } from './sql.ts'
import type {
  DeliveriesQuery,
  Delivery,
  Page,
  Session,
  SessionChanges,
  SessionsQuery,
  SessionSummary
} from './store.ts'

export async function session(
  { sql }: Transaction,
  owner: string,
  sessionId: number
): Promise<Session | undefined> {
  const key = [owner, sessionId]
  // The revision is read first: what changes meanwhile is then reported again, and never missed.
  const [row] = await sql.run(
    'SELECT revision FROM sessions WHERE owner = ?1 AND session_id = ?2',
    key
  )
  if (row === undefined) return undefined
  const uploads = await sql.run(
    'SELECT data, report FROM uploads WHERE owner = ?1 AND session_id = ?2 ORDER BY revision',
    key
  )
  const deliveries = await sql.run(
    `SELECT ${DELIVERY} FROM deliveries WHERE owner = ?1 AND session_id = ?2 ORDER BY position`,
    key
  )
  return {
    uploads: uploads.map(readUpload),
    deliveries: deliveries.map(readDelivery),
    revision: Number(row['revision'])
  }
}

const LAST = Number.MAX_SAFE_INTEGER

export async function sessions(
  { sql }: Transaction,
  { owner, state, cursor, limit }: SessionsQuery
): Promise<Page<SessionSummary>> {
  const [changedAt = LAST, sessionId = LAST] = cursor === undefined ? [] : readCursor(cursor, 2)
  const values: SqlValue[] = [owner, changedAt, sessionId, limit + 1]
  const rows = await sql.run(
    `SELECT data FROM sessions
     WHERE owner = ?1 AND (changed_at, session_id) < (?2, ?3)
       ${state === undefined ? '' : 'AND state = ?5'}
     ORDER BY changed_at DESC, session_id DESC LIMIT ?4`,
    state === undefined ? values : [...values, state]
  )
  const summaries = rows.map((row) => summaryOf(readSession(row)))
  return pageOf(summaries, limit, (last) => [last.changedAt, last.sessionId])
}

export async function sessionDeliveries(
  { sql }: Transaction,
  { owner, sessionId, state, cursor, limit }: DeliveriesQuery
): Promise<Page<Delivery>> {
  const [position = -1] = cursor === undefined ? [] : readCursor(cursor, 1)
  const values: SqlValue[] = [owner, sessionId, position, limit + 1]
  const rows = await sql.run(
    `SELECT ${DELIVERY} FROM deliveries
     WHERE owner = ?1 AND session_id = ?2 AND position > ?3
       ${state === undefined ? '' : 'AND state = ?5'}
     ORDER BY position LIMIT ?4`,
    state === undefined ? values : [...values, state]
  )
  return pageOf(rows.map(readDelivery), limit, (last) => [last.position])
}

export async function changesSince(
  { sql }: Transaction,
  owner: string,
  sessionId: number,
  revision: number
): Promise<SessionChanges | undefined> {
  // One statement, so that all of it is as of the same moment.
  const rows = await sql.run(
    `SELECT sessions.data AS session, deliveries.data, deliveries.position, deliveries.revision
     FROM sessions LEFT JOIN deliveries ON deliveries.owner = sessions.owner
       AND deliveries.session_id = sessions.session_id AND deliveries.revision > ?3
     WHERE sessions.owner = ?1 AND sessions.session_id = ?2
     ORDER BY deliveries.revision`,
    [owner, sessionId, revision]
  )
  const [first] = rows
  if (first === undefined) return undefined
  const record = readSession({ data: first['session'] })
  const { state, batches, users } = summaryOf(record)
  return {
    revision: record.revision,
    state,
    batches,
    users,
    deliveries: rows.filter(({ data }) => data !== null).map(readDelivery)
  }
}
