import {
  type AccountState,
  accountKey,
  type LastError,
  OPEN_ACCOUNT,
  type Store
} from '../store/store.ts'
import { LONGEST_PAUSE_MS } from './account.ts'
import { backoffMs, holdMs } from './backoff.ts'
import type { Clock } from './clock.ts'
import type { Destination } from './destination.ts'

/** What decides whether an account is called at all, over all instances. */
export interface Gate {
  /** How the account stands if nothing may go to it now; `undefined` where it may. */
  closed(destination: Destination): Promise<AccountState | undefined>
  /** The platform took something, or refused it for what it is. */
  succeeded(destination: Destination): Promise<void>
  /** The platform did not do what it should do; after some times in a row it is left alone. */
  failed(destination: Destination, error: LastError): Promise<void>
  /** The platform asks everybody of this account to wait. */
  pause(destination: Destination, forMs: number): Promise<void>
  /**
   * The platform refused credentials, rights or the account. If a check finds that too, the account
   * is held until one does not; else the refusal concerns a single delivery, and this is `false`.
   */
  refused(destination: Destination, error: LastError): Promise<boolean>
  /** A check found nothing to complain about: a held account is open again. */
  checked(destination: Destination): Promise<void>
}

export interface GateOptions {
  readonly store: Store
  readonly clock: Clock
  /** Whether the platform finds credentials, rights and terms in order. Rejects if it cannot tell. */
  readonly isInOrder: (destination: Destination) => Promise<boolean>
  /** Deliveries that wait for this account need not wait any longer. */
  readonly onOpen: (account: string) => void
  /** Deliveries of this account will wait. */
  readonly onClose: () => void
}

/** Failures in a row after which an account is left alone for a while. */
const FAILURES_UNTIL_BROKEN = 5
/** Nobody else tries an account while one delivery or check finds out whether it works again. */
const PROBE_WITHIN_MS = 120_000

export function createGate(options: GateOptions): Gate {
  const { store, clock, isInOrder, onOpen, onClose } = options

  /** Looked at once, however many deliveries were refused at the same time. */
  const checks = new Map<string, Promise<boolean>>()

  function inOrder(destination: Destination): Promise<boolean> {
    const key = keyOf(destination)
    const check =
      checks.get(key) ??
      isInOrder(destination)
        .catch(() => false)
        .finally(() => checks.delete(key))
    checks.set(key, check)
    return check
  }

  async function open(key: string): Promise<void> {
    await store.setAccount(key, OPEN_ACCOUNT, clock.now())
    onOpen(key)
  }

  async function hold(key: string, had: AccountState, error: LastError): Promise<AccountState> {
    const now = clock.now()
    const failures = had.status === 'held' ? had.failures + 1 : 1
    const since = had.status === 'held' ? had.since : now
    const state = { status: 'held', until: now + holdMs(failures), since, failures, error } as const
    await store.setAccount(key, state, now)
    onClose()
    return state
  }

  /** Looks whether what an account is held for was put right. */
  async function recheck(
    destination: Destination,
    had: AccountState
  ): Promise<AccountState | undefined> {
    const key = keyOf(destination)
    if (!(await inOrder(destination))) return hold(key, had, had.error ?? UNKNOWN_ERROR)
    await open(key)
    return undefined
  }

  return {
    async closed(destination) {
      const key = keyOf(destination)
      const state = await store.account(key)
      if (state.status === 'open') return undefined
      const now = clock.now()
      if (state.until > now) return state
      if (state.status === 'paused') return undefined
      const until = now + PROBE_WITHIN_MS
      if (!(await store.claimProbe(key, now, until))) return { ...state, until }
      return state.status === 'held' ? recheck(destination, state) : undefined
    },

    async succeeded(destination) {
      const key = keyOf(destination)
      const { status, failures } = await store.account(key)
      if (status === 'broken' || (status === 'open' && failures > 0)) await open(key)
    },

    async failed(destination, error) {
      const key = keyOf(destination)
      const now = clock.now()
      const had = await store.account(key)
      if (had.status === 'held') return
      const failures = had.failures + 1
      if (failures < FAILURES_UNTIL_BROKEN) {
        await store.setAccount(key, { ...had, failures }, now)
        return
      }
      const since = had.status === 'broken' ? had.since : now
      const until = now + backoffMs(failures)
      await store.setAccount(key, { status: 'broken', until, since, failures, error }, now)
      onClose()
    },

    async pause(destination, forMs) {
      const key = keyOf(destination)
      const now = clock.now()
      destination.account.pause(forMs)
      const had = await store.account(key)
      if (had.status === 'held') return
      // Who asks for a wait works: what broke the account is over.
      const until = now + Math.min(forMs, LONGEST_PAUSE_MS)
      const later = had.status === 'paused' ? Math.max(had.until, until) : until
      await store.setAccount(key, { ...OPEN_ACCOUNT, status: 'paused', until: later }, now)
    },

    async refused(destination, error) {
      const key = keyOf(destination)
      const before = await store.account(key)
      if (before.status === 'held' && before.until > clock.now()) return true
      if (await inOrder(destination)) return false
      await hold(key, await store.account(key), error)
      return true
    },

    async checked(destination) {
      const key = keyOf(destination)
      const { status } = await store.account(key)
      if (status === 'held') await open(key)
    }
  }
}

const UNKNOWN_ERROR: LastError = { code: 'auth', message: 'the account is held' }

const keyOf = ({ provider, accountId }: Destination) =>
  accountKey({ provider: provider.name, accountId })
