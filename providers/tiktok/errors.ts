import { cleanMessage, ProviderError, type ErrorClass } from '../errors.ts'
import { type PlatformAnswer, retryAfterMs } from '../http-client.ts'

interface Meaning {
  readonly errorClass: ErrorClass
  readonly message: string
  readonly waitMs?: number
}

const TOO_MANY_REQUESTS: Meaning = {
  errorClass: 'rate_limited',
  message: 'too many requests to TikTok'
}
const TRY_LATER: Meaning = {
  errorClass: 'transient',
  message: 'TikTok asks to try again later',
  waitMs: 300_000
}
const SERVER_FAULT: Meaning = { errorClass: 'transient', message: 'TikTok has an internal fault' }
const REFUSED: Meaning = { errorClass: 'invalid', message: 'TikTok refuses the request' }

/**
 * "Appendix - Return Codes" of the TikTok API for Business, as read by public clients: 40100, 40105,
 * 50000 and 50002 by several, the others by one (RudderStack's `tiktok_ads`; 40200 to 40700 Singer's
 * `tap-tiktok-ads`, which waits five minutes).
 */
const MEANINGS: Readonly<Record<number, Meaning>> = {
  40001: {
    errorClass: 'permission',
    message:
      'the access token may not do this for the advertiser: grant the app Audience Management and access to the ad account; before it may stream, TikTok may have to allow the app'
  },
  40007: { errorClass: 'not_found', message: 'TikTok does not know the audience any more' },
  40016: TOO_MANY_REQUESTS,
  40100: TOO_MANY_REQUESTS,
  40132: TOO_MANY_REQUESTS,
  40133: TOO_MANY_REQUESTS,
  40102: { errorClass: 'auth', message: 'the access token has expired: authorise the app again' },
  40104: { errorClass: 'auth', message: 'TikTok got no access token' },
  40105: {
    errorClass: 'auth',
    message: 'the access token is wrong or was revoked: authorise the app again'
  },
  40200: TRY_LATER,
  40201: TRY_LATER,
  40202: TRY_LATER,
  40700: TRY_LATER,
  40908: { errorClass: 'invalid', message: 'TikTok refuses the type of the file' },
  50000: SERVER_FAULT,
  50002: SERVER_FAULT,
  51065: SERVER_FAULT
}

/** Invalid, missing or incompatible parameter. */
export const INVALID_PARAMETER = '40002'

/** A failed call, as its envelope tells it. */
export interface FailureEnvelope {
  readonly code: number
  readonly message?: string
  /** TikTok's own name of the call, which its support asks for. */
  readonly request_id?: string
}

/**
 * The error that an answer's `code` stands for. Codes that the table lacks go by their first digit,
 * 5 is a fault of TikTok's own, and keep TikTok's text, cleaned: without it nobody could tell what
 * was refused.
 */
export function errorOfCode({
  code,
  message = '',
  request_id = ''
}: FailureEnvelope): ProviderError {
  const known = MEANINGS[code]
  const isServerFault = Math.trunc(code / 10_000) === 5
  const meaning = known ?? (isServerFault ? SERVER_FAULT : REFUSED)
  const detail = known === undefined ? cleanMessage(message) : ''
  const request = /^[\w-]{1,64}$/.test(request_id) ? ` (request_id ${request_id})` : ''
  const text = `${meaning.message}${detail && `: ${detail}`}${request}`
  return new ProviderError(meaning.errorClass, text, {
    platformCode: String(code),
    ...(meaning.waitMs !== undefined && { waitMs: meaning.waitMs })
  })
}

/** What an answer without TikTok's envelope means: something in front of the API gave it. */
export function errorOfStatus(answer: PlatformAnswer): ProviderError {
  const { status } = answer
  if (status === 429) {
    const waitMs = retryAfterMs(answer)
    return new ProviderError('rate_limited', TOO_MANY_REQUESTS.message, {
      status,
      ...(waitMs !== undefined && { waitMs })
    })
  }
  if (status === 413) {
    return new ProviderError('invalid', 'TikTok finds the request too large', { status })
  }
  return new ProviderError('transient', `TikTok gave no usable answer (HTTP ${status})`, { status })
}
