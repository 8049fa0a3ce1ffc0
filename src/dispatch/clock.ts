import { setTimeout as wait } from 'node:timers/promises'

/** Time as the dispatcher sees it; tests bring one whose waits take no time. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** Rejects with the signal's reason when it aborts. */
  sleep(forMs: number, signal: AbortSignal): Promise<void>
}

/** A longer timer fires at once. Who waits longer looks at the time again afterwards. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(forMs, signal) {
    try {
      await wait(Math.min(forMs, LONGEST_TIMER_MS), undefined, { signal })
    } catch (error) {
      signal.throwIfAborted()
      throw error
    }
  }
}
