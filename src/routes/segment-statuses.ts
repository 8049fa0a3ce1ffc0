import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import PQueue from 'p-queue'
import type { Destination } from '../dispatch/destination.ts'
import type { Dispatcher } from '../dispatch/dispatcher.ts'
import type { Account } from '../dispatch/account.ts'
import { toLastError } from '../dispatch/retry.ts'
import { faultOf } from '../dispatch/tracing.ts'
import type { LastError } from '../store/store.ts'

/** How a platform says that a segment stands, or why it does not say so. */
export type StatusOutcome =
  | {
      readonly status: {
        readonly state: string
        readonly matched: number | null
        readonly message: string | null
        readonly checkedAt: string
      }
      readonly error: null
    }
  | { readonly status: null; readonly error: LastError | null }

export interface AskedSegment {
  /** `undefined`: its platform has not named it yet. */
  readonly id: string | undefined
  /** Whose credentials are used; `undefined` where none is configured. */
  readonly tag: Destination | undefined
}

const CACHED_MS = 60_000
/** Whoever has not answered by then must not spoil the rest. */
const PAGE_WITHIN_MS = 10_000
/** Calls for one account under way or in line at once: its uploads want their turn. */
const AT_ONCE = 2

const NO_ID: StatusOutcome = { status: null, error: null }
const NO_TAG: StatusOutcome = {
  status: null,
  error: { code: 'not_configured', message: 'no tag of this account is configured' }
}
const LATE: StatusOutcome = {
  status: null,
  error: { code: 'transient', message: 'no answer in time: ask again in a moment' }
}

/** Asks platforms how segments stand, about each once a minute. */
export function createSegmentStatuses(
  dispatcher: Pick<Dispatcher, 'segmentStatus'>,
  log: Pick<FastifyBaseLogger, 'error'>
) {
  const lines = new Map<Account, PQueue>()
  /** The oldest first. */
  const cache = new Map<
    string,
    { readonly until: number; readonly outcome: Promise<StatusOutcome> }
  >()

  function lineOf({ account }: Destination): PQueue {
    const line = lines.get(account) ?? new PQueue({ concurrency: AT_ONCE })
    lines.set(account, line)
    return line
  }

  async function ask(tag: Destination, id: string): Promise<StatusOutcome> {
    try {
      const {
        state,
        matched = null,
        message = null
      } = await lineOf(tag).add(() => dispatcher.segmentStatus(tag, id))
      return {
        status: { state, matched, message, checkedAt: new Date().toISOString() },
        error: null
      }
    } catch (error) {
      const lastError = toLastError(error)
      if (lastError.code === 'internal')
        log.error({ fault: faultOf(error) }, 'a status is not known')
      return { status: null, error: lastError }
    }
  }

  function dropExpired(now: number): void {
    for (const [key, { until }] of cache) {
      if (until > now) return
      cache.delete(key)
    }
  }

  function cached(tag: Destination, id: string): Promise<StatusOutcome> {
    const key = JSON.stringify([tag.provider.name, tag.accountId, id])
    const now = Date.now()
    dropExpired(now)
    const known = cache.get(key)
    if (known !== undefined) return known.outcome
    const outcome = ask(tag, id)
    cache.set(key, { until: now + CACHED_MS, outcome })
    return outcome
  }

  async function outcomeOf({ id, tag }: AskedSegment, late: Promise<StatusOutcome>) {
    if (id === undefined) return NO_ID
    return tag === undefined ? NO_TAG : Promise.race([cached(tag, id), late])
  }

  return {
    /** In the order of the segments. */
    async of(segments: readonly AskedSegment[]): Promise<readonly StatusOutcome[]> {
      const answered = new AbortController()
      const late = wait(PAGE_WITHIN_MS, LATE, { signal: answered.signal }).catch(() => LATE)
      const outcomes = segments.map((segment) => outcomeOf(segment, late))
      return Promise.all(outcomes).finally(() => answered.abort())
    }
  }
}
