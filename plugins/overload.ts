import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import underPressure from '@fastify/under-pressure'
import fp from 'fastify-plugin'
import type { Config } from '../src/config.ts'
import { OverloadedError } from '../src/errors.ts'

const MAX_EVENT_LOOP_DELAY_MS = 1_000
/** Above this part of the memory there is, new uploads would end the process. */
const MAX_MEMORY_PART = 0.9

/** Refuses new uploads while the service has more to do than it can take. */
export default fp<Pick<Config, 'maxBacklog'>>(
  async (app, { maxBacklog }) => {
    app.addHook('onRequest', async () => {
      const { deliveries = 0 } = app.storeWatch.backlog() ?? {}
      if (deliveries >= maxBacklog) throw new OverloadedError()
    })
    await app.register(underPressure, {
      maxEventLoopDelay: MAX_EVENT_LOOP_DELAY_MS,
      maxHeapUsedBytes: MAX_MEMORY_PART * getHeapStatistics().heap_size_limit,
      // Bodies lie outside of the heap.
      maxRssBytes: MAX_MEMORY_PART * memoryLimitBytes(),
      customError: OverloadedError
    })
  },
  { name: 'overload', fastify: '5.x', dependencies: ['store-watch'] }
)

/** The container's limit where there is one, else the machine's memory. */
function memoryLimitBytes(): number {
  const limit = process.constrainedMemory()
  return limit > 0 && limit < totalmem() ? limit : totalmem()
}
