import type { LedgerAudience, LedgerKey } from './ledger.ts'
import { completeAudience, targetOf } from './ledger-record.ts'
import type { Transaction } from './rows.ts'
import type { Row } from './sql.ts'
import { manageSegment, unmanageSegment } from './sql-segments.ts'

/**
 * Everybody who changes what hangs on an account's ledger locks it before anything else, several
 * ledgers in the order of their accounts: nobody waits in a circle, and who has waited sees all that
 * was done before. Returns a revision that no audience of the account has had.
 */
export async function lockLedger({ sql }: Transaction, account: string): Promise<number> {
  const [row] = await sql.run(
    `INSERT INTO ledgers (account, revision) VALUES (?1, 1)
     ON CONFLICT (account) DO UPDATE SET revision = ledgers.revision + 1 RETURNING revision`,
    [account]
  )
  return Number(row?.['revision'])
}

export function readAudience({ data }: Row): LedgerAudience {
  return completeAudience(JSON.parse(String(data)))
}

/** Columns that name an audience. */
export const nameOf = ({ account, audienceId }: LedgerKey) => [account, JSON.stringify(audienceId)]

export async function findAudience(
  { sql }: Transaction,
  key: LedgerKey
): Promise<LedgerAudience | undefined> {
  const [row] = await sql.run(
    'SELECT data FROM audiences WHERE account = ?1 AND audience_id = ?2',
    nameOf(key)
  )
  return row && readAudience(row)
}

export async function audiences(
  { sql }: Transaction,
  account: string
): Promise<readonly LedgerAudience[]> {
  const rows = await sql.run('SELECT data FROM audiences WHERE account = ?1', [account])
  // Databases have orders of their own.
  return rows.map(readAudience).toSorted((a, b) => (a.audienceId < b.audienceId ? -1 : 1))
}

/** Writes an audience whose ledger is locked. */
export async function putAudience({ sql }: Transaction, audience: LedgerAudience): Promise<void> {
  await sql.run(
    `INSERT INTO audiences (account, audience_id, look_at, data) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (account, audience_id)
     DO UPDATE SET look_at = excluded.look_at, data = excluded.data`,
    [
      ...nameOf(audience),
      // Where it is nowhere there is nobody to ask.
      audience.targets.length === 0 ? null : audience.lookAt,
      JSON.stringify(audience)
    ]
  )
}

/** Makes its segments known as its own. */
export async function manageSegments(
  transaction: Transaction,
  audience: LedgerAudience
): Promise<void> {
  for (const target of audience.targets) await manageSegment(transaction, target, audience)
}

export async function removeAudience(
  transaction: Transaction,
  audience: LedgerAudience
): Promise<void> {
  await transaction.sql.run(
    'DELETE FROM audiences WHERE account = ?1 AND audience_id = ?2',
    nameOf(audience)
  )
  for (const target of audience.targets) await unmanageSegment(transaction, targetOf(target))
}
