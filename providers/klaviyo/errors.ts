import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import { type ErrorClass, ProviderError } from '../errors.ts'
import { type PlatformAnswer, retryAfterMs } from '../http-client.ts'

/**
 * Klaviyo's error envelope (JSON:API). `detail` and `meta` are left unread: they repeat e-mail
 * addresses and phone numbers.
 */
const ErrorAnswer = Type.Object({
  errors: Type.Array(
    Type.Object({
      code: Type.Optional(Type.String()),
      source: Type.Optional(
        Type.Union([Type.Null(), Type.Record(Type.String(), Type.Unknown())], {
          description: 'Holds one of pointer, parameter and header'
        })
      )
    })
  )
})
type PlatformError = Static<typeof ErrorAnswer>['errors'][number]

/**
 * What a status means here and what to do about it, in our own words ("Rate limits, status codes, and
 * errors" in Klaviyo's developer guides). All other 4xx are `invalid`, all else is `transient`.
 */
const MEANINGS: Readonly<Record<number, readonly [ErrorClass, string]>> = {
  400: ['invalid', 'Klaviyo refuses the request'],
  401: ['auth', 'the API key is wrong or revoked: set a valid private key'],
  403: [
    'permission',
    'the API key lacks a scope: it needs lists:read, lists:write, profiles:read and profiles:write'
  ],
  404: ['not_found', 'Klaviyo no longer has what was asked for'],
  408: ['transient', 'Klaviyo gave up waiting'],
  409: ['invalid', 'the request conflicts with what Klaviyo holds'],
  410: ['blocked', 'Klaviyo no longer serves this API revision: set a newer one'],
  413: ['invalid', 'the request is larger than Klaviyo takes'],
  429: ['rate_limited', 'Klaviyo takes no more calls for now']
}
/** For a list that is gone, a 400 that points at it is as likely as a 404: neither is documented. */
const LIST_GONE = ['not_found', 'Klaviyo no longer has the list'] as const
const OTHER_REFUSAL = ['invalid', 'Klaviyo refuses the request'] as const
const NO_USABLE_ANSWER = ['transient', 'Klaviyo gave no usable answer'] as const

/** The error that an answer stands for, with `status/code` as the platform's code. */
export function toProviderError(answer: PlatformAnswer): ProviderError {
  const { status } = answer
  const errors = readErrors(answer)
  const [errorClass, message] = meaning(status, errors)
  const code = codeOf(errors?.[0]?.code)
  const waitMs = status === 429 ? retryAfterMs(answer) : undefined
  return new ProviderError(errorClass, message, {
    status,
    platformCode: code === undefined ? `${status}` : `${status}/${code}`,
    ...(waitMs !== undefined && { waitMs })
  })
}

function meaning(
  status: number,
  errors: readonly PlatformError[] | undefined
): readonly [ErrorClass, string] {
  // Bot protection in front of the API answers 403 with an HTML page (`cf-mitigated: challenge`),
  // seen from cloud hosts: klaviyo/klaviyo-api-python issue 84.
  if (status === 403 && errors === undefined) return NO_USABLE_ANSWER
  if (status === 400 && errors?.some(pointsAtList)) return LIST_GONE
  const known = MEANINGS[status]
  if (known !== undefined) return known
  return status >= 400 && status < 500 ? OTHER_REFUSAL : NO_USABLE_ANSWER
}

function pointsAtList(error: PlatformError): boolean {
  return pointerOf(error).startsWith('/data/relationships/lists')
}

/** A code is a word; anything else could be text with somebody's data in it. */
export function codeOf(code: string | undefined): string | undefined {
  return code !== undefined && /^[\w.-]{1,64}$/.test(code) ? code : undefined
}

/**
 * What a 400 of a bulk import job complains about.
 *
 * - `profiles`: the named profiles, by their index in the job.
 * - `unnamed`: the job as a whole, without saying which profile.
 * - `other`: something that no change to the profiles can mend (a list, a header, a parameter).
 */
export type Complaint =
  | { readonly about: 'profiles'; readonly indexes: ReadonlySet<number> }
  | { readonly about: 'unnamed' }
  | { readonly about: 'other' }

const PROFILE_POINTER = /^\/data\/attributes\/profiles\/data\/(\d+)(?:\/|$)/
/** `/data` is the pointer that Klaviyo gives when it has none. */
const WHOLE_JOB_POINTER = /^(?:\/data(?:\/attributes(?:\/profiles(?:\/data)?)?)?)?\/?$/

/** Reads the pointers of a 400 to a bulk import job. */
export function readComplaint(answer: PlatformAnswer): Complaint {
  const errors = readErrors(answer)
  if (errors === undefined) return { about: 'other' }
  const indexes = new Set<number>()
  for (const error of errors) {
    const pointer = pointerOf(error)
    const index = PROFILE_POINTER.exec(pointer)?.[1]
    if (index !== undefined) indexes.add(Number(index))
    else if (!WHOLE_JOB_POINTER.test(pointer)) return { about: 'other' }
  }
  return indexes.size > 0 ? { about: 'profiles', indexes } : { about: 'unnamed' }
}

function pointerOf({ source }: PlatformError): string {
  const place = source?.['pointer'] ?? source?.['parameter'] ?? source?.['header'] ?? ''
  return typeof place === 'string' ? place : ''
}

/** `undefined` where the answer is not Klaviyo's. */
function readErrors(answer: PlatformAnswer): readonly PlatformError[] | undefined {
  const body = answer.json()
  return Value.Check(ErrorAnswer, body) ? body.errors : undefined
}
