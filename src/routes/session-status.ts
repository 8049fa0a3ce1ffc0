import type {
  Delivery,
  DeliveryState,
  Session,
  SessionState,
  SessionSummary,
  Upload,
  UploadMode
} from '../store/store.ts'
import type { Destination } from '../dispatch/destination.ts'
import { addReports, countIdentifiers } from './quality.ts'

type Counts = Readonly<Record<string, number>>

/** The state of several deliveries together is the first of these that one of them is in. */
const BY_URGENCY: readonly DeliveryState[] = [
  'held',
  'retrying',
  'sending',
  'queued',
  'confirming',
  'failed',
  'delivered'
]
const IN_PROGRESS: ReadonlySet<DeliveryState> = new Set(BY_URGENCY.slice(0, 5))

/** Sequences listed as missing at most: a session may announce any number of batches. */
const MAX_MISSING_LISTED = 1_000

/** A session as its owner sees it: what arrived here, and what happened to it at each platform. */
export function sessionStatus(
  { uploads, deliveries }: Session,
  configured: readonly Destination[]
) {
  const [first] = uploads
  const latest = uploads.at(-1)
  if (first === undefined || latest === undefined) throw new Error('a session without uploads')
  const batches = batchesOf(uploads, latest.totalBatches)
  const reports = uploads.flatMap(({ sequence, report }) => (report ? [{ sequence, report }] : []))
  return {
    sessionId: first.sessionId,
    audience: first.audienceName,
    type: first.type,
    state: sessionState(deliveries, batches.missing.length > 0),
    batches,
    users: { received: usersOf(uploads), total: latest.totalUsers },
    ...(latest.pullDate !== undefined && { pullDate: latest.pullDate }),
    warnings: [...uploadWarnings(uploads), ...deliveryWarnings(deliveries)],
    report: {
      fields: addReports(reports),
      ignoredFields: addCounts(uploads.map(({ ignoredFields }) => ignoredFields))
    },
    destinations: destinationsOf(deliveries, uploads, configured)
  }
}

/** One of several sessions. */
export function sessionOverview(summary: SessionSummary) {
  const { sessionId, audienceName, type, state, batches, users, deliveries } = summary
  return {
    sessionId,
    audience: audienceName,
    type,
    state,
    batches,
    users,
    deliveries,
    startedAt: isoTime(summary.startedAt),
    changedAt: isoTime(summary.changedAt)
  }
}

/** One batch at one platform. */
export function deliveryStatus(delivery: Delivery) {
  const { id, sequence, provider, tag, segmentName, state, attempts } = delivery
  const { sent, received, invalid, leftOut, nextAttemptAt, lastError, settledAt } = delivery
  return {
    id,
    sequence,
    provider,
    tag,
    segment: segmentName,
    state,
    attempts,
    users: { sent, received, invalid, leftOut: sumOf(leftOut) },
    nextAttemptAt: isoTime(nextAttemptAt),
    lastError: lastError ?? null,
    settledAt: isoTime(settledAt)
  }
}

/** As answers tell times, which may be unknown. */
export const isoTime = (ms: number | undefined) =>
  ms === undefined ? null : new Date(ms).toISOString()

const sumOf = (counts: Counts) => Object.values(counts).reduce((sum, count) => sum + count, 0)

/** `receiving` means that everything is done but batches are still to come. */
function sessionState(deliveries: readonly Delivery[], isIncomplete: boolean): SessionState {
  if (deliveries.some(({ state }) => IN_PROGRESS.has(state))) return 'sending'
  if (deliveries.some(({ state }) => state === 'failed')) return 'failed'
  return isIncomplete ? 'receiving' : 'delivered'
}

/** Sequences count from 1, or from 0 once a 0 was seen. */
function firstSequence(uploads: readonly Upload[]): 0 | 1 {
  return uploads.some(({ sequence }) => sequence === 0) ? 0 : 1
}

function batchesOf(uploads: readonly Upload[], total: number) {
  const received = new Set(uploads.map(({ sequence }) => sequence))
  const base = firstSequence(uploads)
  const missing: number[] = []
  for (let next = base; next < base + total && missing.length < MAX_MISSING_LISTED; next += 1) {
    if (!received.has(next)) missing.push(next)
  }
  return { received: [...received].toSorted((a, b) => a - b), missing, total }
}

/** A batch that was sent again with other content counts once, as it was sent last. */
function usersOf(uploads: readonly Upload[]): number {
  const last = new Map(uploads.map(({ sequence, users }) => [sequence, users]))
  return [...last.values()].reduce((sum, users) => sum + users, 0)
}

function uploadWarnings(uploads: readonly Upload[]): string[] {
  const differing = (['totalBatches', 'totalUsers', 'pullDate', 'audienceName', 'type'] as const)
    .filter((field) => new Set(uploads.map((upload) => upload[field])).size > 1)
    .map((field) => `${field} differs between batches`)
  const again = uploads
    .filter(({ replacesSequence }) => replacesSequence)
    .map(({ sequence }) => `sequence ${sequence} was sent again with other content`)
  const base = firstSequence(uploads)
  const beyond = uploads
    .filter(({ sequence, totalBatches }) => sequence >= base + totalBatches)
    .map(({ sequence }) => `sequence ${sequence} is beyond totalBatches`)
  return [...new Set([...differing, ...again, ...beyond])]
}

function deliveryWarnings(deliveries: readonly Delivery[]): string[] {
  if (deliveries.length === 0) return ['no provider is configured: nothing was sent']
  const all = deliveries.flatMap(({ provider, tag, warnings }) =>
    warnings.map((warning) => `${provider}/${tag}: ${warning}`)
  )
  return [...new Set(all)]
}

/** Those that add and those that remove are told apart: a sum of both says nothing. */
function destinationsOf(
  deliveries: readonly Delivery[],
  uploads: readonly Upload[],
  configured: readonly Destination[]
) {
  const byId = new Map(uploads.map((upload) => [upload.id, upload]))
  const modeOf = ({ uploadId }: Delivery) => byId.get(uploadId)?.mode ?? 'add'
  const groups = Map.groupBy(deliveries, (delivery) => {
    const { provider, tag, segmentName } = delivery
    return JSON.stringify([provider, tag, segmentName, modeOf(delivery)])
  })
  return [...groups.values()].flatMap((group) => {
    const [first] = group
    if (first === undefined) return []
    const sent = group.flatMap(({ uploadId }) => byId.get(uploadId) ?? [])
    const identifiers = identifiersOf(first, sent, configured)
    return [{ ...destinationOf(first, modeOf(first), group), identifiers }]
  })
}

/** Nothing where it cannot be known: before the users are prepared, and of a tag that is not there any more. */
function identifiersOf(
  { provider, tag }: Delivery,
  uploads: readonly Upload[],
  configured: readonly Destination[]
): Record<string, number> {
  const destination = configured.find((one) => one.provider.name === provider && one.tag === tag)
  if (destination === undefined) return {}
  return addCounts(
    uploads.map(({ report, phoneHashes }) =>
      report === undefined ? {} : countIdentifiers(report, destination, phoneHashes)
    )
  )
}

function destinationOf(first: Delivery, mode: UploadMode, group: readonly Delivery[]) {
  const add = (value: (delivery: Delivery) => number) =>
    group.reduce((sum, delivery) => sum + value(delivery), 0)
  const leftOutBy = addCounts(group.map(({ leftOut }) => leftOut))
  const nextAttempts = group.flatMap(({ nextAttemptAt }) => nextAttemptAt ?? [])
  return {
    provider: first.provider,
    tag: first.tag,
    segment: first.segmentName,
    mode,
    segmentId: group.findLast(({ segmentId }) => segmentId !== undefined)?.segmentId ?? null,
    state: BY_URGENCY.find((state) => group.some((delivery) => delivery.state === state)),
    deliveries: countStates(group),
    users: {
      sent: add(({ sent }) => sent),
      received: add(({ received }) => received),
      invalid: add(({ invalid }) => invalid),
      leftOut: sumOf(leftOutBy)
    },
    leftOutBy,
    notes: addCounts(group.map(({ notes }) => notes)),
    attempts: Math.max(...group.map(({ attempts }) => attempts)),
    nextAttemptAt: isoTime(nextAttempts.length === 0 ? undefined : Math.min(...nextAttempts)),
    lastError: group.findLast(({ lastError }) => lastError !== undefined)?.lastError ?? null
  }
}

function countStates(group: readonly Delivery[]): Record<DeliveryState, number> {
  const count = (wanted: DeliveryState) => group.filter(({ state }) => state === wanted).length
  return {
    queued: count('queued'),
    sending: count('sending'),
    retrying: count('retrying'),
    held: count('held'),
    confirming: count('confirming'),
    delivered: count('delivered'),
    failed: count('failed')
  }
}

function addCounts(all: readonly Counts[]): Record<string, number> {
  // A map, because the names of ignored fields are the caller's, `constructor` among them.
  const sums = new Map<string, number>()
  for (const [name, count] of all.flatMap((counts) => Object.entries(counts))) {
    sums.set(name, (sums.get(name) ?? 0) + count)
  }
  return Object.fromEntries(sums)
}
