import fp from 'fastify-plugin'
import type { Config } from '../src/config.ts'
import { ClosingError, MalformedBodyError, OverloadedError } from '../src/errors.ts'

/** Room in memory for uploads that are being read and accepted, given in the order of asking. */
export interface UploadBudget {
  /** Bytes that are set aside now. */
  readonly takenBytes: number
  /** Uploads that wait for room. */
  readonly waiting: number
  /**
   * Sets bytes aside, as soon as there is room. Until then nothing of the request should be read, so
   * that its caller waits too.
   * @param signal ends the wait of a caller that hung up; one that has sent a lot already is noticed
   * only when its turn comes or its time is over, since nothing is read meanwhile.
   * @throws OverloadedError when that takes too long or too many wait, ClosingError
   */
  reserve(bytes: number, signal: AbortSignal): Promise<Room>
}

export interface Room {
  release(): void
}

declare module 'fastify' {
  interface FastifyInstance {
    readonly uploadBudget: UploadBudget
  }
}

export interface UploadBudgetOptions extends Pick<Config, 'maxBodyBytes'> {
  /** How long an upload waits for room at the most, in milliseconds. */
  readonly maxWaitMs?: number
}

/** Uploads of this many times the largest body are held at once. */
const BUDGET_IN_BODIES = 4
/** Each that waits costs a connection, with 64 KiB that Node has read of it. */
const MAX_WAITING = 256
/** Less than the 60 s after which most load balancers give up. */
const MAX_WAIT_MS = 30_000

/** Lets uploads wait in line while the service holds as many as it has room for. */
export default fp<UploadBudgetOptions>(
  async (app, { maxBodyBytes, maxWaitMs = MAX_WAIT_MS }) => {
    const line = createLine(BUDGET_IN_BODIES * maxBodyBytes, maxWaitMs)
    app.decorate('uploadBudget', line.budget)
    // Nothing of these was read: another instance can have them.
    app.addHook('preClose', async () => line.close())
  },
  { name: 'upload-budget', fastify: '5.x' }
)

/** One that waits for room. */
interface Waiting {
  readonly bytes: number
  readonly admit: (room: Room) => void
  /** It leaves the line without. */
  readonly refuse: (error: Error) => void
}

/** The line in front of a room of so many bytes. */
function createLine(roomBytes: number, maxWaitMs: number) {
  // A set keeps its order, and whoever leaves the line leaves no gap.
  const line = new Set<Waiting>()
  let takenBytes = 0
  let isClosed = false

  function take(bytes: number): Room {
    takenBytes += bytes
    return {
      release() {
        takenBytes -= bytes
        admit()
      }
    }
  }

  /** Strictly in their order: small uploads that overtake would keep a large one out for good. */
  function admit(): void {
    if (isClosed) return
    for (const next of line) {
      if (takenBytes + next.bytes > roomBytes) return
      line.delete(next)
      next.admit(take(next.bytes))
    }
  }

  async function wait(bytes: number, signal: AbortSignal): Promise<Room> {
    const { promise, resolve, reject } = Promise.withResolvers<Room>()
    const refuse = (error: Error) => {
      if (!line.delete(waiting)) return
      reject(error)
      // Those behind one that took too much for the room may fit in.
      admit()
    }
    const waiting: Waiting = { bytes, admit: resolve, refuse }
    const hungUp = () => refuse(endedTooEarly())
    const timer = setTimeout(() => refuse(new OverloadedError()), maxWaitMs)
    signal.addEventListener('abort', hungUp)
    line.add(waiting)
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', hungUp)
    }
  }

  const budget: UploadBudget = {
    get takenBytes() {
      return takenBytes
    },
    get waiting() {
      return line.size
    },
    async reserve(bytes, signal) {
      if (signal.aborted) throw endedTooEarly()
      if (isClosed) throw new ClosingError()
      if (line.size === 0 && takenBytes + bytes <= roomBytes) return take(bytes)
      if (line.size >= MAX_WAITING) throw new OverloadedError()
      return wait(bytes, signal)
    }
  }

  return {
    budget,
    close() {
      isClosed = true
      for (const { refuse } of line) refuse(new ClosingError())
    }
  }
}

/** Told to nobody but the log. */
const endedTooEarly = () => new MalformedBodyError('the request ended too early')
