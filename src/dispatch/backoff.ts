const FIRST_MS = 1_000
const LONGEST_MS = 5 * 60_000
const FIRST_HOLD_MS = 30_000
const LONGEST_HOLD_MS = 15 * 60_000

/**
 * Wait before the next try, in milliseconds: doubled each time from one second up to five minutes,
 * of which the second half is random, so that deliveries which failed together do not return
 * together.
 * @param attempt the attempt that just failed, counted from 1.
 */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  return half(Math.min(LONGEST_MS, FIRST_MS * 2 ** (attempt - 1)), random)
}

/**
 * Wait before it is looked again whether a person put something right, in milliseconds: from half a
 * minute up to a quarter of an hour.
 * @param attempt how often it was looked before, counted from 1.
 */
export function holdMs(attempt: number, random: () => number = Math.random): number {
  return half(Math.min(LONGEST_HOLD_MS, FIRST_HOLD_MS * 2 ** (attempt - 1)), random)
}

const half = (full: number, random: () => number) => Math.round(full / 2 + (full / 2) * random())
