import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { collectDefaultMetrics, Registry } from 'prom-client'
import type { Config } from '../src/config.ts'
import type { Clock } from '../src/dispatch/clock.ts'
import { createGauges } from './gauges.ts'
import { createMeter, type ServiceMeter } from './meter.ts'

declare module 'fastify' {
  interface FastifyInstance {
    readonly meter: ServiceMeter
    /** All metrics, as they are now. */
    scrape(format: 'open-metrics' | 'prometheus'): Promise<string>
  }
}

export interface MetricsOptions {
  readonly config: Pick<Config, 'tags'>
  readonly clock: Pick<Clock, 'now'>
}

const UPLOADS = '/audience'
/** The status, here as in spans, where the caller left before it was answered. */
const LEFT = 499

/** What happens in the service as numbers, for Prometheus and whatever else reads OpenMetrics. */
export default fp<MetricsOptions>(
  async (app, { config, clock }) => {
    const registry = new Registry()
    const tags = config.tags.map(({ provider, name }) => ({ provider: provider.name, tag: name }))
    const meter = createMeter(registry, tags)
    const gauges = createGauges(app, registry, clock)
    const all = Registry.merge([registry, processRegistry()])
    app.decorate('meter', meter)

    /** Requests that are not counted yet. */
    const beganAt = new WeakMap<FastifyRequest, number>()
    function count(request: FastifyRequest, status: number): void {
      const began = beganAt.get(request)
      if (began === undefined) return
      beganAt.delete(request)
      meter.answered(request.method, routeOf(request), status, performance.now() - began)
    }
    app.addHook('onRequest', async (request) => {
      beganAt.set(request, performance.now())
    })
    app.addHook('onResponse', async (request, reply) => {
      count(request, reply.statusCode)
      const code = reply.getHeader('x-error-code')
      if (isUpload(request) && typeof code === 'string') meter.refused(code)
    })
    app.addHook('onRequestAbort', async (request) => count(request, LEFT))
    app.addHook('onClose', async () => gauges.close())

    app.decorate('scrape', async (format) => {
      await gauges.refresh()
      const text = await all.metrics()
      return format === 'open-metrics' ? toOpenMetrics(text) : text
    })
  },
  { name: 'metrics', fastify: '5.x' }
)

const routeOf = (request: FastifyRequest) => request.routeOptions.url ?? '(none)'

/** A dry run is none. */
function isUpload(request: FastifyRequest): boolean {
  const { method, query } = request
  const asked = typeof query === 'object' && query !== null && 'dryRun' in query && query.dryRun
  const isDryRun = typeof asked === 'string' && asked !== 'false' && asked !== '0'
  return method === 'POST' && routeOf(request) === UPLOADS && !isDryRun
}

/**
 * The others are many lines that nobody looks at, and the delay of the event loop with the time that
 * its measurement waits anyway: we have our own.
 */
const OF_PROCESS = /^(process|nodejs_(heap_size|external_memory|gc|version))_/

let ofProcess: Registry | undefined

/** What there is once in a process, however many services run in it. */
function processRegistry(): Registry {
  if (ofProcess !== undefined) return ofProcess
  ofProcess = new Registry()
  collectDefaultMetrics({ register: ofProcess, eventLoopMonitoringPrecision: 1_000 })
  for (const { name } of ofProcess.getMetricsAsArray()) {
    if (!OF_PROCESS.test(name)) ofProcess.removeSingleMetric(name)
  }
  return ofProcess
}

const COUNTER = /^# HELP (\S+)_total (.*)\n# TYPE \1_total counter$/gm

/**
 * The same lines, but a counter's family goes without `_total`, and the end is marked
 * (https://prometheus.io/docs/specs/om/open_metrics_spec/). The library could write it itself, but
 * renames its counters for good when it does: who asks for the older format next would get other
 * names.
 */
function toOpenMetrics(text: string): string {
  return `${text.replaceAll('\n\n', '\n').replace(COUNTER, '# HELP $1 $2\n# TYPE $1 counter')}# EOF\n`
}
