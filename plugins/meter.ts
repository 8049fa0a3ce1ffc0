import { Counter, Histogram, type Registry } from 'prom-client'
import type { Meter, Tagged } from '../src/dispatch/meter.ts'
import { type Accepted, type Delivery, isSettled } from '../src/store/store.ts'

/** Counts what happens: in dispatch, and at the door. */
export interface ServiceMeter extends Meter {
  /** An upload was accepted, some milliseconds after its request began. `bytes`: its users as sent. */
  accepted(accepted: Pick<Accepted, 'upload' | 'duplicate'>, bytes: number, tookMs: number): void
  /** An upload was refused with this code of the catalogue. */
  refused(errorCode: string): void
  /** A request was answered. `route` is the pattern, never the address as sent. */
  answered(method: string, route: string, status: number, tookMs: number): void
  /** A tool of AdCP was called. `outcome`: `completed`, or the code of the error. */
  calledTool(tool: string, outcome: string): void
}

/** From what a small upload takes to a large one that waits for room. */
const UPLOAD_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const REQUEST_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60]
const CALL_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const WAIT_BUCKETS = [0.01, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600]
/** Up to the day for which a delivery is tried again, and a second one for what its platform does. */
const DELIVERY_BUCKETS = [0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400, 172_800]

const TAGGED = ['provider', 'tag'] as const
const MS_PER_S = 1_000

const MODES = ['add', 'remove'] as const
const OUTCOMES = ['delivered', 'failed'] as const
const POST_KINDS = ['webhook', 'push'] as const
const POST_OUTCOMES = ['delivered', 'retry', 'give_up'] as const

/** Registers the metrics of what happens. The tags are those that are configured. */
export function createMeter(registry: Registry, tags: readonly Tagged[]): ServiceMeter {
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter({ name, help, labelNames, registers })
  const histogram = <L extends string>(
    name: string,
    help: string,
    buckets: number[],
    labelNames: readonly L[] = []
  ) => new Histogram({ name, help, labelNames, buckets, registers })

  const uploads = {
    accepted: counter('audience_uploads_accepted_total', 'Uploads that were accepted', ['mode']),
    duplicates: counter(
      'audience_uploads_duplicate_total',
      'Uploads that had been accepted before'
    ),
    refused: counter('audience_uploads_refused_total', 'Uploads that were refused', ['error_code']),
    users: counter('audience_upload_users_total', 'Users of accepted uploads', ['mode']),
    bytes: counter(
      'audience_upload_bytes_total',
      'Bytes of the users of accepted uploads, as sent'
    ),
    duration: histogram(
      'audience_upload_duration_seconds',
      'From the beginning of a request to the acceptance of its upload',
      UPLOAD_BUCKETS
    )
  }
  const deliveries = {
    settled: counter('audience_deliveries_total', 'Deliveries that have settled', [
      ...TAGGED,
      'outcome'
    ]),
    failures: counter('audience_delivery_failures_total', 'Deliveries that failed for good', [
      ...TAGGED,
      'error_class'
    ]),
    attempts: counter('audience_delivery_attempts_total', 'Attempts to send a delivery', TAGGED),
    retries: counter(
      'audience_delivery_retries_total',
      'Failed attempts after which a delivery is tried again',
      [...TAGGED, 'error_class']
    ),
    duration: histogram(
      'audience_delivery_duration_seconds',
      'From the acceptance of a delivery to its end',
      DELIVERY_BUCKETS,
      [...TAGGED, 'outcome']
    )
  }
  const users = {
    sent: counter('audience_users_sent_total', 'Users in requests that were acknowledged', TAGGED),
    received: counter(
      'audience_users_received_total',
      'Users that the platform says it took',
      TAGGED
    ),
    invalid: counter(
      'audience_users_invalid_total',
      'Users that the platform took but could not read',
      TAGGED
    ),
    leftOut: counter('audience_users_left_out_total', 'Users of settled deliveries not sent', [
      ...TAGGED,
      'reason'
    ])
  }
  const calls = {
    duration: histogram(
      'audience_platform_call_duration_seconds',
      'Calls to platforms, without the time that they waited for limits',
      CALL_BUCKETS,
      ['provider', 'operation', 'outcome']
    ),
    waits: histogram(
      'audience_platform_call_wait_seconds',
      'How long calls waited for the limits of their account',
      WAIT_BUCKETS,
      TAGGED
    )
  }
  const webhooks = counter(
    'audience_webhook_attempts_total',
    'Attempts to send a message to a webhook or an agent',
    ['kind', 'outcome']
  )
  const tools = counter('audience_adcp_calls_total', 'Calls of the tools of AdCP', [
    'tool',
    'outcome'
  ])
  const requests = histogram(
    'audience_http_request_duration_seconds',
    'Requests, from their beginning to the end of the answer',
    REQUEST_BUCKETS,
    ['method', 'route', 'status']
  )

  // Without labels, so that it is there before the first one, whatever its route.
  const faults = counter('audience_http_faults_total', 'Requests that were answered with 500')

  // What alerts ask for begins at zero: else the first one would be no increase.
  for (const mode of MODES) {
    uploads.accepted.inc({ mode }, 0)
    uploads.users.inc({ mode }, 0)
  }
  for (const kind of POST_KINDS) {
    for (const outcome of POST_OUTCOMES) webhooks.inc({ kind, outcome }, 0)
  }
  for (const { provider, tag } of tags) {
    const labels = { provider, tag }
    const { attempts, settled } = deliveries
    for (const one of [attempts, users.sent, users.received, users.invalid]) one.inc(labels, 0)
    for (const outcome of OUTCOMES) settled.inc({ ...labels, outcome }, 0)
  }

  function settledAs(after: Delivery, outcome: (typeof OUTCOMES)[number]): void {
    const { provider, tag, queuedAt, settledAt = queuedAt, leftOut } = after
    const labels = { provider, tag, outcome }
    deliveries.settled.inc(labels)
    // Instances may have clocks of their own.
    deliveries.duration.observe(labels, Math.max(0, settledAt - queuedAt) / MS_PER_S)
    for (const [reason, count] of Object.entries(leftOut)) {
      users.leftOut.inc({ provider, tag, reason }, count)
    }
    if (outcome === 'delivered') return
    const error_class = after.lastError?.code ?? 'internal'
    deliveries.failures.inc({ provider, tag, error_class })
  }

  return {
    accepted({ upload, duplicate }, bytes, tookMs) {
      uploads.duration.observe(tookMs / MS_PER_S)
      if (duplicate) {
        uploads.duplicates.inc()
        return
      }
      const { mode } = upload
      uploads.accepted.inc({ mode })
      uploads.users.inc({ mode }, upload.users)
      uploads.bytes.inc(bytes)
    },
    refused: (error_code) => uploads.refused.inc({ error_code }),
    answered(method, route, status, tookMs) {
      requests.observe({ method, route, status }, tookMs / MS_PER_S)
      if (status === 500) faults.inc()
    },
    calledTool: (tool, outcome) => tools.inc({ tool, outcome }),

    changed(before, after) {
      const { provider, tag } = after
      const labels = { provider, tag }
      // What is begun anew starts from nothing, which takes back nothing that was sent.
      const add = (to: Counter<'provider' | 'tag'>, had: number, has: number) => {
        if (has > had) to.inc(labels, has - had)
      }
      add(deliveries.attempts, before.attempts, after.attempts)
      add(users.sent, before.sent, after.sent)
      add(users.received, before.received, after.received)
      add(users.invalid, before.invalid, after.invalid)
      if (isSettled(after)) settledAs(after, after.state === 'failed' ? 'failed' : 'delivered')
    },
    retried: ({ provider, tag }, error_class) =>
      deliveries.retries.inc({ provider, tag, error_class }),
    waited: ({ provider, tag }, forMs) => calls.waits.observe({ provider, tag }, forMs / MS_PER_S),
    called: (provider, operation, outcome, tookMs) =>
      calls.duration.observe({ provider, operation, outcome }, tookMs / MS_PER_S),
    posted: (kind, outcome) => webhooks.inc({ kind, outcome })
  }
}
