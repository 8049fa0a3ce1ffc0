import { getHeapStatistics } from 'node:v8'
import underPressure from '@fastify/under-pressure'
import fp from 'fastify-plugin'
import { ClosingError, OverloadedError } from '../src/errors.ts'

/** Room in memory for uploads that are being read or wait for their deliveries. */
export interface UploadBudget {
  /**
   * Sets bytes aside; the returned function gives them back (once, however often it is called).
   * @throws OverloadedError when too much is taken.
   */
  reserve(bytes: number): () => void
}

declare module 'fastify' {
  interface FastifyInstance {
    readonly uploadBudget: UploadBudget
  }
}

/** Uploads of this many times the largest body are held at once. */
const BUDGET_IN_BODIES = 4
const MAX_EVENT_LOOP_DELAY_MS = 1_000
/** Above this part of the heap new uploads would end the process. */
const MAX_HEAP_PART = 0.9

/** Refuses new uploads while the service is closing or has more to do than it can take. */
export default fp<{ maxBodyBytes: number }>(
  async (app, { maxBodyBytes }) => {
    const room = BUDGET_IN_BODIES * maxBodyBytes
    let taken = 0
    app.decorate('uploadBudget', {
      reserve(bytes) {
        if (taken + bytes > room) throw new OverloadedError()
        taken += bytes
        let held = bytes
        return () => {
          taken -= held
          held = 0
        }
      }
    } satisfies UploadBudget)

    let closing = false
    app.addHook('preClose', async () => {
      closing = true
    })
    app.addHook('onRequest', async () => {
      if (closing) throw new ClosingError()
    })
    await app.register(underPressure, {
      maxEventLoopDelay: MAX_EVENT_LOOP_DELAY_MS,
      maxHeapUsedBytes: MAX_HEAP_PART * getHeapStatistics().heap_size_limit,
      customError: OverloadedError
    })
  },
  { name: 'overload', fastify: '5.x' }
)
