import { randomUUID } from 'node:crypto'
import { addPush } from './hook-messages.ts'
import type { SyncedAudience, SyncTask } from './ledger.ts'
import { completeSynced } from './ledger-record.ts'
import { orUndefined, type Transaction } from './rows.ts'
import { type KeyRing, open, seal } from './sealing.ts'
import type { Row } from './sql.ts'
import { audiences, lockLedger } from './sql-ledger.ts'

const DAY_MS = 24 * 3_600_000
/** A platform that has not said for so long how an audience stands will not say it any more. */
const GIVE_UP_MS = 30 * DAY_MS
/** Tasks that are given up at once. */
const MAX_OVERDUE = 50

function readTask(row: Row): SyncTask {
  return {
    id: String(row['id']),
    principal: String(row['principal']),
    account: String(row['account']),
    audiences: readSynced(String(row['data'])),
    completedAt: orUndefined(row['completed_at']),
    createdAt: Number(row['created_at']),
    updatedAt: Number(row['updated_at']),
    hasPush: row['push'] !== null
  }
}

function readSynced(text: string): readonly SyncedAudience[] {
  return completeSynced(JSON.parse(text))
}

export async function task(
  { sql }: Transaction,
  principal: string,
  id: string
): Promise<SyncTask | undefined> {
  const [row] = await sql.run('SELECT * FROM tasks WHERE id = ?1 AND principal = ?2', [
    id,
    principal
  ])
  return row && readTask(row)
}

export async function pushOf(
  { sql }: Transaction,
  taskId: string,
  keys: KeyRing
): Promise<{ task: SyncTask; push: unknown } | undefined> {
  const [row] = await sql.run('SELECT * FROM tasks WHERE id = ?1', [taskId])
  const sealed = row?.['push']
  if (row === undefined || !(sealed instanceof Uint8Array)) return undefined
  const push: unknown = JSON.parse(Buffer.from(open(sealed, pushName(taskId), keys)).toString())
  return { task: readTask(row), push }
}

/** What a push is sealed as. It may hold the receiver's own secret. */
const pushName = (taskId: string) => `push ${taskId}`

export interface NewTask extends Pick<SyncTask, 'principal' | 'account' | 'audiences'> {
  /** Ids of audiences that have to leave `processing`. */
  readonly waitsFor: readonly string[]
  readonly push: unknown
  readonly keys: KeyRing
  readonly now: number
}

/** Returns its id. */
export async function addTask(
  { sql }: Transaction,
  { principal, account, audiences: synced, waitsFor, push, keys, now }: NewTask
): Promise<string> {
  const id = randomUUID()
  await sql.run(
    `INSERT INTO tasks (id, principal, account, created_at, updated_at, waits_for, data, push)
     VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7)`,
    [
      id,
      principal,
      account,
      now,
      JSON.stringify(waitsFor),
      JSON.stringify(synced),
      seal(Buffer.from(JSON.stringify(push)), pushName(id), keys)
    ]
  )
  return id
}

/** Completes the tasks that waited for these audiences of a locked ledger only. */
export async function stopWaitingFor(
  transaction: Transaction,
  account: string,
  audienceIds: readonly string[],
  now: number
): Promise<void> {
  if (audienceIds.length === 0) return
  const { sql } = transaction
  const ended = new Set(audienceIds)
  const rows = await sql.run(
    'SELECT id, waits_for FROM tasks WHERE account = ?1 AND completed_at IS NULL',
    [account]
  )
  for (const row of rows) {
    const id = String(row['id'])
    const before: readonly string[] = JSON.parse(String(row['waits_for']))
    const left = before.filter((audienceId) => !ended.has(audienceId))
    if (left.length === 0) await complete(transaction, account, id, now)
    else if (left.length < before.length) {
      await sql.run('UPDATE tasks SET waits_for = ?2, updated_at = ?3 WHERE id = ?1', [
        id,
        JSON.stringify(left),
        now
      ])
    }
  }
}

/** Completes a task of a locked ledger with its audiences as they are now, and has that told. */
async function complete(
  transaction: Transaction,
  account: string,
  id: string,
  now: number
): Promise<void> {
  const { sql } = transaction
  const [row] = await sql.run('SELECT data FROM tasks WHERE id = ?1 AND completed_at IS NULL', [id])
  if (row === undefined) return
  const current = new Map(
    (await audiences(transaction, account)).map((one) => [one.audienceId, one])
  )
  const atTheEnd = readSynced(String(row['data'])).map((one) =>
    one.audience === undefined ? one : { ...one, audience: current.get(one.audienceId) }
  )
  await sql.run(
    `UPDATE tasks SET completed_at = ?2, updated_at = ?2, waits_for = '[]', data = ?3
     WHERE id = ?1`,
    [id, now, JSON.stringify(atTheEnd)]
  )
  await addPush(transaction, id, now)
}

/** Tasks that are not waited for any longer. */
export async function overdueTasks(
  { sql }: Transaction,
  now: number
): Promise<readonly { id: string; account: string }[]> {
  const rows = await sql.run(
    `SELECT id, account FROM tasks WHERE completed_at IS NULL AND created_at < ?1
     LIMIT ${MAX_OVERDUE}`,
    [now - GIVE_UP_MS]
  )
  return rows.map(({ id, account }) => ({ id: String(id), account: String(account) }))
}

/** Completes a task with its audiences as they are, whatever they are. */
export async function giveUpTask(
  transaction: Transaction,
  { id, account }: { readonly id: string; readonly account: string },
  now: number
): Promise<void> {
  await lockLedger(transaction, account)
  await complete(transaction, account, id, now)
}

export async function sweepTasks({ sql }: Transaction, completedBefore: number): Promise<void> {
  await sql.run('DELETE FROM tasks WHERE completed_at < ?1', [completedBefore])
}
