import type { SyncOutcome, SyncRequest } from './ledger.ts'
import { completeSynced } from './ledger-record.ts'
import type { Transaction } from './rows.ts'
import { keyedHash, open, sealMeanwhile } from './sealing.ts'
import type { Row } from './sql.ts'

/** What became of a call that was done. */
export type Done = Omit<Extract<SyncOutcome, { readonly kind: 'done' }>, 'isReplay'>

/** Clocks of callers differ from ours by so much ("Idempotency": 60 s either way). */
const TOLERANCE_MS = 60_000
const MINUTE_MS = 60_000
const DAY_MS = 24 * 3_600_000
/** So long a key is known that is not repeated any more. */
const RECOGNISED_MS = 7 * DAY_MS

/** Records that one part of a sweep takes. */
const MAX_RECORDS = 1_000

/** A call as its record names it, by each key that may have named it; the current one comes first. */
function idsOf({ principal, account, idempotencyKey, keys }: SyncRequest): readonly string[] {
  const name = JSON.stringify([principal, account, idempotencyKey])
  return keys.map((key) => keyedHash([key]).update(name).digest('hex'))
}

/** What an outcome is sealed as. It tells an agent's own names and notes. */
const sealName = (id: string) => `sync ${id}`

/** What is to be said of a call whose key came before; `undefined` where it did not. */
export async function recall(
  { sql }: Transaction,
  request: SyncRequest
): Promise<SyncOutcome | undefined> {
  for (const id of idsOf(request)) {
    const [row] = await sql.run('SELECT replay_until, outcome FROM syncs WHERE id = ?1', [id])
    if (row !== undefined) return repeat(row, id, request)
  }
  return undefined
}

function repeat(row: Row, id: string, { requestHash, keys, now }: SyncRequest): SyncOutcome {
  const kept = row['outcome']
  const isOver = Number(row['replay_until']) < now
  if (isOver || !(kept instanceof Uint8Array)) return { kind: 'expired' }
  const record = readRecord(Buffer.from(open(kept, sealName(id), keys)).toString())
  return record.requestHash === requestHash
    ? { ...record.done, isReplay: true }
    : { kind: 'conflict' }
}

function readRecord(text: string): { readonly requestHash: string; readonly done: Done } {
  const { requestHash, done }: { requestHash: string; done: Done } = JSON.parse(text)
  const audiences = completeSynced(done.audiences)
  return { requestHash, done: { ...done, audiences, taskId: done.taskId } }
}

/** Keeps what became of a call. Returns it as it will be repeated. */
export async function remember(
  { sql }: Transaction,
  request: SyncRequest,
  done: Done
): Promise<SyncOutcome> {
  const { principal, account, requestHash, replayForMs, changes, keys, now } = request
  const [id = ''] = idsOf(request)
  const text = JSON.stringify({ requestHash, done })
  await sql.run(
    `INSERT INTO syncs (id, principal, account, is_list, called_at, replay_until, outcome)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`,
    [
      id,
      principal,
      account,
      changes === undefined ? 1 : 0,
      now,
      now + replayForMs + TOLERANCE_MS,
      await sealMeanwhile(Buffer.from(text), sealName(id), keys)
    ]
  )
  return { ...readRecord(text).done, isReplay: false }
}

/** How long until one more call that only lists is allowed; 0 for at once. */
export async function untilNextList(
  { sql }: Transaction,
  { principal, account, listsPerMinute, now }: SyncRequest
): Promise<number> {
  // The first of as many as a minute may hold.
  const [row] = await sql.run(
    `SELECT called_at FROM syncs WHERE principal = ?1 AND account = ?2 AND is_list = 1
     ORDER BY called_at DESC LIMIT 1 OFFSET ?3`,
    [principal, account, listsPerMinute - 1]
  )
  return row === undefined ? 0 : Math.max(0, Number(row['called_at']) + MINUTE_MS - now)
}

/** A part of a sweep. Returns whether there is more to do. */
export async function sweepSyncs({ sql }: Transaction, now: number): Promise<boolean> {
  const expired = await sql.run(
    `UPDATE syncs SET outcome = NULL WHERE id IN (
       SELECT id FROM syncs WHERE outcome IS NOT NULL AND replay_until < ?1 LIMIT ${MAX_RECORDS}
     ) RETURNING 1 AS one`,
    [now]
  )
  const forgotten = await sql.run(
    `DELETE FROM syncs WHERE id IN (
       SELECT id FROM syncs WHERE outcome IS NULL AND replay_until < ?1 LIMIT ${MAX_RECORDS}
     ) RETURNING 1 AS one`,
    [now - RECOGNISED_MS]
  )
  return expired.length === MAX_RECORDS || forgotten.length === MAX_RECORDS
}
