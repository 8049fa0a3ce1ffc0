import { hash } from 'node:crypto'
import { test, type Test } from 'tap'
import { providers } from '../../providers/registry.ts'
import type { Fault, Sandbox } from '../../providers/sandbox.ts'
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

test('no personal data and no secret is in the log, at any level, on any path', async (t) => {
  const sandboxes = await startAll(t)
  const service = await startService(t, {
    sandboxes,
    env: { LOG_LEVEL: 'trace', AUDIENCE_API_KEYS: `crm:${KEY}`, AUDIENCE_RETRY_HOURS: '1' }
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

  const log = service.log().toLowerCase()
  t.ok(log.length > 50_000, 'there is something to search')
  for (const canary of FORBIDDEN) t.notOk(log.includes(canary.toLowerCase()), canary)
  for (const { variables } of sandboxes) {
    for (const [name, value] of Object.entries(variables)) {
      if (/token|key|secret/i.test(name))
        t.notOk(log.includes(`"${String(value).toLowerCase()}"`), name)
    }
  }
})
