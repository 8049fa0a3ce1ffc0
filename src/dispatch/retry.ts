import { ProviderError } from '../../providers/errors.ts'
import type { LastError } from '../store/store.ts'
import { LONGEST_PAUSE_MS } from './account.ts'
import { backoffMs } from './backoff.ts'

export interface Failure {
  readonly error: unknown
  /** The attempt that failed, counted from 1. */
  readonly attempt: number
  /** Times in a row that preparing the users failed or ended the process. */
  readonly crashes: number
  /** The segment was created so lately that its platform may not show it yet. */
  readonly segmentIsFresh: boolean
  /** The segment was already resolved anew because of an earlier "not found". */
  readonly resolvedAnew: boolean
}

export type Verdict =
  | { readonly action: 'fail' }
  | {
      readonly action: 'retry'
      readonly waitMs: number
      /** `pause`: everything else of this account waits as well. `failing`: the platform fails. */
      readonly account: 'pause' | 'failing' | undefined
    }
  /** A person has to do something; until then nothing of this account can succeed. */
  | { readonly action: 'hold' }
  | { readonly action: 'resolve_anew' }

/** The worker thread that prepared an upload died. What ended it may do so again. */
export class PreparationError extends Error {
  override readonly name = 'PreparationError'
}

/** A segment may exist already that its platform does not list yet. */
export class NotListedError extends Error {
  override readonly name = 'NotListedError'
  /** In milliseconds. */
  readonly waitMs: number

  constructor(waitMs: number) {
    super('the segment may be there without being listed yet; it is looked for')
    this.waitMs = waitMs
  }
}

/** There is nothing to send; the message says why. */
export class NothingToSendError extends Error {
  override readonly name = 'NothingToSendError'
}

/** The users were deleted. */
export class ExpiredError extends Error {
  override readonly name = 'ExpiredError'
  constructor() {
    super('its users are not kept any more: upload them again')
  }
}

/** The users cannot be opened; the message says why. */
export class UnreadableError extends Error {
  override readonly name = 'UnreadableError'
}

/** Attempts to prepare users that may end a thread or the process. */
export const MAX_CRASHES = 3

/** Preparing the users ended the process again and again. */
export class CrashedError extends Error {
  override readonly name = 'CrashedError'
  constructor() {
    super(`the service ended ${MAX_CRASHES} times while it prepared the users`)
  }
}

/** What is done about a failed attempt; time limits are the caller's. */
export function judge(failure: Failure): Verdict {
  const { error, attempt, crashes, segmentIsFresh, resolvedAnew } = failure
  if (error instanceof PreparationError && crashes < MAX_CRASHES) {
    return { action: 'retry', waitMs: backoffMs(attempt), account: undefined }
  }
  if (error instanceof NotListedError) {
    const waitMs = Math.min(error.waitMs, backoffMs(attempt))
    return { action: 'retry', waitMs, account: undefined }
  }
  if (!(error instanceof ProviderError)) return { action: 'fail' }
  const waitMs = Math.min(LONGEST_PAUSE_MS, Math.max(error.waitMs ?? 0, backoffMs(attempt)))
  switch (error.errorClass) {
    case 'rate_limited':
      return { action: 'retry', waitMs, account: 'pause' }
    case 'transient':
      // Who tells how long it takes works.
      return {
        action: 'retry',
        waitMs,
        account: error.waitMs === undefined ? 'failing' : undefined
      }
    case 'not_found':
      if (segmentIsFresh) return { action: 'retry', waitMs, account: undefined }
      return resolvedAnew ? { action: 'fail' } : { action: 'resolve_anew' }
    case 'auth':
    case 'permission':
    case 'blocked':
      return { action: 'hold' }
    case 'invalid':
      return { action: 'fail' }
  }
}

/** How long a platform that limits its calls wants the whole account to wait, in milliseconds. */
export function pauseMs(error: unknown): number {
  return (error instanceof ProviderError ? error.waitMs : undefined) ?? backoffMs(1)
}

/** Whether a platform refused credentials, rights or the account: a person has to act. */
export function isRefusal(error: unknown): boolean {
  return error instanceof ProviderError && REFUSALS.has(error.errorClass)
}

const REFUSALS: ReadonlySet<string> = new Set(['auth', 'permission', 'blocked'])

/** What callers and the log are told: nothing but our own or cleaned texts. */
export function toLastError(error: unknown): LastError {
  if (error instanceof NotListedError) return { code: 'transient', message: error.message }
  if (error instanceof NothingToSendError) return { code: 'invalid', message: error.message }
  if (error instanceof CrashedError) return { code: 'crashed', message: error.message }
  if (error instanceof ExpiredError) return { code: 'expired', message: error.message }
  if (error instanceof UnreadableError) return { code: 'unreadable', message: error.message }
  if (!(error instanceof ProviderError)) return { code: 'internal', message: 'internal error' }
  const { errorClass, message, platformCode } = error
  return {
    code: errorClass,
    message: platformCode === undefined ? message : `${message} (${platformCode})`
  }
}
