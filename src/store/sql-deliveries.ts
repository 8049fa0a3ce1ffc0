import type { FieldReport } from '../audience/report.ts'
import type { Turn } from './queue.ts'
import { addHooks, deliveryFailed } from './hook-messages.ts'
import { orUndefined, type Transaction } from './rows.ts'
import { inSession, lockSession, type SessionRecord } from './session-record.ts'
import type { Row } from './sql.ts'
import {
  accountKey,
  CANCELLED,
  type Delivery,
  type DeliveryChange,
  FRESH,
  isSettled,
  segmentLock,
  StaleError,
  turnOf,
  type Upload,
  type Work
} from './store.ts'

/** Everything of a delivery that a row's document may lack. */
const ABSENT = { ...FRESH, giveUpAt: undefined } as const

export function readDelivery({ data, position, revision }: Row): Delivery {
  const stored: Delivery = JSON.parse(String(data))
  return { ...ABSENT, ...stored, position: Number(position), revision: Number(revision) }
}

/** Columns that `readDelivery` needs. */
export const DELIVERY = 'data, position, revision'

/** Everything of an upload that a row's document may lack. */
const ABSENT_FROM_UPLOAD = {
  mode: 'add',
  managed: undefined,
  phoneHashes: undefined,
  pullDate: undefined,
  defaultCountry: undefined,
  traceparent: undefined,
  report: undefined
} as const

export function readUpload({ data, report }: Row): Upload {
  const stored: Upload = JSON.parse(String(data))
  const upload = { ...ABSENT_FROM_UPLOAD, ...stored }
  return typeof report === 'string' ? { ...upload, report: JSON.parse(report) } : upload
}

/** Whether a delivery waits for its segment's turn or has it. */
function isWaiting(delivery: Delivery): boolean {
  return !isSettled(delivery) && delivery.state !== 'confirming'
}

/** Columns that follow from the document, in the order of the statements below. */
function columnsOf(delivery: Delivery) {
  return [
    delivery.id,
    delivery.state,
    isWaiting(delivery) ? 1 : 0,
    delivery.queuedAt,
    delivery.nextAttemptAt ?? null,
    delivery.settledAt ?? null,
    delivery.revision,
    JSON.stringify(delivery)
  ]
}

/** Writes a delivery that is new. Returns it with its position. */
export async function addDelivery(
  { sql, nextPosition }: Transaction,
  record: SessionRecord,
  { mode, managed }: Pick<Upload, 'mode' | 'managed'>,
  fresh: Omit<Delivery, 'position' | 'revision'>
): Promise<Delivery> {
  record.revision += 1
  record.deliveries[fresh.state] += 1
  const delivery = { ...fresh, position: 0, revision: record.revision }
  const [row] = await sql.run(
    `INSERT INTO deliveries (id, state, waiting, queued_at, next_attempt_at, settled_at, revision,
       data, upload_id, owner, session_id, account, lock, deletes, removes, managed, position)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ${nextPosition})
     RETURNING position`,
    [
      ...columnsOf(delivery),
      delivery.uploadId,
      record.owner,
      record.sessionId,
      accountKey(delivery),
      segmentLock(delivery),
      mode === 'delete' ? 1 : 0,
      mode === 'remove' ? 1 : 0,
      managed === undefined ? 0 : 1
    ]
  )
  return { ...delivery, position: Number(row?.['position']) }
}

/** Writes a change of a delivery whose session is locked. */
async function putDelivery(
  { sql }: Transaction,
  record: SessionRecord,
  before: Delivery,
  change: DeliveryChange
): Promise<Delivery> {
  record.revision += 1
  const after = { ...before, ...change, revision: record.revision }
  record.deliveries[before.state] -= 1
  record.deliveries[after.state] += 1
  await sql.run(
    `UPDATE deliveries SET state = ?2, waiting = ?3, queued_at = ?4, next_attempt_at = ?5,
       settled_at = ?6, revision = ?7, data = ?8
     WHERE id = ?1`,
    columnsOf(after)
  )
  return after
}

/** Starts a delivery anew, behind everything that was accepted for its segment since. */
export async function startAnew(
  transaction: Transaction,
  record: SessionRecord,
  failed: Delivery,
  now: number
): Promise<Delivery> {
  const { sql, nextPosition } = transaction
  const [row] = await sql.run(
    `UPDATE deliveries SET position = ${nextPosition} WHERE id = ?1 RETURNING position`,
    [failed.id]
  )
  const moved = { ...failed, position: Number(row?.['position']) }
  const started = await putDelivery(transaction, record, moved, { ...FRESH, queuedAt: now })
  await sql.run('UPDATE uploads SET settled_at = NULL WHERE id = ?1', [started.uploadId])
  return started
}

export async function moveDelivery(
  transaction: Transaction,
  id: string,
  accountId: string,
  now: number
): Promise<readonly Turn[]> {
  const { sql } = transaction
  const record = await lockSessionOf(transaction, id)
  return inSession(transaction, record, now, async () => {
    const [before] = await deliveries(transaction, [id])
    if (before === undefined || !isWaiting(before)) return []
    const moved = { ...before, accountId, targetedAt: now }
    await sql.run('UPDATE deliveries SET account = ?2, lock = ?3 WHERE id = ?1', [
      id,
      accountKey(moved),
      segmentLock(moved)
    ])
    const turn = turnOf(await putDelivery(transaction, record, moved, { ...FRESH, queuedAt: now }))
    const made = turn === undefined ? [] : [turn]
    await transaction.enqueue(made)
    return made
  })
}

export async function changeDelivery(
  transaction: Transaction,
  id: string,
  change: DeliveryChange,
  now: number,
  revision?: number
): Promise<Delivery> {
  const record = await lockSessionOf(transaction, id)
  return inSession(transaction, record, now, async () => {
    const [before] = await deliveries(transaction, [id])
    if (before === undefined) throw new Error(`no delivery ${id}`)
    // Whoever lost its turn to another instance may be late.
    if (isSettled(before)) return before
    if (revision !== undefined && revision !== before.revision) {
      throw new StaleError(`delivery ${id} was changed by somebody else`)
    }
    const after = await putDelivery(transaction, record, before, withTime(change, now))
    if (isSettled(after)) await settleUpload(transaction, after.uploadId)
    if (after.state === 'failed') {
      await addHooks(transaction, deliveryFailed(record, after), now)
    }
    const turn = turnOf(after)
    if (turn !== undefined && turn.kind !== turnOf(before)?.kind) await transaction.enqueue([turn])
    return after
  })
}

/** What has settled has a time, whoever forgot to give it. */
function withTime(change: DeliveryChange, now: number): DeliveryChange {
  if (change.state === undefined) return change
  const settledAt = isSettled({ state: change.state }) ? (change.settledAt ?? now) : undefined
  return { ...change, settledAt }
}

async function lockSessionOf(transaction: Transaction, id: string): Promise<SessionRecord> {
  const [row] = await transaction.sql.run(
    'SELECT owner, session_id FROM deliveries WHERE id = ?1',
    [id]
  )
  const record =
    row && (await lockSession(transaction, String(row['owner']), Number(row['session_id'])))
  if (record === undefined) throw new Error(`no delivery ${id}`)
  return record
}

/** Notes whether an upload is done, and lets its users go once nobody needs them any more. */
async function settleUpload({ sql }: Transaction, uploadId: string): Promise<void> {
  const rows = await sql.run(
    `SELECT ${DELIVERY}, state, settled_at FROM deliveries WHERE upload_id = ?1`,
    [uploadId]
  )
  const times = rows.map((row) => orUndefined(row['settled_at']))
  const isDone = times.every((time) => time !== undefined)
  await sql.run('UPDATE uploads SET settled_at = ?2 WHERE id = ?1', [
    uploadId,
    isDone ? Math.max(...times) : null
  ])
  if (rows.every((row) => row['state'] === 'delivered' || isCancelled(readDelivery(row)))) {
    await sql.run('DELETE FROM payloads WHERE upload_id = ?1', [uploadId])
  }
}

/** It was not sent because its segment is being deleted, and never will be. */
export function isCancelled({ state, lastError }: Delivery): boolean {
  return state === 'failed' && lastError?.code === CANCELLED
}

export async function deliveries(
  { sql }: Transaction,
  ids: readonly string[]
): Promise<readonly Delivery[]> {
  const found: Delivery[] = []
  for (const id of ids) {
    const rows = await sql.run(`SELECT ${DELIVERY} FROM deliveries WHERE id = ?1`, [id])
    found.push(...rows.map(readDelivery))
  }
  return found
}

export async function turns({ sql }: Transaction): Promise<readonly Turn[]> {
  const rows = await sql.run(
    `SELECT id, lock, account, waiting, next_attempt_at FROM deliveries
     WHERE settled_at IS NULL ORDER BY position`
  )
  return rows.map(readTurn)
}

function readTurn(row: Row): Turn {
  const account = String(row['account'])
  if (Number(row['waiting']) === 0) {
    return { kind: 'confirm', deliveryId: String(row['id']), account }
  }
  const notBefore = orUndefined(row['next_attempt_at'])
  return {
    kind: 'send',
    lock: String(row['lock']),
    account,
    ...(notBefore !== undefined && { notBefore })
  }
}

/** Whether a delivery that deletes the segment comes behind this one. */
const IS_CANCELLED = `deletes = 0 AND EXISTS (
  SELECT 1 FROM deliveries AS later WHERE later.lock = deliveries.lock AND later.deletes = 1
    AND later.position > deliveries.position AND later.settled_at IS NULL
) AS is_cancelled`

export async function work(transaction: Transaction, turn: Turn): Promise<Work | undefined> {
  const { sql } = transaction
  const [row] =
    turn.kind === 'send'
      ? await sql.run(
          `SELECT ${DELIVERY}, ${IS_CANCELLED} FROM deliveries WHERE lock = ?1 AND waiting = 1
           ORDER BY position LIMIT 1`,
          [turn.lock]
        )
      : await sql.run(
          `SELECT ${DELIVERY}, ${IS_CANCELLED} FROM deliveries
           WHERE id = ?1 AND state = 'confirming'`,
          [turn.deliveryId]
        )
  if (row === undefined) return undefined
  const delivery = readDelivery(row)
  const upload = await uploadById(transaction, delivery.uploadId)
  return upload && { delivery, upload, isCancelled: Boolean(row['is_cancelled']) }
}

export async function isUnconfirmed({ sql }: Transaction, delivery: Delivery): Promise<boolean> {
  const rows = await sql.run(
    `SELECT 1 FROM deliveries WHERE lock = ?1 AND position < ?2 AND state = 'confirming' LIMIT 1`,
    [segmentLock(delivery), delivery.position]
  )
  return rows.length > 0
}

async function uploadById({ sql }: Transaction, id: string): Promise<Upload | undefined> {
  const [row] = await sql.run('SELECT data, report FROM uploads WHERE id = ?1', [id])
  return row && readUpload(row)
}

export async function startable(
  { sql }: Transaction,
  uploadId: string
): Promise<readonly Delivery[]> {
  const rows = await sql.run(
    `SELECT ${DELIVERY} FROM deliveries
     WHERE upload_id = ?1 AND state = 'queued' AND NOT EXISTS (
       SELECT 1 FROM deliveries AS earlier
       WHERE earlier.lock = deliveries.lock AND earlier.waiting = 1
         AND earlier.position < deliveries.position
     )
     ORDER BY position`,
    [uploadId]
  )
  return rows.map(readDelivery).filter(({ attempts }) => attempts === 0)
}

export async function untried(
  { sql }: Transaction,
  uploadId: string
): Promise<readonly Delivery[]> {
  const rows = await sql.run(
    `SELECT ${DELIVERY} FROM deliveries WHERE upload_id = ?1 AND state = 'queued'
     ORDER BY position`,
    [uploadId]
  )
  return rows.map(readDelivery).filter(({ attempts }) => attempts === 0)
}

export async function sealedUsers(
  { sql }: Transaction,
  uploadId: string
): Promise<Uint8Array | undefined> {
  const [row] = await sql.run('SELECT sealed FROM payloads WHERE upload_id = ?1', [uploadId])
  return row?.['sealed'] instanceof Uint8Array ? row['sealed'] : undefined
}

export async function setReport(
  { sql }: Transaction,
  uploadId: string,
  report: FieldReport
): Promise<void> {
  await sql.run('UPDATE uploads SET report = ?2 WHERE id = ?1', [uploadId, JSON.stringify(report)])
}
