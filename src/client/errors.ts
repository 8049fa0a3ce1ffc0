/** Why a call of the service did not work. */

/** The service, or what stands before it, answered something else than success. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError'
  readonly status: number
  /** What the answer says, one text for each thing that is wrong. */
  readonly texts: readonly string[]
  /** How long to wait before it is tried again, if the answer says so. */
  readonly retryAfterMs: number | undefined

  constructor(status: number, texts: readonly string[], retryAfterMs?: number) {
    super(texts.join('\n'))
    this.status = status
    this.texts = texts
    this.retryAfterMs = retryAfterMs
  }
}

/** No answer came. Whether the service got the call is unknown. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError'
}

/** Request timeout and too many requests. */
const MAY_PASS: ReadonlySet<number> = new Set([408, 429])

/** Whether the same call may work later. The service takes what it has already for the same call. */
export function mayPass(error: unknown): boolean {
  if (error instanceof UnreachableError) return true
  return error instanceof ServiceError && (error.status >= 500 || MAY_PASS.has(error.status))
}
