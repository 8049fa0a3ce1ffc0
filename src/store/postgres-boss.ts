import { hash } from 'node:crypto'
import { type CommandResponse, type Db, type JobInsert, PgBoss } from 'pg-boss'
import { type Turn, turnLock } from './queue.ts'
import type { Sql, SqlValue } from './sql.ts'
import type { StoreLog } from './storage.ts'

/** pg-boss keeps its tables apart from ours. */
const SCHEMA = 'audience_queue'
export const QUEUE = 'audience-turns'

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
  await boss.createQueue(QUEUE, { ...OPTIONS, policy: 'key_strict_fifo' })
  await boss.updateQueue(QUEUE, OPTIONS)
  // Now it knows the queue, and need not look for it in the middle of somebody's transaction.
  await boss.insert(QUEUE, [])
  return boss
}

/** Adds turns in the caller's transaction. */
export async function enqueue(boss: PgBoss, sql: Sql, turns: readonly Turn[]): Promise<void> {
  if (turns.length > 0) await boss.insert(QUEUE, turns.map(toJob), { db: within(sql) })
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
  if (Array.isArray(value)) return `{${value.map((item) => JSON.stringify(item)).join()}}`
  throw new TypeError('pg-boss gave a value of another kind')
}

/** Ids of jobs that a command did not leave alone. pg-boss tells them, but its types do not. */
export function affectedIds(response: CommandResponse): ReadonlySet<unknown> {
  return new Set('settled' in response && Array.isArray(response.settled) ? response.settled : [])
}

/**
 * How many turns there are of each key, those under way included.
 * The columns are public: https://timgit.github.io/pg-boss/#/./sql
 */
export async function turnsByKey(sql: Sql): Promise<Map<string, number>> {
  const rows = await sql.run(
    `SELECT singleton_key AS key, count(*) AS turns FROM ${SCHEMA}.job
     WHERE name = '${QUEUE}' AND state < 'completed' GROUP BY singleton_key`
  )
  return new Map(rows.map(({ key, turns }) => [String(key), Number(turns)]))
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
