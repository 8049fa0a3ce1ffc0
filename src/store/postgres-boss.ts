import { hash } from 'node:crypto'
import { type CommandResponse, type Db, type JobInsert, PgBoss } from 'pg-boss'
import { type Turn, turnLock } from './queue.ts'
import type { Sql, SqlValue } from './sql.ts'
import type { StoreLog } from './storage.ts'

/** pg-boss keeps its tables apart from ours. */
const SCHEMA = 'audience_queue'
export const QUEUE = 'audience-turns'
/** Never two of a key at once, and what failed goes first. */
const POLICY = 'key_strict_fifo'

/** An instance that says nothing for so long has lost its turns. */
export const CLAIM_SECONDS = 15
/** How often those who lost theirs are looked for, by one of the instances. */
const SUPERVISE_SECONDS = 5

const DAY_SECONDS = 24 * 3_600
const OPTIONS = {
  heartbeatSeconds: CLAIM_SECONDS,
  // Without end, as far as pg-boss can: when a delivery is given up is not for the queue to say.
  retryLimit: 2 ** 30,
  expireInSeconds: DAY_SECONDS,
  retentionSeconds: 365 * DAY_SECONDS,
  warningQueueSize: 2 ** 30,
  retryDelay: 0,
  deleteAfterSeconds: 600
}

const COMPLAIN_EVERY_MS = 60_000

/** Installs the queue where it is not there yet, and looks after it until `boss.stop()`. */
export async function startBoss(db: Db, log: StoreLog): Promise<PgBoss> {
  const boss = new PgBoss({
    db,
    schema: SCHEMA,
    schedule: false,
    superviseIntervalSeconds: SUPERVISE_SECONDS,
    monitorIntervalSeconds: SUPERVISE_SECONDS,
    maintenanceIntervalSeconds: 60
  })
  let complainedAt = -COMPLAIN_EVERY_MS
  boss.on('error', ({ message }) => {
    if (performance.now() - complainedAt < COMPLAIN_EVERY_MS) return
    complainedAt = performance.now()
    log.error({ reason: message }, 'the queue cannot be looked after')
  })
  boss.on('warning', ({ message }) => log.warn({ reason: message }, 'the queue needs attention'))
  await boss.start()
  await boss.createQueue(QUEUE, { ...OPTIONS, policy: POLICY })
  await boss.updateQueue(QUEUE, OPTIONS)
  // Now it knows the queue, and need not look for it in the middle of somebody's transaction.
  await boss.insert(QUEUE, [])
  return boss
}

/**
 * Makes sure, in the caller's transaction, that the turns will be had. A segment needs no more than
 * one that waits, however many deliveries it has: who finished one asks for the next. That keeps
 * the queue short, of which pg-boss reads all to find the next.
 */
export async function enqueue(boss: PgBoss, sql: Sql, turns: readonly Turn[]): Promise<void> {
  // The first ones count.
  const wanted = new Map(turns.toReversed().map((turn) => [keyOf(turn), turn]))
  for (const key of await keptWaiting(sql, [...wanted.keys()])) wanted.delete(key)
  const jobs = [...wanted.values()].map(toJob)
  if (jobs.length > 0) await boss.insert(QUEUE, jobs, { db: within(sql) })
}

/**
 * Those keys that have a turn which waits, and goes on waiting until the transaction ends: who has
 * it then finds what the transaction wrote.
 */
async function keptWaiting(sql: Sql, keys: readonly string[]): Promise<readonly string[]> {
  const rows = await sql.run(
    `SELECT singleton_key AS key FROM ${SCHEMA}.job
     WHERE name = '${QUEUE}' AND singleton_key = ANY (CAST(?1 AS text[]))
       AND state < 'active' AND NOT blocked AND policy = '${POLICY}'
     FOR SHARE`,
    [arrayOf(keys)]
  )
  return rows.map(({ key }) => String(key))
}

function toJob(turn: Turn): JobInsert<Turn> {
  const job = { data: turn, singletonKey: keyOf(turn), group: { id: groupOf(turn) } }
  if (turn.kind === 'confirm' || turn.notBefore === undefined) return job
  return { ...job, startAfter: secondsUntil(turn.notBefore) }
}

/** What pg-boss orders by. The names in a lock are too long for an index. */
export const keyOf = (turn: Turn): string => hash('sha256', turnLock(turn))

/** Turns that share the room of an account. */
export const groupOf = ({ kind, account }: Pick<Turn, 'kind' | 'account'>): string =>
  `${kind} ${account}`

/** By this machine's clock, which need not agree with the database's. */
export const secondsUntil = (time: number): number =>
  Math.max(0, Math.ceil(time - Date.now())) / 1_000

/** Lets pg-boss take part in a transaction. */
export function within(sql: Sql): Db {
  return {
    executeSql: async (text, values = []) => ({
      rows: [...(await sql.run(text, values.map(toSqlValue)))]
    })
  }
}

function toSqlValue(value: unknown): SqlValue {
  if (typeof value === 'string') return value
  if (value === null || value === undefined) return null
  if (Array.isArray(value)) return arrayOf(value)
  throw new TypeError('pg-boss gave a value of another kind')
}

/** As PostgreSQL writes an array of texts. */
const arrayOf = (items: readonly unknown[]) =>
  `{${items.map((item) => JSON.stringify(item)).join()}}`

/** Ids of jobs that a command did not leave alone. pg-boss tells them, but its types do not. */
export function affectedIds(response: CommandResponse): ReadonlySet<unknown> {
  return new Set('settled' in response && Array.isArray(response.settled) ? response.settled : [])
}

/**
 * Keys of which there is a turn, those under way included.
 * The columns are public: https://timgit.github.io/pg-boss/#/./sql
 */
export async function knownKeys(sql: Sql): Promise<ReadonlySet<string>> {
  const rows = await sql.run(
    `SELECT DISTINCT singleton_key AS key FROM ${SCHEMA}.job
     WHERE name = '${QUEUE}' AND state < 'completed'`
  )
  return new Set(rows.map(({ key }) => String(key)))
}

/** Ids of an account's turns that wait for their time. */
export async function sleepingTurns(sql: Sql, account: string): Promise<readonly string[]> {
  const rows = await sql.run(
    `SELECT id FROM ${SCHEMA}.job WHERE name = '${QUEUE}' AND state < 'active'
     AND group_id IN (?1, ?2) AND start_after > now()`,
    [groupOf({ kind: 'send', account }), groupOf({ kind: 'confirm', account })]
  )
  return rows.map(({ id }) => String(id))
}

/** Ids of turns that somebody made fail by hand: they hold up all others of their lock. */
export async function deadTurns(sql: Sql): Promise<readonly string[]> {
  const rows = await sql.run(
    `SELECT id FROM ${SCHEMA}.job WHERE name = '${QUEUE}' AND state = 'failed'`
  )
  return rows.map(({ id }) => String(id))
}
