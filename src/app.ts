import { randomUUID } from 'node:crypto'
import helmet from '@fastify/helmet'
import Fastify, { type FastifyInstance, LogController } from 'fastify'
import type { DestinationStream } from 'pino'
import adcpPush from '../plugins/adcp-push.ts'
import auth from '../plugins/auth.ts'
import closing from '../plugins/closing.ts'
import consolePage from '../plugins/console.ts'
import dispatcher from '../plugins/dispatcher.ts'
import errors, { answerClientError, answerUnreadableAddress } from '../plugins/errors.ts'
import mcp from '../plugins/mcp.ts'
import metrics from '../plugins/metrics.ts'
import openapi from '../plugins/openapi.ts'
import overload from '../plugins/overload.ts'
import platforms from '../plugins/platforms.ts'
import seller from '../plugins/seller.ts'
import storeWatch from '../plugins/store-watch.ts'
import telemetry from '../plugins/telemetry.ts'
import uploadBudget from '../plugins/upload-budget.ts'
import webhooks from '../plugins/webhooks.ts'
import type { Config } from './config.ts'
import { type Clock, systemClock } from './dispatch/clock.ts'
import type { Workers } from './dispatch/workers.ts'
import audienceRoutes from './routes/audience.ts'
import eventRoutes from './routes/events.ts'
import healthRoutes from './routes/health.ts'
import metricsRoutes from './routes/metrics.ts'
import providerRoutes from './routes/providers.ts'
import segmentRoutes from './routes/segments.ts'
import sessionRoutes from './routes/sessions.ts'

export interface AppOptions {
  /** Where log lines go; standard output by default. */
  readonly logStream?: DestinationStream
  readonly clock?: Clock
  /** Worker threads shared with others, who close them. */
  readonly workers?: Workers
  /** How long `close()` may take, in milliseconds: deliveries get what requests leave of it. */
  readonly closeWithinMs?: number
  /** A request must have arrived whole within this time, in milliseconds. */
  readonly uploadDeadlineMs?: number
}

const UPLOAD_DEADLINE_MS = 5 * 60_000
const HEADERS_DEADLINE_MS = 60_000
/** How often Node looks for requests that are late, at the most. */
const DEADLINE_CHECK_MS = 30_000
const CLOSE_WITHIN_MS = 18_000
/** A caller's own id of a request is used if it is nothing but an id. */
const REQUEST_ID = /^[\w.:-]{1,64}$/

/** Builds the service from its configuration, without listening. */
export async function buildApp(config: Config, options: AppOptions = {}): Promise<FastifyInstance> {
  const { logStream, clock = systemClock, workers } = options
  const { closeWithinMs = CLOSE_WITHIN_MS, uploadDeadlineMs = UPLOAD_DEADLINE_MS } = options
  const app = Fastify({
    logger: {
      level: config.logLevel,
      // The form parser's trace line holds all headers, the API key among them.
      redact: { paths: ['busboyOptions'], remove: true },
      ...(logStream !== undefined && { stream: logStream })
    },
    // Fastify's own lines hold addresses with their queries; spans stand for requests.
    logController: new LogController({ disableRequestLogging: true }),
    requestTimeout: uploadDeadlineMs,
    http: {
      connectionsCheckingInterval: Math.min(DEADLINE_CHECK_MS, uploadDeadlineMs),
      // A longer one would put the deadline off.
      headersTimeout: Math.min(HEADERS_DEADLINE_MS, uploadDeadlineMs)
    },
    clientErrorHandler: answerClientError,
    frameworkErrors: answerUnreadableAddress,
    bodyLimit: config.maxBodyBytes,
    return503OnClosing: false,
    // A store may wait for its lock or bring a large schema up to date.
    pluginTimeout: 0,
    requestIdHeader: false,
    genReqId: ({ headers }) => {
      const given = headers['x-request-id']
      return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID()
    }
  })
  app.addHook('onRequest', async (request, reply) => {
    void reply.header('x-request-id', request.id)
  })
  await app.register(telemetry, { otlpEndpoint: config.otlpEndpoint })
  await app.register(metrics, { config, clock })
  await app.register(closing, { closeWithinMs })
  await app.register(errors)
  await app.register(helmet)
  await app.register(openapi)
  await app.register(auth, { config })
  await app.register(platforms, { config })
  await app.register(dispatcher, { config, clock, workers })
  await app.register(storeWatch)
  await app.register(overload, { maxBacklog: config.maxBacklog })
  await app.register(webhooks, { config, clock })
  await app.register(seller, { config, clock })
  await app.register(adcpPush, { config, clock })
  await app.register(uploadBudget, { maxBodyBytes: config.maxBodyBytes })
  await app.register(audienceRoutes, { config })
  await app.register(mcp, { config, seller: app.seller })
  await app.register(sessionRoutes)
  await app.register(segmentRoutes, { config })
  await app.register(eventRoutes)
  await app.register(providerRoutes)
  await app.register(healthRoutes)
  await app.register(metricsRoutes)
  await app.register(consolePage)
  return app
}
