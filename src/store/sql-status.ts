import {
  type DueAudience,
  type DueTarget,
  type LedgerAudience,
  type LedgerKey,
  stateOf
} from './ledger.ts'
import type { Transaction } from './rows.ts'
import { DELIVERY, readDelivery } from './sql-deliveries.ts'
import { findAudience, lockLedger, nameOf, putAudience, readAudience } from './sql-ledger.ts'
import { segmentIdAt } from './sql-segments.ts'
import { stopWaitingFor } from './sql-tasks.ts'
import { segmentLock, type Target } from './store.ts'

export async function takeDueAudiences(
  transaction: Transaction,
  now: number,
  leaseMs: number,
  limit: number
): Promise<readonly DueAudience[]> {
  const { sql } = transaction
  const found = await sql.run(
    'SELECT account, data FROM audiences WHERE look_at <= ?1 ORDER BY look_at LIMIT ?2',
    [now, limit]
  )
  const accounts = new Set(found.map(({ account }) => String(account)))
  for (const account of [...accounts].toSorted()) await lockLedger(transaction, account)
  const due: DueAudience[] = []
  for (const row of found) {
    // Somebody else may have been faster.
    const [taken] = await sql.run(
      `UPDATE audiences SET look_at = ?3
       WHERE account = ?1 AND audience_id = ?2 AND look_at <= ?4 RETURNING data`,
      [...nameOf(readAudience(row)), now + leaseMs, now]
    )
    if (taken !== undefined) due.push(await withTargets(transaction, readAudience(taken)))
  }
  return due
}

async function withTargets(transaction: Transaction, taken: LedgerAudience): Promise<DueAudience> {
  const targets: DueTarget[] = []
  for (const target of taken.targets) {
    targets.push(await dueTarget(transaction, target, taken.syncedAt))
  }
  return { audience: taken, targets }
}

async function dueTarget(
  transaction: Transaction,
  target: Target,
  syncedAt: number
): Promise<DueTarget> {
  const { sql } = transaction
  const lock = segmentLock(target)
  const [unsettled] = await sql.run(
    'SELECT 1 FROM deliveries WHERE lock = ?1 AND managed = 1 AND settled_at IS NULL LIMIT 1',
    [lock]
  )
  // What follows in the same call does not make good for what failed.
  const [last] = await sql.run(
    `SELECT ${DELIVERY} FROM deliveries
     WHERE lock = ?1 AND managed = 1 AND settled_at IS NOT NULL
     ORDER BY CASE WHEN state = 'failed' AND queued_at >= ?2 THEN 0 ELSE 1 END,
       settled_at DESC, position DESC LIMIT 1`,
    [lock, syncedAt]
  )
  const settled = last && readDelivery(last)
  return {
    isUnsettled: unsettled !== undefined,
    lastError: settled?.state === 'failed' ? settled.lastError : undefined,
    segmentId: await segmentIdAt(transaction, target)
  }
}

export async function noteStatus(
  transaction: Transaction,
  key: LedgerKey,
  revision: number,
  { targets, lookAt, looks }: Pick<LedgerAudience, 'targets' | 'lookAt' | 'looks'>,
  now: number
): Promise<boolean> {
  const next = await lockLedger(transaction, key.account)
  const before = await findAudience(transaction, key)
  if (before?.revision !== revision) return false
  const after = { ...before, targets, lookAt, looks, revision: next }
  await putAudience(transaction, after)
  if (stateOf(after) !== 'processing') {
    await stopWaitingFor(transaction, key.account, [key.audienceId], now)
  }
  return true
}
