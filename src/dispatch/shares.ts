import PQueue from 'p-queue'

/** How reads of new uploads and preparations of accepted ones share the threads. */
export interface Shares {
  /** Runs it as soon as there is a thread for it; the signal ends the wait. */
  read<T>(run: () => Promise<T>, signal: AbortSignal): Promise<T>
  /** Runs it at once: the threads' own queue is fair to what is in it. */
  prepare<T>(run: () => Promise<T>): Promise<T>
  /** Reads that wait for a thread. */
  readonly waiting: number
}

/**
 * Uploads may come faster than they can be prepared. In one queue all of them would be read before
 * anything is delivered; so reads leave a thread to preparations for as long as there are any. Where
 * there is but one thread they take turns.
 */
export function createShares(threads: number): Shares {
  const reads = new PQueue({ concurrency: threads })
  let preparations = 0

  function prepares(more: 1 | -1): void {
    preparations += more
    reads.concurrency = preparations === 0 ? threads : Math.max(1, threads - 1)
  }

  return {
    read: (run, signal) => reads.add(run, { signal }),
    async prepare(run) {
      prepares(1)
      try {
        return await run()
      } finally {
        prepares(-1)
      }
    },
    get waiting() {
      return reads.size
    }
  }
}
