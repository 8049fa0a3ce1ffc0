const FIRST_MS = 1_000
const LONGEST_MS = 5 * 60_000

/**
 * Wait before the next try, in milliseconds: doubled each time from one second up to five minutes,
 * of which the second half is random, so that deliveries which failed together do not return
 * together.
 * @param attempt the attempt that just failed, counted from 1.
 */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** (attempt - 1))
  return Math.round(full / 2 + (full / 2) * random())
}
