import type { Context, Tracer } from '@opentelemetry/api'
import type { FastifyBaseLogger } from 'fastify'
import { ProviderError } from '../../providers/errors.ts'
import type { ProviderContext, UploadResult } from '../../providers/provider.ts'
import {
  type DeliveryChange,
  isSettled,
  type LastError,
  NOTHING_SENT,
  type Store
} from '../store/store.ts'
import type { Clock } from './clock.ts'
import { providerContext } from './destination.ts'
import { acknowledged, confirmed, deliveryAttributes, type Job, noUsableUser } from './job.ts'
import { judge, toLastError } from './retry.ts'
import type { Segments } from './segments.ts'
import { faultOf, inSpan } from './tracing.ts'

export interface RunnerOptions {
  readonly store: Store
  readonly segments: Segments
  readonly clock: Clock
  readonly tracer: Tracer
  readonly log: Pick<FastifyBaseLogger, 'error'>
  /** Ends everything at once; what was under way rejects. */
  readonly signal: AbortSignal
}

export interface Runner {
  /** Sends until the delivery has settled or its platform goes on with the work. */
  deliver(job: Job): Promise<void>
  /** Follows the work that the platform goes on with to its end. */
  confirm(job: Job): Promise<void>
}

/** Attempts after which a synchronous caller hears of the failure while the work goes on. */
const ATTEMPTS_UNTIL_REPORTED = 3
const FIRST_POLL_MS = 1_000
const LONGEST_POLL_MS = 10_000
/** How long a platform may work on what it took. */
const CONFIRM_WITHIN_MS = 24 * 3_600_000
/** Polls let uploads of the same account go first. */
const POLL_PRIORITY = -1

/** Brings single deliveries to their end: attempts, retries, polls. */
export function createRunner(options: RunnerOptions): Runner {
  const { store, segments, clock, tracer, log, signal } = options

  async function change(job: Job, changed: DeliveryChange): Promise<void> {
    job.delivery = await store.changeDelivery(job.delivery.id, changed)
    const { state, attempts } = job.delivery
    const waitedEnough = state === 'retrying' && attempts >= ATTEMPTS_UNTIL_REPORTED
    if (isSettled(job.delivery) || state === 'confirming' || waitedEnough) job.reported.resolve()
  }

  async function settle(
    job: Job,
    state: 'delivered' | 'failed',
    lastError?: LastError
  ): Promise<void> {
    await change(job, { state, lastError, nextAttemptAt: undefined, settledAt: clock.now() })
  }

  /** Work in a span that tells how the delivery stood at its end. */
  async function traced(job: Job, name: string, work: (context: Context) => Promise<void>) {
    await inSpan(tracer, name, { parent: job.parent }, (span, context) =>
      work(context).finally(() => span.setAttributes(deliveryAttributes(job)))
    )
  }

  function contextOf({ destination, audience }: Job, parent: Context, priority = 0) {
    const notes = segments.notes(destination, audience)
    return providerContext(destination, { tracer, clock, parent, signal, notes, priority })
  }

  async function send(job: Job, context: ProviderContext): Promise<void> {
    const { destination, audience } = job
    const { bodies, leftOut, notes } = await job.encoding()
    await change(job, { leftOut, notes })
    if (bodies.length === 0) throw new ProviderError('invalid', noUsableUser(leftOut))

    const segmentId = await segments.resolve(destination, audience, context)
    if (segmentId !== undefined) await change(job, { segmentId })
    for (const body of bodies.slice(job.delivery.acknowledgedBodies)) {
      const result = await destination.provider.upload(body, audience, segmentId, context)
      await change(job, acknowledged(job.delivery, body.users, result))
    }
    if (job.delivery.tickets.length === 0) await settle(job, 'delivered')
    else await change(job, { state: 'confirming', lastError: undefined })
  }

  /** One attempt in one of the account's slots; tells the error if there was one. */
  async function attempt(job: Job): Promise<{ readonly error: unknown } | undefined> {
    const attempts = job.delivery.attempts + 1
    await change(job, { state: 'sending', attempts, nextAttemptAt: undefined })
    try {
      await traced(job, 'audience.deliver', (context) => send(job, contextOf(job, context)))
      return undefined
    } catch (error) {
      signal.throwIfAborted()
      return { error }
    }
  }

  /** Settles the delivery as failed, or returns how long to wait for the next attempt. */
  async function afterFailure(job: Job, error: unknown): Promise<number | undefined> {
    const { destination, audience, delivery } = job
    const lastError = toLastError(error)
    if (lastError.code === 'internal') log.error({ fault: faultOf(error) }, 'delivery failed')
    const verdict = judge({
      error,
      attempt: delivery.attempts,
      segmentIsFresh: segments.isFresh(destination, audience),
      resolvedAnew: job.resolvedAnew
    })
    if (verdict.action === 'resolve_anew') {
      segments.forget(destination, audience)
      job.resolvedAnew = true
      await change(job, { ...NOTHING_SENT, state: 'retrying', lastError })
      return 0
    }
    if (verdict.action === 'retry') {
      if (verdict.account) destination.account.pause(verdict.waitMs)
      const nextAttemptAt = clock.now() + verdict.waitMs
      if (nextAttemptAt <= job.giveUpAt) {
        await change(job, { state: 'retrying', nextAttemptAt, lastError })
        return verdict.waitMs
      }
    }
    await settle(job, 'failed', lastError)
    return undefined
  }

  /** The platform's result, or `undefined` while it is still at work. */
  async function poll(job: Job, ticket: string, tries: number): Promise<UploadResult | undefined> {
    const { provider, account } = job.destination
    try {
      const context = contextOf(job, job.parent, POLL_PRIORITY)
      return await provider.confirm?.(ticket, job.audience, context)
    } catch (error) {
      signal.throwIfAborted()
      const verdict = judge({ error, attempt: tries, segmentIsFresh: false, resolvedAnew: true })
      if (verdict.action !== 'retry') throw error
      if (verdict.account) account.pause(verdict.waitMs)
      await clock.sleep(verdict.waitMs, signal)
      return undefined
    }
  }

  async function finish(job: Job, ticket: string): Promise<UploadResult> {
    const giveUpAt = clock.now() + CONFIRM_WITHIN_MS
    for (let tries = 1; clock.now() <= giveUpAt; tries += 1) {
      await clock.sleep(Math.min(LONGEST_POLL_MS, FIRST_POLL_MS * 2 ** (tries - 1)), signal)
      const result = await poll(job, ticket, tries)
      if (result !== undefined) return result
    }
    throw new ProviderError('transient', 'the platform did not finish its work in time')
  }

  return {
    async deliver(job) {
      for (;;) {
        const failure = await job.destination.account.slots.add(() => attempt(job), { signal })
        if (failure === undefined) return
        const waitMs = await afterFailure(job, failure.error)
        if (waitMs === undefined) return
        await clock.sleep(waitMs, signal)
      }
    },

    async confirm(job) {
      try {
        await traced(job, 'audience.confirm', async () => {
          for (const ticket of job.delivery.tickets) {
            await change(job, confirmed(job.delivery, await finish(job, ticket)))
          }
          await settle(job, 'delivered')
        })
      } catch (error) {
        signal.throwIfAborted()
        await settle(job, 'failed', toLastError(error))
      }
    }
  }
}
