import { hash } from 'node:crypto'
import { TracerProvider } from '@opentelemetry/sdk-trace'
import { test, type Test } from 'tap'
import { createSpanSender, spanResource } from '../../plugins/span-sender.ts'
import { providers } from '../../providers/registry.ts'
import type { Fault, Sandbox } from '../../providers/sandbox.ts'
import { startCollector } from '../support/collector.ts'
import { BATCH, form, type Service, startService } from '../support/service.ts'
import { END, FORM_TYPE, part, postRaw } from '../support/multipart.ts'

const KEY = 'canary0key0canary0key'
const bearer = { authorization: `Bearer ${KEY}` }

async function startAll(t: Test): Promise<Sandbox[]> {
  const started = await Promise.all(providers.map((provider) => provider.sandbox()))
  for (const sandbox of started) t.teardown(() => sandbox.close())
  return started
}

const named = (service: Service, name: string) => service.lines().filter(({ msg }) => msg === name)

test('one upload is one trace: request, fan-out, deliveries, platform calls', async (t) => {
  const sandboxes = await startAll(t)
  const service = await startService(t, { sandboxes })
  const traceId = '0af7651916cd43dd8448eb211c80319c'
  const batch = {
    sessionId: 7,
    sequence: 2,
    totalBatches: 3,
    totalUsers: 9,
    pullDate: '2026-01-01'
  }
  await service.post(form({ batch, type: 'primary' }), '?sync=true&email=jane@example.com', {
    traceparent: `00-${traceId}-b7ad6b7169203331-00`
  })
  await service.settled(7)
  const upload = {
    trace_id: traceId,
    'audience.name': 'High Value Customers',
    'audience.type': 'primary',
    'audience.mode': 'add',
    'audience.session_id': 7,
    'audience.batch.sequence': 2,
    'audience.users': 1,
    'audience.pull_date': '2026-01-01'
  }
  const [request] = named(service, 'POST /audience')
  t.match(request, {
    ...upload,
    parent_span_id: 'b7ad6b7169203331',
    kind: 'server',
    ok: true,
    duration_ms: Number,
    'http.request.method': 'POST',
    'http.route': '/audience',
    'http.response.status_code': 200
  })
  const deliveries = named(service, 'audience.deliver')
  t.same(
    deliveries.map((line) => String(line['audience.provider'])).toSorted(),
    providers.map(({ name }) => name).toSorted()
  )
  for (const delivery of deliveries) {
    t.match(delivery, {
      ...upload,
      parent_span_id: request?.['span_id'],
      'audience.tag': 'default',
      'audience.attempt': 1,
      'audience.sent': 1,
      'audience.received': Number,
      'audience.invalid': 0
    })
  }
  const [facebook] = sandboxes
  const sent = facebook!.requests.find(({ path }) => path.endsWith('/users'))
  const [, sentTrace, sentSpan] = String(sent?.headers['traceparent']).split('-')
  t.equal(sentTrace, traceId, 'the trace goes on at the platform')
  const call = service.lines().find((line) => line['span_id'] === sentSpan)
  t.match(call, {
    kind: 'client',
    parent_span_id: deliveries.find((line) => line['audience.provider'] === 'facebook')?.[
      'span_id'
    ],
    'audience.provider': 'facebook',
    'audience.tag': 'default',
    'http.request.method': 'POST',
    'http.response.status_code': 200
  })
})

test('failures are marked in their spans by class', async (t) => {
  const sandboxes = await startAll(t)
  const service = await startService(t, { sandboxes: [sandboxes[0]!] })
  sandboxes[0]!.failNext({ times: 1, error: 'expired_token' })
  await service.post(form(), '?sync=true')
  t.match(named(service, 'audience.deliver'), [
    { ok: false, 'error.type': 'auth', 'audience.state': String }
  ])
  await service.post(form({ users: [] }))
  t.match(named(service, 'POST /audience').at(-1), {
    'error.type': 'AUD_NO_USERS',
    'http.response.status_code': 400
  })
})

/** A value in every field that can be told from anything the service says by itself. */
const CANARY = {
  edgeTagId: 'canary-edge-tag-71',
  email: 'Canary.Mail@canary-mail.example',
  phone: '+1 415 555 2671',
  firstName: 'Canaryfirst',
  lastName: 'Canarylast',
  country: 'Österreich',
  postalCode: 'CANARY-9071',
  purchase: { currency: 'CNY', profit: 90_717_171, total7Days: 80_717_171 },
  canaryfield: 'canaryvalue'
}
const FORBIDDEN = [
  'canary-edge-tag',
  'canary-mail',
  'canaryfirst',
  'canarylast',
  'österreich',
  'canary-9071',
  'canaryvalue',
  '90717171',
  '80717171',
  '4155552671',
  '415 555',
  KEY,
  'canary-query',
  'canary-header',
  hash('sha256', 'canary.mail@canary-mail.example'),
  hash('sha256', '14155552671'),
  hash('sha256', '+14155552671'),
  hash('sha256', 'canaryfirst'),
  hash('sha256', 'canarylast')
]

test('no personal data and no secret is in log, traces or metrics, at any level, on any path', async (t) => {
  const sandboxes = await startAll(t)
  const collector = await startCollector(t)
  const service = await startService(t, {
    sandboxes,
    env: {
      LOG_LEVEL: 'trace',
      AUDIENCE_API_KEYS: `crm:${KEY}`,
      AUDIENCE_RETRY_HOURS: '1',
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url
    }
  })
  const headers = { ...bearer, 'x-request-id': 'canary-header@example', cookie: 'canary-header' }
  let session = 0
  const upload = (users: unknown, query = '') => {
    session += 1
    return service.post(
      form({ users, batch: { ...BATCH, sessionId: session } }),
      `?sync=true&q=canary-query${query}`,
      headers
    )
  }
  await upload([CANARY])

  // Every way in which a platform can fail, its texts echoing what it was sent.
  const echo = `Invalid value ${CANARY.email} ${CANARY.phone} for ${CANARY.firstName} ${CANARY.lastName}`
  const quoted = `Invalid value "${CANARY.email}" '${CANARY.firstName}'`
  const faults: Fault[] = [
    {
      times: 1,
      answer: { status: 400, body: { error: { message: quoted, code: 100, error_user_msg: echo } } }
    },
    { times: 1, answer: { status: 200, body: { code: 40002, message: quoted, request_id: 'r' } } },
    {
      times: 1,
      answer: {
        status: 400,
        body: { errors: [{ code: 'invalid', title: 'Invalid input.', detail: echo }] }
      }
    },
    {
      times: 1,
      answer: { status: 401, body: { errors: [{ code: 'x', title: 'x', detail: echo }] } }
    },
    { times: 1, answer: { status: 500, body: echo } },
    { times: 1, answer: { status: 200, body: `<html>${echo}</html>` } },
    { times: 1, answer: { status: 413, body: `<html>${echo}</html>` } },
    { times: 1, reset: true },
    { times: 1, resetAfter: true }
  ]
  for (const fault of faults) {
    for (const sandbox of sandboxes) sandbox.failNext(fault)
    await upload([CANARY])
  }
  for (const sandbox of sandboxes)
    sandbox.failNext({ times: 500, answer: { status: 503, body: echo } })
  await upload([CANARY])
  for (const sandbox of sandboxes) sandbox.reset()

  // Every way in which a caller can go wrong.
  const text = JSON.stringify([CANARY])
  await upload(text.slice(0, -5))
  await upload(text.replace('"email"', 'email'))
  await upload({ users: [CANARY] })
  await upload([{ ...CANARY, email: [CANARY.email] }])
  await upload([CANARY], '&channels=canary-query')
  await upload([CANARY], '&defaultCountry=canary-query')
  await service.post(form({ name: undefined, users: [CANARY] }), '?q=canary-query', headers)
  await service.post(form({ users: [CANARY] }), '?q=canary-query', {
    authorization: `Bearer x${KEY}`
  })
  await service.get(`/audience/sessions/${CANARY.email}?q=canary-query`, headers)
  await service.get(`/canary-query/${CANARY.email}`, headers)
  for (const chunks of [[part('users', text)], [part(CANARY.firstName, text), END], [text], []]) {
    await postRaw(`${service.url}/audience?q=canary-query`, {
      headers: { ...headers, 'content-type': FORM_TYPE },
      chunks
    })
  }
  await postRaw(`${service.url}/audience`, {
    headers: { ...bearer, 'content-type': 'application/json' },
    chunks: [text]
  })

  const { text: metrics } = await service.get('/metrics', bearer)
  await service.app.close()
  const seen = { log: service.log(), traces: collector.bodies(), metrics }
  for (const [where, told] of Object.entries(seen)) {
    const said = told.toLowerCase()
    t.ok(said.length > 20_000, `there is something to search in the ${where}`)
    for (const canary of FORBIDDEN) {
      t.notOk(said.includes(canary.toLowerCase()), `${where}: ${canary}`)
    }
    for (const { variables } of sandboxes) {
      for (const [name, value] of Object.entries(variables)) {
        if (/token|key|secret/i.test(name))
          t.notOk(said.includes(`"${String(value).toLowerCase()}"`), `${where}: ${name}`)
      }
    }
  }
  for (const name of ['high value customers', 'high_value_customers']) {
    t.notOk(metrics.toLowerCase().includes(name), 'audiences are too many for metrics')
  }
})

test('spans are sent to a collector: an upload, its deliveries, their calls', async (t) => {
  const [facebook] = await startAll(t)
  const collector = await startCollector(t)
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/` }
  const service = await startService(t, { sandboxes: [facebook!], env })
  await service.post(form(), '?sync=true')
  await service.get('/livez')
  await service.get('/metrics')
  await service.app.close()

  t.same([...new Set(collector.paths)], ['/v1/traces'])
  t.match(collector.resource(), {
    'service.name': 'audience-api',
    'service.version': '0.1.0',
    'service.instance.id': /^[0-9a-f-]{36}$/
  })
  const spans = collector.spans()
  const upload = spans.find(({ name }) => name === 'POST /audience')!
  const ofUpload = spans.filter(({ traceId }) => traceId === upload.traceId)
  const nameOf = new Map(ofUpload.map(({ spanId, name }) => [spanId, name]))
  t.same(
    ofUpload
      .map(({ name, parentSpanId = '' }) => `${nameOf.get(parentSpanId)} > ${name}`)
      .toSorted(),
    [
      'POST /audience > audience.deliver',
      'audience.deliver > GET customaudiences.list',
      'audience.deliver > POST customaudiences.create',
      'audience.deliver > POST users.add',
      'undefined > POST /audience'
    ]
  )
  t.same(
    spans
      .map(({ name }) => name)
      .filter((name) => name === 'GET /livez' || name === 'GET /metrics'),
    [],
    'what is asked every few seconds is not sent'
  )
})

test('a collector that takes nothing is told of once, and once when it does again', async (t) => {
  const collector = await startCollector(t)
  const told: unknown[] = []
  const log = {
    warn: (...line: unknown[]) => told.push(['warn', ...line]),
    info: (...line: unknown[]) => told.push(['info', ...line])
  }
  const sender = createSpanSender(collector.url, log)
  const tracing = new TracerProvider({ spanProcessors: [sender], resource: spanResource() })
  async function send(name: string): Promise<void> {
    tracing.getTracer('test').startSpan(name).end()
    await sender.forceFlush().catch(() => undefined)
  }
  collector.answerWith(401)
  await send('one')
  await send('two')
  collector.answerWith(200)
  await send('three')
  await send('four')
  t.same(told, [
    ['warn', { fault: 401 }, 'the collector of traces takes no spans'],
    ['info', 'the collector of traces takes spans again']
  ])
  await tracing.shutdown()
})

test('a collector that is away holds nobody up', async (t) => {
  const [facebook] = await startAll(t)
  // Read by the exporter itself: the process need not wait until it has given up.
  process.env['OTEL_EXPORTER_OTLP_TIMEOUT'] = '500'
  t.teardown(() => delete process.env['OTEL_EXPORTER_OTLP_TIMEOUT'])
  // Nobody listens on port 1.
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' }
  const service = await startService(t, { sandboxes: [facebook!], env })
  t.equal((await service.post(form(), '?sync=true')).text, '{"success":true}')
  await service.app.close()
})
