import type { FastifyPluginAsync } from 'fastify'
import { Registry } from 'prom-client'

const OPEN_METRICS = 'application/openmetrics-text'

/** `GET /metrics`: OpenMetrics for whoever reads it, else the older format of Prometheus. */
const routes: FastifyPluginAsync = async (app) => {
  app.get(
    '/metrics',
    { schema: { operationId: 'getMetrics' } },
    async ({ headers: { accept = '' } }, reply) =>
      accept.includes(OPEN_METRICS)
        ? reply.type(Registry.OPENMETRICS_CONTENT_TYPE).send(await app.scrape('open-metrics'))
        : reply.type(Registry.PROMETHEUS_CONTENT_TYPE).send(await app.scrape('prometheus'))
  )
}

export default routes
