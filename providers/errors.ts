/**
 * What a platform's answer means for the delivery (and so what is done about it).
 *
 * - `auth`: the credentials are missing, wrong, expired or revoked.
 * - `permission`: the credentials are good but may not do this.
 * - `blocked`: terms not accepted, audience flagged, policy block: a person has to act.
 * - `invalid`: the platform refuses this request and would refuse it again.
 * - `not_found`: the segment is gone; it is resolved anew once.
 * - `rate_limited`: too many calls; retried after the platform's own wait, if it told one.
 * - `transient`: no usable answer; the same call may succeed later.
 */
export type ErrorClass =
  | 'auth'
  | 'permission'
  | 'blocked'
  | 'invalid'
  | 'not_found'
  | 'rate_limited'
  | 'transient'

export interface ProviderErrorOptions {
  /** The platform's own code, e.g. `190/463`. */
  readonly platformCode?: string
  /** How long the platform asks to wait, in milliseconds. */
  readonly waitMs?: number
  /** HTTP status of the answer. */
  readonly status?: number
}

/** A platform did not do what was asked. The message is ours or cleaned: it holds no personal data. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError'
  readonly errorClass: ErrorClass
  readonly platformCode: string | undefined
  readonly waitMs: number | undefined
  readonly status: number | undefined

  constructor(errorClass: ErrorClass, message: string, options: ProviderErrorOptions = {}) {
    super(message)
    this.errorClass = errorClass
    this.platformCode = options.platformCode
    this.waitMs = options.waitMs
    this.status = options.status
  }
}

/** Longer texts are cut first: a pattern must not work its way through a page that echoes a request. */
const MAX_RAW_CHARACTERS = 500

/** In this order; each is linear in the length of the text. */
const CLEANERS: readonly (readonly [RegExp, string])[] = [
  // From the first quotation mark to the last: a name in quotes may hold an apostrophe itself.
  [/["'`‘’“”«»„].*["'`‘’“”«»„]/s, '…'],
  [/["'`‘’“”«»„].*$/s, '…'],
  [/<[^<>]*>/g, ' '],
  [/[^\s@]*@\S*/g, '…'],
  [/\bhttps?:\/\/\S+/gi, '…'],
  [/\b[0-9a-f]{16,}\b/gi, '…'],
  [/\+?\d(?:[\s().-]*\d){5,}/g, '…'],
  [/\s+/g, ' ']
]

/**
 * A platform's text without anything that may be personal data or a secret: what is in quotation
 * marks, e-mail addresses, links, hashes and long numbers become `…`; at most 200 characters remain.
 */
export function cleanMessage(text: string): string {
  const cut = text.slice(0, MAX_RAW_CHARACTERS)
  const cleaned = CLEANERS.reduce((left, [pattern, by]) => left.replace(pattern, by), cut).trim()
  return cleaned.length > 200 ? `${cleaned.slice(0, 199)}…` : cleaned
}
