import { type Queue, type TakeTurn, type Turn, turnLock } from '../store/queue.ts'
import { type Store, StoreError } from '../store/store.ts'
import { backoffMs } from './backoff.ts'
import type { Clock } from './clock.ts'

export interface LocalQueueOptions {
  readonly store: Pick<Store, 'turns' | 'work'>
  readonly clock: Clock
  /** Something was not done; it is tried again. */
  readonly onError: (error: unknown) => void
}

/** The turns of one lock. They are all alike, and the store knows whether there are more. */
interface Lane {
  readonly turn: Turn
  /** Another turn came since the last one was taken. */
  isAsked: boolean
  /** The account was woken since the last turn was taken. */
  isWoken: boolean
  /** Failures in a row to take a turn. */
  failures: number
  /** Ends the wait for the next turn. */
  sleeper: AbortController | undefined
}

/** How often what the store has is looked for here, whatever was told or not. */
const COMPARE_MS = 5 * 60_000

/** One process has the store for itself: nobody takes a turn from it. */
const NEVER = new AbortController().signal

/** Hands out turns within this process, which alone has the store. */
export function createLocalQueue({ store, clock, onError }: LocalQueueOptions): Queue {
  const lanes = new Map<string, Lane>()
  const running = new Set<Promise<void>>()
  const stopping = new AbortController()
  let take: TakeTurn | undefined
  /** The store failed: it may have written what it did not answer, and has turns not known here. */
  let isUnsure = false

  function push(turns: readonly Turn[]): void {
    if (stopping.signal.aborted) return
    for (const turn of turns) {
      const lock = turnLock(turn)
      const known = lanes.get(lock)
      if (known !== undefined) {
        known.isAsked = true
        continue
      }
      const lane = { turn, isAsked: false, isWoken: false, failures: 0, sleeper: undefined }
      lanes.set(lock, lane)
      if (take !== undefined) track(run(lock, lane, take))
    }
  }

  function track(work: Promise<void>): void {
    const tracked = work.finally(() => running.delete(tracked))
    running.add(tracked)
  }

  async function run(lock: string, lane: Lane, taking: TakeTurn): Promise<void> {
    const { turn } = lane
    if (turn.kind === 'send' && turn.notBefore !== undefined) await sleepUntil(turn.notBefore, lane)
    while (!stopping.signal.aborted) {
      lane.isAsked = false
      lane.isWoken = false
      const againAt = await takeOnce(lane, taking)
      if (againAt !== undefined) await sleepUntil(againAt, lane)
      else if (!lane.isAsked) break
    }
    lanes.delete(lock)
  }

  /** When the next turn is to be had; `undefined` once the store has none. */
  async function takeOnce(lane: Lane, taking: TakeTurn): Promise<number | undefined> {
    try {
      const outcome = await taking(lane.turn, NEVER)
      const isOver = outcome === 'done' && !(await hasMore(lane.turn))
      lane.failures = 0
      if (isUnsure) track(compare())
      if (isOver) return undefined
      return outcome === 'done' ? clock.now() : soonerIfWoken(lane, outcome.againAt)
    } catch (error) {
      failed(error)
      lane.failures += 1
      return clock.now() + backoffMs(lane.failures)
    }
  }

  async function hasMore(turn: Turn): Promise<boolean> {
    return turn.kind === 'send' && (await store.work(turn)) !== undefined
  }

  /** The reason to wait may be over already. Not at once: a turn can wake its own account. */
  function soonerIfWoken({ isWoken }: Lane, againAt: number): number {
    return isWoken ? Math.min(againAt, clock.now() + backoffMs(1)) : againAt
  }

  function failed(error: unknown): void {
    if (error instanceof StoreError) isUnsure = true
    if (!stopping.signal.aborted) onError(error)
  }

  /** Adds turns that the store has and nobody told of. */
  async function compare(): Promise<void> {
    isUnsure = false
    await store.turns().then(push).catch(failed)
  }

  async function sleepUntil(time: number, lane: Lane): Promise<void> {
    const sleeper = new AbortController()
    lane.sleeper = sleeper
    const signal = AbortSignal.any([sleeper.signal, stopping.signal])
    try {
      for (let left = time - clock.now(); left > 0; left = time - clock.now()) {
        await clock.sleep(left, signal)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      lane.sleeper = undefined
    }
  }

  return {
    async start(taking) {
      push(await store.turns())
      take = taking
      for (const [lock, lane] of lanes) track(run(lock, lane, taking))
      // In real time, whatever the clock is that deliveries wait by.
      const comparing = setInterval(() => track(compare()), COMPARE_MS).unref()
      stopping.signal.addEventListener('abort', () => clearInterval(comparing))
    },
    push,
    wake(account) {
      for (const lane of lanes.values()) {
        if (lane.turn.account !== account) continue
        lane.isWoken = true
        lane.sleeper?.abort()
      }
    },
    async stop() {
      stopping.abort()
      await Promise.all(running)
    }
  }
}
