import type { FastifyBaseLogger } from 'fastify'
import { ProviderError } from '../../providers/errors.ts'
import type { SegmentStatus } from '../../providers/provider.ts'
import type { Clock } from '../dispatch/clock.ts'
import type { Destination } from '../dispatch/destination.ts'
import type { Dispatcher } from '../dispatch/dispatcher.ts'
import { accountOf } from '../dispatch/job.ts'
import { faultOf } from '../dispatch/tracing.ts'
import type { DueAudience, DueTarget, LedgerAudience, LedgerTarget } from '../store/ledger.ts'
import { type Store, StoreError } from '../store/store.ts'
import { isAt } from './rows.ts'

export interface PollerOptions {
  readonly store: Pick<Store, 'takeDueAudiences' | 'noteStatus' | 'accounts'>
  readonly dispatcher: Pick<Dispatcher, 'destinations' | 'segmentStatus'>
  readonly clock: Pick<Clock, 'now'>
  /** How often a platform is asked that is matching, at first. */
  readonly statusMs: number
  readonly log: Pick<FastifyBaseLogger, 'debug' | 'error'>
}

/** Finds out how audiences stand at their platforms, and notes it in the ledger. */
export interface Poller {
  /** Looks at whatever is due; resolves once all of it is noted. */
  look(): Promise<void>
  /** Begins no more; what is under way ends with the dispatcher. */
  close(): void
}

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

const LOOK_EVERY_MS = SECOND_MS
/** Audiences asked about at once. */
const AT_ONCE = 16
/** Longer than platforms take to answer: only what a process that ended had taken outlives it. */
const LEASE_MS = 2 * MINUTE_MS

/** While deliveries are under way: that is known here, and costs no call. */
const UNSETTLED_WAIT_MS = { least: 15 * SECOND_MS, most: 5 * MINUTE_MS }
/** After a platform did not answer, at first. */
const FAULT_WAIT_MS = MINUTE_MS
/** Waits for a platform grow up to this. */
const LONGEST_WAIT_MS = HOUR_MS
/** Looks after which a wait doubles. */
const LOOKS_TO_DOUBLE = 4
/** Sizes change slowly once they are known. */
const SETTLED_WAIT_MS = 6 * HOUR_MS
/** A new segment may not be visible everywhere at its platform for this long. */
const FRESH_MS = 10 * MINUTE_MS

/** Looks every second by itself. */
export function startPoller(options: PollerOptions): Poller {
  const { store, clock, log } = options
  const running = new Set<Promise<void>>()
  let taking: Promise<void> | undefined
  let isClosed = false

  async function take(): Promise<void> {
    const room = AT_ONCE - running.size
    if (isClosed || room === 0) return
    const due = await store.takeDueAudiences(clock.now(), LEASE_MS, room)
    for (const audience of due) start(audience)
  }

  function start(audience: DueAudience): void {
    const work = lookAt(audience, options)
      .catch(noteFault)
      .finally(() => {
        running.delete(work)
        // One whose platform hangs holds up nobody else.
        void tick()
      })
    running.add(work)
  }

  function tick(): Promise<void> {
    taking ??= take()
      .catch(noteFault)
      .finally(() => {
        taking = undefined
      })
    return taking
  }

  /** What is left is looked at again: within a second, or when its lease is over. */
  function noteFault(error: unknown): void {
    if (isClosed) return
    const line = { fault: faultOf(error) }
    // Whoever watches the store says so louder.
    if (error instanceof StoreError) log.debug(line, 'the store does not answer')
    else log.error(line, 'an audience was not looked at')
  }

  const timer = setInterval(() => void tick(), LOOK_EVERY_MS).unref()
  return {
    async look() {
      // It may have begun before what is looked for was due.
      await taking
      await tick()
      while (running.size > 0) await Promise.all([...running, taking])
    },
    close() {
      isClosed = true
      clearInterval(timer)
    }
  }
}

/** How a target stands, and when that is found out next. */
interface Finding {
  readonly target: LedgerTarget
  readonly againInMs: number
  /** Its platform was asked. */
  readonly wasAsked: boolean
}

async function lookAt({ audience, targets }: DueAudience, options: PollerOptions): Promise<void> {
  const findings = await Promise.all(
    audience.targets.map((target, index) => find(target, targets[index], audience, options))
  )
  const now = options.clock.now()
  const change = {
    targets: findings.map(({ target }) => target),
    lookAt: now + Math.ceil(Math.min(SETTLED_WAIT_MS, ...findings.map((one) => one.againInMs))),
    looks: audience.looks + (findings.some(({ wasAsked }) => wasAsked) ? 1 : 0)
  }
  // Where somebody changed it meanwhile, it is due again soon.
  await options.store.noteStatus(audience, audience.revision, change, now)
}

/** What is known here of how a target stands, else what its platform says. */
async function find(
  had: LedgerTarget,
  due: DueTarget | undefined,
  audience: LedgerAudience,
  options: PollerOptions
): Promise<Finding> {
  const { isUnsettled = false, lastError, segmentId = had.segmentId } = due ?? {}
  const target = { ...had, segmentId, error: lastError }
  if (isUnsettled) {
    const age = options.clock.now() - audience.syncedAt
    const { least, most } = UNSETTLED_WAIT_MS
    const againInMs = Math.min(Math.max(age / 4, least), most)
    // Why it takes so long, where its account is held or fails.
    const { error } = accountOf(await options.store.accounts(), had)
    return { target: { ...target, state: 'processing', error }, againInMs, wasAsked: false }
  }
  if (segmentId === undefined) {
    // Nothing was ever sent there, or nothing of it arrived: also when that is long forgotten.
    const error = lastError ?? (had.state === 'suspended' ? had.error : undefined)
    const state = error === undefined ? 'too_small' : 'suspended'
    const againInMs = options.statusMs
    return { target: { ...target, state, error, matched: undefined }, againInMs, wasAsked: false }
  }
  const { dispatcher } = options
  const destination = dispatcher.destinations.find((one) => isAt(target, one))
  if (destination === undefined) {
    const error = { code: 'not_configured', message: 'its tag is not configured any more' }
    return { target: { ...target, error }, againInMs: LONGEST_WAIT_MS, wasAsked: false }
  }
  try {
    const status = await dispatcher.segmentStatus(destination, segmentId)
    return found(target, status, destination, grown(options.statusMs, audience.looks))
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error
    const isFresh = options.clock.now() - audience.syncedAt < FRESH_MS
    return notFound(target, error, isFresh, grown(FAULT_WAIT_MS, audience.looks))
  }
}

function found(
  target: LedgerTarget,
  { state: said, matched, message }: SegmentStatus,
  { provider }: Destination,
  processingWaitMs: number
): Finding {
  // Of two rules the platform may look at another one; "audience-status" knows only this.
  const isSmall =
    said === 'ready' && matched !== undefined && matched < provider.minimumAudienceSize
  const state = isSmall ? 'too_small' : said
  const error = message === undefined ? target.error : { code: 'platform', message }
  return {
    target: { ...target, state, matched, error },
    againInMs: state === 'processing' ? processingWaitMs : SETTLED_WAIT_MS,
    wasAsked: true
  }
}

/** What its platform does not tell leaves the state as it is. */
function notFound(
  target: LedgerTarget,
  { errorClass, message, waitMs = 0 }: ProviderError,
  isFresh: boolean,
  faultWaitMs: number
): Finding {
  if (errorClass === 'not_found' && !isFresh) {
    const error = { code: errorClass, message: 'the segment is gone' }
    const gone = { ...target, state: 'suspended', matched: undefined, error } as const
    return { target: gone, againInMs: SETTLED_WAIT_MS, wasAsked: true }
  }
  const error = { code: errorClass, message }
  return { target: { ...target, error }, againInMs: Math.max(waitMs, faultWaitMs), wasAsked: true }
}

function grown(waitMs: number, looks: number): number {
  const longestMs = Math.max(waitMs, LONGEST_WAIT_MS)
  return Math.min(waitMs * 2 ** Math.floor(looks / LOOKS_TO_DOUBLE), longestMs)
}
