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
import { traceOf } from '../src/dispatch/tracing.ts'

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

const QUIET_ROUTES: ReadonlySet<string> = new Set(['/livez', '/readyz', '/metrics'])

/** Writes each finished span as one log line. */
function spanLogger(log: FastifyBaseLogger): SpanProcessor {
  return {
    onStart() {},
    onEnd(span) {
      // They are asked every few seconds: these lines would bury the others.
      const level = QUIET_ROUTES.has(String(span.attributes['http.route'])) ? 'debug' : 'info'
      log[level](toLine(span), span.name)
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

/**
 * A span for each request, continuing the caller's `traceparent`. Spans carry the route, never the
 * address as sent, since its query may hold anything.
 */
export default fp(
  async (app) => {
    const tracing = new TracerProvider({
      // Every span is a log line, whatever the caller decided about its own sampling.
      sampler: new AlwaysOnSampler(),
      spanProcessors: [spanLogger(app.log)]
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
    app.addHook('onClose', () => tracing.shutdown())
  },
  { name: 'telemetry', fastify: '5.x' }
)
