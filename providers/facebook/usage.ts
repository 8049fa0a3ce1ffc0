import { Type, type Static, type TSchema } from 'typebox'
import { Value } from 'typebox/value'
import type { PlatformAnswer } from '../http-client.ts'
import { parseJson } from '../http-client.ts'

/** How much of the allowance is used. */
export interface Usage {
  /** The fullest of all counters, in percent; Meta throttles at 100. */
  readonly percent: number
  /** How long Meta asks to wait, in milliseconds; left out where it does not. */
  readonly waitMs?: number
}

const number = Type.Optional(Type.Number())
const Counters = { call_count: number, total_cputime: number, total_time: number }
const AppUsage = Type.Object(Counters)
/** Keyed by business or account id. */
const BusinessUsage = Type.Record(
  Type.String(),
  Type.Array(Type.Object({ ...Counters, estimated_time_to_regain_access: number }))
)
const AccountUsage = Type.Object({ acc_id_util_pct: number, reset_time_duration: number })

const SLOW_DOWN_PERCENT = 75
const THROTTLED_PERCENT = 100
const UNTOLD_WAIT_MS = 60_000

/**
 * Reads `X-Business-Use-Case-Usage` (waits in minutes), `X-App-Usage` and `X-Ad-Account-Usage`
 * (waits in seconds). What is missing or not readable counts as unused (Meta, Rate Limiting).
 */
export function readUsage(headers: PlatformAnswer['headers']): Usage {
  const business = Object.values(
    parsed(BusinessUsage, headers['x-business-use-case-usage']) ?? {}
  ).flat()
  const app = parsed(AppUsage, headers['x-app-usage']) ?? {}
  const account = parsed(AccountUsage, headers['x-ad-account-usage']) ?? {}
  const accountPercent = account.acc_id_util_pct ?? 0

  const percent = Math.max(0, accountPercent, ...[...business, app].flatMap(percents))
  const waitMs = Math.max(
    0,
    ...business.map((entry) => (entry.estimated_time_to_regain_access ?? 0) * 60_000),
    accountPercent >= THROTTLED_PERCENT ? (account.reset_time_duration ?? 0) * 1000 : 0
  )
  return waitMs > 0 ? { percent, waitMs } : { percent }
}

/**
 * How long an account pauses after an answer, in milliseconds: calls made while throttled lengthen
 * the block. From 75 % on every answer brings a pause of one second more for each percent (75 %: 1 s,
 * 99 %: 25 s); at 100 % Meta's own wait, or a minute.
 */
export function pauseFor({ percent, waitMs }: Usage): number {
  if (waitMs !== undefined) return waitMs
  if (percent >= THROTTLED_PERCENT) return UNTOLD_WAIT_MS
  if (percent < SLOW_DOWN_PERCENT) return 0
  return (Math.floor(percent) - SLOW_DOWN_PERCENT + 1) * 1000
}

function percents({ call_count = 0, total_cputime = 0, total_time = 0 }: Static<typeof AppUsage>) {
  return [call_count, total_cputime, total_time]
}

function parsed<S extends TSchema>(
  schema: S,
  header: string | string[] | undefined
): Static<S> | undefined {
  const value = typeof header === 'string' ? parseJson(header) : undefined
  return Value.Check(schema, value) ? value : undefined
}
