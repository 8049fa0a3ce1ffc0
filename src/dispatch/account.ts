import { setTimeout as wait } from 'node:timers/promises'
import PQueue from 'p-queue'
import type { ProviderLimits, Rate } from '../../providers/provider.ts'
import type { CallLimits, Permits } from '../store/permits.ts'
import type { Clock } from './clock.ts'

/** The limits of one account at one platform, shared by all its tags. */
export interface Account {
  /** Deliveries under way: one waits here until it may run. */
  readonly slots: PQueue
  /** Runs one platform call as soon as the account's rates and pauses let it. */
  call<T>(run: () => Promise<T>, options: CallOptions): Promise<T>
  /** No further call starts within this time, in milliseconds; at most an hour. */
  pause(forMs: number): void
}

export interface CallOptions {
  /** Some operations have rates of their own beside the account's. */
  readonly operation: string
  /** Ends the wait for the call; a call that has started is not its matter. */
  readonly signal: AbortSignal
  /** Waiting calls of a higher priority go first. */
  readonly priority: number
}

export interface AccountOptions {
  /** See `accountKey`. */
  readonly key: string
  readonly slots: number
  readonly clock: Clock
  /** Shares the limits with other instances. */
  readonly permits?: Permits | undefined
  /** Longest time that one call takes, in milliseconds. */
  readonly callWithinMs: number
}

/** A platform that asks for more is asked again after this, by one call that finds out. */
export const LONGEST_PAUSE_MS = 3_600_000

/** For what comes between the end of a call and the note of it. */
const CALL_MARGIN_MS = 10_000

export function createAccount(limits: ProviderLimits, options: AccountOptions): Account {
  const { key, slots, clock, permits, callWithinMs } = options
  const inFlight = new PQueue({ concurrency: limits.requestsInFlight })
  const windows = windowsOf(limits.rates)
  const operations = new Map(
    Object.entries(limits.operationRates ?? {}).map(([operation, rates]) => [
      operation,
      { rates, windows: windowsOf(rates) }
    ])
  )
  const shared: CallLimits = {
    inFlight: limits.requestsInFlight,
    rates: limits.rates,
    // Sending has no limit of its own, the answer's headers and its body have one each.
    endsWithinMs: 3 * callWithinMs + CALL_MARGIN_MS
  }
  const deliveries = new PQueue({ concurrency: slots })
  let pausedUntil = 0

  async function waitForTurn(signal: AbortSignal): Promise<void> {
    await passThrough(windows, signal)
    for (let left = pausedUntil - clock.now(); left > 0; left = pausedUntil - clock.now()) {
      await clock.sleep(left, signal)
    }
  }

  /** Before the account's own limits, so that whoever waits here holds up no other call. */
  async function withinOperation<T>(
    operation: string,
    signal: AbortSignal,
    run: () => Promise<T>
  ): Promise<T> {
    const own = operations.get(operation)
    if (own === undefined) return run()
    await passThrough(own.windows, signal)
    if (permits === undefined) return run()
    const ownLimits = { ...shared, rates: own.rates }
    return permitted(permits, `${key} ${operation}`, ownLimits, signal, run)
  }

  return {
    slots: deliveries,
    call: (run, { operation, signal, priority }) => {
      const waiting = whileWaiting(signal)
      const start = () => {
        waiting.over()
        return run()
      }
      const inTurn = () =>
        inFlight.add(
          async () => {
            await waitForTurn(waiting.signal)
            if (permits === undefined) return start()
            return permitted(permits, key, shared, waiting.signal, start)
          },
          { signal: waiting.signal, priority }
        )
      return withinOperation(operation, waiting.signal, inTurn).finally(waiting.over)
    },
    pause(forMs) {
      pausedUntil = Math.max(pausedUntil, clock.now() + Math.min(forMs, LONGEST_PAUSE_MS))
    }
  }
}

/** Sliding windows: platforms count in windows of their own, so no period may hold too many. */
function windowsOf(rates: readonly Rate[]): readonly PQueue[] {
  return rates.map(
    ({ requests, perMs }) => new PQueue({ intervalCap: requests, interval: perMs, strict: true })
  )
}

/** The longest window first: its wait must not be followed by a burst in a shorter one. */
async function passThrough(windows: readonly PQueue[], signal: AbortSignal): Promise<void> {
  for (const window of windows.toReversed()) await window.add(() => undefined, { signal })
}

/** A signal that follows another one until the wait is over. */
function whileWaiting(signal: AbortSignal) {
  const controller = new AbortController()
  const abort = () => controller.abort(signal.reason)
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort)
  return {
    signal: controller.signal,
    over: () => signal.removeEventListener('abort', abort)
  }
}

/** Runs one call that all instances together may make now. */
async function permitted<T>(
  permits: Permits,
  key: string,
  limits: CallLimits,
  signal: AbortSignal,
  run: () => Promise<T>
): Promise<T> {
  for (;;) {
    const permit = await permits.take(key, limits)
    if ('id' in permit) {
      // Who stopped meanwhile must not call. A permit that cannot be given back ends by itself.
      const work = signal.aborted ? Promise.reject(signal.reason) : run()
      return work.finally(() => permits.giveBack(permit.id).catch(() => undefined))
    }
    await wait(permit.waitMs, undefined, { signal })
  }
}
