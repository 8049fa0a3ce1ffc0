import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { cleanMessage, type ErrorClass, ProviderError } from '../errors.ts'
import { type PlatformAnswer, retryAfterMs } from '../http-client.ts'

type Meaning = readonly [ErrorClass, string]

const BAD_TOKEN: Meaning = ['auth', 'the seller does not take the token: set a valid one']
const NOT_ALLOWED: Meaning = ['permission', 'the token may not do this at the seller']
const NO_ACCOUNT: Meaning = [
  'permission',
  'the seller shows no such account to this token: set one of list_accounts'
]
const ACCOUNT_CLOSED: Meaning = ['blocked', 'the account cannot be used: settle it with the seller']
const SUSPENDED: Meaning = ['blocked', 'the seller has shut out this buyer: settle it with them']
const REFUSED: Meaning = ['invalid', 'the seller refuses the call']
const TOO_LARGE: Meaning = [
  'invalid',
  'the call is larger than the seller takes: lower bytesPerCall or membersPerCall'
]
const GONE: Meaning = ['not_found', 'the seller does not know the audience any more']
const AT_WORK: Meaning = ['transient', 'the seller is still at work on the same call']
const POLICY: Meaning = ['blocked', 'a policy of the seller forbids it: settle it with them']
const NO_USABLE_ANSWER: Meaning = ['transient', 'the seller gave no usable answer']
const TOO_MANY: Meaning = ['rate_limited', 'the seller takes no more calls for now']

/** `enums/error-code.json`, as far as audiences can meet it, and what its older pages had. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  AUTH_MISSING: BAD_TOKEN,
  AUTH_INVALID: BAD_TOKEN,
  AUTH_REQUIRED: BAD_TOKEN,
  AUTHORIZATION_REQUIRED: NOT_ALLOWED,
  PERMISSION_DENIED: NOT_ALLOWED,
  SCOPE_INSUFFICIENT: NOT_ALLOWED,
  READ_ONLY_SCOPE: NOT_ALLOWED,
  FIELD_NOT_PERMITTED: NOT_ALLOWED,
  ACCOUNT_NOT_FOUND: NO_ACCOUNT,
  ACCOUNT_AMBIGUOUS: ['blocked', 'several accounts fit: set accountId to one of list_accounts'],
  ACCOUNT_MOVED: ['blocked', 'the account has another key now: set what list_accounts tells'],
  ACCOUNT_SETUP_REQUIRED: ['blocked', 'the account is not set up at the seller yet'],
  ACCOUNT_PAYMENT_REQUIRED: ACCOUNT_CLOSED,
  ACCOUNT_SUSPENDED: ACCOUNT_CLOSED,
  AGENT_SUSPENDED: SUSPENDED,
  AGENT_BLOCKED: SUSPENDED,
  POLICY_VIOLATION: POLICY,
  COMPLIANCE_UNSATISFIED: POLICY,
  GOVERNANCE_DENIED: POLICY,
  BRAND_REQUIRED: ['blocked', 'the seller wants to know the brand: set brandDomain and operator'],
  RATE_LIMITED: TOO_MANY,
  SERVICE_UNAVAILABLE: NO_USABLE_ANSWER,
  IDEMPOTENCY_IN_FLIGHT: AT_WORK,
  IDEMPOTENCY_CONFLICT: ['invalid', 'the seller has had another call with the same key'],
  IDEMPOTENCY_EXPIRED: ['invalid', 'the seller does not know any more what came of the call'],
  REFERENCE_NOT_FOUND: GONE,
  AUDIENCE_NOT_FOUND: GONE,
  VERSION_UNSUPPORTED: ['invalid', 'the seller speaks no release of AdCP that is spoken here'],
  UNSUPPORTED_FEATURE: ['invalid', 'the seller does not support what the call asks for'],
  INVALID_REQUEST: REFUSED,
  VALIDATION_ERROR: REFUSED,
  INVALID_HASH_FORMAT: REFUSED,
  CALL_TOO_LARGE: TOO_LARGE,
  CREDENTIAL_IN_ARGS: REFUSED
}

/** Of codes that are not known (`core/error.json`: "fall back to recovery", then to transient). */
const BY_RECOVERY: Readonly<Record<string, Meaning>> = {
  transient: NO_USABLE_ANSWER,
  correctable: REFUSED,
  terminal: ['blocked', 'the seller refuses it until a person has settled it with them']
}

/** All other 4xx are `invalid`, all else is `transient`. */
const BY_STATUS: Readonly<Record<number, Meaning>> = {
  401: BAD_TOKEN,
  403: NOT_ALLOWED,
  404: ['blocked', 'there is no agent at this address: set agentUrl'],
  405: ['blocked', 'there is no agent at this address: set agentUrl'],
  408: ['transient', 'the seller gave up waiting'],
  413: TOO_LARGE,
  429: TOO_MANY
}

/** So long the first of two equal calls is given before it is asked for again. */
const IN_FLIGHT_WAIT_MS = 2_000

/** What is read of `core/error.json`; all of it is the seller's own. */
const ErrorBody = Type.Object({
  code: Type.String(),
  message: Type.Optional(Type.Unknown()),
  recovery: Type.Optional(Type.Unknown()),
  retry_after: Type.Optional(Type.Unknown())
})

/** The seller's text is anybody's: only what is left of it after cleaning is told. */
function told(message: string, text: unknown): string {
  const cleaned = typeof text === 'string' ? cleanMessage(text) : ''
  return cleaned === '' ? message : `${message} (${cleaned})`
}

/** A code is a word; anything else could be text with somebody's data in it. */
const codeOf = (code: string) => (/^[A-Za-z0-9_]{1,64}$/.test(code) ? code : undefined)

const byRecovery = (recovery: unknown): Meaning =>
  (typeof recovery === 'string' ? BY_RECOVERY[recovery] : undefined) ?? NO_USABLE_ANSWER

/**
 * The error that an AdCP error stands for.
 * @param status of the HTTP answer: who answered has done nothing.
 */
export function toProviderError(error: unknown, status = 200): ProviderError {
  if (!Value.Check(ErrorBody, error)) return unreadable(status)
  const { message: text, recovery, retry_after: retryAfter } = error
  const code = codeOf(error.code)
  const [errorClass, message] = (code && MEANINGS[code]) || byRecovery(recovery)
  const waitMs = waitOf(code, retryAfter)
  return new ProviderError(errorClass, told(message, text), {
    status,
    ...(code !== undefined && { platformCode: code }),
    ...(waitMs !== undefined && { waitMs })
  })
}

const LONGEST_WAIT_SECONDS = 3_600

function waitOf(code: string | undefined, retryAfter: unknown): number | undefined {
  if (typeof retryAfter === 'number' && retryAfter >= 0) {
    return Math.ceil(Math.min(retryAfter, LONGEST_WAIT_SECONDS) * 1_000)
  }
  return code === 'IDEMPOTENCY_IN_FLIGHT' ? IN_FLIGHT_WAIT_MS : undefined
}

/** A tool that failed without saying so in the words of AdCP; the MCP SDK puts its own into the text. */
export function errorOfText(text: string, status: number): ProviderError {
  const [errorClass, message] = /-3260[0-2]\b/.test(text) ? REFUSED : NO_USABLE_ANSWER
  return new ProviderError(errorClass, told(message, text), { status })
}

/** https://www.jsonrpc.org/specification#error_object */
const REFUSED_CODES: ReadonlySet<unknown> = new Set([-32_700, -32_600, -32_601, -32_602])

/** The error that an error of JSON-RPC stands for. */
export function errorOfRpc(code: unknown, text: unknown, answer: PlatformAnswer): ProviderError {
  const { status } = answer
  if (BY_STATUS[status] !== undefined || status >= 500) return errorOfStatus(answer)
  const [errorClass, message] = REFUSED_CODES.has(code) ? REFUSED : NO_USABLE_ANSWER
  return new ProviderError(errorClass, told(message, text), {
    status,
    ...(typeof code === 'number' && { platformCode: `${code}` })
  })
}

/** The error that an HTTP answer stands for which is not of MCP. */
export function errorOfStatus(answer: PlatformAnswer): ProviderError {
  const { status } = answer
  const isRefusal = status >= 400 && status < 500
  const [errorClass, message] = BY_STATUS[status] ?? (isRefusal ? REFUSED : NO_USABLE_ANSWER)
  const waitMs = status === 429 || status === 503 ? retryAfterMs(answer) : undefined
  return new ProviderError(errorClass, message, {
    status,
    platformCode: `${status}`,
    ...(waitMs !== undefined && { waitMs })
  })
}

/** What an answer means that is none of an error: with it the seller has said no. */
export function answered(errorClass: ErrorClass, message: string, status = 200): ProviderError {
  return new ProviderError(errorClass, message, { status })
}

export const unreadable = (status = 200): ProviderError =>
  answered('transient', 'the seller gave no readable answer', status)
