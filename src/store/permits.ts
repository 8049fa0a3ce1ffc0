/** What an account's platform allows, over all instances. */
export interface CallLimits {
  readonly inFlight: number
  /** No period of `perMs` milliseconds holds more than `requests` calls. */
  readonly rates: readonly { readonly requests: number; readonly perMs: number }[]
  /** A call that was not given back after this long has ended, whatever became of its instance. */
  readonly endsWithinMs: number
}

/** Shares an account's limits among several instances. */
export interface Permits {
  /**
   * Asks to make one call now.
   * @returns the permit's id, or how long to wait before asking again, in milliseconds.
   */
  take(
    account: string,
    limits: CallLimits
  ): Promise<{ readonly id: string } | { readonly waitMs: number }>
  /** The call has ended. */
  giveBack(id: string): Promise<void>
}
