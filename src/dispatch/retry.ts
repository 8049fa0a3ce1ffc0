import { ProviderError } from '../../providers/errors.ts'
import type { LastError } from '../store/store.ts'
import { backoffMs } from './backoff.ts'

export interface Failure {
  readonly error: unknown
  /** The attempt that failed, counted from 1. */
  readonly attempt: number
  /** The segment was created so lately that its platform may not show it yet. */
  readonly segmentIsFresh: boolean
  /** The segment was already resolved anew because of an earlier "not found". */
  readonly resolvedAnew: boolean
}

export type Verdict =
  | { readonly action: 'fail' }
  /** `account`: everything else of this account waits as well. */
  | { readonly action: 'retry'; readonly waitMs: number; readonly account: boolean }
  | { readonly action: 'resolve_anew' }

/** The worker thread that prepared an upload died. What ended it may do so again. */
export class PreparationError extends Error {
  override readonly name = 'PreparationError'
}

const PREPARATION_ATTEMPTS = 3

/** What is done about a failed attempt; time limits are the caller's. */
export function judge({ error, attempt, segmentIsFresh, resolvedAnew }: Failure): Verdict {
  if (error instanceof PreparationError && attempt < PREPARATION_ATTEMPTS) {
    return { action: 'retry', waitMs: backoffMs(attempt), account: false }
  }
  if (!(error instanceof ProviderError)) return { action: 'fail' }
  const waitMs = Math.max(error.waitMs ?? 0, backoffMs(attempt))
  switch (error.errorClass) {
    case 'rate_limited':
      return { action: 'retry', waitMs, account: true }
    case 'transient':
      return { action: 'retry', waitMs, account: false }
    case 'not_found':
      if (segmentIsFresh) return { action: 'retry', waitMs, account: false }
      return resolvedAnew ? { action: 'fail' } : { action: 'resolve_anew' }
    case 'auth':
    case 'permission':
    case 'blocked':
    case 'invalid':
      return { action: 'fail' }
  }
}

/** What callers and the log are told: nothing but our own or cleaned texts. */
export function toLastError(error: unknown): LastError {
  if (!(error instanceof ProviderError)) return { code: 'internal', message: 'internal error' }
  const { errorClass, message, platformCode } = error
  return {
    code: errorClass,
    message: platformCode === undefined ? message : `${message} (${platformCode})`
  }
}
