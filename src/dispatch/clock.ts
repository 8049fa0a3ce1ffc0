import { setTimeout as wait } from 'node:timers/promises'

/** Time as the dispatcher sees it; tests bring one whose waits take no time. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** Rejects with the signal's reason when it aborts. */
  sleep(forMs: number, signal: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(forMs, signal) {
    try {
      await wait(forMs, undefined, { signal })
    } catch (error) {
      signal.throwIfAborted()
      throw error
    }
  }
}
