import { setTimeout as wait } from 'node:timers/promises'
import type { PgBoss } from 'pg-boss'
import {
  affectedIds,
  CLAIM_SECONDS,
  deadTurns,
  enqueue,
  groupOf,
  keyOf,
  knownKeys,
  QUEUE,
  secondsUntil,
  sleepingTurns,
  within
} from './postgres-boss.ts'
import type { Queue, TakeTurn, Turn, TurnOutcome } from './queue.ts'
import type { Database } from './sql.ts'
import type { StoreLog } from './storage.ts'
import type { Store } from './store.ts'

const CLAIM_MS = CLAIM_SECONDS * 1_000
const BEAT_MS = 4_000
const POLL_MS = 500
const LONGEST_PAUSE_MS = 2_000
/** Few at a time, so that an account is not given more than it has room for. */
const BATCH = 8
/** A turn that was not taken to its end is had again after about this long. */
const AGAIN_MS = 2_000
const COMPARE_MS = 5 * 60_000
/** Any number that nothing else in this database locks by. */
const COMPARE_LOCK = 7_120_333

type Room = (turn: Pick<Turn, 'kind' | 'account'>) => number

interface Job {
  readonly id: string
  readonly retryCount: number
  readonly data: Turn
}

/** A turn under way here. */
interface Claim {
  readonly job: Job
  readonly lapsing: AbortController
  /** When the database last heard that it goes on, of `performance.now()`. */
  confirmedAt: number
  /** Its account was woken since it began. */
  woken: boolean
}

export interface PostgresQueueOptions {
  readonly boss: PgBoss
  readonly database: Pick<Database, 'transaction'>
  readonly store: Pick<Store, 'turns' | 'work'>
  readonly log: StoreLog
}

/** Hands out turns that several instances share; pg-boss decides which of them gets one. */
export function createPostgresQueue({ boss, database, store, log }: PostgresQueueOptions): Queue {
  const claims = new Map<string, Claim>()
  const running = new Set<Promise<void>>()
  /** A turn of each account and kind that was seen. */
  const groups = new Map<string, Turn>()
  const stopping = new AbortController()
  const ended = new AbortController()
  const outage = createOutage(log)
  let handing: readonly Promise<void>[] = []
  let beating: Promise<void> | undefined
  let nudged = new AbortController()

  /** Looks for turns at once, or once more when it is looking. */
  function nudge(): void {
    nudged.abort()
  }

  async function untilNudged(): Promise<void> {
    await sleep(POLL_MS, nudged.signal)
    nudged = new AbortController()
  }

  function track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => outage.failed(error))
      .finally(() => running.delete(tracked))
    running.add(tracked)
  }

  async function fetchAll(take: TakeTurn, room: Room): Promise<void> {
    let fetched
    do {
      fetched = await fetchSome(take, room)
      outage.over()
    } while (fetched > 0 && !stopping.signal.aborted)
  }

  /** Fetches a few turns of accounts that have room. An account not seen yet may get too many. */
  async function fetchSome(take: TakeTurn, room: Room): Promise<number> {
    const rooms = new Map([...groups].map(([group, turn]) => [group, roomLeft(turn, room)]))
    const ignoreGroups = [...groups.keys()].filter((group) => (rooms.get(group) ?? 0) <= 0)
    const batchSize = Math.min(BATCH, ...[...rooms.values()].filter((places) => places > 0))
    const jobs = await boss.fetch<Turn>(QUEUE, { batchSize, ignoreGroups })
    for (const job of jobs) {
      groups.set(groupOf(job.data), job.data)
      const isWanted = roomLeft(job.data, room) > 0 && !stopping.signal.aborted
      hold(job, isWanted ? take : giveBackAtOnce)
    }
    return jobs.length
  }

  function roomLeft(turn: Turn, room: Room): number {
    const group = groupOf(turn)
    const held = [...claims.values()].filter(({ job }) => groupOf(job.data) === group)
    return room(turn) - held.length
  }

  function hold(job: Job, take: TakeTurn): void {
    const confirmedAt = performance.now()
    const claim: Claim = { job, lapsing: new AbortController(), confirmedAt, woken: false }
    claims.set(job.id, claim)
    const work = async () => settle(claim, await outcomeOf(claim, take))
    track(work().finally(() => claims.delete(job.id)))
  }

  async function outcomeOf({ job, lapsing }: Claim, take: TakeTurn): Promise<TurnOutcome> {
    try {
      return await take(job.data, lapsing.signal)
    } catch (error) {
      if (stopping.signal.aborted) return AT_ONCE
      if (!lapsing.signal.aborted) log.error({ reason: reasonOf(error) }, 'a turn was not taken')
      return { againAt: Date.now() + AGAIN_MS * (0.5 + Math.random()) }
    }
  }

  /** Tells what became of a turn, as long as it may not be another instance's. */
  async function settle(claim: Claim, outcome: TurnOutcome): Promise<void> {
    const { signal } = claim.lapsing
    for (let failures = 1; !signal.aborted; failures += 1) {
      try {
        if (outcome === 'done') await finish(claim.job)
        else await giveBack(claim.job, claim.woken ? AT_ONCE : outcome)
        nudge()
        return
      } catch (error) {
        outage.failed(error)
        // It will lapse.
        if (stopping.signal.aborted) return
        await sleep(backOffMs(failures), AbortSignal.any([signal, stopping.signal]))
      }
    }
  }

  /** Asks for the segment's next turn behind those that wait already. */
  async function finish(job: Job): Promise<void> {
    const hasMore = job.data.kind === 'send' && (await store.work(job.data)) !== undefined
    await database.transaction(async (sql) => {
      const finished = affectedIds(await boss.complete(QUEUE, job, null, { db: within(sql) }))
      if (hasMore && finished.has(job.id)) await enqueue(boss, sql, [job.data])
    })
  }

  async function giveBack(job: Job, { againAt }: { readonly againAt: number }): Promise<void> {
    // pg-boss counts from the beginning of the transaction.
    const startAfter = secondsUntil(againAt)
    await database.transaction(async (sql) => {
      const db = within(sql)
      const given = affectedIds(await boss.fail(QUEUE, job, null, { db }))
      if (!given.has(job.id)) return
      await boss.update(QUEUE, undefined, { id: job.id, startAfter, db })
    })
  }

  /** Tells the database which turns go on here, and hears which are not ours any more. */
  async function beat(): Promise<void> {
    const held = [...claims.values()]
    if (held.length === 0) return
    const now = performance.now()
    const attempts = held.map(({ job: { id, retryCount } }) => ({ id, retryCount }))
    const kept = affectedIds(await boss.touch(QUEUE, attempts))
    for (const claim of held) {
      if (kept.has(claim.job.id)) claim.confirmedAt = now
      else lapse(claim)
    }
  }

  /** Those that the database has not heard of for too long: another instance may have them. */
  function lapseUnconfirmed(): void {
    for (const claim of claims.values()) {
      if (performance.now() - claim.confirmedAt > CLAIM_MS) lapse(claim)
    }
  }

  function lapse({ lapsing }: Claim): void {
    lapsing.abort(new Error('the turn may be another instance’s'))
  }

  /** Adds turns that the store has and the queue has not, as after a restored backup. */
  async function compare(): Promise<void> {
    const before = await database.transaction(knownKeys)
    const all = await store.turns()
    await database.transaction(async (sql) => {
      // Other instances wait, and find nothing missing then.
      await sql.run(`SELECT pg_advisory_xact_lock(${COMPARE_LOCK})`)
      const after = await knownKeys(sql)
      // What came or went meanwhile was there before or is there after.
      const missing = all.filter((turn) => {
        const key = keyOf(turn)
        return !before.has(key) && !after.has(key)
      })
      if (missing.length === 0) return
      await enqueue(boss, sql, missing)
      log.warn({ deliveries: missing.length }, 'deliveries had no turn in the queue')
    })
    const dead = await database.transaction(deadTurns)
    if (dead.length > 0) await boss.retry(QUEUE, [...dead])
    nudge()
  }

  async function compareNowAndThen(): Promise<void> {
    await sleep(COMPARE_MS, stopping.signal)
    if (!stopping.signal.aborted) await compare()
  }

  async function wakeTurns(account: string): Promise<void> {
    const ids = await database.transaction((sql) => sleepingTurns(sql, account))
    for (const id of ids) await boss.update(QUEUE, undefined, { id, startAfter: 0 })
    nudge()
  }

  /** Goes on until the signal; after failures ever more slowly. */
  async function repeat(step: () => Promise<void>, { signal }: AbortController): Promise<void> {
    for (let failures = 0; !signal.aborted;) {
      try {
        await step()
        failures = 0
      } catch (error) {
        failures += 1
        outage.failed(error)
        await sleep(backOffMs(failures), signal)
      }
    }
  }

  return {
    async start(take, room) {
      await compare()
      const watch = setInterval(lapseUnconfirmed, 1_000)
      ended.signal.addEventListener('abort', () => clearInterval(watch))
      handing = [
        repeat(async () => {
          await fetchAll(take, room)
          await untilNudged()
        }, stopping),
        repeat(compareNowAndThen, stopping)
      ]
      beating = repeat(async () => {
        await beat()
        await sleep(BEAT_MS, ended.signal)
      }, ended)
    },

    push: nudge,

    wake(account) {
      for (const claim of claims.values()) {
        if (claim.job.data.account === account) claim.woken = true
      }
      track(wakeTurns(account))
    },

    async stop() {
      stopping.abort()
      nudge()
      await Promise.all(handing)
      while (running.size > 0) await Promise.all(running)
      ended.abort()
      await beating
    }
  }
}

const AT_ONCE = { againAt: 0 }

const giveBackAtOnce: TakeTurn = async () => AT_ONCE

/** Tells once that the database is gone, and once that it is back. */
function createOutage(log: StoreLog) {
  let began = false
  return {
    failed(error: unknown): void {
      if (!began) log.error({ reason: reasonOf(error) }, 'the queue does not work')
      began = true
    },
    over(): void {
      if (began) log.warn({}, 'the queue works again')
      began = false
    }
  }
}

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

const backOffMs = (failures: number) =>
  Math.min(LONGEST_PAUSE_MS, POLL_MS * 2 ** (failures - 1)) * (0.5 + Math.random() / 2)

/** Resolves early when the signal aborts. */
async function sleep(forMs: number, signal: AbortSignal): Promise<void> {
  await wait(forMs, undefined, { signal }).catch(() => undefined)
}
