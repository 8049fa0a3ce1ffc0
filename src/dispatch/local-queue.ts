import { type Queue, type TakeTurn, type Turn, turnLock } from '../store/queue.ts'
import type { Store } from '../store/store.ts'
import { backoffMs } from './backoff.ts'
import type { Clock } from './clock.ts'

export interface LocalQueueOptions {
  readonly store: Pick<Store, 'turns'>
  readonly clock: Clock
  /** A turn was not taken to its end; it is had again. */
  readonly onError: (error: unknown) => void
}

/** The turns of one lock, first come first served. */
interface Lane {
  readonly turns: Turn[]
  /** Failures in a row to take the first of them. */
  failures: number
}

/** One process has the store for itself: nobody takes a turn from it. */
const NEVER = new AbortController().signal

/** Hands out turns within this process, which alone has the store. */
export function createLocalQueue({ store, clock, onError }: LocalQueueOptions): Queue {
  const lanes = new Map<string, Lane>()
  const running = new Set<Promise<void>>()
  /** Those that wait, by account. */
  const sleepers = new Map<string, Set<AbortController>>()
  const stopping = new AbortController()
  let take: TakeTurn | undefined

  function push(turns: readonly Turn[]): void {
    if (stopping.signal.aborted) return
    for (const turn of turns) {
      const lock = turnLock(turn)
      const lane = lanes.get(lock)
      if (lane !== undefined) {
        lane.turns.push(turn)
        continue
      }
      lanes.set(lock, { turns: [turn], failures: 0 })
      if (take !== undefined) begin(lock, take)
    }
  }

  function begin(lock: string, taking: TakeTurn): void {
    const work = run(lock, taking).finally(() => running.delete(work))
    running.add(work)
  }

  async function run(lock: string, taking: TakeTurn): Promise<void> {
    const lane = lanes.get(lock)
    if (lane === undefined) return
    for (let [turn] = lane.turns; turn !== undefined; [turn] = lane.turns) {
      if (turn.kind === 'send' && turn.notBefore !== undefined) {
        await sleepUntil(turn.notBefore, turn.account)
      }
      if (stopping.signal.aborted) return
      const againAt = await takeOnce(lane, turn, taking)
      if (againAt === undefined) lane.turns.shift()
      else await sleepUntil(againAt, turn.account)
    }
    lanes.delete(lock)
  }

  /** When the turn is to be had again; `undefined` once it is done. */
  async function takeOnce(lane: Lane, turn: Turn, taking: TakeTurn): Promise<number | undefined> {
    try {
      const outcome = await taking(turn, NEVER)
      lane.failures = 0
      return outcome === 'done' ? undefined : outcome.againAt
    } catch (error) {
      if (!stopping.signal.aborted) onError(error)
      lane.failures += 1
      return clock.now() + backoffMs(lane.failures)
    }
  }

  async function sleepUntil(time: number, account: string): Promise<void> {
    const woken = new AbortController()
    const others = sleepers.get(account) ?? new Set()
    sleepers.set(account, others.add(woken))
    const signal = AbortSignal.any([woken.signal, stopping.signal])
    try {
      for (let left = time - clock.now(); left > 0; left = time - clock.now()) {
        await clock.sleep(left, signal)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      others.delete(woken)
      if (others.size === 0) sleepers.delete(account)
    }
  }

  return {
    async start(taking) {
      push(await store.turns())
      take = taking
      for (const lock of lanes.keys()) begin(lock, taking)
    },
    push,
    wake(account) {
      for (const sleeper of sleepers.get(account) ?? []) sleeper.abort()
    },
    async stop() {
      stopping.abort()
      await Promise.all(running)
    }
  }
}
