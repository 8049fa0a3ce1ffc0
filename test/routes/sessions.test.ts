import { test, type Test } from 'tap'
import { providers } from '../../providers/registry.ts'
import { BATCH, form, type Service, startService } from '../support/service.ts'

async function withFacebook(t: Test, env: Record<string, string> = {}) {
  const facebook = await providers.find(({ name }) => name === 'facebook')!.sandbox()
  t.teardown(() => facebook.close())
  const service = await startService(t, { sandboxes: [facebook], env })
  const uploads = () => facebook.requests.filter(({ path }) => path.endsWith('/users')).length
  return { facebook, service, uploads }
}

async function call(
  { url }: Service,
  method: string,
  path: string,
  headers: Record<string, string> = {}
) {
  const response = await fetch(url + path, { method, headers })
  return { status: response.status, headers: response.headers, body: await response.json() }
}

const batch = (change: object) => ({ ...BATCH, ...change })
const SESSION = BATCH.sessionId
const UUID = /^[0-9a-f-]{36}$/
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const PAYLOAD = 'Payload is corrupted or missing. Please send JSON string.'

const NO_VALUES = { given: 0, usable: 0, repaired: 0, unusable: 0, hashed: 0, why: {} }
const placeholderIn = (row: number) => ({ placeholder: { users: 1, rows: [{ sequence: 2, row }] } })

test('a session tells what happened to every batch at every platform', async (t) => {
  const { service } = await withFacebook(t)
  const first = [
    { email: 'Jane@Example.com ', phone: '+1 415 555 2671', shoeSize: 38 },
    { email: 'n/a', shoeSize: 40, 'mail jane@example.com': 1 },
    { email: 'john@example.com', phone: '12345', country: 'US', postalCode: 2134 }
  ]
  await service.post(
    form({
      batch: batch({ sequence: 2, totalBatches: 3, totalUsers: 5, pullDate: '2026-01-01' }),
      users: first
    })
  )
  await service.settled(SESSION)
  await service.post(
    form({
      batch: batch({ sequence: 1, totalBatches: 3, totalUsers: 5, pullDate: '2026-01-01' }),
      users: [{ edgeTagId: 'et-1' }]
    })
  )
  const { deliveries, ...status } = await service.settled(SESSION)
  t.same(status, {
    sessionId: 1708531200,
    audience: 'High Value Customers',
    type: 'custom',
    state: 'receiving',
    batches: { received: [1, 2], missing: [3], total: 3 },
    users: { received: 4, total: 5 },
    pullDate: '2026-01-01',
    warnings: [],
    report: {
      fields: {
        email: { ...NO_VALUES, given: 3, usable: 2, unusable: 1, why: placeholderIn(1) },
        phone: { ...NO_VALUES, given: 2, usable: 1, unusable: 1, why: placeholderIn(2) },
        firstName: NO_VALUES,
        lastName: NO_VALUES,
        country: { ...NO_VALUES, given: 1, usable: 1 },
        postalCode: { ...NO_VALUES, given: 1, usable: 1, repaired: 1 }
      },
      ignoredFields: { shoeSize: 2, '(other)': 1 }
    },
    destinations: [
      {
        provider: 'facebook',
        tag: 'default',
        segment: 'blotout_High_Value_Customers',
        mode: 'add',
        segmentId: '238500001',
        state: 'delivered',
        deliveries: {
          queued: 0,
          sending: 0,
          retrying: 0,
          held: 0,
          confirming: 0,
          delivered: 2,
          failed: 0
        },
        users: { sent: 3, received: 3, invalid: 0, leftOut: 1 },
        leftOutBy: { no_identifier: 1 },
        notes: {},
        attempts: 1,
        nextAttemptAt: null,
        lastError: null,
        identifiers: { 0: 1, 1: 1, 2: 1, 3: 1 }
      }
    ],
    next: null
  })
  const delivered = {
    id: UUID,
    provider: 'facebook',
    tag: 'default',
    segment: 'blotout_High_Value_Customers',
    state: 'delivered',
    attempts: 1,
    nextAttemptAt: null,
    lastError: null,
    settledAt: TIME
  }
  t.match(deliveries, [
    { ...delivered, sequence: 2, users: { sent: 2, received: 2, invalid: 0, leftOut: 1 } },
    { ...delivered, sequence: 1, users: { sent: 1, received: 1, invalid: 0, leftOut: 0 } }
  ])
})

/** The platform's words for a request that it will not take. */
const REFUSED = { status: 400, body: { error: { code: 100, message: 'Invalid parameter' } } }

test('deliveries of a session are read page by page, of one state if wanted', async (t) => {
  const { service, facebook } = await withFacebook(t)
  facebook.failNext({ times: 1, path: '/users', answer: REFUSED })
  for (const sequence of [1, 2, 3, 4, 5]) {
    await service.post(form({ batch: batch({ sequence, totalBatches: 5 }) }), '?sync=true')
  }
  const page = async (query: string) => {
    const { body } = await service.get(`/audience/sessions/${SESSION}?${query}`)
    const { deliveries, next, ...status } = body as {
      deliveries: { sequence: number; state: string }[]
      next: string | null
    }
    t.match(status, {
      state: 'failed',
      destinations: [{ deliveries: { delivered: 4, failed: 1 } }]
    })
    return { found: deliveries.map(({ sequence, state }) => `${sequence} ${state}`), next }
  }
  const first = await page('limit=2')
  t.same(first.found, ['1 failed', '2 delivered'])
  const second = await page(`limit=2&cursor=${first.next}`)
  t.same(second.found, ['3 delivered', '4 delivered'])
  t.same(await page(`limit=2&cursor=${second.next}`), { found: ['5 delivered'], next: null })
  t.same(await page('state=failed'), { found: ['1 failed'], next: null })
  t.same(await page('state=held'), { found: [], next: null })
})

test('sessions are listed by their last change, of one state if wanted, and to their owner only', async (t) => {
  const bearer = (name: string) => ({ authorization: `Bearer ${name}0123456789abcdef` })
  const { service } = await withFacebook(t, {
    AUDIENCE_API_KEYS: 'a:a0123456789abcdef,b:b0123456789abcdef'
  })
  const post = (sessionId: number, totalBatches: number, key: string) =>
    service.post(
      form({ batch: { sessionId, sequence: 1, totalBatches, totalUsers: 7 } }),
      '?sync=true',
      bearer(key)
    )
  await post(1, 1, 'a')
  await post(2, 2, 'a')
  await post(3, 1, 'a')
  await post(4, 1, 'b')
  const list = async (query: string, key: string) => {
    const { body } = await service.get(`/audience/sessions?${query}`, bearer(key))
    const { sessions, next } = body as { sessions: { sessionId: number }[]; next: string | null }
    return { sessions, next, ids: sessions.map(({ sessionId }) => sessionId) }
  }
  const first = await list('limit=2', 'a')
  t.same(first.ids, [3, 2])
  t.match((await list(`limit=2&cursor=${first.next}`, 'a')).sessions, [
    {
      sessionId: 1,
      audience: 'High Value Customers',
      type: 'custom',
      state: 'delivered',
      batches: { received: 1, total: 1 },
      users: { received: 1, total: 7 },
      deliveries: {
        queued: 0,
        sending: 0,
        retrying: 0,
        held: 0,
        confirming: 0,
        delivered: 1,
        failed: 0
      },
      startedAt: TIME,
      changedAt: TIME
    }
  ])
  t.same((await list(`limit=1&cursor=${first.next}`, 'a')).next, null)
  t.same((await list('state=receiving', 'a')).ids, [2])
  t.same((await list('', 'b')).ids, [4])
  t.equal((await service.get('/audience/sessions/4', bearer('a'))).status, 404)
  const foreign = await call(service, 'POST', '/audience/sessions/4/retry', bearer('a'))
  t.equal(foreign.status, 404)
})

test('a wrong query value is named', async (t) => {
  const { service } = await withFacebook(t)
  await service.post(form(), '?sync=true')
  const limit = 'The query parameter "limit" must be a whole number from 1 to 200.'
  const cursor = 'The query parameter "cursor" must be the "next" of the page before.'
  const wrong = [
    ['GET', '/audience/sessions?limit=0', limit],
    ['GET', '/audience/sessions?limit=201', limit],
    ['GET', `/audience/sessions/${SESSION}?limit=1e1`, limit],
    ['GET', '/audience/sessions?cursor=jane@example.com', cursor],
    ['GET', `/audience/sessions/${SESSION}?cursor=`, cursor],
    [
      'GET',
      '/audience/sessions?state=held',
      'The query parameter "state" must be one of sending, failed, receiving, delivered.'
    ],
    [
      'GET',
      `/audience/sessions/${SESSION}?state=receiving`,
      'The query parameter "state" must be one of queued, sending, retrying, held, confirming, delivered, failed.'
    ],
    [
      'GET',
      '/audience/sessions?limit=1&limit=2',
      'The query parameter "limit" must be given once.'
    ],
    [
      'POST',
      `/audience/sessions/${SESSION}/retry?channels=tiktok`,
      'The query parameter "channels" names "tiktok" that is not configured here.'
    ]
  ] as const
  for (const [method, path, problem] of wrong) {
    const { status, body } = await call(service, method, path)
    t.same([status, body], [400, { success: false, errors: [`${PAYLOAD} ${problem}`] }], path)
  }
})

test('failed deliveries are started anew when asked for', async (t) => {
  const { service, facebook, uploads } = await withFacebook(t)
  const retry = (query = '') =>
    call(service, 'POST', `/audience/sessions/${SESSION}/retry${query}`, {
      'content-type': 'application/json'
    })
  t.equal((await retry()).status, 404)
  facebook.failNext({ times: 1, path: '/users', answer: REFUSED })
  t.equal((await service.post(form(), '?sync=true')).status, 400)
  const retried = await retry('?channels=facebook')
  t.same([retried.status, retried.body], [200, { success: true, retried: 1, expired: 0 }])
  t.match(await service.settled(SESSION), {
    state: 'delivered',
    destinations: [{ attempts: 1, lastError: null, users: { sent: 1 } }]
  })
  t.equal(uploads(), 2)
  t.same((await retry()).body, { success: true, retried: 0, expired: 0 })
  const other = await service.get(`/audience/sessions/${SESSION}/retry`)
  t.same([other.status, other.headers.get('allow')], [405, 'POST'])
})

test('what failed too long ago has to be uploaded again', async (t) => {
  const { service, facebook } = await withFacebook(t, { AUDIENCE_RETENTION_DAYS: '0' })
  facebook.failNext({ times: 1, path: '/users', answer: REFUSED })
  t.equal((await service.post(form(), '?sync=true')).status, 400)
  await service.app.store.sweep(Date.now() + 60_000)
  const { status, body } = await call(service, 'POST', `/audience/sessions/${SESSION}/retry`)
  t.same(
    [status, body],
    [
      409,
      {
        success: false,
        errors: [
          'The users of the failed deliveries (1) are not kept any more. Please send the upload again.'
        ]
      }
    ]
  )
})

test('sequences count from one, or from zero once a zero was seen', async (t) => {
  const { service } = await withFacebook(t)
  const received = async (sequence: number) => {
    await service.post(
      form({
        batch: batch({ sequence, totalBatches: 3 }),
        users: [{ email: `u${sequence}@example.com` }]
      })
    )
    const { batches, warnings } = await service.settled(SESSION)
    return { batches, warnings }
  }
  t.match(await received(1), { batches: { received: [1], missing: [2, 3] } })
  t.match(await received(3), { batches: { received: [1, 3], missing: [2] }, warnings: [] })
  t.match(await received(0), {
    batches: { received: [0, 1, 3], missing: [2] },
    warnings: ['sequence 3 is beyond totalBatches']
  })
})

test('what differs between batches is a warning', async (t) => {
  const { service } = await withFacebook(t)
  const users = (n: number) => [{ email: `u${n}@example.com` }]
  await service.post(
    form({ batch: batch({ sequence: 1, totalBatches: 2, totalUsers: 2 }), users: users(1) })
  )
  await service.post(
    form({
      batch: batch({ sequence: 2, totalBatches: 3, totalUsers: 3 }),
      users: users(2),
      name: 'Other',
      type: 'primary'
    })
  )
  await service.post(
    form({ batch: batch({ sequence: 1, totalBatches: 2, totalUsers: 2 }), users: users(3) })
  )
  const status = await service.settled(SESSION)
  t.same(status['warnings'], [
    'totalBatches differs between batches',
    'totalUsers differs between batches',
    'audienceName differs between batches',
    'type differs between batches',
    'sequence 1 was sent again with other content'
  ])
  t.match(status['users'], { received: 2 })
  t.match(status['destinations'], [
    { segment: 'blotout_High_Value_Customers', deliveries: { delivered: 2 } },
    { segment: 'blotout_Other', deliveries: { delivered: 1 } }
  ])
})

test('any announced number of batches is answered quickly', async (t) => {
  const { service } = await withFacebook(t)
  await service.post(form({ batch: batch({ totalBatches: Number.MAX_SAFE_INTEGER }) }))
  const { batches } = (await service.settled(SESSION)) as { batches: { missing: number[] } }
  t.equal(batches.missing.length, 1_000)
})

test('the same upload sent again is answered alike and delivered once', async (t) => {
  const { service, uploads } = await withFacebook(t)
  const first = await service.post(form(), '?sync=true')
  t.equal(first.headers.get('x-duplicate'), null)
  const again = await service.post(form(), '?sync=true')
  t.equal(again.text, first.text)
  t.equal(again.headers.get('x-duplicate'), 'true')
  t.equal((await service.post(form())).headers.get('x-duplicate'), 'true')
  t.equal(uploads(), 1)
  for (const other of [
    { name: 'Other' },
    { type: 'primary' },
    { users: [{ email: 'john@example.com' }] },
    { batch: batch({ sequence: 0 }) },
    { batch: batch({ sessionId: 7 }) }
  ]) {
    t.equal((await service.post(form(other), '?sync=true')).headers.get('x-duplicate'), null)
  }
  t.equal(
    (await service.post(form(), '?sync=true&defaultCountry=DE')).headers.get('x-duplicate'),
    null
  )
  t.equal(uploads(), 7)
})

test('a hundred equal uploads at once are delivered once', async (t) => {
  const { service, uploads } = await withFacebook(t)
  const answers = await Promise.all(
    Array.from({ length: 100 }, () => service.post(form(), '?sync=true'))
  )
  t.equal(answers.filter(({ status }) => status === 200).length, 100)
  t.equal(answers.filter(({ headers }) => headers.get('x-duplicate') === 'true').length, 99)
  t.equal(uploads(), 1)
})

test('sent again, an upload gets to where it has not been or has failed', async (t) => {
  const { service, facebook } = await withFacebook(t)
  const second = await providers.find(({ name }) => name === 'klaviyo')!.sandbox()
  t.teardown(() => second.close())
  facebook.failNext({ times: 1, path: '/users', answer: REFUSED })
  const failed = await service.post(form(), '?sync=true')
  t.equal(failed.status, 400)
  const again = await service.post(form(), '?sync=true')
  t.equal(again.status, 200)
  t.equal(again.headers.get('x-duplicate'), 'true')
  t.match(await service.settled(SESSION), {
    state: 'delivered',
    destinations: [{ attempts: 1, lastError: null, users: { sent: 1 } }]
  })

  const both = await startService(t, { sandboxes: [facebook, second] })
  await both.post(form(), '?sync=true&channels=facebook')
  const widened = await both.post(form(), '?sync=true')
  t.equal(widened.headers.get('x-duplicate'), 'true')
  t.match(await both.settled(SESSION), {
    destinations: [
      { provider: 'facebook', users: { sent: 1 } },
      { provider: 'klaviyo', users: { sent: 1 } }
    ]
  })
})

test('what was delivered is forgotten after its time', async (t) => {
  const { service, uploads } = await withFacebook(t, { AUDIENCE_DEDUP_HOURS: '0' })
  await service.post(form(), '?sync=true')
  await service.settled(SESSION)
  const again = await service.post(form(), '?sync=true')
  t.equal(again.headers.get('x-duplicate'), null)
  t.equal(uploads(), 2)
})

test('GET /providers tells what is configured and no secret', async (t) => {
  const { service, facebook } = await withFacebook(t)
  const answer = await service.get('/providers')
  t.match(answer.body, {
    providers: [
      {
        provider: 'facebook',
        title: /Facebook/,
        tag: 'default',
        accountId: '1234567890',
        identifiers: [
          'email',
          'phone',
          'firstName',
          'lastName',
          'country',
          'postalCode',
          'edgeTagId'
        ],
        limits: { usersPerRequest: 10_000 },
        minimumAudienceSize: 100
      }
    ]
  })
  t.notMatch(answer.text, String(facebook.variables['accessToken']))
  t.same((await service.get('/providers?check=maybe')).body, {
    success: false,
    errors: [
      'Payload is corrupted or missing. Please send JSON string. The query parameter "check" must be true, false, 1 or 0.'
    ]
  })
})

test('GET /providers?check=true asks each platform, at most once a minute', async (t) => {
  const { service, facebook } = await withFacebook(t)
  const before = facebook.requests.length
  t.match((await service.get('/providers?check=true')).body, {
    providers: [{ check: { ok: true, problems: [] } }]
  })
  t.equal(facebook.requests.length, before, 'it was asked when the service started')

  facebook.failNext({ times: 1, error: 'expired_token' })
  const other = await startService(t, { sandboxes: [facebook] })
  const { body } = await other.get('/providers?check')
  t.match(body, { providers: [{ check: { ok: false, problems: [{ code: 'auth' }] } }] })
  t.ok(
    other.lines().some(({ msg, level }) => msg === 'provider check failed' && level === 40),
    'and it is a warning at start'
  )
})
