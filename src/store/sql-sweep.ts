import type { Transaction } from './rows.ts'
import { lockSession, recount, saveSession } from './session-record.ts'
import type { Backlog, StoreOptions } from './store.ts'
import { orUndefined } from './rows.ts'

const HOUR_MS = 3_600_000
/** The status of a session can be asked for at least this long after its last change. */
const KEEP_STATUS_MS = 24 * HOUR_MS
/** Nobody waits for news that is older, see the pace of the attempts in `src/dispatch`. */
const KEEP_HOOKS_MS = 72 * HOUR_MS

/** What is taken on at once, so that others need not wait long. */
export const MAX_SESSIONS = 200
const MAX_UPLOADS = 1_000

/** Before when something must have settled to go. */
export interface Cutoffs {
  readonly users: number
  readonly status: number
  readonly tasks: number
}

export function cutoffsOf({ dedupMs, retentionMs }: StoreOptions, now: number): Cutoffs {
  return {
    users: now - retentionMs,
    status: now - Math.max(dedupMs, retentionMs, KEEP_STATUS_MS),
    // A message about one reads it.
    tasks: now - Math.max(retentionMs, KEEP_HOOKS_MS)
  }
}

export async function backlog({ sql }: Transaction): Promise<Backlog> {
  const [unsettled] = await sql.run(
    `SELECT COUNT(*) AS deliveries, MIN(queued_at) AS oldest FROM deliveries
     WHERE settled_at IS NULL`
  )
  const [payloads] = await sql.run('SELECT SUM(bytes) AS bytes FROM payloads')
  return {
    deliveries: Number(unsettled?.['deliveries'] ?? 0),
    oldestAt: orUndefined(unsettled?.['oldest'] ?? null),
    payloadBytes: Number(payloads?.['bytes'] ?? 0)
  }
}

export async function sweepHooks({ sql }: Transaction, now: number): Promise<void> {
  await sql.run('DELETE FROM hooks WHERE created_at < ?1', [now - KEEP_HOOKS_MS])
}

/** Sessions that have something to be swept, some of them twice. */
export async function sweepable(
  { sql }: Transaction,
  { users, status }: Cutoffs
): Promise<readonly { owner: string; sessionId: number }[]> {
  const rows = await sql.run(
    `SELECT owner, session_id FROM uploads
     WHERE settled_at < ?1 AND EXISTS (SELECT 1 FROM payloads WHERE upload_id = uploads.id)
     UNION ALL
     SELECT owner, session_id FROM uploads WHERE settled_at < ?2 AND EXISTS (${LATER_UPLOAD})
     UNION ALL
     SELECT owner, session_id FROM sessions WHERE changed_at < ?2 AND state <> 'sending'
     LIMIT ${MAX_SESSIONS}`,
    [users, status]
  )
  return rows.map((row) => ({
    owner: String(row['owner']),
    sessionId: Number(row['session_id'])
  }))
}

/** An upload that has taken the place of another one. */
const LATER_UPLOAD = `SELECT 1 FROM uploads AS later
  WHERE later.owner = uploads.owner AND later.session_id = uploads.session_id
    AND later.sequence = uploads.sequence AND later.revision > uploads.revision`

/**
 * Users of settled uploads go after their time. Uploads stay until their whole session is old, so
 * that no batch of it seems to be missing; those that were replaced need not wait for it. Returns
 * whether anything went.
 */
export async function sweepSession(
  transaction: Transaction,
  owner: string,
  sessionId: number,
  { users, status }: Cutoffs
): Promise<boolean> {
  const record = await lockSession(transaction, owner, sessionId)
  if (record === undefined) return false
  const { sql } = transaction
  const payloads = await sql.run(
    `DELETE FROM payloads WHERE upload_id IN (
       SELECT id FROM uploads WHERE owner = ?1 AND session_id = ?2 AND settled_at < ?3
     ) RETURNING upload_id`,
    [owner, sessionId, users]
  )
  const isOld = record.changedAt < status
  const rows = await sql.run(
    `SELECT id FROM uploads WHERE owner = ?1 AND session_id = ?2 AND settled_at < ?3
       ${isOld ? '' : `AND EXISTS (${LATER_UPLOAD})`} LIMIT ${MAX_UPLOADS}`,
    [owner, sessionId, status]
  )
  for (const { id } of rows) await forget(transaction, String(id))
  if (rows.length === 0) return payloads.length > 0
  const left = await recount(transaction, record)
  if (left !== undefined) await saveSession(transaction, left)
  else {
    await sql.run('DELETE FROM sessions WHERE owner = ?1 AND session_id = ?2', [owner, sessionId])
  }
  return true
}

async function forget({ sql }: Transaction, uploadId: string): Promise<void> {
  await sql.run('DELETE FROM payloads WHERE upload_id = ?1', [uploadId])
  await sql.run('DELETE FROM deliveries WHERE upload_id = ?1', [uploadId])
  await sql.run('DELETE FROM uploads WHERE id = ?1', [uploadId])
}
