/**
 * Something to be done next. `send`: the first waiting delivery of a segment; each delivery makes a
 * turn, but none names its delivery, so that the order of deliveries alone counts. `confirm`: look
 * how far a platform is with what it took.
 */
export type Turn =
  | {
      readonly kind: 'send'
      /** The segment's, see `segmentLock`. */
      readonly lock: string
      /** See `accountKey`. */
      readonly account: string
      /**
       * When its delivery waits for its next attempt: milliseconds since 1970. Given by `turns()`,
       * for a queue that forgets what it was told when its process ends.
       */
      readonly notBefore?: number
    }
  | {
      readonly kind: 'confirm'
      readonly deliveryId: string
      readonly account: string
    }

/** What became of a turn: done, or to be had again at a time (milliseconds since 1970). */
export type TurnOutcome = 'done' | { readonly againAt: number }

/**
 * Takes one turn. Where it rejects, the turn is had again after a while.
 * @param signal aborts when the turn is no longer this instance's.
 */
export type TakeTurn = (turn: Turn, signal: AbortSignal) => Promise<TurnOutcome>

/**
 * Hands out turns: never two `send` turns of one lock, or two `confirm` turns of one delivery, at
 * once, over all instances; a turn that waits to be had again holds up the others of its lock.
 */
export interface Queue {
  /**
   * Begins with what the store has.
   * @param room how many turns of a kind an account may have under way here at once.
   */
  start(take: TakeTurn, room: (turn: Pick<Turn, 'kind' | 'account'>) => number): Promise<void>
  /** The store has new turns. */
  push(turns: readonly Turn[]): void
  /** Turns of this account need not wait any longer. */
  wake(account: string): void
  /** Hands out no more. Resolves once the turns that were under way have ended and are given back. */
  stop(): Promise<void>
}

/** What two turns must not have in common to run at the same time. */
export function turnLock(turn: Turn): string {
  return turn.kind === 'send' ? turn.lock : `confirm ${turn.deliveryId}`
}
