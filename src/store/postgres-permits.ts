import { randomUUID } from 'node:crypto'
import PQueue from 'p-queue'
import type { CallLimits, Permits } from './permits.ts'
import type { Database, Sql } from './sql.ts'

/** First half of the advisory locks, of which the account's hash is the second. */
const LOCK_CLASS = 7_120_332

/**
 * How much longer than told a period is taken to be. Calls are counted when they are permitted, the
 * platform counts when they arrive, and not all take equally long on their way.
 */
const MARGIN_MS = 50

/** Who waits for longer asks again meanwhile. */
const LONGEST_WAIT_MS = 5_000

/** Those who wait for others' calls to end ask again after about this long. */
const ASK_AGAIN_MS = 50

/** Limits of accounts, kept by rows and the clock of one database. */
export function createPostgresPermits(database: Pick<Database, 'transaction'>): Permits {
  const queues = new Map<string, PQueue>()

  /** One at a time from here: the others would only hold connections while they wait. */
  function queueOf(account: string): PQueue {
    const queue = queues.get(account) ?? new PQueue({ concurrency: 1 })
    queues.set(account, queue)
    return queue
  }

  return {
    take: (account, limits) =>
      queueOf(account).add(() =>
        database.transaction(async (sql) => {
          await lock(sql, account)
          const { now, waitMs } = await look(sql, account, limits)
          return waitMs > 0 ? { waitMs } : { id: await note(sql, account, limits, now) }
        })
      ),

    giveBack: (id) =>
      database.transaction(async (sql) => {
        await sql.run(`SELECT ${CHEAP_COMMIT}`)
        await sql.run('UPDATE calls SET ended = 1 WHERE id = ?1', [id])
      })
  }
}

/** What a crash of the database forgets of the last moment is not worth a disk's time per call. */
const CHEAP_COMMIT = `set_config('synchronous_commit', 'off', true)`

/** Keeps others from asking for the account at the same time. */
async function lock(sql: Sql, account: string): Promise<void> {
  await sql.run(`SELECT ${CHEAP_COMMIT}, pg_advisory_xact_lock(${LOCK_CLASS}, hashtext(?1))`, [
    account
  ])
}

/** The database's time, and how long from then until one more call is allowed; 0 for at once. */
async function look(
  sql: Sql,
  account: string,
  { inFlight, rates, endsWithinMs }: CallLimits
): Promise<{ now: number; waitMs: number }> {
  // The first call of as many as a period may hold: it keeps others out until the period is over.
  const firsts = rates.map(
    (_, index) =>
      `(SELECT started_at FROM calls WHERE account = ?1
        ORDER BY started_at DESC LIMIT 1 OFFSET ?${index + 3}) AS first_${index}`
  )
  const [row] = await sql.run(
    `SELECT ${[
      'CAST(time.now AS bigint) AS now',
      `(SELECT count(*) FROM calls WHERE account = ?1 AND ended = 0
        AND started_at > time.now - CAST(?2 AS bigint)) AS under_way`,
      // A wait that the platform asked for, whichever instance it told so.
      `(SELECT until FROM accounts WHERE name = ?1 AND status = 'paused') AS paused_until`,
      ...firsts
    ].join()}
    FROM (SELECT 1000 * extract(epoch FROM clock_timestamp()) AS now) AS time`,
    [account, endsWithinMs, ...rates.map(({ requests }) => requests - 1)]
  )
  const now = Number(row?.['now'])
  const waits = rates.map(({ perMs }, index) => {
    const first = row?.[`first_${index}`]
    return typeof first === 'number' ? first + perMs + MARGIN_MS - now : 0
  })
  const isFull = Number(row?.['under_way']) >= inFlight
  // By the clock of those who wrote it.
  const pausedMs = Math.min(LONGEST_WAIT_MS, Number(row?.['paused_until'] ?? 0) - Date.now())
  const waitMs = Math.max(0, isFull ? ASK_AGAIN_MS : 0, pausedMs, ...waits)
  return { now, waitMs: waitMs === 0 ? 0 : jittered(waitMs) }
}

/** Notes a call that begins, and forgets those that count no more. */
async function note(
  sql: Sql,
  account: string,
  { rates, endsWithinMs }: CallLimits,
  now: number
): Promise<string> {
  const id = randomUUID()
  const keptMs = Math.max(endsWithinMs, ...rates.map(({ perMs }) => perMs + MARGIN_MS))
  await sql.run(
    `WITH forgotten AS (DELETE FROM calls WHERE account = ?2 AND started_at < ?4)
     INSERT INTO calls (id, account, started_at, ended) VALUES (?1, ?2, ?3, 0)`,
    [id, account, now, now - keptMs]
  )
  return id
}

/** So that those who wait together do not ask together. */
const jittered = (ms: number) => Math.ceil(ms + ASK_AGAIN_MS * Math.random())
