/**
 * The Ad Context Protocol as far as audiences need it, without any I/O: what both of our sides of it
 * share, the service as a seller and the provider that is a buyer. https://docs.adcontextprotocol.org
 */

/** Releases that we speak, the oldest first. */
export const ADCP_RELEASES = ['3.1', '3.2'] as const
export type AdcpRelease = (typeof ADCP_RELEASES)[number]

/** Most members in one call, over all audiences ("sync_audiences", task reference). */
export const MAX_MEMBERS = 100_000

/** How long the outcome of a call is repeated, in seconds ("Idempotency", 86400 is advised). */
export const REPLAY_TTL_SECONDS = 86_400

export type Recovery = 'transient' | 'correctable' | 'terminal'

/** Codes that we answer with, and what a caller can do about each (`enums/error-code.json`). */
export const RECOVERY = {
  INVALID_REQUEST: 'correctable',
  UNSUPPORTED_FEATURE: 'correctable',
  VERSION_UNSUPPORTED: 'correctable',
  ACCOUNT_NOT_FOUND: 'terminal',
  ACCOUNT_AMBIGUOUS: 'correctable',
  REFERENCE_NOT_FOUND: 'correctable',
  IDEMPOTENCY_CONFLICT: 'correctable',
  IDEMPOTENCY_EXPIRED: 'correctable',
  IDEMPOTENCY_IN_FLIGHT: 'transient',
  CREDENTIAL_IN_ARGS: 'terminal',
  RATE_LIMITED: 'transient',
  SERVICE_UNAVAILABLE: 'transient'
} as const satisfies Readonly<Record<string, Recovery>>
export type AdcpErrorCode = keyof typeof RECOVERY

/** One violation of a message's schema. */
export interface AdcpIssue {
  /** RFC 6901, within the arguments. */
  readonly pointer: string
  readonly message: string
  /** JSON Schema's word for what was violated, e.g. `pattern`. */
  readonly keyword: string
}

/** What `core/error.json` describes. */
export interface AdcpErrorBody {
  readonly code: AdcpErrorCode
  readonly message: string
  readonly recovery: Recovery
  /** As a path: `audiences[0].add[2].hashed_email`. */
  readonly field?: string
  readonly suggestion?: string
  /** Whole seconds, 1 to 3600. */
  readonly retry_after?: number
  readonly issues?: readonly AdcpIssue[]
  readonly details?: Readonly<Record<string, unknown>>
}

/** A whole call that failed. Holds no personal data. */
export class AdcpError extends Error {
  override readonly name = 'AdcpError'
  readonly body: AdcpErrorBody

  constructor(
    code: AdcpErrorCode,
    message: string,
    more: Omit<AdcpErrorBody, 'code' | 'message' | 'recovery'> = {}
  ) {
    super(message)
    this.body = adcpError(code, message, more)
  }
}

export function adcpError(
  code: AdcpErrorCode,
  message: string,
  more: Omit<AdcpErrorBody, 'code' | 'message' | 'recovery'> = {}
): AdcpErrorBody {
  return { code, message, recovery: RECOVERY[code], ...more }
}
