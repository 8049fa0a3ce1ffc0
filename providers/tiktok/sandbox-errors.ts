import type { PlatformAnswerTemplate } from '../sandbox.ts'

/** An answer other than success. */
export class Refusal extends Error {
  readonly code: number
  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

/** Invalid, missing or incompatible parameter. */
export const invalid = (message: string) => new Refusal(40002, message)

const answerOf = (code: number, message: string): PlatformAnswerTemplate => ({
  status: 200,
  body: { code, message, request_id: '2026112212000000', data: {} }
})

export const TOO_MANY_REQUESTS = answerOf(40100, 'Too many requests. Please retry in some time.')

/** One a code of the return-code appendix, and what may stand in front of TikTok. */
export const ERRORS = {
  partly_successful: answerOf(20001, 'Partial success'),
  no_permission: answerOf(40001, 'No permission to operate advertiser'),
  invalid_parameter: answerOf(40002, 'batch_data: invalid value "ada@veloheim.example"'),
  not_found: answerOf(40007, 'Audience does not exist'),
  too_many_requests: TOO_MANY_REQUESTS,
  too_many_requests_40016: answerOf(40016, 'Too many requests'),
  too_many_requests_of_field: answerOf(40132, 'Too many requests for this field value'),
  too_many_requests_of_advertiser: answerOf(40133, 'Too many requests for this advertiser'),
  expired_token: answerOf(40102, 'Access token has expired'),
  missing_token: answerOf(40104, 'Access token is missing'),
  wrong_token: answerOf(40105, 'Access token is incorrect or has been revoked.'),
  busy_40200: answerOf(40200, 'Task error'),
  busy_40201: answerOf(40201, 'Task is not ready'),
  busy_40202: answerOf(40202, 'Write or update entity conflict'),
  busy_40700: answerOf(40700, 'Internal service validation error'),
  unsupported_file: answerOf(40908, 'Unsupported file type'),
  server_error: answerOf(50000, 'System error'),
  service_error: answerOf(50002, 'Service error'),
  internal_error: answerOf(51065, 'Internal service error'),
  unknown_client_error: answerOf(49999, 'Field phone "+4915112345678" is odd'),
  unknown_server_error: answerOf(59999, 'Node 10.20.30.40.50 is down'),
  http_429: { status: 429, headers: { 'retry-after': '7' }, body: 'Too Many Requests' },
  http_413: { status: 413, body: '<html><h1>413 Request Entity Too Large</h1></html>' },
  http_502: { status: 502, body: '<html><h1>502 Bad Gateway</h1></html>' }
} satisfies Readonly<Record<string, PlatformAnswerTemplate>>

export const noPermission = () => new Refusal(40001, 'No permission to operate advertiser')
