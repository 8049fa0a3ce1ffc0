import { randomUUID } from 'node:crypto'
import type { PlatformAnswerTemplate } from '../sandbox.ts'

export const MEDIA_TYPE = 'application/vnd.api+json'

interface ErrorItem {
  readonly code: string
  readonly title: string
  readonly detail: string
  readonly source: Readonly<Record<string, string>>
  readonly meta?: Readonly<Record<string, unknown>>
}

/** A call that the sandbox answers with an error. */
export class Refusal extends Error {
  readonly answer: PlatformAnswerTemplate
  constructor(answer: PlatformAnswerTemplate) {
    super(`refused with ${answer.status}`)
    this.answer = answer
  }
}

/** An answer in Klaviyo's error envelope (JSON:API). */
export function errorAnswer(
  status: number,
  items: readonly ErrorItem[],
  headers: Readonly<Record<string, string>> = {}
): PlatformAnswerTemplate {
  const common = { status, links: {}, meta: {} }
  const errors = items.map((error) => ({ id: randomUUID(), ...common, ...error }))
  return { status, headers: { 'content-type': MEDIA_TYPE, ...headers }, body: { errors } }
}

/** One error; `/data` is the pointer that Klaviyo gives when it has none. */
function item(code: string, title: string, detail: string, pointer = '/data'): ErrorItem {
  return { code, title, detail, source: { pointer } }
}

export const invalid = (detail: string, pointer?: string): ErrorItem =>
  item('invalid', 'Invalid input.', detail, pointer)

export function badParameter(parameter: string): Refusal {
  const error = { ...invalid(`${parameter} is not valid`), source: { parameter } }
  return new Refusal(errorAnswer(400, [error]))
}

/** @param seconds the wait told in `Retry-After`. */
export function throttled(seconds: number): PlatformAnswerTemplate {
  const detail = `Request was throttled. Expected available in ${seconds} seconds.`
  return errorAnswer(429, [item('throttled', 'Request was throttled.', detail)], {
    'retry-after': `${seconds}`
  })
}

/** A page of what stands in front of the API. */
const page = (status: number, headers: Readonly<Record<string, string>> = {}) => ({
  status,
  headers: { 'content-type': 'text/html', ...headers },
  body: '<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>'
})

/** Klaviyo's answers by name. A detail that repeats a customer's data does so here too. */
export const NAMED_ERRORS = {
  invalid: errorAnswer(400, [invalid('ana@example.com is not acceptable')]),
  invalid_phone: errorAnswer(400, [
    invalid(
      'Invalid phone number format (Example of a valid format: +12345678901)',
      '/data/attributes/profiles/data/0/attributes/phone_number'
    )
  ]),
  invalid_list: errorAnswer(400, [
    invalid('The list Xk4Rt9 does not exist', '/data/relationships/lists/data/0/id')
  ]),
  not_authenticated: errorAnswer(401, [
    item(
      'not_authenticated',
      'Authentication credentials were not provided.',
      'Missing or invalid authorization scheme. Use Klaviyo-API-Key.'
    )
  ]),
  authentication_failed: errorAnswer(401, [
    item(
      'authentication_failed',
      'Incorrect authentication credentials.',
      'Incorrect authentication credentials.'
    )
  ]),
  permission_denied: errorAnswer(403, [
    item(
      'permission_denied',
      'You do not have permission to perform this action.',
      'The API key is missing a required scope.'
    )
  ]),
  challenge: page(403, { 'cf-mitigated': 'challenge' }),
  not_found: errorAnswer(404, [item('not_found', 'Not found.', 'It does not exist.')]),
  method_not_allowed: errorAnswer(405, [item('method_not_allowed', 'Not allowed.', 'GET only.')]),
  duplicate_profile: errorAnswer(409, [
    {
      ...item(
        'duplicate_profile',
        'Conflict.',
        'A profile already exists with one of these identifiers.',
        '/data/attributes'
      ),
      meta: { duplicate_profile_id: '01J9ZK0000000000000000000' }
    }
  ]),
  gone: errorAnswer(410, [item('gone', 'Gone.', 'This API is retired.')]),
  too_large: page(413),
  unsupported_media_type: errorAnswer(415, [
    item('unsupported_media_type', 'Unsupported media type.', 'Unsupported media type.')
  ]),
  throttled: throttled(3),
  daily_limit: throttled(7200),
  internal_error: errorAnswer(500, [
    item('error', 'A server error occurred.', 'A server error occurred.')
  ]),
  bad_gateway: page(502),
  unavailable: page(503),
  gateway_timeout: page(504),
  origin_timeout: page(524)
} satisfies Record<string, PlatformAnswerTemplate>

export function refusal(name: keyof typeof NAMED_ERRORS): Refusal {
  return new Refusal(NAMED_ERRORS[name])
}
