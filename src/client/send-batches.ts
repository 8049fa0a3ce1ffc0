import type { Batch, User } from '../audience/schemas.ts'
import type { Accepted, Client, Upload } from './client.ts'
import { mayPass, ServiceError } from './errors.ts'
import { pause } from './pause.ts'

/** What all batches of a session tell. */
export type Session = Pick<Batch, 'sessionId' | 'totalBatches' | 'totalUsers'>

/** A batch on its way. */
export interface Outgoing {
  /** Counted from 1, in the order of reading. */
  readonly sequence: number
  readonly users: readonly User[]
}

export interface SendOptions<T> {
  /** Batches under way at once, and so in memory. */
  readonly inFlight: number
  /** Sequences that need not be sent. */
  readonly skip?: ReadonlySet<number> | undefined
  readonly onSkipped?: ((batch: Outgoing) => void) | undefined
  readonly onSent?: ((batch: Outgoing, answer: T) => void) | undefined
  /** Hears of each attempt that did not work and is repeated after so many milliseconds. */
  readonly onTrouble?: ((error: unknown, againInMs: number) => void) | undefined
  /** Nothing new begins once it is aborted; what is under way ends. */
  readonly signal?: AbortSignal | undefined
  /** How long one batch is tried for, in milliseconds. */
  readonly patienceMs?: number | undefined
}

const PATIENCE_MS = 15 * 60_000
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000

/** Posts one batch after the other, several at a time. See `sendEach`. */
export function sendBatches(
  client: Pick<Client, 'postBatch'>,
  upload: Upload,
  session: Session,
  batches: AsyncIterable<readonly User[]>,
  options: SendOptions<Accepted>
): Promise<void> {
  return sendEach(
    batches,
    ({ sequence, users }) => client.postBatch(upload, { ...session, sequence }, users),
    options
  )
}

/**
 * Sends each batch; what may work later is repeated, longer and longer after. Resolves when all were
 * sent, or the signal was aborted and what was under way has ended. No more is read than is sent at
 * once, so that memory does not grow with the file.
 * @throws what repeating cannot help, and the first error of the batches themselves.
 */
export async function sendEach<T>(
  batches: AsyncIterable<readonly User[]>,
  send: (batch: Outgoing) => Promise<T>,
  options: SendOptions<T>
): Promise<void> {
  const { inFlight, skip, onSkipped, onSent, signal } = options
  const over = new AbortController()
  const stop = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal])
  // A generator answers one call after the other, in their order.
  const queue = numbered(batches)

  async function lane(): Promise<void> {
    while (!stop.aborted) {
      const next = await queue.next()
      if (next.done === true) return
      const batch = next.value
      if (skip?.has(batch.sequence) === true) {
        onSkipped?.(batch)
        continue
      }
      if (stop.aborted) return
      const sent = await patiently(() => send(batch), stop, options)
      if (sent !== STOPPED) onSent?.(batch, sent)
    }
  }

  const lanes = Array.from({ length: inFlight }, () =>
    lane().catch((error: unknown) => {
      over.abort()
      throw error
    })
  )
  const ends = await Promise.allSettled(lanes)
  await queue.return()
  const failed = ends.find((end) => end.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

async function* numbered(
  batches: AsyncIterable<readonly User[]>
): AsyncGenerator<Outgoing, void, void> {
  let sequence = 0
  for await (const users of batches) {
    sequence += 1
    yield { sequence, users }
  }
}

const STOPPED = Symbol('stopped')

/** Tries until it works, patience is over or nothing further shall begin. */
async function patiently<T>(
  attempt: () => Promise<T>,
  stop: AbortSignal,
  { onTrouble, patienceMs = PATIENCE_MS }: Pick<SendOptions<T>, 'onTrouble' | 'patienceMs'>
): Promise<T | typeof STOPPED> {
  const giveUpAt = Date.now() + patienceMs
  for (let attempts = 0; ; attempts += 1) {
    try {
      return await attempt()
    } catch (error) {
      const waitMs = pauseAfter(error, attempts)
      if (!mayPass(error) || Date.now() + waitMs > giveUpAt) throw error
      if (stop.aborted) return STOPPED
      onTrouble?.(error, waitMs)
      await pause(waitMs, stop).catch(() => undefined)
      if (stop.aborted) return STOPPED
    }
  }
}

/** Half of it is chance, so that many who failed together do not come back together. */
function pauseAfter(error: unknown, attempts: number): number {
  const longest = Math.min(FIRST_PAUSE_MS * 2 ** attempts, LONGEST_PAUSE_MS)
  const own = longest * (0.5 + Math.random() / 2)
  const asked = error instanceof ServiceError ? (error.retryAfterMs ?? 0) : 0
  return Math.max(own, asked)
}
