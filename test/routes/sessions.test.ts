import { test, type Test } from 'tap'
import { providers } from '../../providers/registry.ts'
import { BATCH, form, startService } from '../support/service.ts'

async function withFacebook(t: Test, env: Record<string, string> = {}) {
  const facebook = await providers.find(({ name }) => name === 'facebook')!.sandbox()
  t.teardown(() => facebook.close())
  const service = await startService(t, { sandboxes: [facebook], env })
  const uploads = () => facebook.requests.filter(({ path }) => path.endsWith('/users')).length
  return { facebook, service, uploads }
}

const batch = (change: object) => ({ ...BATCH, ...change })
const SESSION = BATCH.sessionId

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
  t.same(await service.settled(SESSION), {
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
        email: { given: 3, usable: 2, unusable: 1, hashed: 0 },
        phone: { given: 2, usable: 1, unusable: 1, hashed: 0 },
        firstName: { given: 0, usable: 0, unusable: 0, hashed: 0 },
        lastName: { given: 0, usable: 0, unusable: 0, hashed: 0 },
        country: { given: 1, usable: 1, unusable: 0, hashed: 0 },
        postalCode: { given: 1, usable: 1, unusable: 0, hashed: 0 }
      },
      ignoredFields: { shoeSize: 2, '(other)': 1 }
    },
    destinations: [
      {
        provider: 'facebook',
        tag: 'default',
        segment: 'blotout_High_Value_Customers',
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
        lastError: null
      }
    ]
  })
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
  facebook.failNext({ times: 1, error: 'expired_token' })
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
