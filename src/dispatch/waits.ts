import { setTimeout as wait } from 'node:timers/promises'
import { type Delivery, isSettled, type Store, StoreError } from '../store/store.ts'
import { accountOf, waitingFor } from './job.ts'

export interface Waits {
  /**
   * Waits until a synchronous caller need not wait longer for any of these deliveries, but no longer
   * than told, and returns how they stand then, as far as that can be seen.
   */
  wait(deliveries: readonly Delivery[], forMs: number): Promise<readonly Delivery[]>
  /** A delivery changed in this process. */
  changed(delivery: Delivery): void
  /** Something changed that concerns many deliveries. */
  look(): void
  /** Ends all waits at once. */
  release(): void
}

/** What other instances did is seen after this at the latest. */
const LOOK_EVERY_MS = 500
/** Alone, all that happens is told here; this is for what the store did not answer. */
const FALLBACK_MS = 5_000

/** Attempts after which a synchronous caller hears of the failure while the work goes on. */
const ATTEMPTS_UNTIL_REPORTED = 3

export interface WaitsOptions {
  readonly store: Store
  /** Whether other instances deliver as well. */
  readonly isShared: boolean
  readonly retryForMs: number
}

/** A caller that waits. */
interface Waiter {
  /** How the deliveries stand, as far as was seen. */
  readonly latest: Map<string, Delivery>
  /** Those that need not be waited for any longer. */
  readonly decided: Set<string>
  readonly done: PromiseWithResolvers<readonly Delivery[]>
  look(): void
}

export function createWaits({ store, isShared, retryForMs }: WaitsOptions): Waits {
  const waiters = new Set<Waiter>()
  const released = new AbortController()

  function note({ latest, decided, done }: Waiter, delivery: Delivery): void {
    const seen = latest.get(delivery.id)
    // What was read may be older than what was told meanwhile.
    if (seen === undefined || delivery.revision < seen.revision) return
    latest.set(delivery.id, delivery)
    if (isDecided(delivery)) decided.add(delivery.id)
    if (decided.size === latest.size) done.resolve([...latest.values()])
  }

  /** Looks how all of them stand; those that wait for a failing account tell of its error. */
  async function lookAt(waiter: Waiter): Promise<void> {
    const deliveries = await store.deliveries([...waiter.latest.keys()])
    const accounts = deliveries.every(isDecided) ? {} : await store.accounts()
    for (const delivery of deliveries) {
      const account = isDecided(delivery) ? undefined : accountOf(accounts, delivery)
      const waiting = account && waitingFor(account, delivery, retryForMs)
      note(waiter, { ...delivery, ...waiting })
    }
  }

  async function follow(waiter: Waiter, until: AbortSignal): Promise<readonly Delivery[]> {
    while (!until.aborted) {
      const { promise: asked, resolve: look } = Promise.withResolvers<void>()
      waiter.look = look
      // What was accepted stays accepted: the caller hears of it when the store is back.
      await lookAt(waiter).catch((error: unknown) => {
        if (!(error instanceof StoreError)) throw error
      })
      const ended = new AbortController()
      const signal = AbortSignal.any([until, ended.signal])
      const paused = pause(isShared ? LOOK_EVERY_MS : FALLBACK_MS, signal)
      const done = await Promise.race([waiter.done.promise, asked, paused])
      ended.abort()
      if (done !== undefined) return done
    }
    return [...waiter.latest.values()]
  }

  return {
    async wait(accepted, forMs) {
      if (accepted.length === 0) return []
      const waiter: Waiter = {
        latest: new Map(accepted.map((delivery) => [delivery.id, delivery])),
        decided: new Set(),
        done: Promise.withResolvers(),
        look: () => undefined
      }
      waiters.add(waiter)
      const until = AbortSignal.any([AbortSignal.timeout(forMs), released.signal])
      return follow(waiter, until).finally(() => waiters.delete(waiter))
    },
    changed(delivery) {
      for (const waiter of waiters) note(waiter, delivery)
    },
    look() {
      for (const waiter of waiters) waiter.look()
    },
    release: () => released.abort()
  }
}

/** Settled, taken over by its platform, or failing for a reason that will not be over soon. */
function isDecided(delivery: Delivery): boolean {
  const { state, attempts, lastError } = delivery
  if (isSettled(delivery) || state === 'confirming' || state === 'held') return true
  return (
    state === 'retrying' &&
    lastError !== undefined &&
    (attempts >= ATTEMPTS_UNTIL_REPORTED || attempts === 0)
  )
}

/** Ends early with the signal. */
async function pause(forMs: number, signal: AbortSignal): Promise<void> {
  await wait(forMs, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error
  })
}
