import { randomUUID } from 'node:crypto'
import type { Context, Tracer } from '@opentelemetry/api'
import type { FastifyBaseLogger } from 'fastify'
import { ProviderError } from '../../providers/errors.ts'
import type { EncodedBody, ProviderContext, UploadResult } from '../../providers/provider.ts'
import type { TurnOutcome } from '../store/queue.ts'
import {
  type Delivery,
  type DeliveryChange,
  type LastError,
  NOTHING_SENT,
  StaleError,
  type Store,
  StoreError
} from '../store/store.ts'
import { holdMs } from './backoff.ts'
import type { Clock } from './clock.ts'
import { providerContext } from './destination.ts'
import type { Encodings } from './encodings.ts'
import type { Closed, Gate } from './gate.ts'
import {
  acknowledged,
  confirmed,
  deliveryAttributes,
  type Job,
  noUsableUser,
  waitingFor
} from './job.ts'
import type { Meter } from './meter.ts'
import {
  CrashedError,
  judge,
  MAX_CRASHES,
  NothingToSendError,
  pauseMs,
  PreparationError,
  toLastError,
  type Verdict
} from './retry.ts'
import { type KnownSegment, loadSegment, typesOfKinds } from './segments.ts'
import { faultOf, inSpan } from './tracing.ts'

export interface RunnerOptions {
  readonly store: Store
  readonly gate: Gate
  readonly encodings: Encodings
  readonly clock: Clock
  readonly tracer: Tracer
  readonly log: Pick<FastifyBaseLogger, 'error'>
  /** How long a failing delivery is tried again, in milliseconds. */
  readonly retryForMs: number
  /** Deliveries should stop at the next step. */
  readonly stop: AbortSignal
  /** Changes a delivery that is still as it is given, and tells everybody. */
  readonly change: (delivery: Delivery, change: DeliveryChange) => Promise<Delivery>
  readonly meter: Meter
}

export interface Runner {
  /** One attempt to send. */
  deliver(job: Job, signal: AbortSignal): Promise<TurnOutcome>
  /** One look at how far the platform is with what it took. */
  confirm(job: Job, signal: AbortSignal): Promise<TurnOutcome>
}

/** Whose calls they are, what ends them, and who goes first. */
interface Calls {
  readonly parent: Context
  readonly signal: AbortSignal
  readonly priority?: number
}

const FIRST_POLL_MS = 1_000
const LONGEST_POLL_MS = 10_000
/** How often it is looked whether a platform is done with what came before a removal. */
const UNCONFIRMED_WAIT_MS = 2_000
/** How long a platform may work on what it took. */
const CONFIRM_WITHIN_MS = 24 * 3_600_000
/** Polls let uploads of the same account go first. */
const POLL_PRIORITY = -1

/** Tells this process from those before it. */
const PROCESS = randomUUID()
/** So long after the start, and once more for each time, a delivery that may end the process waits. */
const SUSPECT_WAIT_MS = 5_000
const PREPARED = { crashes: 0, preparingIn: undefined } as const satisfies DeliveryChange

/** The service stops: the rest is for whoever has the delivery next. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError'
}

/** One attempt after the other; when the next one comes is the queue's matter. */
export function createRunner(options: RunnerOptions): Runner {
  const { store, gate, encodings, clock, tracer, log, retryForMs, stop, meter } = options
  const startedAt = clock.now()

  async function change(job: Job, changed: DeliveryChange): Promise<void> {
    job.delivery = await options.change(job.delivery, changed)
  }

  async function settle(
    job: Job,
    state: 'delivered' | 'failed',
    lastError?: LastError
  ): Promise<'done'> {
    const ended = { nextAttemptAt: undefined, settledAt: clock.now() }
    await change(job, { state, lastError, ...ended })
    encodings.drop(job.delivery.id)
    return 'done'
  }

  /** Work in a span that tells how the delivery stood at its end. */
  async function traced<T>(
    job: Job,
    name: string,
    work: (context: Context) => Promise<T>
  ): Promise<T> {
    return inSpan(tracer, name, { parent: job.parent }, (span, context) =>
      work(context).finally(() => span.setAttributes(deliveryAttributes(job)))
    )
  }

  function contextOf(
    { destination, delivery }: Job,
    { notes }: KnownSegment,
    { parent, signal, priority }: Calls
  ): ProviderContext {
    return providerContext(destination, {
      tracer,
      clock,
      parent,
      signal,
      stop,
      notes,
      meter,
      runId: `${delivery.id} ${delivery.queuedAt}`,
      pause: (forMs) => void gate.pause(destination, forMs).catch(() => undefined),
      ...(priority !== undefined && { priority })
    })
  }

  /**
   * A delivery in whose preparation another process ended may do so again, or may have been close by
   * when something else did. The others go first; and a process that is killed again and again by
   * somebody else does not live long enough to count that against it.
   */
  function suspectUntil({ crashes, preparingIn }: Delivery): number {
    const isSuspect = preparingIn !== undefined && preparingIn !== PROCESS
    return isSuspect ? startedAt + SUSPECT_WAIT_MS * (crashes + 1) : 0
  }

  /** Whoever is removed must not be added afterwards by an import that still runs. */
  async function mustWait({ audience, delivery, destination }: Job): Promise<boolean> {
    const { provider, variables } = destination
    if (audience.mode !== 'remove' || provider.collectsBatches?.(variables)) return false
    return store.isUnconfirmed(delivery)
  }

  /** Notes who prepares the users: a process that does not come to its end with that is counted. */
  async function prepare(job: Job, sending: DeliveryChange): Promise<void> {
    const { preparingIn, crashes: before } = job.delivery
    const crashes = preparingIn === undefined || preparingIn === PROCESS ? before : before + 1
    if (crashes >= MAX_CRASHES) throw new CrashedError()
    await change(job, { ...sending, crashes, preparingIn: PROCESS })
  }

  async function send(job: Job, segment: KnownSegment, context: ProviderContext): Promise<void> {
    const sending = attempting(job)
    using held = await encodings.of(job, {
      begin: () => prepare(job, sending),
      signal: AbortSignal.any([context.signal, stop])
    })
    const { bodies, leftOut, notes, hash } = held.encoded
    // Other bodies than those that were acknowledged: settings or the service have changed.
    const { encodingHash = hash } = job.delivery
    const begun = encodingHash === hash ? {} : NOTHING_SENT
    await change(job, { ...sending, ...PREPARED, ...begun, encodingHash: hash, leftOut, notes })
    if (bodies.length === 0) throw new NothingToSendError(noUsableUser(leftOut))

    const isRemoval = job.audience.mode === 'remove'
    const segmentId = await (isRemoval ? segment.find(context) : segment.resolve(context))
    if (isRemoval && segmentId === undefined) {
      await change(job, {
        ...NOTHING_SENT,
        warnings: ['there is no such segment: nothing to remove']
      })
      return
    }
    if (segmentId !== job.delivery.segmentId) {
      // What another segment has is not in this one.
      const isAnother = job.delivery.segmentId !== undefined
      await change(job, { ...(isAnother && NOTHING_SENT), segmentId })
    }
    for (const body of bodies.slice(job.delivery.acknowledgedBodies)) {
      if (stop.aborted) throw new StoppedError()
      const upload = () => give(job, body, segmentId, context)
      const result = await (segmentId === undefined ? segment.makeBy(upload) : upload())
      await change(job, acknowledged(job.delivery, body.users, result))
    }
  }

  /** Deletes what the service created under this name, of whatever kind. */
  async function deleteSegments(job: Job, calls: Calls): Promise<void> {
    await change(job, attempting(job))
    for (const type of typesOfKinds(job.destination)) {
      const ofType = { ...job, audience: { ...job.audience, type } }
      const segment = await loadSegment(ofType, { store, clock })
      await segment.delete(contextOf(job, segment, calls))
    }
  }

  /** Everything is at the platform. */
  async function sent(job: Job): Promise<TurnOutcome> {
    await gate.succeeded(job.destination)
    if (job.delivery.tickets.length === 0) return settle(job, 'delivered')
    const confirming = { state: 'confirming', confirmingSince: clock.now() } as const
    await change(job, { ...confirming, lastError: undefined, giveUpAt: undefined })
    encodings.drop(job.delivery.id)
    return 'done'
  }

  /** Tried again at a time, unless that is too late. */
  async function again(
    job: Job,
    state: 'retrying' | 'held',
    waitMs: number,
    lastError: LastError
  ): Promise<TurnOutcome> {
    const now = clock.now()
    const giveUpAt = job.delivery.giveUpAt ?? now + retryForMs
    if (now >= giveUpAt) return settle(job, 'failed', lastError)
    const nextAttemptAt = Math.min(now + waitMs, giveUpAt)
    await change(job, { state, nextAttemptAt, giveUpAt, lastError })
    meter.retried(job.delivery, lastError.code)
    return { againAt: nextAttemptAt }
  }

  async function hold(job: Job, lastError: LastError): Promise<TurnOutcome> {
    await gate.refused(job.destination, lastError)
    // Where the account is held, the delivery is wanted again as soon as that is over.
    return again(job, 'held', holdMs(job.delivery.attempts), lastError)
  }

  /** What a failed call says about the whole account. */
  async function noteAccount(
    { destination }: Job,
    verdict: Verdict,
    error: unknown
  ): Promise<void> {
    const isAnswer = error instanceof ProviderError
    if (verdict.action === 'fail' && isAnswer) await gate.succeeded(destination)
    if (verdict.action !== 'retry') return
    if (verdict.account === 'pause') await gate.pause(destination, pauseMs(error))
    if (verdict.account === 'failing') await gate.failed(destination, toLastError(error))
  }

  async function afterFailure(
    job: Job,
    segment: KnownSegment,
    error: unknown
  ): Promise<TurnOutcome> {
    const lastError = toLastError(error)
    if (lastError.code === 'internal') log.error({ fault: faultOf(error) }, 'delivery failed')
    if (error instanceof PreparationError) {
      await change(job, { crashes: job.delivery.crashes + 1, preparingIn: undefined })
    }
    const { attempts, crashes, resolvedAnew } = job.delivery
    const verdict = judge({
      error,
      attempt: attempts,
      crashes,
      segmentIsFresh: segment.isFresh(),
      resolvedAnew
    })
    await noteAccount(job, verdict, error)
    switch (verdict.action) {
      case 'fail':
        return settle(job, 'failed', lastError)
      case 'hold':
        return hold(job, lastError)
      case 'retry':
        return again(job, 'retrying', verdict.waitMs, lastError)
      case 'resolve_anew':
        await segment.lost()
        await change(job, { ...NOTHING_SENT, resolvedAnew: true, state: 'retrying', lastError })
        meter.retried(job.delivery, lastError.code)
        return { againAt: clock.now() }
    }
  }

  /** The account takes nothing now: its deliveries wait with it, for as long as they may. */
  async function waitFor(job: Job, { closed, isProbed }: Closed): Promise<TurnOutcome> {
    const { until } = closed
    const failing = waitingFor(closed, job.delivery, retryForMs)
    if (failing?.giveUpAt === undefined) {
      const state = job.delivery.attempts > 0 ? 'retrying' : 'queued'
      await change(job, { state, nextAttemptAt: until })
      return { againAt: until }
    }
    const isOver = clock.now() >= failing.giveUpAt
    if (isOver && !isProbed) return settle(job, 'failed', failing.lastError)
    const nextAttemptAt = isOver ? until : Math.min(until, failing.giveUpAt)
    await change(job, { ...failing, nextAttemptAt })
    return { againAt: nextAttemptAt }
  }

  /** Another instance, or this one after its next start, goes on from what was acknowledged. */
  async function handBack(job: Job): Promise<TurnOutcome> {
    await change(job, { ...PREPARED, state: 'queued' })
    return { againAt: clock.now() }
  }

  /** The platform's result; `undefined` while it is at work. */
  async function poll(
    job: Job,
    ticket: string,
    signal: AbortSignal
  ): Promise<UploadResult | undefined> {
    const segment = await loadSegment(job, { store, clock })
    const context = contextOf(job, segment, { parent: job.parent, signal, priority: POLL_PRIORITY })
    return job.destination.provider.confirm?.(ticket, job.audience, context)
  }

  async function afterPollFailure(job: Job, error: unknown): Promise<TurnOutcome> {
    const lastError = toLastError(error)
    const verdict = judge({
      error,
      attempt: 1,
      crashes: MAX_CRASHES,
      segmentIsFresh: false,
      resolvedAnew: true
    })
    await noteAccount(job, verdict, error)
    const waitedFor = clock.now() - sinceOf(job)
    if (verdict.action === 'fail' || waitedFor > CONFIRM_WITHIN_MS) {
      return settle(job, 'failed', lastError)
    }
    if (verdict.action === 'hold') await gate.refused(job.destination, lastError)
    const waitMs = verdict.action === 'retry' ? verdict.waitMs : LONGEST_POLL_MS
    return { againAt: clock.now() + Math.max(waitMs, pollEvery(waitedFor)) }
  }

  async function attempt(job: Job, signal: AbortSignal): Promise<TurnOutcome> {
    const segment = await loadSegment(job, { store, clock })
    try {
      await traced(job, 'audience.deliver', (parent) =>
        job.upload.mode === 'delete'
          ? deleteSegments(job, { parent, signal })
          : send(job, segment, contextOf(job, segment, { parent, signal }))
      )
    } catch (error) {
      if (error instanceof StoreError) throw error
      const isStopped = error instanceof StoppedError || (signal.aborted && stop.aborted)
      if (isStopped) return handBack(job)
      // Somebody else has it now.
      if (signal.aborted || error instanceof StaleError) throw error
      return afterFailure(job, segment, error)
    }
    return sent(job)
  }

  /** Looks at the ticket that is next; `undefined` while its platform is at work. */
  async function look(job: Job, signal: AbortSignal): Promise<TurnOutcome | undefined> {
    const ticket = job.delivery.tickets[job.delivery.confirmedTickets]
    if (ticket === undefined) return settle(job, 'delivered')
    try {
      const result = await traced(job, 'audience.confirm', () => poll(job, ticket, signal))
      await gate.succeeded(job.destination)
      if (result === undefined) return undefined
      await change(job, confirmed(job.delivery, result))
      return { againAt: clock.now() }
    } catch (error) {
      if (error instanceof StoreError || error instanceof StaleError) throw error
      if (error instanceof StoppedError || signal.aborted) return { againAt: clock.now() }
      return afterPollFailure(job, error)
    }
  }

  const sinceOf = ({ delivery }: Job) => delivery.confirmingSince ?? clock.now()

  return {
    async deliver(job, signal) {
      if (stop.aborted) return { againAt: clock.now() }
      signal.throwIfAborted()
      const waitUntil = suspectUntil(job.delivery)
      if (waitUntil > clock.now()) return { againAt: waitUntil }
      if (await mustWait(job)) return { againAt: clock.now() + UNCONFIRMED_WAIT_MS }
      const pass = await gate.enter(job.destination)
      if ('closed' in pass) return waitFor(job, pass)
      return attempt(job, signal).finally(() => pass.leave())
    },

    async confirm(job, signal) {
      if (stop.aborted) return { againAt: clock.now() }
      const waitedFor = clock.now() - sinceOf(job)
      if (waitedFor < FIRST_POLL_MS) return { againAt: sinceOf(job) + FIRST_POLL_MS }
      const isLate = waitedFor > CONFIRM_WITHIN_MS
      const pass = await gate.enter(job.destination)
      if ('closed' in pass) {
        const { until, error = UNFINISHED } = pass.closed
        return isLate && !pass.isProbed ? settle(job, 'failed', error) : { againAt: until }
      }
      return look(job, signal)
        .then((outcome) => outcome ?? (isLate ? settle(job, 'failed', UNFINISHED) : undefined))
        .then((outcome) => outcome ?? { againAt: clock.now() + pollEvery(waitedFor) })
        .finally(() => pass.leave())
    }
  }
}

/** The longer a platform takes, the less often it is asked. */
function pollEvery(waitedForMs: number): number {
  return Math.min(LONGEST_POLL_MS, Math.max(FIRST_POLL_MS, waitedForMs))
}

const UNFINISHED: LastError = {
  code: 'transient',
  message: 'the platform did not finish its work in time'
}

/** The delivery at the beginning of its next attempt. */
function attempting({ delivery }: Job) {
  const next = { nextAttemptAt: undefined, unknownSince: undefined }
  return { state: 'sending', attempts: delivery.attempts + 1, ...next } as const
}

/** Hands a body to the platform, for the segment's people to be added or taken out. */
function give(
  { destination: { provider }, audience }: Job,
  body: EncodedBody,
  segmentId: string | undefined,
  context: ProviderContext
): Promise<UploadResult> {
  return audience.mode === 'remove' && segmentId !== undefined
    ? provider.remove(body, audience, segmentId, context)
    : provider.upload(body, audience, segmentId, context)
}
