/** Waits for the work, but no longer than this. */
export async function withinMs(limitMs: number, work: Promise<unknown>): Promise<void> {
  const { promise: limit, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, limitMs)
  await Promise.race([work, limit]).finally(() => clearTimeout(timer))
}
