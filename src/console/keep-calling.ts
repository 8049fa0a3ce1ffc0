import { pause } from '../client/pause.ts'

/** Calls again and again while somebody looks, until the signal ends it. */
export async function keepCalling(
  call: () => Promise<void>,
  everyMs: () => number,
  signal: AbortSignal
): Promise<void> {
  while (!signal.aborted) {
    if (document.visibilityState === 'visible') await call()
    await pause(everyMs(), signal).catch(() => undefined)
  }
}
