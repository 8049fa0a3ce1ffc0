import type { Delivery, Target } from '../store/store.ts'

/** A tag of a provider, as metrics name it. */
export type Tagged = Pick<Target, 'provider' | 'tag'>

/**
 * How a platform call ended: by the first digit of the answer's status, without a whole answer, or
 * because nobody wanted it any more.
 */
export type CallOutcome = '2xx' | '3xx' | '4xx' | '5xx' | 'no_answer' | 'aborted'

/**
 * Hears what happens to deliveries, once each, whatever is made of it. Nothing here is told per user.
 */
export interface Meter {
  /** A delivery is another one now in the store, by this process. */
  changed(before: Delivery, after: Delivery): void
  /** An attempt failed by an error of this class, and the delivery is to be tried again. */
  retried(delivery: Tagged, errorClass: string): void
  /** A platform call may start after it has waited for the limits of its account. */
  waited(tagged: Tagged, forMs: number): void
  /** A platform call ended. `operation` is one of the few of its provider. */
  called(provider: string, operation: string, outcome: CallOutcome, tookMs: number): void
  /** An attempt to send a message to others ended. */
  posted(kind: 'webhook' | 'push', outcome: 'delivered' | 'retry' | 'give_up'): void
}

/** Where nobody wants to hear it. */
export const NO_METER: Meter = {
  changed() {},
  retried() {},
  waited() {},
  called() {},
  posted() {}
}
