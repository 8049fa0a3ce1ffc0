import {
  type Attributes,
  type Context,
  defaultTextMapGetter,
  defaultTextMapSetter,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer
} from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { ProviderError } from '../../providers/errors.ts'
import { StoreError } from '../store/store.ts'

const propagator = new W3CTraceContextPropagator()

export interface SpanOptions {
  readonly parent: Context
  readonly kind?: SpanKind
  readonly attributes?: Attributes
}

/** Runs work inside a span that ends with it; a failure marks the span by its class, not its text. */
export async function inSpan<T>(
  tracer: Tracer,
  name: string,
  { parent, kind = SpanKind.INTERNAL, attributes = {} }: SpanOptions,
  work: (span: Span, context: Context) => Promise<T>
): Promise<T> {
  const span = tracer.startSpan(name, { kind, attributes }, parent)
  try {
    return await work(span, trace.setSpan(parent, span))
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR })
    span.setAttribute('error.type', errorType(error))
    throw error
  } finally {
    span.end()
  }
}

/** The headers that make a call part of the trace. */
export function traceHeaders(context: Context): Record<string, string> {
  const headers: Record<string, string> = {}
  propagator.inject(context, headers, defaultTextMapSetter)
  return headers
}

/** The trace that a `traceparent` header names, if any. */
export function traceOf(traceparent: string | readonly string[] | undefined): Context {
  return propagator.extract(ROOT_CONTEXT, { traceparent }, defaultTextMapGetter)
}

function errorType(error: unknown): string {
  if (error instanceof ProviderError) return error.errorClass
  return error instanceof Error ? error.name : 'unknown'
}

/**
 * What the log may know of an unexpected error: its type and where it was thrown, not its text,
 * unless that is about the database, its disk or its address.
 */
export function faultOf(error: unknown): { type: string; at: string; reason?: string } {
  if (!(error instanceof Error)) return { type: typeof error, at: '' }
  const frames = (error.stack ?? '')
    .split('\n')
    .filter((line) => line.trimStart().startsWith('at '))
  const at = frames.map((line) => line.trim()).join('; ')
  return { type: error.name, at, ...(error instanceof StoreError && { reason: error.message }) }
}
