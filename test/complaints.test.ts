import { hash } from 'node:crypto'
import { test, type Test } from 'tap'
import { providers } from '../providers/registry.ts'
import type { Sandbox } from '../providers/sandbox.ts'
import { instantClock } from './support/clock.ts'
import { BATCH, form, startService } from './support/service.ts'

/**
 * What users of such tools complain about in public issue threads, one test each: none of it may
 * happen here. What concerns a single function is shown in that function's tests.
 */

interface Segment {
  readonly name: string
  readonly members: readonly Record<string, unknown>[]
}

const sha256 = (text: string) => hash('sha256', text)
const segmentsOf = (sandbox: Sandbox) =>
  (sandbox.state() as { segments: readonly Segment[] }).segments

async function withAll(t: Test, facebookVariables: Record<string, unknown> = {}) {
  const started = await Promise.all(providers.map((provider) => provider.sandbox()))
  for (const sandbox of started) t.teardown(() => sandbox.close())
  const [facebook, tiktok, klaviyo] = started as [Sandbox, Sandbox, Sandbox]
  const clock = instantClock()
  const service = await startService(t, {
    clock,
    sandboxes: [tiktok, klaviyo],
    tags: { 'facebook/default': { ...facebook.variables, ...facebookVariables } }
  })
  return { service, clock, facebook, tiktok, klaviyo }
}

const members = (sandbox: Sandbox) => segmentsOf(sandbox).flatMap((segment) => segment.members)
const bodiesOf = ({ requests }: Sandbox, path: string) =>
  requests.filter((call) => call.method === 'POST' && call.path.includes(path))

test('one unusable phone or e-mail makes a whole batch fail', async (t) => {
  const { service, facebook, tiktok, klaviyo } = await withAll(t)
  const good = Array.from({ length: 2_000 }, (_, n) => ({ email: `person${n}@example.com` }))
  const bad = [
    { email: 'fine@example.com', phone: '+0000000000' },
    { email: 'also.fine@example.com', phone: 'call me' },
    { email: 'not-an-email', phone: '+14155552671' },
    { email: 'jane@@example.com', phone: '12345' }
  ]
  const answer = await service.post(form({ users: [...good, ...bad] }), '?sync=true')
  t.same(answer.body, { success: true })
  await service.settled(BATCH.sessionId)
  for (const sandbox of [facebook, tiktok, klaviyo]) {
    t.equal(members(sandbox).length, 2_003, sandbox.name)
  }
})

test('values are hashed without normalisation, hashed twice, or mixed unnoticed', async (t) => {
  const { service, facebook } = await withAll(t)
  const once = sha256('jane@example.com')
  const users = [
    { edgeTagId: 'raw', email: '  Jane@Example.COM ' },
    { edgeTagId: 'hashed', email: once.toUpperCase() }
  ]
  await service.post(form({ users }), '?sync=true')
  t.match(members(facebook), [
    { EXTERN_ID: 'raw', EMAIL: once },
    { EXTERN_ID: 'hashed', EMAIL: once }
  ])
  const { report } = await service.settled(BATCH.sessionId)
  t.match(report, { fields: { email: { given: 2, usable: 2, hashed: 1 } } }, 'the mix is told')
})

test('names are hashed as Latin-1, so that Jürgen never matches', async (t) => {
  const { service, facebook } = await withAll(t)
  const users = ['Jürgen', 'Ju\u0308rgen'].map((firstName, n) => ({
    edgeTagId: `et${n}`,
    firstName
  }))
  await service.post(form({ users }), '?sync=true')
  // SHA-256 of the UTF-8 bytes 6a c3 bc 72 67 65 6e.
  const expected = hash('sha256', Buffer.from('6ac3bc7267656e', 'hex'))
  t.match(members(facebook), [{ FN: expected }, { FN: expected }])
})

test('the normaliser for the local part also changes the domain', async (t) => {
  const { tiktok } = await withAll(t)
  const service = await startService(t, {
    tags: { 'tiktok/default': { ...tiktok.variables, emailForm: 'strip_plus_and_dots' } }
  })
  await service.post(
    form({ users: [{ email: 'local-part.123+suffix@mail.domain.com' }] }),
    '?sync=true'
  )
  t.match(JSON.stringify(members(tiktok)), sha256('local-part123@mail.domain.com'))
})

test("national numbers are not made international with the user's own country", async (t) => {
  const { service, facebook, tiktok } = await withAll(t)
  const users = [
    { phone: '0151 23456789', country: 'Deutschland' },
    { phone: '(415) 555-2671', country: 'US' },
    { phone: '020 7946 0958', country: 'UK' },
    { phone: '0044 20 7946 0958', country: 'United States' },
    { phone: '43 660 1234567', country: 'Österreich' },
    { phone: '0151 23456780' }
  ]
  await service.post(form({ users }), '?sync=true&defaultCountry=DE')
  const digits = [
    '4915123456789',
    '14155552671',
    '442079460958',
    '442079460958',
    '436601234567',
    '4915123456780'
  ]
  t.same(
    members(facebook).map(({ PHONE }) => PHONE),
    digits.map(sha256)
  )
  for (const number of digits) t.match(JSON.stringify(members(tiktok)), sha256(`+${number}`))
})

test('an old audience of another kind is filled because it has the same name', async (t) => {
  const { service, facebook } = await withAll(t)
  const { url, variables } = facebook
  const created = await fetch(
    `${url}/v26.0/act_${String(variables['adAccountId'])}/customaudiences`,
    {
      method: 'POST',
      headers: {
        authorization: `Bearer ${String(variables['accessToken'])}`,
        'content-type': 'application/json'
      },
      body: JSON.stringify({
        name: 'blotout_High_Value_Customers',
        subtype: 'WEBSITE',
        customer_file_source: 'USER_PROVIDED_ONLY'
      })
    }
  )
  t.equal(created.status, 200)
  await service.post(form(), '?sync=true')
  t.match(segmentsOf(facebook), [
    { name: 'blotout_High_Value_Customers', subtype: 'WEBSITE', members: [] },
    { name: 'blotout_High_Value_Customers', subtype: 'CUSTOM', members: [{}] }
  ])
})

test("many small uploads run into the platform's limit, and waiting does not help", async (t) => {
  const { service, facebook, clock } = await withAll(t)
  facebook.failNext({ times: 3, path: '/users', error: 'rate_limited' })
  for (let sequence = 1; sequence <= 20; sequence += 1) {
    const users = [{ email: `person${sequence}@example.com` }]
    await service.post(
      form({ users, batch: { ...BATCH, sequence, totalBatches: 20 } }),
      '?channels=facebook'
    )
  }
  t.match(await service.settled(BATCH.sessionId), { state: 'delivered' })
  t.equal(members(facebook).length, 20)
  t.equal(bodiesOf(facebook, '/users').length, 23, 'no call more than those refused')
  t.equal(clock.waits.filter((wait) => wait >= 59_000).length >= 3, true, "the platform's own wait")
})

test('a big upload is answered with an HTML error page', async (t) => {
  const { service, facebook } = await withAll(t)
  facebook.failNext({
    times: 1,
    path: '/users',
    answer: { status: 502, body: '<html>Sorry</html>' }
  })
  t.same((await service.post(form(), '?sync=true')).body, { success: true }, 'tried again')
  facebook.failNext({ times: 1, path: '/users', error: 'too_large' })
  const answer = await service.post(form({ batch: { ...BATCH, sequence: 0 } }), '?sync=true')
  t.match(answer.body, { errors: [/^facebook\/default: .*batchSize/] })
})

test('millions of users are sent, the audience stays too small and nobody says why', async (t) => {
  const { service } = await withAll(t)
  const users = [
    { email: 'n/a', phone: '555', country: 'Narnia' },
    { email: 'jane@example.com', phone: '0151 23456789' },
    { phone: '+33 6 12 34 56 78' }
  ]
  await service.post(form({ users }), '?sync=true')
  t.match(await service.settled(BATCH.sessionId), {
    report: {
      fields: {
        email: { given: 2, usable: 1, unusable: 1 },
        phone: { given: 3, usable: 1, unusable: 2 },
        country: { given: 1, usable: 0, unusable: 1 }
      }
    },
    destinations: [
      { provider: 'tiktok', users: { sent: 2, leftOut: 1 }, leftOutBy: { no_identifier: 1 } },
      {
        provider: 'klaviyo',
        users: { sent: 1, leftOut: 2 },
        leftOutBy: { no_identifier: 1, phone_region_not_supported: 1 }
      },
      {
        provider: 'facebook',
        users: { sent: 2, received: 2, leftOut: 1 },
        leftOutBy: { no_identifier: 1 }
      }
    ]
  })
})

test('the upload session stays open for ever', async (t) => {
  const { service, facebook } = await withAll(t, { batchSize: 100 })
  facebook.failNext({ times: 2, path: '/users', resetAfter: true })
  const users = Array.from({ length: 250 }, (_, n) => ({ email: `person${n}@example.com` }))
  await service.post(
    form({ users, batch: { ...BATCH, sequence: 2, totalBatches: 9 } }),
    '?sync=true'
  )
  const sessions = bodiesOf(facebook, '/users').map(
    ({ body }) => (body as { session: Record<string, unknown> }).session
  )
  t.equal(sessions.length, 5, 'three bodies, two of them answered only at the second try')
  t.equal(new Set(sessions.map(({ session_id }) => session_id)).size, 5, 'each has its own')
  for (const session of sessions) t.match(session, { batch_seq: 1, last_batch_flag: true })
})

test('an audience fed with one schema refuses another', async (t) => {
  const { service, facebook } = await withAll(t)
  const uploads = [
    [{ email: 'jane@example.com' }],
    [{ phone: '+14155552671' }],
    [{ edgeTagId: 'et-1', firstName: 'Jo' }]
  ]
  for (const [index, users] of uploads.entries()) {
    const batch = { ...BATCH, sequence: index + 1, totalBatches: 3 }
    t.equal(
      (await service.post(form({ users, batch }), '?sync=true&channels=facebook')).status,
      200
    )
  }
  const schemas = bodiesOf(facebook, '/users').map(
    ({ body }) => (body as { payload: { schema: string[] } }).payload.schema
  )
  const one = ['EXTERN_ID', 'EMAIL', 'PHONE', 'FN', 'LN', 'COUNTRY', 'ZIP']
  t.same(schemas, [one, one, one])
})

test('a profile that exists already is a conflict', async (t) => {
  const { service, klaviyo } = await withAll(t)
  const users = [{ email: 'jane@example.com', firstName: 'Jane' }]
  for (const sequence of [1, 2]) {
    const batch = { ...BATCH, sequence, totalBatches: 2 }
    t.equal((await service.post(form({ users, batch }), '?sync=true&channels=klaviyo')).status, 200)
  }
  t.match(await service.settled(BATCH.sessionId), {
    state: 'delivered',
    destinations: [{ users: { sent: 2, received: 2, invalid: 0 } }]
  })
  t.equal(members(klaviyo).length, 1)
  t.match(klaviyo.state(), { forbiddenCalls: [] })
})

test('the answer is "Internal Error" when the credentials have expired', async (t) => {
  const { service, facebook, tiktok, klaviyo } = await withAll(t)
  facebook.failNext({ times: 1, error: 'expired_token' })
  tiktok.failNext({
    times: 1,
    answer: { status: 200, body: { code: 40_105, message: 'x', data: {} } }
  })
  klaviyo.failNext({
    times: 1,
    answer: { status: 401, body: { errors: [{ code: 'not_authenticated' }] } }
  })
  const { status, body } = await service.post(form(), '?sync=true')
  t.equal(status, 400)
  const { errors } = body as { errors: string[] }
  t.equal(errors.length, 3)
  for (const error of errors) t.match(error, /token|key/i)
})

test('parallel uploads collide in the platform', async (t) => {
  const { service, facebook } = await withAll(t)
  facebook.configure({ delayMs: 5 })
  const posts = Array.from({ length: 12 }, (_, n) =>
    service.post(
      form({
        users: [{ email: `p${n}@example.com` }],
        batch: { ...BATCH, sequence: n + 1, totalBatches: 12 }
      }),
      '?sync=true&channels=facebook'
    )
  )
  for (const { status } of await Promise.all(posts)) t.equal(status, 200)
  t.equal(facebook.mostAtOnce(), 1, 'one call at a time to one segment')
})

test('value-based audiences are missing', async (t) => {
  const { service, facebook } = await withAll(t, {
    valueBased: { field: 'profit', currency: 'EUR' }
  })
  const users = [
    {
      email: 'a@example.com',
      purchase: [
        { currency: 'EUR', profit: 10.5 },
        { currency: 'eur', profit: 4 }
      ]
    },
    { email: 'b@example.com', purchase: { currency: 'EUR', profit: -3 } },
    { email: 'c@example.com', purchase: { currency: 'USD', profit: 99 } },
    { email: 'd@example.com' }
  ]
  await service.post(form({ users }), '?sync=true&channels=facebook')
  t.match(segmentsOf(facebook), [{ isValueBased: true }])
  t.same(
    members(facebook).map(({ LOOKALIKE_VALUE }) => LOOKALIKE_VALUE),
    [14.5, 0, 0, 0]
  )
  const { destinations } = await service.settled(BATCH.sessionId)
  t.match(JSON.stringify(destinations), /currency/, 'the purchase in another currency is told')
})
