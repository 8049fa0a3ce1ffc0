import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import underPressure from '@fastify/under-pressure'
import fp from 'fastify-plugin'
import type { Config } from '../src/config.ts'

const MAX_EVENT_LOOP_DELAY_MS = 1_000
/** Above this part of the memory there is, new uploads would end the process. */
const MAX_MEMORY_PART = 0.9

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether there is more to do than the service can take: who brings more is refused. */
    isOverloaded(): boolean
  }
}

/** Knows when new uploads have to be refused. What is no upload is answered all the same. */
export default fp<Pick<Config, 'maxBacklog'>>(
  async (app, { maxBacklog }) => {
    await app.register(underPressure, {
      maxEventLoopDelay: MAX_EVENT_LOOP_DELAY_MS,
      maxHeapUsedBytes: MAX_MEMORY_PART * getHeapStatistics().heap_size_limit,
      // Bodies lie outside of the heap.
      maxRssBytes: MAX_MEMORY_PART * memoryLimitBytes(),
      pressureHandler: () => undefined
    })
    app.decorate('isOverloaded', () => {
      const { deliveries = 0 } = app.storeWatch.backlog() ?? {}
      return deliveries >= maxBacklog || app.isUnderPressure()
    })
  },
  { name: 'overload', fastify: '5.x', dependencies: ['store-watch'] }
)

/** The container's limit where there is one, else the machine's memory. */
function memoryLimitBytes(): number {
  const limit = process.constrainedMemory()
  return limit > 0 && limit < totalmem() ? limit : totalmem()
}
