import {
  type AccountState,
  accountKey,
  type LastError,
  OPEN_ACCOUNT,
  type Store,
  tagKey
} from '../store/store.ts'
import { LONGEST_PAUSE_MS } from './account.ts'
import { backoffMs, holdMs } from './backoff.ts'
import type { Clock } from './clock.ts'
import { type Destination, targetOf } from './destination.ts'

/**
 * What decides whether an account is called at all, over all instances. Pauses and outages concern
 * a whole account; it is a tag that is held, since each has credentials of its own.
 */
export interface Gate {
  /** Asks to send something now. */
  enter(destination: Destination): Promise<Pass | Closed>
  /** The platform took something, or refused it for what it is. */
  succeeded(destination: Destination): Promise<void>
  /** The platform did not do what it should do; after some times in a row it is left alone. */
  failed(destination: Destination, error: LastError): Promise<void>
  /** The platform asks everybody of this account to wait. */
  pause(destination: Destination, forMs: number): Promise<void>
  /**
   * The platform refused credentials, rights or the account. If a check finds that too, the tag is
   * held until one does not; else the refusal concerns a single delivery.
   */
  refused(destination: Destination, error: LastError): Promise<void>
  /** A check found nothing to complain about: a held tag is open again. */
  checked(destination: Destination): Promise<void>
}

export interface Pass {
  /** Whatever came of it was told: somebody else may find out what this one did not. */
  leave(): Promise<void>
}

export interface Closed {
  /** How the account or tag stands. */
  readonly closed: AccountState
  /** Somebody is finding out whether it still stands so. */
  readonly isProbed: boolean
}

/** Whether a platform finds everything of a tag in order. */
export type CheckOutcome = 'in order' | 'not in order' | 'unknown'

export interface GateOptions {
  readonly store: Store
  readonly clock: Clock
  readonly check: (destination: Destination) => Promise<CheckOutcome>
  /** Deliveries that wait for this account need not wait any longer. */
  readonly onOpen: (account: string) => void
  /** Deliveries of this account will wait. */
  readonly onClose: () => void
  /**
   * So long nobody else tries a broken account while one delivery finds out whether it works again:
   * longer than a call takes, but not for good where that process ends meanwhile.
   */
  readonly probeWithinMs: number
}

/** Failures in a row after which an account is left alone for a while. */
const FAILURES_UNTIL_BROKEN = 5
/** Nobody else checks a held tag while one instance does. */
const CHECK_WITHIN_MS = 30_000

const OPEN: Pass = { leave: () => Promise.resolve() }

export function createGate(options: GateOptions): Gate {
  const { store, clock, check, onOpen, onClose, probeWithinMs } = options
  /** Looked at once, however many deliveries were refused at the same time. */
  const checks = new Map<string, Promise<CheckOutcome>>()

  function checkOnce(destination: Destination): Promise<CheckOutcome> {
    const key = tagOf(destination)
    const under = checks.get(key) ?? check(destination).finally(() => checks.delete(key))
    checks.set(key, under)
    return under
  }

  /** Changes what stands there, whoever else does so at the same time; `undefined` leaves it. */
  async function change(
    key: string,
    next: (had: AccountState) => AccountState | undefined
  ): Promise<AccountState | undefined> {
    for (;;) {
      const had = await store.account(key)
      const state = next(had)
      if (state === undefined) return undefined
      if (await store.setAccount(key, state, clock.now(), had)) return state
    }
  }

  async function hold(destination: Destination, error: LastError): Promise<AccountState> {
    const now = clock.now()
    const state = await change(tagOf(destination), (had) => {
      const failures = had.status === 'held' ? had.failures + 1 : 1
      const since = had.status === 'held' ? had.since : now
      return { status: 'held', until: now + holdMs(failures), since, failures, error }
    })
    onClose()
    return state ?? OPEN_ACCOUNT
  }

  async function release(destination: Destination): Promise<void> {
    const opened = await change(tagOf(destination), ({ status }) =>
      status === 'held' ? OPEN_ACCOUNT : undefined
    )
    if (opened !== undefined) onOpen(accountOf(destination))
  }

  /** How the tag stands while it is held; looks from time to time whether it was put right. */
  async function heldTag(destination: Destination): Promise<Closed | undefined> {
    const key = tagOf(destination)
    const state = await store.account(key)
    if (state.status !== 'held') return undefined
    const now = clock.now()
    if (state.until > now) return { closed: state, isProbed: checks.has(key) }
    const until = now + CHECK_WITHIN_MS
    if (!(await store.claimProbe(key, now, until))) {
      return { closed: { ...state, until }, isProbed: true }
    }
    if ((await checkOnce(destination)) !== 'in order') {
      return { closed: await hold(destination, state.error ?? NO_REASON), isProbed: false }
    }
    await release(destination)
    return undefined
  }

  /** Lets one find out whether a broken account works again. */
  async function probe(key: string, broken: AccountState): Promise<Pass | Closed> {
    const now = clock.now()
    const until = now + probeWithinMs
    const claimed = { ...broken, until }
    if (!(await store.claimProbe(key, now, until))) return { closed: claimed, isProbed: true }
    return {
      async leave() {
        // Not at once, so that those who all tell nothing do not chase each other.
        const free = { ...claimed, until: clock.now() + backoffMs(1) }
        if (await store.setAccount(key, free, clock.now(), claimed)) onOpen(key)
      }
    }
  }

  return {
    async enter(destination) {
      const held = await heldTag(destination)
      if (held !== undefined) return held
      const key = accountOf(destination)
      const state = await store.account(key)
      if (state.status === 'open') return OPEN
      if (state.until > clock.now()) return { closed: state, isProbed: false }
      if (state.status === 'broken') return probe(key, state)
      await store.setAccount(key, OPEN_ACCOUNT, clock.now(), state)
      return OPEN
    },

    async succeeded(destination) {
      const key = accountOf(destination)
      const opened = await change(key, ({ status, failures }) => {
        const failed = status === 'broken' || (status === 'open' && failures > 0)
        return failed ? OPEN_ACCOUNT : undefined
      })
      if (opened !== undefined) onOpen(key)
    },

    async failed(destination, error) {
      const now = clock.now()
      const state = await change(accountOf(destination), (had) => {
        const failures = had.failures + 1
        if (failures < FAILURES_UNTIL_BROKEN) return { ...had, failures }
        const since = had.status === 'broken' ? had.since : now
        return { status: 'broken', until: now + backoffMs(failures), since, failures, error }
      })
      if (state?.status === 'broken') onClose()
    },

    async pause(destination, forMs) {
      destination.account.pause(forMs)
      const until = clock.now() + Math.min(forMs, LONGEST_PAUSE_MS)
      // Who asks for a wait works: what broke the account is over.
      await change(accountOf(destination), (had) => {
        const later = had.status === 'paused' ? Math.max(had.until, until) : until
        return { ...OPEN_ACCOUNT, status: 'paused', until: later }
      })
    },

    async refused(destination, error) {
      const { status, until } = await store.account(tagOf(destination))
      if (status === 'held' && until > clock.now()) return
      if ((await checkOnce(destination)) === 'not in order') await hold(destination, error)
    },

    checked: release
  }
}

const NO_REASON: LastError = { code: 'auth', message: 'the platform refused this tag' }

const accountOf = (destination: Destination) => accountKey(targetOf(destination))

const tagOf = (destination: Destination) => tagKey(targetOf(destination))
