import type { FastifyBaseLogger } from 'fastify'
import type { HookMessage, Store } from '../store/store.ts'
import type { Clock } from './clock.ts'
import { type Meter, NO_METER } from './meter.ts'
import { faultOf } from './tracing.ts'
import type { WebhookAnswer, WebhookClient } from './webhook-client.ts'

/** Whose messages are sent; where it has no address, each message has its own. */
interface Endpoint {
  readonly id: string
  readonly url?: string
}

export interface WebhooksOptions<E extends Endpoint> {
  readonly endpoints: readonly E[]
  readonly store: Pick<Store, 'takeHooks' | 'settleHook'>
  readonly client: Pick<WebhookClient<E>, 'post'>
  /** Messages of one endpoint under way at once; default: 4. */
  readonly mostAtOnce?: number
  readonly clock: Pick<Clock, 'now'>
  readonly log: Pick<FastifyBaseLogger, 'debug' | 'info' | 'warn'>
  readonly meter?: Pick<Meter, 'posted'>
}

/** Delivers the messages of a store to their endpoints. */
export interface Webhooks {
  /** There may be new messages: looks at once instead of at the next turn. */
  nudge(): void
  /** Takes no more messages; those under way get some time and are then given back. */
  close(withinMs: number): Promise<void>
}

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

const POLL_MS = SECOND_MS
const MOST_AT_ONCE = 4
/** Longer than any attempt takes: only a message whose process died outlives its lease. */
const LEASE_MS = MINUTE_MS

/** Waits after the first attempts, see the specification's section on reliability. */
const WAITS_MS = [5 * SECOND_MS, MINUTE_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS, 5 * HOUR_MS]
/** Wait after each later attempt. */
const LONGEST_WAIT_MS = 8 * HOUR_MS
/** The store keeps messages as long. */
const GIVE_UP_AFTER_MS = 72 * HOUR_MS

/** The receiver wants no more of this. */
const GONE = 410

/** What becomes of a message after an attempt. */
export type Verdict =
  | { readonly action: 'delivered' }
  | { readonly action: 'give_up' }
  | { readonly action: 'retry'; readonly againAt: number }

/** Decides what is done after an attempt; the random part spreads what failed together. */
export function judgeAnswer(
  { attempts, createdAt }: Pick<HookMessage, 'attempts' | 'createdAt'>,
  answer: WebhookAnswer,
  now: number,
  random: () => number = Math.random
): Verdict {
  const status = 'status' in answer ? answer.status : undefined
  if (status !== undefined && status >= 200 && status < 300) return { action: 'delivered' }
  if (status === GONE) return { action: 'give_up' }
  const ownMs = (WAITS_MS[attempts - 1] ?? LONGEST_WAIT_MS) * (1 + random() / 4)
  const askedMs = 'retryAfterMs' in answer ? (answer.retryAfterMs ?? 0) : 0
  const againAt = now + Math.round(Math.max(ownMs, askedMs))
  return againAt > createdAt + GIVE_UP_AFTER_MS
    ? { action: 'give_up' }
    : { action: 'retry', againAt }
}

/**
 * Looks for messages every second. Each endpoint has its own messages under way, so that
 * one that hangs holds up nobody else.
 */
export function createWebhooks<E extends Endpoint>(options: WebhooksOptions<E>): Webhooks {
  const closing = new AbortController()
  const senders = options.endpoints.map((endpoint) =>
    createSender(endpoint, options, closing.signal)
  )
  const nudge = () => {
    for (const sender of senders) sender.look()
  }
  const timer = setInterval(nudge, POLL_MS).unref()
  nudge()

  return {
    nudge,
    async close(withinMs) {
      clearInterval(timer)
      const ended = Promise.all(senders.map((sender) => sender.stop()))
      const late = setTimeout(() => closing.abort(), withinMs)
      await ended
      clearTimeout(late)
    }
  }
}

interface Sender {
  /** Takes what is due, as far as there is room. */
  look(): void
  /** Takes no more; resolves when what is under way has ended. */
  stop(): Promise<void>
}

function createSender<E extends Endpoint>(
  endpoint: E,
  { store, client, mostAtOnce = MOST_AT_ONCE, clock, log, meter = NO_METER }: WebhooksOptions<E>,
  closing: AbortSignal
): Sender {
  const kind = endpoint.url === undefined ? 'push' : 'webhook'
  const host = endpoint.url && new URL(endpoint.url).host
  const running = new Set<Promise<void>>()
  let looking: Promise<void> | undefined
  let isStopped = false
  let restsUntil = 0

  async function take(): Promise<void> {
    const now = clock.now()
    const room = mostAtOnce - running.size
    if (room === 0 || now < restsUntil) return
    const messages = await store.takeHooks(endpoint.id, now, LEASE_MS, room)
    for (const message of messages) start(message)
  }

  function start(message: HookMessage): void {
    const delivery = deliver(message).finally(() => {
      running.delete(delivery)
      look()
    })
    running.add(delivery)
  }

  function look(): void {
    if (isStopped) return
    looking ??= take()
      .catch(noteStoreFault)
      .finally(() => {
        looking = undefined
      })
  }

  async function deliver(message: HookMessage): Promise<void> {
    const answer = await client.post(endpoint, message, closing)
    const now = clock.now()
    const wasCut = 'fault' in answer && closing.aborted
    const verdict: Verdict = wasCut
      ? { action: 'retry', againAt: now }
      : judgeAnswer(message, answer, now)
    // Who says so does not mean this message alone.
    if ('retryAfterMs' in answer) {
      restsUntil = Math.max(restsUntil, now + (answer.retryAfterMs ?? 0))
    }
    note(message, answer, verdict)
    meter.posted(kind, verdict.action)
    // Where this fails the message is handed out again after its lease, with the same id.
    const againAt = verdict.action === 'retry' ? verdict.againAt : undefined
    await store.settleHook(message.id, againAt).catch(noteStoreFault)
  }

  function note(message: HookMessage, answer: WebhookAnswer, verdict: Verdict): void {
    const line = {
      webhook: endpoint.id,
      ...(host && { host }),
      message: message.id,
      type: message.type,
      attempt: message.attempts,
      ...('status' in answer ? { status: answer.status } : { fault: answer.fault })
    }
    if (verdict.action === 'delivered') log.info(line, 'webhook delivered')
    else if (verdict.action === 'give_up') log.warn(line, 'webhook given up')
    else {
      const again = new Date(verdict.againAt).toISOString()
      log.warn({ ...line, again }, 'webhook not delivered, tried again later')
    }
  }

  /** Whoever watches the store says so louder; here somebody looks again within a second. */
  function noteStoreFault(error: unknown): void {
    log.debug({ webhook: endpoint.id, fault: faultOf(error) }, 'the store does not answer')
  }

  return {
    look,
    async stop() {
      isStopped = true
      await looking
      await Promise.all(running)
    }
  }
}
