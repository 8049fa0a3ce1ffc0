import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer
} from '@opentelemetry/api'
import { hrTimeToMilliseconds } from '@opentelemetry/core'
import {
  AlwaysOnSampler,
  type ReadableSpan,
  type SpanProcessor,
  TracerProvider
} from '@opentelemetry/sdk-trace'
import type { FastifyBaseLogger } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../src/config.ts'
import { traceOf } from '../src/dispatch/tracing.ts'
import { withinMs } from '../src/dispatch/within-ms.ts'

declare module 'fastify' {
  interface FastifyInstance {
    readonly tracer: Tracer
  }
  interface FastifyRequest {
    /** The request's own span is the current one in it. */
    readonly traceContext: Context
    /** Adds attributes to the request's span. */
    describe(attributes: Attributes): void
  }
}

export type TelemetryOptions = Partial<Pick<Config, 'otlpEndpoint'>>

/** They are asked every few seconds: their spans would bury the others. */
const QUIET_ROUTES: ReadonlySet<string> = new Set(['/livez', '/readyz', '/metrics'])
/** Part of the time in which the whole service has to close, for spans that are not sent yet. */
const FLUSH_WITHIN_MS = 1_000

const isQuiet = (span: ReadableSpan) => QUIET_ROUTES.has(String(span.attributes['http.route']))

/** Writes each finished span as one log line. */
function spanLogger(log: FastifyBaseLogger): SpanProcessor {
  return {
    onStart() {},
    onEnd(span) {
      log[isQuiet(span) ? 'debug' : 'info'](toLine(span), span.name)
    },
    forceFlush: () => Promise.resolve(),
    shutdown: () => Promise.resolve()
  }
}

function toLine(span: ReadableSpan): Record<string, unknown> {
  const { traceId, spanId } = span.spanContext()
  return {
    trace_id: traceId,
    span_id: spanId,
    ...(span.parentSpanContext !== undefined && { parent_span_id: span.parentSpanContext.spanId }),
    kind: SpanKind[span.kind].toLowerCase(),
    ok: span.status.code !== SpanStatusCode.ERROR,
    duration_ms: Math.round(hrTimeToMilliseconds(span.duration) * 1000) / 1000,
    ...span.attributes
  }
}

/** Loaded only where there is a collector. */
async function loadSender(endpoint: string, log: FastifyBaseLogger) {
  const { createSpanSender, spanResource } = await import('./span-sender.ts')
  const sender = createSpanSender(endpoint, log)
  const processor: SpanProcessor = {
    onStart() {},
    onEnd: (span) => (isQuiet(span) ? undefined : sender.onEnd(span)),
    forceFlush: () => sender.forceFlush(),
    shutdown: () => sender.shutdown()
  }
  return { processor, resource: spanResource() }
}

/**
 * A span for each request, continuing the caller's `traceparent`. Spans carry the route, never the
 * address as sent, since its query may hold anything.
 */
export default fp<TelemetryOptions>(
  async (app, { otlpEndpoint }) => {
    const sender = otlpEndpoint && (await loadSender(otlpEndpoint, app.log))
    const tracing = new TracerProvider({
      // Every span is a log line, whatever the caller decided about its own sampling.
      sampler: new AlwaysOnSampler(),
      spanProcessors: [spanLogger(app.log), ...(sender ? [sender.processor] : [])],
      ...(sender && { resource: sender.resource })
    })
    const tracer = tracing.getTracer('audience-api')
    const spans = new WeakMap<object, Span>()
    app.decorate('tracer', tracer)
    app.decorateRequest('traceContext', {
      getter() {
        const span = spans.get(this)
        return span === undefined ? ROOT_CONTEXT : trace.setSpan(ROOT_CONTEXT, span)
      }
    })
    app.decorateRequest('describe', function describe(attributes) {
      spans.get(this)?.setAttributes(attributes)
    })

    app.addHook('onRequest', async (request) => {
      const parent = traceOf(request.headers['traceparent'])
      const route = request.routeOptions.url ?? '(none)'
      const span = tracer.startSpan(
        `${request.method} ${route}`,
        {
          kind: SpanKind.SERVER,
          attributes: {
            'http.request.method': request.method,
            'http.route': route,
            'http.request.id': request.id
          }
        },
        parent
      )
      spans.set(request, span)
    })

    function end(request: object, status: number): void {
      const span = spans.get(request)
      span?.setAttribute('http.response.status_code', status)
      if (status >= 500) span?.setStatus({ code: SpanStatusCode.ERROR })
      span?.end()
    }
    app.addHook('onResponse', async (request, reply) => end(request, reply.statusCode))
    // The caller left before it was answered.
    app.addHook('onRequestAbort', async (request) => end(request, 499))
    app.addHook('onClose', async () => {
      // What a collector does not take is told as soon as it is known, and nothing else is lost.
      const sent = tracing.shutdown().catch(() => undefined)
      await withinMs(FLUSH_WITHIN_MS, sent)
    })
  },
  { name: 'telemetry', fastify: '5.x' }
)
