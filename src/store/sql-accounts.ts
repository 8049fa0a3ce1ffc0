import { isDeepStrictEqual } from 'node:util'
import { accountHeld, accountReleased, addHooks } from './hook-messages.ts'
import type { Transaction } from './rows.ts'
import type { Row } from './sql.ts'
import { type AccountState, OPEN_ACCOUNT } from './store.ts'

type AccountRest = Omit<AccountState, 'status' | 'until'>

function readAccount({ status, until, data }: Row): AccountState {
  const rest: Partial<AccountRest> = JSON.parse(String(data))
  return { ...OPEN_ACCOUNT, ...rest, status: readStatus(status), until: Number(until) }
}

const STATUSES = ['open', 'paused', 'broken', 'held'] as const

function readStatus(column: unknown): AccountState['status'] {
  return STATUSES.find((status) => status === column) ?? 'open'
}

export async function account({ sql }: Transaction, key: string): Promise<AccountState> {
  const [row] = await sql.run('SELECT status, until, data FROM accounts WHERE name = ?1', [key])
  return row === undefined ? OPEN_ACCOUNT : readAccount(row)
}

export async function accounts({
  sql
}: Transaction): Promise<Readonly<Record<string, AccountState>>> {
  const rows = await sql.run('SELECT name, status, until, data FROM accounts')
  return Object.fromEntries(rows.map((row) => [String(row['name']), readAccount(row)]))
}

export async function setAccount(
  transaction: Transaction,
  key: string,
  state: AccountState,
  now: number,
  before?: AccountState
): Promise<boolean> {
  const { status, until, ...rest } = state
  const { sql } = transaction
  // Takes the row's lock and tells what stood there until now.
  const [row] = await sql.run(
    `INSERT INTO accounts (name, status, until, data) VALUES (?1, 'open', 0, '{}')
     ON CONFLICT (name) DO UPDATE SET status = accounts.status RETURNING status, until, data`,
    [key]
  )
  const had = row === undefined ? OPEN_ACCOUNT : readAccount(row)
  if (before !== undefined && !isDeepStrictEqual(before, had)) return false
  await sql.run('UPDATE accounts SET status = ?2, until = ?3, data = ?4 WHERE name = ?1', [
    key,
    status,
    until,
    JSON.stringify(rest)
  ])
  const wasHeld = had.status === 'held'
  if (status === 'held' && !wasHeld) await addHooks(transaction, accountHeld(key, state), now)
  if (status !== 'held' && wasHeld) await addHooks(transaction, accountReleased(key), now)
  return true
}

export async function claimProbe(
  { sql }: Transaction,
  key: string,
  now: number,
  until: number
): Promise<boolean> {
  const claimed = await sql.run(
    `UPDATE accounts SET until = ?3
     WHERE name = ?1 AND status <> 'open' AND until <= ?2 RETURNING name`,
    [key, now, until]
  )
  return claimed.length > 0
}
