import fp from 'fastify-plugin'
import type { Config } from '../src/config.ts'
import type { Clock } from '../src/dispatch/clock.ts'
import { createDispatcher, type Dispatcher } from '../src/dispatch/dispatcher.ts'
import { createWorkers, type Workers } from '../src/dispatch/workers.ts'
import { createMemoryStore } from '../src/store/memory.ts'
import type { Store } from '../src/store/store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    readonly store: Store
    readonly workers: Workers
    readonly dispatcher: Dispatcher
  }
}

export interface DispatcherPluginOptions {
  readonly config: Config
  readonly clock: Clock
  /** Worker threads that somebody else closes; by default the service has its own. */
  readonly workers?: Workers | undefined
  /** How long deliveries may go on after the service was told to stop, in milliseconds. */
  readonly closeWithinMs: number
}

const HOUR_MS = 3_600_000

/** The store, the worker threads and the pool in which deliveries run. */
export default fp<DispatcherPluginOptions>(
  async (app, { config, clock, closeWithinMs, workers: shared }) => {
    const store = createMemoryStore({ dedupMs: config.dedupHours * HOUR_MS })
    const workers = shared ?? createWorkers()
    const dispatcher = createDispatcher({
      platforms: app.platforms,
      store,
      workers,
      clock,
      tracer: app.tracer,
      log: app.log,
      maxUsers: config.maxUsers,
      retryForMs: config.retryHours * HOUR_MS
    })
    app.decorate('store', store)
    app.decorate('workers', workers)
    app.decorate('dispatcher', dispatcher)

    // Waiting callers are told first: the server closes only when all requests are answered.
    app.addHook('preClose', async () => dispatcher.releaseWaits())
    app.addHook('onClose', async () => {
      const left = await dispatcher.close(closeWithinMs)
      if (left > 0) app.log.error({ deliveries: left }, 'closed before these were delivered')
      if (shared === undefined) await workers.close()
    })
  },
  { name: 'dispatcher', fastify: '5.x', dependencies: ['platforms', 'telemetry'] }
)
