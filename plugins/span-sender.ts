import { ExportResultCode } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import {
  defaultResource,
  detectResources,
  envDetector,
  type Resource,
  resourceFromAttributes,
  serviceInstanceIdDetector
} from '@opentelemetry/resources'
import { BatchSpanProcessor, type SpanExporter, type SpanProcessor } from '@opentelemetry/sdk-trace'
import type { FastifyBaseLogger } from 'fastify'
import packageJson from '../package.json' with { type: 'json' }

type Log = Pick<FastifyBaseLogger, 'info' | 'warn'>

/**
 * Sends spans to a collector by OTLP over HTTP, as JSON. They are queued up to a limit, beyond which
 * they are dropped: nobody waits for the collector. Its headers, certificates, timeout and compression
 * are read from the exporter's own variables (`OTEL_EXPORTER_OTLP_HEADERS` and others).
 */
export function createSpanSender(endpoint: string, log: Log): SpanProcessor {
  const url = `${endpoint.replace(/\/+$/, '')}/v1/traces`
  return new BatchSpanProcessor({ exporter: told(new OTLPTraceExporter({ url }), log) })
}

/** Who sends the spans; `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` come before our own words. */
export function spanResource(): Resource {
  const ours = { 'service.name': packageJson.name, 'service.version': packageJson.version }
  return defaultResource()
    .merge(resourceFromAttributes(ours))
    .merge(detectResources({ detectors: [serviceInstanceIdDetector, envDetector] }))
}

/** Says once that the collector takes nothing, and once that it does again. */
function told(exporter: SpanExporter, log: Log): SpanExporter {
  let isAway = false
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        const hasFailed = result.code === ExportResultCode.FAILED
        if (hasFailed && !isAway) {
          // Nothing of its answer: it may tell what we sent, or with which key.
          log.warn({ fault: faultOf(result.error) }, 'the collector of traces takes no spans')
        }
        if (!hasFailed && isAway) log.info('the collector of traces takes spans again')
        isAway = hasFailed
        done(result)
      })
    },
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
    shutdown: () => exporter.shutdown()
  }
}

/** The code of a network error or the status of an answer; its text may hold anything. */
function faultOf(error: unknown): string | number {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' || typeof code === 'number' ? code : 'no answer in time'
}
