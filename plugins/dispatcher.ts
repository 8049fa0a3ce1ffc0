import type { FastifyBaseLogger } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../src/config.ts'
import type { Clock } from '../src/dispatch/clock.ts'
import { createDispatcher, type Dispatcher } from '../src/dispatch/dispatcher.ts'
import { faultOf } from '../src/dispatch/tracing.ts'
import { createWorkers, type Workers } from '../src/dispatch/workers.ts'
import { openStorage } from '../src/store/open.ts'
import type { KeyRing } from '../src/store/sealing.ts'
import type { Storage } from '../src/store/storage.ts'
import type { Store } from '../src/store/store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    readonly store: Store
    readonly sealingKeys: KeyRing
    readonly workers: Workers
    readonly dispatcher: Dispatcher
  }
}

export interface DispatcherPluginOptions {
  readonly config: Config
  readonly clock: Clock
  /** Worker threads that somebody else closes; by default the service has its own. */
  readonly workers?: Workers | undefined
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** How often what is kept long enough is looked for. */
const SWEEP_EVERY_MS = 60_000

function open(config: Config, log: FastifyBaseLogger): Promise<Storage> {
  return openStorage(
    {
      databaseUrl: config.databaseUrl,
      encryptionKeys: config.encryptionKeys,
      dedupMs: config.dedupHours * HOUR_MS,
      retentionMs: config.retentionDays * DAY_MS,
      hookEndpoints: config.webhooks.map(({ id }) => id)
    },
    log
  )
}

/** The store, the worker threads and the pool in which deliveries run. */
export default fp<DispatcherPluginOptions>(
  async (app, { config, clock, workers: shared }) => {
    const storage = await open(config, app.log)
    const { store } = storage
    const workers = shared ?? createWorkers()
    const dispatcher = createDispatcher({
      platforms: app.platforms,
      storage,
      workers,
      clock,
      tracer: app.tracer,
      log: app.log,
      retryForMs: config.retryHours * HOUR_MS,
      callWithinMs: config.platformTimeoutMs,
      meter: app.meter
    })
    app.decorate('store', store)
    app.decorate('sealingKeys', storage.keys)
    app.decorate('workers', workers)
    app.decorate('dispatcher', dispatcher)

    const sweeping = setInterval(() => {
      store.sweep(clock.now()).catch((error: unknown) => {
        app.log.error({ fault: faultOf(error) }, 'nothing was cleared')
      })
    }, SWEEP_EVERY_MS)
    app.addHook('onReady', () => dispatcher.start())
    // Waiting callers are told first: the server closes only when all requests are answered.
    app.addHook('preClose', async () => dispatcher.releaseWaits())
    app.addHook('onClose', async () => {
      clearInterval(sweeping)
      const cut = await dispatcher.close(app.msToClose())
      if (cut > 0) app.log.warn({ deliveries: cut }, 'cut short: they go on at the next start')
      if (shared === undefined) await workers.close()
      await store.close()
    })
  },
  {
    name: 'dispatcher',
    fastify: '5.x',
    dependencies: ['closing', 'metrics', 'platforms', 'telemetry']
  }
)
