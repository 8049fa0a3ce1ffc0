import type { Transaction } from './rows.ts'
import type { HookMessage } from './store.ts'

export async function takeHooks(
  { sql }: Transaction,
  endpoint: string,
  now: number,
  leaseMs: number,
  limit: number
): Promise<readonly HookMessage[]> {
  // The time stands there twice for PostgreSQL: where two instances find the same message, the
  // second one looks at the outer condition again once the first has committed.
  const rows = await sql.run(
    `UPDATE hooks SET due_at = ?3, attempts = attempts + 1
     WHERE due_at <= ?2 AND id IN (
       SELECT id FROM hooks WHERE endpoint = ?1 AND due_at <= ?2 ORDER BY due_at LIMIT ?4
     )
     RETURNING id, endpoint, type, created_at, body, attempts`,
    [endpoint, now, now + leaseMs, limit]
  )
  return rows
    .map((row) => ({
      id: String(row['id']),
      endpoint: String(row['endpoint']),
      type: String(row['type']),
      createdAt: Number(row['created_at']),
      body: String(row['body']),
      attempts: Number(row['attempts'])
    }))
    .toSorted((a, b) => a.createdAt - b.createdAt)
}

export async function settleHook(
  { sql }: Transaction,
  id: string,
  againAt: number | undefined
): Promise<void> {
  if (againAt === undefined) await sql.run('DELETE FROM hooks WHERE id = ?1', [id])
  else await sql.run('UPDATE hooks SET due_at = ?2 WHERE id = ?1', [id, againAt])
}

export async function waitingHooks({ sql }: Transaction): Promise<number> {
  const [row] = await sql.run('SELECT COUNT(*) AS messages FROM hooks')
  return Number(row?.['messages'] ?? 0)
}
