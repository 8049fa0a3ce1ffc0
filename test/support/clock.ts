import { setImmediate as turn } from 'node:timers/promises'
import { type Clock, systemClock } from '../../src/dispatch/clock.ts'

export interface TestClock extends Clock {
  /** All waits asked for, in milliseconds. */
  readonly waits: readonly number[]
}

/** A clock whose waits only move its time forward. */
export function instantClock(): TestClock {
  const waits: number[] = []
  let aheadMs = 0
  return {
    waits,
    now: () => Date.now() + aheadMs,
    async sleep(forMs, signal) {
      waits.push(forMs)
      aheadMs += forMs
      await turn(undefined, { signal })
    }
  }
}

/** A clock that goes faster than others by this factor. */
export function fastClock(factor: number): Clock {
  const began = Date.now()
  return {
    now: () => began + (Date.now() - began) * factor,
    sleep: (forMs, signal) => systemClock.sleep(forMs / factor, signal)
  }
}

export interface SteppedClock extends Clock {
  /** Moves its time forward; waits that are over by then end. */
  advance(byMs: number): void
}

/** A clock that stands still until it is told otherwise. */
export function steppedClock(): SteppedClock {
  const sleepers = new Map<object, { readonly until: number; readonly wake: () => void }>()
  let now = Date.now()
  return {
    now: () => now,
    sleep(forMs, signal) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const key = {}
      const abort = () => reject(signal.reason as Error)
      sleepers.set(key, { until: now + forMs, wake: resolve })
      if (signal.aborted) abort()
      signal.addEventListener('abort', abort, { once: true })
      return promise.finally(() => {
        sleepers.delete(key)
        signal.removeEventListener('abort', abort)
      })
    },
    advance(byMs) {
      now += byMs
      for (const { until, wake } of sleepers.values()) if (until <= now) wake()
    }
  }
}
