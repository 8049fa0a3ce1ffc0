import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import { cleanMessage, type ErrorClass, ProviderError } from '../errors.ts'
import type { PlatformAnswer } from '../http-client.ts'
import { readUsage } from './usage.ts'

const GraphError = Type.Object({
  message: Type.Optional(Type.String()),
  code: Type.Number(),
  error_subcode: Type.Optional(Type.Number()),
  is_transient: Type.Optional(Type.Boolean()),
  fbtrace_id: Type.Optional(Type.String())
})
type GraphError = Static<typeof GraphError>
const ErrorBody = Type.Object({ error: GraphError })

/** What a call was about. */
export interface CallScope {
  readonly accountId: string
  /** Whether the call addressed the ad account or one of its segments. */
  readonly target: 'account' | 'segment'
}

interface Rule {
  readonly errorClass: ErrorClass
  /** `{account}` stands for the ad account's id. */
  readonly message: string
}

const rule = (errorClass: ErrorClass, message: string): Rule => ({ errorClass, message })

const TERMS_NOT_ACCEPTED = rule(
  'blocked',
  'the Custom Audience terms are not accepted for the business that owns the ad account; a person ' +
    'has to accept them at https://business.facebook.com/ads/manage/customaudiences/tos/?act={account}'
)
const MISSING_PERMISSION = rule(
  'permission',
  'the token lacks a permission; it needs ads_management and a user assigned to ad account {account}'
)
const RATE_LIMITED = rule('rate_limited', 'the rate limit is reached')
const FLAGGED = rule(
  'blocked',
  'the audience is flagged because its name or description hints at health or finances; rename it'
)
const NO_SEGMENT = rule('not_found', 'the audience does not exist or is not visible to the token')
const INVALID_REQUEST = rule('invalid', 'Meta finds the request invalid')

/**
 * `code/subcode` or `code` to what it means. Sources: Meta's Marketing API error reference, the
 * references of the custom audience and its users edge, and the RudderStack transformer for
 * 1487301 and 1487366.
 */
const RULES: Readonly<Record<string, Rule>> = {
  '102': rule('auth', 'the session of the access token is over; create a new token'),
  '190': rule('auth', 'the access token is not valid; create a new one'),
  '190/458': rule('auth', 'the user removed the app; let them log in to it again'),
  '190/459': rule('auth', 'the user has to log in at facebook.com and pass a checkpoint'),
  '190/460': rule('auth', 'the user changed their password; create a new access token'),
  '190/463': rule('auth', 'the access token has expired; create a new one'),
  '190/464': rule('auth', 'the user is not confirmed; they have to log in at facebook.com'),
  '190/467': rule('auth', 'the access token was revoked or logged out; create a new one'),
  '190/492': rule('auth', "the access token's user has no role on the page or app it is for"),

  '3': MISSING_PERMISSION,
  '10': MISSING_PERMISSION,
  '270': rule('permission', 'the app has development access only; request access in its dashboard'),
  '200/1870050': rule('permission', 'ad account {account} is not linked to a business'),

  '200/1870090': TERMS_NOT_ACCEPTED,
  '2655': TERMS_NOT_ACCEPTED,
  '2663': TERMS_NOT_ACCEPTED,
  '100/1713228': FLAGGED,
  '100/1713230': FLAGGED,
  '100/1713231': FLAGGED,
  '368': rule('blocked', 'Meta blocked the account for reasons of policy; see its Account Quality'),
  // An operator has to act, and nothing that waits for it is lost meanwhile.
  '2635': rule('blocked', 'the API version is too old; set apiVersion to a newer one'),

  '100/33': NO_SEGMENT,
  '803': NO_SEGMENT,
  '1487301': rule('not_found', 'the audience is not shared with ad account {account}'),
  '1487366': rule('not_found', 'the audience was deleted'),

  '100': INVALID_REQUEST,
  '105': rule('invalid', 'Meta finds too many parameters in the request'),
  '194': rule('invalid', 'Meta misses a parameter in the request'),
  '2500': INVALID_REQUEST,
  '2650': rule('invalid', 'Meta refuses to update the audience'),
  '2650/1870145': rule('transient', 'another update of the audience is in progress'),
  '2654': rule('invalid', 'Meta refuses to create the audience; check its limits and terms'),
  '2656': rule('invalid', 'the audience cannot be deleted while lookalikes are built on it'),

  '4': RATE_LIMITED,
  '17': RATE_LIMITED,
  '32': RATE_LIMITED,
  '341': RATE_LIMITED,
  '613': RATE_LIMITED,
  '613/1996': rule('rate_limited', 'Meta sees an abnormal volume of calls'),

  '1': rule('transient', 'Meta had an unknown error'),
  '2': rule('transient', 'a service of Meta is not available for the moment')
}

/** Families of codes. */
const RANGES: readonly (readonly [from: number, to: number, Rule])[] = [
  [200, 299, MISSING_PERMISSION],
  [80_000, 80_014, RATE_LIMITED]
]

/** An account that cannot be seen is a matter of access: no segment found anew would help. */
const NO_ACCOUNT = rule(
  'permission',
  'ad account {account} does not exist or the token has no access to it; assign its user to the account'
)

/**
 * The failure that an answer tells, or `undefined` if it tells none. Error bodies decide, not the
 * status, which Meta does not keep reliably; their texts are kept only where no rule has our own.
 */
export function failureOf(answer: PlatformAnswer, scope: CallScope): ProviderError | undefined {
  const body = answer.json()
  if (Value.Check(ErrorBody, body)) return fromGraphError(body.error, answer, scope)
  if (answer.status < 300 && typeof body === 'object') return undefined
  return fromStatus(answer)
}

/** Meta fails reads of long pages with code 1 and this advice; a smaller page helps. */
export function asksForLessData(answer: PlatformAnswer): boolean {
  const body = answer.json()
  if (!Value.Check(ErrorBody, body)) return false
  return body.error.code === 1 && /reduce the amount of data/i.test(body.error.message ?? '')
}

function fromGraphError(error: GraphError, answer: PlatformAnswer, scope: CallScope) {
  const { errorClass, message } = ruleFor(error, scope)
  const { waitMs } = readUsage(answer.headers)
  return new ProviderError(
    errorClass,
    message.replaceAll('{account}', scope.accountId) + traceOf(error),
    {
      platformCode: platformCode(error),
      status: answer.status,
      ...(errorClass === 'rate_limited' && waitMs !== undefined && { waitMs })
    }
  )
}

function ruleFor(error: GraphError, { target }: CallScope): Rule {
  const known =
    RULES[platformCode(error)] ??
    RULES[String(error.code)] ??
    RANGES.find(([from, to]) => error.code >= from && error.code <= to)?.[2] ??
    unknownRule(error)
  // Rate limits come with is_transient too, and know better how long to wait.
  if (error.is_transient === true && !isRetried(known)) {
    return { ...known, errorClass: 'transient' }
  }
  return known === NO_SEGMENT && target === 'account' ? NO_ACCOUNT : known
}

function isRetried({ errorClass }: Rule): boolean {
  return errorClass === 'rate_limited' || errorClass === 'transient'
}

function unknownRule({ code, message = '' }: GraphError): Rule {
  return rule('invalid', `Meta refused the request with code ${code}: ${cleanMessage(message)}`)
}

function platformCode({ code, error_subcode: subcode }: GraphError): string {
  return subcode === undefined ? String(code) : `${code}/${subcode}`
}

/** Meta's support asks for this id. */
function traceOf({ fbtrace_id: id = '' }: GraphError): string {
  return /^[\w-]{1,40}$/.test(id) ? ` (fbtrace_id ${id})` : ''
}

/** Answers without a readable error: pages of proxies and of overloaded or overstrained servers. */
function fromStatus({ status }: PlatformAnswer): ProviderError {
  if (status === 429) return new ProviderError('rate_limited', RATE_LIMITED.message, { status })
  if (status >= 500 || status < 400) {
    return new ProviderError('transient', `Meta gave no readable answer (HTTP ${status})`, {
      status
    })
  }
  // Seen for oversized uploads (facebook-python-business-sdk#141).
  const message = `Meta refused the request without a reason (HTTP ${status}), as it does where an upload is too large; lower batchSize`
  return new ProviderError('invalid', message, { status })
}
