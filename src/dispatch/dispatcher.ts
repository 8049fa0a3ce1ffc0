import { setTimeout as wait } from 'node:timers/promises'
import { type Context, ROOT_CONTEXT, type Tracer } from '@opentelemetry/api'
import type { FastifyBaseLogger } from 'fastify'
import PQueue from 'p-queue'
import { ProviderError } from '../../providers/errors.ts'
import type { Audience, CheckProblem, Encoding } from '../../providers/provider.ts'
import type { Delivery, Store, Upload } from '../store/store.ts'
import type { Clock } from './clock.ts'
import {
  createDestinations,
  type Destination,
  type Platform,
  providerContext
} from './destination.ts'
import { type Job, toAudience, uploadAttributes } from './job.ts'
import { PreparationError } from './retry.ts'
import { createRunner } from './runner.ts'
import { createSegments, segmentLock } from './segments.ts'
import { faultOf, inSpan } from './tracing.ts'
import type { EncodeOutcome } from './worker.ts'
import type { Workers } from './workers.ts'

export interface DispatcherOptions {
  readonly platforms: readonly Platform[]
  readonly store: Store
  readonly workers: Workers
  readonly clock: Clock
  readonly tracer: Tracer
  readonly log: Pick<FastifyBaseLogger, 'error'>
  readonly maxUsers: number
  /** How long a failing delivery is tried again, in milliseconds. */
  readonly retryForMs: number
}

export interface Submission {
  readonly upload: Upload
  readonly deliveries: readonly Delivery[]
  /** The users as sent, in shared memory. */
  readonly users: Uint8Array
  /** The trace that the deliveries belong to. */
  readonly parent: Context
}

/** A delivery that was waited for. */
export interface Waited {
  readonly delivery: Delivery
  /** When it is given up; milliseconds since 1970. `undefined` once it has ended. */
  readonly retriedUntil: number | undefined
}

export interface Dispatcher {
  readonly destinations: readonly Destination[]
  /** Takes accepted deliveries; they run in the pool. Resolves when all of them have ended. */
  submit(submission: Submission): Promise<void>
  /**
   * Waits until each delivery has settled, was taken over by its platform or has failed three
   * times, but no longer than told, and returns how they stand then.
   */
  wait(ids: readonly string[], forMs: number): Promise<readonly Waited[]>
  /** Ends all waits at once. */
  releaseWaits(): void
  check(destination: Destination): Promise<readonly CheckProblem[]>
  /** Lets deliveries finish within the time, then aborts; returns how many were left undelivered. */
  close(withinMs: number): Promise<number>
}

const CHECK_WITHIN_MS = 10_000

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { store, workers, clock, tracer, log } = options
  const destinations = createDestinations(options.platforms, clock)
  const segments = createSegments(clock)
  const aborting = new AbortController()
  const { signal } = aborting
  const runner = createRunner({ store, segments, clock, tracer, log, signal })
  const segmentQueues = new Map<string, PQueue>()
  const jobs = new Map<string, Job>()
  const running = new Set<Promise<void>>()
  const released = Promise.withResolvers<void>()

  /** Runs a delivery to its end; those to one segment go one after the other. */
  async function run(job: Job): Promise<void> {
    const key = segmentLock(job.destination, job.audience.segmentName)
    const queue = segmentQueues.get(key) ?? new PQueue({ concurrency: 1 })
    segmentQueues.set(key, queue)
    await queue.add(() => runner.deliver(job), { signal })
    if (queue.size === 0 && queue.pending === 0) segmentQueues.delete(key)
    if (job.delivery.state === 'confirming') await runner.confirm(job)
  }

  async function runSafely(job: Job): Promise<void> {
    jobs.set(job.delivery.id, job)
    try {
      await run(job)
    } catch (error) {
      if (!signal.aborted) log.error({ fault: faultOf(error) }, 'delivery stopped')
    } finally {
      // Sent again after it had failed, the delivery may have a newer job by now.
      if (jobs.get(job.delivery.id) === job) jobs.delete(job.delivery.id)
      job.reported.resolve()
    }
  }

  function find({ provider, tag }: Delivery): Destination {
    const found = destinations.find((d) => d.provider.name === provider && d.tag === tag)
    if (found === undefined) throw new Error(`no destination ${provider}/${tag}`)
    return found
  }

  function toJobs(submission: Submission, parent: Context): Job[] {
    const { upload, deliveries } = submission
    const targets = deliveries.map((delivery) => ({
      delivery,
      destination: find(delivery),
      audience: toAudience(upload, delivery)
    }))
    const encode = encodeOnce(submission, targets, options.maxUsers, workers, store)
    return targets.map((target, index) => ({
      ...target,
      upload,
      parent,
      encoding: () => encode(index),
      giveUpAt: clock.now() + options.retryForMs,
      resolvedAnew: false,
      reported: Promise.withResolvers<void>()
    }))
  }

  return {
    destinations,

    async submit(submission) {
      const attributes = uploadAttributes(submission.upload)
      const { parent } = submission
      const all = inSpan(
        tracer,
        'audience.fan_out',
        { parent, attributes },
        async (_span, context) => {
          await Promise.all(toJobs(submission, context).map(runSafely))
        }
      )
      running.add(all)
      await all.finally(() => running.delete(all))
    },

    async wait(ids, forMs) {
      const waiting = ids.flatMap((id) => jobs.get(id)?.reported.promise ?? [])
      await withinMs(forMs, Promise.race([Promise.all(waiting), released.promise]))
      const found = await Promise.all(ids.map((id) => store.delivery(id)))
      return found
        .filter((delivery) => delivery !== undefined)
        .map((delivery) => ({ delivery, retriedUntil: jobs.get(delivery.id)?.giveUpAt }))
    },

    releaseWaits() {
      released.resolve()
    },

    async check(destination) {
      const notes = { get: () => undefined, set: () => undefined }
      const inTime = AbortSignal.any([signal, AbortSignal.timeout(CHECK_WITHIN_MS)])
      const context = { tracer, clock, signal: inTime, parent: ROOT_CONTEXT, notes }
      try {
        return await destination.provider.check(providerContext(destination, context))
      } catch (error) {
        if (signal.aborted || !inTime.aborted) throw error
        throw new ProviderError('transient', 'no answer in time, or the account is paused')
      }
    },

    async close(limitMs) {
      await withinMs(limitMs, Promise.all(running))
      const left = jobs.size
      aborting.abort(new Error('closing'))
      await Promise.all(running)
      return left
    }
  }
}

/** Encodes for all targets at once, when the first of them is about to be sent. */
function encodeOnce(
  { upload, users }: Submission,
  targets: readonly { readonly destination: Destination; readonly audience: Audience }[],
  maxUsers: number,
  workers: Workers,
  store: Store
): (index: number) => Promise<Encoding> {
  let outcome: Promise<EncodeOutcome['encodings']> | undefined

  async function encodeAll(): Promise<EncodeOutcome['encodings']> {
    const task = {
      users,
      maxUsers,
      defaultCountry: upload.defaultCountry,
      targets: targets.map(({ destination: { provider, variables }, audience }) => ({
        provider: provider.name,
        variables,
        audience
      }))
    }
    const { report, encodings } = await workers.encode(task).catch((cause: unknown) => {
      outcome = undefined
      throw new PreparationError('a worker thread failed', { cause })
    })
    await store.setReport(upload.id, report)
    return encodings
  }

  return async (index) => {
    outcome ??= encodeAll()
    const encoding = (await outcome)[index]
    if (encoding === undefined) throw new Error(`no encoding ${index}`)
    if ('stack' in encoding) {
      throw Object.assign(new Error('the encoding failed'), { stack: encoding.stack })
    }
    return encoding
  }
}

/** Waits for the work, but no longer than this. */
async function withinMs(limitMs: number, work: Promise<unknown>): Promise<void> {
  const enough = new AbortController()
  const limit = wait(limitMs, undefined, { signal: enough.signal }).catch(() => undefined)
  await Promise.race([work, limit])
  enough.abort()
}
