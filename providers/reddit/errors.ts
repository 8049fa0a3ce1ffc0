import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { cleanMessage, type ErrorClass, ProviderError } from '../errors.ts'
import { type PlatformAnswer, retryAfterMs } from '../http-client.ts'

type Meaning = readonly [errorClass: ErrorClass, message: string]

/** What a call is about. Reddit answers 404 for everything unknown, methods of known paths included. */
export type Target = 'token' | 'account' | 'audience'

const REFUSED: Meaning = ['invalid', 'Reddit refuses the request']
const NO_USABLE_ANSWER: Meaning = ['transient', 'Reddit gave no usable answer']

/** All other 4xx are `invalid`, all else is `transient`. */
const MEANINGS: Readonly<Record<number, Meaning>> = {
  401: [
    'auth',
    'Reddit refuses the access token: authorise the application again, or set a new accessToken'
  ],
  403: [
    'permission',
    'the token may not do this: it needs the scopes adsread and adsedit and a user of the ad account; Reddit may have to allow the account custom audiences'
  ],
  408: ['transient', 'Reddit gave up waiting'],
  410: ['blocked', 'Reddit no longer serves this version of its API: update the service'],
  413: ['invalid', 'Reddit finds the request too large'],
  429: ['rate_limited', 'Reddit takes no more calls for now']
}

const NOT_FOUND: Readonly<Record<Target, Meaning>> = {
  token: NO_USABLE_ANSWER,
  account: [
    'permission',
    'Reddit shows the token no such ad account: check adAccountId and who authorised the application'
  ],
  audience: ['not_found', 'Reddit does not know the audience any more']
}

/** Where a token is asked for: wrong credentials, as RFC 6749 (5.2) and Reddit, with 200, tell them. */
const NO_TOKEN: Meaning = [
  'auth',
  'Reddit gives out no access token: check clientId and clientSecret, and authorise the application again for a new refreshToken'
]
const NO_TOKEN_STATUSES: ReadonlySet<number> = new Set([200, 400, 401])

/** A page where the API's JSON should be: something in front of it refuses the caller's name. */
const TURNED_AWAY: Meaning = [
  'blocked',
  'Reddit turns the service away: set userAgent to platform:app:version (by /u/name)'
]

/** Reddit's envelope, as RudderStack's `reddit_audience` reads it. */
const Envelope = Type.Object({
  error: Type.Object({
    message: Type.Optional(Type.String()),
    fields: Type.Optional(
      Type.Array(Type.Object({ field: Type.String(), message: Type.Optional(Type.String()) }))
    )
  })
})

/** The error that an answer stands for, with Reddit's own text, cleaned. */
export function errorOf(answer: PlatformAnswer, target: Target): ProviderError {
  const { status } = answer
  const body = answer.json()
  const [errorClass, message] = meaningOf(status, body !== undefined, target)
  const detail = cleanMessage(textOf(body))
  const waitMs = status === 429 ? waitOf(answer) : undefined
  return new ProviderError(errorClass, detail === '' ? message : `${message} (${detail})`, {
    status,
    platformCode: String(status),
    ...(waitMs !== undefined && { waitMs })
  })
}

function meaningOf(status: number, isJson: boolean, target: Target): Meaning {
  if (status === 404) return NOT_FOUND[target]
  if (status === 403 && !isJson) return TURNED_AWAY
  if (target === 'token' && isJson && NO_TOKEN_STATUSES.has(status)) return NO_TOKEN
  return MEANINGS[status] ?? (status >= 400 && status < 500 ? REFUSED : NO_USABLE_ANSWER)
}

/** The fields name what a 400 is about; errors of another kind have a message alone. */
function textOf(body: unknown): string {
  if (!Value.Check(Envelope, body)) return ''
  const { message = '', fields = [] } = body.error
  const details = fields.map((one) => `${one.field}: ${one.message ?? ''}`)
  return [message, ...details].filter(Boolean).join(' ')
}

/** Reddit is not known to send `retry-after`; `x-ratelimit-reset` has the seconds left of its window. */
function waitOf({ headers }: PlatformAnswer): number | undefined {
  const reset = { 'retry-after': headers['x-ratelimit-reset'] }
  return retryAfterMs({ headers }) ?? retryAfterMs({ headers: reset })
}
