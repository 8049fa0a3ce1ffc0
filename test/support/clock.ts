import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../../src/dispatch/clock.ts'

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
