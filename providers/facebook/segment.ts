import { Type, type Static } from 'typebox'
import { cleanMessage, ProviderError } from '../errors.ts'
import type { SegmentStatus } from '../provider.ts'
import { type Context, readAccount, readAs, send } from './api.ts'

const Status = Type.Object({
  code: Type.Number(),
  description: Type.Optional(Type.String())
})
const Bound = Type.Optional(Type.Number())
const AudienceStatus = Type.Object({
  operation_status: Type.Optional(Status),
  delivery_status: Type.Optional(Status),
  approximate_count_lower_bound: Bound,
  approximate_count_upper_bound: Bound
})
type AudienceStatus = Static<typeof AudienceStatus>

const Deleted = Type.Object({ success: Type.Literal(true) })

/** An object that is missing, and an audience that was deleted. */
const GONE: ReadonlySet<unknown> = new Set(['100/33', '1487366'])

/**
 * Deletes the audience. Meta says the same of one that is gone and of one that the token must not see
 * (100/33): where the token still reaches the account, it is gone.
 */
export async function deleteSegment(segmentId: string, context: Context): Promise<void> {
  const answer = await send(context, {
    method: 'DELETE',
    operation: 'customaudience.delete',
    target: 'segment',
    path: `/${encodeURIComponent(segmentId)}`
  })
  try {
    readAs(Deleted, answer, 'segment', context)
  } catch (error) {
    if (!(error instanceof ProviderError) || !GONE.has(error.platformCode)) throw error
    await readAccount(context)
  }
}

export async function status(segmentId: string, context: Context): Promise<SegmentStatus> {
  const answer = await send(context, {
    method: 'GET',
    operation: 'customaudience.read',
    target: 'segment',
    path: `/${encodeURIComponent(segmentId)}`,
    query: { fields: Object.keys(AudienceStatus.properties).join() }
  })
  const audience = readAs(AudienceStatus, answer, 'segment', context)
  const matched = matchedOf(audience)
  return { ...stateOf(audience), ...(matched !== undefined && { matched }) }
}

const UNKNOWN = 0
/** The last operation on the audience is over. */
const DONE = 200
/**
 * Codes of `operation_status` (Meta, Custom Audience, reference) while Meta does not know yet or is at
 * work: unknown, nothing uploaded, a replacement runs, people are being added. All of them describe an
 * upload that has not arrived yet, and `delivery_status` is still that of what was there before.
 */
const AT_WORK: ReadonlySet<number> = new Set([UNKNOWN, 410, 414, 441])
/** A replacement failed, the owner is inactive, flagged for integrity, an error. */
const OUT_OF_USE: ReadonlySet<number> = new Set([415, 470, 471, 500])
/** States of pixels and lookalikes, which say nothing about a list of customers. */
const isOfOtherAudiences = (code: number) => (code >= 421 && code <= 434) || code === 442

/** Codes of `delivery_status`: usable, too small; from 400 up it cannot be used. */
const USABLE = 200
const TOO_SMALL = 300
const UNUSABLE = 400

function stateOf({
  operation_status: operation,
  delivery_status: delivery
}: AudienceStatus): Omit<SegmentStatus, 'matched'> {
  const { code = UNKNOWN } = operation ?? {}
  if (OUT_OF_USE.has(code)) return { state: 'suspended', ...messageOf(operation) }
  if (AT_WORK.has(code)) return { state: 'processing' }
  if (delivery !== undefined && delivery.code >= UNUSABLE) {
    return { state: 'suspended', ...messageOf(delivery) }
  }
  // What is left are warnings: it expires, it is out of date, few people matched, rows were invalid.
  const warning = code === DONE || isOfOtherAudiences(code) ? {} : messageOf(operation)
  if (delivery?.code === USABLE) return { state: 'ready', ...warning }
  if (delivery?.code === TOO_SMALL) return { state: 'too_small', ...warning }
  return { state: 'processing', ...warning }
}

function messageOf(told: Static<typeof Status> | undefined): Pick<SegmentStatus, 'message'> {
  if (told === undefined) return {}
  const text = cleanMessage(told.description ?? '')
  return { message: text === '' ? `status ${told.code}` : `${text} (${told.code})` }
}

/** What Meta gives for both bounds while an audience is locked or tiny, seen in the field. */
const PLACEHOLDER = 1_000

/** -1 stands for "not known" (Meta, Custom Audience, reference). */
function matchedOf({
  approximate_count_lower_bound: lower = -1,
  approximate_count_upper_bound: upper
}: AudienceStatus): number | undefined {
  const isPlaceholder = lower === PLACEHOLDER && upper === PLACEHOLDER
  return lower < 0 || isPlaceholder ? undefined : Math.floor(lower)
}
