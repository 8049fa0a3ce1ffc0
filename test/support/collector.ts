import { createServer, type IncomingHttpHeaders } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'

/** A span as OTLP has it in JSON. */
export interface SentSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly attributes: readonly { readonly key: string; readonly value: object }[]
}

interface SentSpans {
  readonly resourceSpans: readonly {
    readonly resource: Pick<SentSpan, 'attributes'>
    readonly scopeSpans: readonly { readonly spans: readonly SentSpan[] }[]
  }[]
}

export interface Collector {
  readonly url: string
  /** Everything that was sent, as it was sent. */
  bodies(): string
  readonly paths: readonly string[]
  readonly headers: readonly IncomingHttpHeaders[]
  spans(): SentSpan[]
  /** Attributes of the resource of what came last. */
  resource(): Record<string, unknown>
  /** The status of the answers from now on; 200 before. */
  answerWith(status: number): void
}

/** What collects traces by OTLP over HTTP. */
export async function startCollector(t: Test): Promise<Collector> {
  const bodies: string[] = []
  const paths: string[] = []
  const headers: IncomingHttpHeaders[] = []
  let status = 200
  const server = createServer(async (request, response) => {
    paths.push(request.url ?? '')
    headers.push(request.headers)
    bodies.push(await text(request))
    response.writeHead(status, { 'content-type': 'application/json' }).end('{}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const parsed = () => bodies.map((body) => JSON.parse(body) as SentSpans)
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bodies: () => bodies.join('\n'),
    paths,
    headers,
    spans: () =>
      parsed().flatMap(({ resourceSpans }) =>
        resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
      ),
    resource: () => {
      const { attributes = [] } = parsed().at(-1)?.resourceSpans[0]?.resource ?? {}
      return Object.fromEntries(
        attributes.map(({ key, value }) => [key, Object.values(value)[0] as unknown])
      )
    },
    answerWith(next) {
      status = next
    }
  }
}
