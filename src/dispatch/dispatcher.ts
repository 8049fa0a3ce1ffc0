import { ROOT_CONTEXT, type Tracer } from '@opentelemetry/api'
import type { FastifyBaseLogger } from 'fastify'
import { ProviderError } from '../../providers/errors.ts'
import type { CheckProblem, ProviderContext, SegmentStatus } from '../../providers/provider.ts'
import type { TakeTurn, Turn, TurnOutcome } from '../store/queue.ts'
import type { Storage } from '../store/storage.ts'
import {
  accountKey,
  CANCELLED,
  type Delivery,
  type DeliveryChange,
  isSettled,
  type LastError,
  StoreError,
  turnOf,
  type Upload
} from '../store/store.ts'
import type { Clock } from './clock.ts'
import {
  createDestinations,
  type Destination,
  type Platform,
  providerContext,
  targetOf
} from './destination.ts'
import { createEncodings, type EncodingsLoad } from './encodings.ts'
import { type CheckOutcome, createGate } from './gate.ts'
import { type Job, toAudience, type WithDestination } from './job.ts'
import { createLocalQueue } from './local-queue.ts'
import { type Meter, NO_METER } from './meter.ts'
import { isRefusal } from './retry.ts'
import { createRunner, StoppedError } from './runner.ts'
import { faultOf, traceOf } from './tracing.ts'
import { createWaits } from './waits.ts'
import { withinMs } from './within-ms.ts'
import type { Workers } from './workers.ts'

export interface DispatcherOptions {
  readonly platforms: readonly Platform[]
  readonly storage: Storage
  readonly workers: Workers
  readonly clock: Clock
  readonly tracer: Tracer
  readonly log: Pick<FastifyBaseLogger, 'error' | 'warn'>
  /** How long a failing delivery is tried again, in milliseconds. */
  readonly retryForMs: number
  /** Longest time that one platform call takes, in milliseconds. */
  readonly callWithinMs: number
  readonly meter?: Meter
}

export interface Dispatcher {
  readonly destinations: readonly Destination[]
  /** Begins with what the store has. */
  start(): Promise<void>
  /** The store has new turns. */
  push(turns: readonly Turn[]): void
  /** Looks at once at what waits in the accounts of these turns: some of it may be cancelled. */
  wake(turns: readonly Turn[]): void
  /**
   * Waits until each delivery has settled, was taken over by its platform, is held or has failed
   * three times, but no longer than told, and returns how they stand then.
   */
  wait(deliveries: readonly Delivery[], forMs: number): Promise<readonly Delivery[]>
  /** Ends all waits at once. */
  releaseWaits(): void
  /** Asks the platform whether everything is in order; if so, what was held goes on. */
  check(destination: Destination): Promise<readonly CheckProblem[]>
  /**
   * Asks the platform how a segment stands; uploads of the account go first.
   * @throws ProviderError
   */
  segmentStatus(destination: Destination, segmentId: string): Promise<SegmentStatus>
  /** The request bodies of deliveries, as they are now. */
  bodies(): EncodingsLoad
  /**
   * Takes no further turns, lets what is under way come to its next stopping point within the time,
   * then aborts it; returns how many had to be aborted.
   */
  close(withinMs: number): Promise<number>
}

const CHECK_WITHIN_MS = 10_000
/** Longer, since it waits for uploads of its account, and where a platform allows few a minute. */
const STATUS_WITHIN_MS = 90_000
const STATUS_PRIORITY = -1
const PROBE_MARGIN_MS = 5_000
const UNKNOWN_TAG_WAIT_MS = 5_000
const UNKNOWN_TAG_FOR_MS = 24 * 3_600_000
/** Longer than two versions of the service run side by side. */
const MOVE_AFTER_MS = 15 * 60_000
const NO_NOTES = { get: () => undefined, set: () => Promise.resolve() }

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { storage, workers, clock, tracer, log, meter = NO_METER } = options
  const { store, permits } = storage
  const destinations = createDestinations(options.platforms, {
    clock,
    permits,
    callWithinMs: options.callWithinMs
  })
  const stopping = new AbortController()
  const aborting = new AbortController()
  const startedAt = clock.now()
  /** Turns under way. */
  const taken = new Set<object>()

  const queue =
    storage.queue ??
    createLocalQueue({
      store,
      clock,
      onError: (error) => log.error({ fault: faultOf(error) }, 'a delivery was put off')
    })
  const waits = createWaits({
    store,
    isShared: storage.queue !== undefined,
    retryForMs: options.retryForMs
  })
  const gate = createGate({
    store,
    clock,
    check: checkOutcome,
    onOpen: (account) => queue.wake(account),
    onClose: () => waits.look(),
    probeWithinMs: Math.max(options.callWithinMs, CHECK_WITHIN_MS) + PROBE_MARGIN_MS
  })
  const encodings = createEncodings({
    store,
    workers,
    keys: storage.keys,
    isShared: storage.queue !== undefined,
    withDestinations: (deliveries) => deliveries.flatMap((one) => withDestination(one) ?? [])
  })
  const runner = createRunner({
    store,
    gate,
    encodings,
    clock,
    tracer,
    log,
    retryForMs: options.retryForMs,
    stop: stopping.signal,
    change,
    meter
  })

  async function change(delivery: Delivery, changed: DeliveryChange): Promise<Delivery> {
    const { id, revision } = delivery
    const after = await store.changeDelivery(id, changed, clock.now(), revision)
    waits.changed(after)
    // What another instance has settled meanwhile it has told itself.
    if (!isSettled(after) || after.settledAt === changed.settledAt) meter.changed(delivery, after)
    return after
  }

  /** The tag's own; its account may have become another one since the delivery was accepted. */
  function tagOf(delivery: Delivery): Destination | undefined {
    return destinations.find(
      ({ provider, tag }) => provider.name === delivery.provider && tag === delivery.tag
    )
  }

  function withDestination(delivery: Delivery): WithDestination | undefined {
    const destination = tagOf(delivery)
    return destination?.accountId === delivery.accountId ? { destination, delivery } : undefined
  }

  async function take(turn: Turn, claim: AbortSignal): Promise<TurnOutcome> {
    const work = await store.work(turn)
    if (work === undefined) return 'done'
    const { delivery, upload, isCancelled } = work
    if (isCancelled && turn.kind === 'send') return cancel(delivery)
    const destination = tagOf(delivery)
    if (destination === undefined) return waitForTag(delivery)
    const job = toJob(upload, { destination, delivery })
    const signal = AbortSignal.any([claim, aborting.signal])
    if (turn.kind === 'confirm') return runner.confirm(job, signal)
    if (destination.accountId !== delivery.accountId) return move(job)
    const outcome = await destination.account.slots.add(() => runner.deliver(job, signal))
    const next = turnOf(job.delivery)
    if (next?.kind === 'confirm') queue.push([next])
    return outcome
  }

  /**
   * The tag stands for another account here. Of two instances the one that was started later knows
   * the newer configuration; what nobody takes is moved all the same.
   */
  async function move(job: Job): Promise<TurnOutcome> {
    const { delivery, destination } = job
    const { unknownSince, targetedAt } = delivery
    const now = clock.now()
    const isStuck = unknownSince !== undefined && now - unknownSince > MOVE_AFTER_MS
    if (targetedAt >= startedAt && !isStuck) return waitForTag(delivery)
    // What the other account has of this name nobody asked to delete.
    if (job.upload.mode === 'delete') return fail(delivery, OTHER_ACCOUNT)
    queue.push(await store.moveDelivery(delivery.id, destination.accountId, now))
    return 'done'
  }

  /** A delivery whose tag this process does not know may be another instance's. */
  async function waitForTag(delivery: Delivery): Promise<TurnOutcome> {
    const now = clock.now()
    const { unknownSince = now } = delivery
    const message = `${delivery.provider}/${delivery.tag} is not configured any more`
    const lastError = { code: 'not_configured', message }
    const isOver = now - unknownSince > UNKNOWN_TAG_FOR_MS
    // At random, so that not always the same instance is the first to look again.
    const waitMs = UNKNOWN_TAG_WAIT_MS * (0.5 + Math.random())
    const nextAttemptAt = isOver ? undefined : Math.round(now + waitMs)
    const ended = isOver && ({ state: 'failed', settledAt: now } as const)
    const waiting = { unknownSince, lastError, nextAttemptAt, ...ended }
    await change(delivery, waiting)
    return nextAttemptAt === undefined ? 'done' : { againAt: nextAttemptAt }
  }

  /** It settles before anything is sent, whatever its account or tag waits for. */
  async function cancel(delivery: Delivery): Promise<'done'> {
    encodings.drop(delivery.id)
    return fail(delivery, BEING_DELETED)
  }

  async function fail(delivery: Delivery, lastError: LastError): Promise<'done'> {
    const ended = { state: 'failed', nextAttemptAt: undefined, settledAt: clock.now() } as const
    await change(delivery, { ...ended, lastError })
    return 'done'
  }

  async function checkOutcome(destination: Destination): Promise<CheckOutcome> {
    try {
      return (await check(destination)).length === 0 ? 'in order' : 'not in order'
    } catch (error) {
      return isRefusal(error) ? 'not in order' : 'unknown'
    }
  }

  const takeCounted: TakeTurn = async (turn, claim) => {
    const entry = {}
    taken.add(entry)
    try {
      return await take(turn, claim)
    } catch (error) {
      if (!(error instanceof StoreError) && !claim.aborted && !aborting.signal.aborted) {
        log.error({ fault: faultOf(error) }, 'delivery stopped')
      }
      throw error
    } finally {
      taken.delete(entry)
    }
  }

  const check = (destination: Destination) =>
    ask(destination, (context) => destination.provider.check(context))

  /** Outside of deliveries. */
  async function ask<T>(
    destination: Destination,
    question: (context: ProviderContext) => Promise<T>,
    { withinMs: limitMs = CHECK_WITHIN_MS, priority = 0 } = {}
  ): Promise<T> {
    const { signal } = aborting
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(limitMs)])
    const context = providerContext(destination, {
      tracer,
      clock,
      signal: inTime,
      stop: inTime,
      parent: ROOT_CONTEXT,
      notes: NO_NOTES,
      meter,
      runId: '',
      pause: (forMs) => destination.account.pause(forMs),
      priority
    })
    try {
      return await question(context)
    } catch (error) {
      if (signal.aborted || !inTime.aborted) throw error
      throw new ProviderError('transient', 'no answer in time, or the account is paused')
    }
  }

  return {
    destinations,

    async start() {
      await workers.ready()
      await queue.start(takeCounted, (turn) => room(destinations, turn))
    },

    push: (turns) => queue.push(turns),
    wake(turns) {
      for (const account of new Set(turns.map((turn) => turn.account))) queue.wake(account)
    },
    wait: (deliveries, forMs) => waits.wait(deliveries, forMs),
    releaseWaits: () => waits.release(),

    async check(destination) {
      const problems = await check(destination)
      if (problems.length === 0) await gate.checked(destination)
      return problems
    },

    segmentStatus: (destination, segmentId) =>
      ask(destination, (context) => destination.provider.status(segmentId, context), {
        withinMs: STATUS_WITHIN_MS,
        priority: STATUS_PRIORITY
      }),

    bodies: () => encodings.load(),

    async close(limitMs) {
      stopping.abort(new StoppedError())
      const stopped = queue.stop()
      await withinMs(limitMs, stopped)
      const left = taken.size
      aborting.abort(new StoppedError())
      await stopped
      return left
    }
  }
}

const BEING_DELETED: LastError = { code: CANCELLED, message: 'the segment is being deleted' }
const OTHER_ACCOUNT: LastError = {
  code: 'invalid',
  message: 'the tag stands for another account by now: the segment is not deleted'
}

function toJob(upload: Upload, found: WithDestination): Job {
  const audience = toAudience(upload, found.delivery)
  return { ...found, upload, audience, parent: traceOf(upload.traceparent) }
}

/** Polls under way at once for one account: they take no slot of its uploads. */
const POLLS_PER_ACCOUNT = 64
/** Turns of accounts that are not configured here are looked at and put off. */
const UNKNOWN_ROOM = 8

/** How many turns of a kind an account can have under way here, from a queue that others share. */
function room(
  destinations: readonly Destination[],
  { kind, account: key }: Pick<Turn, 'kind' | 'account'>
): number {
  const found = destinations.find((destination) => accountKey(targetOf(destination)) === key)
  if (found === undefined) return UNKNOWN_ROOM
  return kind === 'confirm' ? POLLS_PER_ACCOUNT : found.account.slots.concurrency
}
