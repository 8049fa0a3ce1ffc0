import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { providers } from '../../providers/registry.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import { systemClock } from '../../src/dispatch/clock.ts'
import { steppedClock } from '../support/clock.ts'
import { BATCH, form, type Service, startService, temporaryFolder } from '../support/service.ts'

const HOUR_MS = 3_600_000

async function sandbox(t: Test, provider: string): Promise<Sandbox> {
  const started = await providers.find(({ name }) => name === provider)!.sandbox()
  t.teardown(() => started.close())
  return started
}
const facebookSandbox = (t: Test) => sandbox(t, 'facebook')

const failing = (error: string) => ({ failing: { share: 1, faults: [{ error }], seed: 1 } })
const DOWN = { failing: { share: 1, faults: [{ answer: { status: 500, body: '' } }], seed: 1 } }
const WORKING = { failing: null }

interface Status {
  readonly state: string
  readonly destinations: readonly Record<string, unknown>[]
}

/** Waits until the session's only destination is in this state. */
async function reaches(service: Service, sessionId: number, state: string): Promise<Status> {
  for (;;) {
    const { body } = await service.get(`/audience/sessions/${sessionId}`)
    const status = body as Status
    if (status.destinations[0]?.['state'] === state) return status
    await pause(5)
  }
}

/** Repeats until every delivery has settled, with some real time in between for what is under way. */
async function whileUnsettled({ app }: Service, step: () => void): Promise<void> {
  while ((await app.store.backlog()).deliveries > 0) {
    step()
    await pause(5)
  }
}

const upload = (sessionId: number, name = `Audience ${sessionId}`) =>
  form({ name, batch: { ...BATCH, sessionId } })

const members = (held: Sandbox) =>
  (held.state() as { segments: { name: string; members: unknown[] }[] }).segments.map((segment) => [
    segment.name,
    segment.members.length
  ])

test('an expired token holds its account until a check succeeds, and nothing fails', async (t) => {
  const facebook = await facebookSandbox(t)
  const clock = steppedClock()
  const service = await startService(t, { sandboxes: [facebook], clock })
  facebook.configure(failing('expired_token'))
  const first = await service.post(upload(1), '?sync=true')
  t.equal(first.status, 400)
  t.match(first.body, { errors: [/^facebook\/default: .*token.* \(190\/463\); retried until /] })
  const calls = facebook.requests.length
  const second = await service.post(upload(2), '?sync=true')
  t.equal(second.status, 400, 'a later caller hears of it at once')
  t.match(second.body, { errors: [/^facebook\/default: .*token.* \(190\/463\); retried until /] })
  t.equal(facebook.requests.length, calls, 'and the platform is not asked again')
  t.match((await service.get('/providers')).body, {
    providers: [
      { account: { status: 'held', since: String, until: String, error: { code: 'auth' } } }
    ]
  })
  t.match(await reaches(service, 2, 'held'), {
    state: 'sending',
    destinations: [{ deliveries: { held: 1 }, attempts: 0, lastError: { code: 'auth' } }]
  })

  clock.advance(30_000)
  while (facebook.requests.length === calls) await turn()
  t.match(await reaches(service, 1, 'held'), { destinations: [{ attempts: 1 }] })
  facebook.configure(WORKING)
  await whileUnsettled(service, () => clock.advance(60_000))
  t.match(await reaches(service, 1, 'delivered'), { destinations: [{ lastError: null }] })
  t.match((await service.get('/providers')).body, {
    providers: [{ account: { status: 'open', since: null, until: null, error: null } }]
  })
  await reaches(service, 2, 'delivered')
  t.same(members(facebook), [
    ['blotout_Audience_1', 1],
    ['blotout_Audience_2', 1]
  ])
})

test('a check that somebody asks for sets a held account free', async (t) => {
  const facebook = await facebookSandbox(t)
  const service = await startService(t, { sandboxes: [facebook], clock: steppedClock() })
  facebook.configure(failing('expired_token'))
  t.equal((await service.post(upload(1), '?sync=true')).status, 400)
  facebook.configure(WORKING)
  // What the start of the service saw is cached for a minute.
  const other = service.app.dispatcher.destinations[0]!
  t.same(await service.app.dispatcher.check(other), [])
  await reaches(service, 1, 'delivered')
})

test('a refusal that no check finds holds its own delivery, not the account', async (t) => {
  const facebook = await facebookSandbox(t)
  const clock = steppedClock()
  const service = await startService(t, { sandboxes: [facebook], clock })
  facebook.failNext({ times: 1, path: '/customaudiences', error: 'no_permission' })
  t.equal((await service.post(upload(1), '?sync=true')).status, 400)
  t.equal((await service.post(upload(2), '?sync=true')).status, 200)
  await reaches(service, 1, 'held')
  await whileUnsettled(service, () => clock.advance(60_000))
  await reaches(service, 1, 'delivered')
})

test('what was held for too long fails and says why', async (t) => {
  const facebook = await facebookSandbox(t)
  const clock = steppedClock()
  const service = await startService(t, { sandboxes: [facebook], clock })
  facebook.configure(failing('expired_token'))
  await service.post(upload(1))
  await service.post(upload(2))
  for (const sessionId of [1, 2]) {
    await reaches(service, sessionId, 'held')
  }
  await whileUnsettled(service, () => clock.advance(HOUR_MS))
  for (const sessionId of [1, 2]) {
    t.match(await reaches(service, sessionId, 'failed'), {
      state: 'failed',
      destinations: [{ lastError: { code: 'auth', message: /token/ } }]
    })
  }
})

test('a platform that is down is left alone, and one call finds out when it is back', async (t) => {
  const facebook = await facebookSandbox(t)
  const clock = steppedClock()
  const service = await startService(t, { sandboxes: [facebook], clock })
  facebook.configure({
    failing: { share: 1, faults: [{ answer: { status: 503, body: '' } }], seed: 1 }
  })
  const sessions = Array.from({ length: 8 }, (_, index) => index + 1)
  for (const session of sessions) t.equal((await service.post(upload(session))).status, 200)
  for (const session of sessions) await reaches(service, session, 'retrying')
  const { app } = service
  const [account] = Object.values(await app.store.accounts())
  t.match(account, { status: 'broken', error: { code: 'transient' } })
  const callsBefore = facebook.requests.length
  const late = await service.post(upload(9), '?sync=true')
  t.match(late.body, { errors: [/^facebook\/default: .*; retried until /] }, 'told at once')
  t.equal(facebook.requests.length, callsBefore, 'no call is made meanwhile')

  while (facebook.requests.length === callsBefore) {
    clock.advance(1_000)
    await turn()
  }
  const [stillBroken] = Object.values(await app.store.accounts())
  t.equal(stillBroken?.status, 'broken')
  facebook.configure(WORKING)
  await whileUnsettled(service, () => clock.advance(60_000))
  for (const session of [...sessions, 9]) await reaches(service, session, 'delivered')
  t.equal(members(facebook).length, 9)
})

test('what was not delivered goes on after a restart, behind what was acknowledged', async (t) => {
  const tiktok = await sandbox(t, 'tiktok')
  const folder = temporaryFolder(t)
  const service = await startService(t, { sandboxes: [tiktok], folder, clock: systemClock })
  tiktok.failNext({ times: 1, method: 'POST', path: '/segment/mapping/', resetAfter: true })
  tiktok.failNext({ times: 1, method: 'POST', path: '/segment/mapping/', hang: true })
  const users = Array.from({ length: 2_500 }, (_, n) => ({ email: `person${n}@example.com` }))
  t.equal((await service.post(form({ users }))).status, 200)
  const mappings = () => tiktok.requests.filter(({ path }) => path.includes('/segment/mapping/'))
  while (mappings().length < 2) await turn()
  await service.app.close()

  const again = await startService(t, { sandboxes: [tiktok], folder })
  t.match(await again.settled(BATCH.sessionId), {
    state: 'delivered',
    users: { received: 2_500 },
    destinations: [{ users: { sent: 2_500 } }]
  })
  t.same(members(tiktok), [['blotout_High_Value_Customers', 2_500]])
  t.equal((await again.app.store.backlog()).payloadBytes, 0)
})

test('an upload that ended the process three times fails', async (t) => {
  const facebook = await facebookSandbox(t)
  const folder = temporaryFolder(t)
  const service = await startService(t, { sandboxes: [facebook], folder, clock: steppedClock() })
  facebook.failNext({ times: 1, answer: { status: 500, body: '' } })
  await service.post(form())
  await reaches(service, BATCH.sessionId, 'retrying')
  const session = await service.app.store.session('default', BATCH.sessionId)
  const { id } = session!.deliveries[0]!
  const died = { preparingIn: 'another process', crashes: 2 }
  await service.app.store.changeDelivery(id, died, Date.now())
  await service.app.close()

  const again = await startService(t, { sandboxes: [facebook], folder })
  t.match(await again.settled(BATCH.sessionId), {
    state: 'failed',
    destinations: [
      {
        lastError: {
          code: 'crashed',
          message: 'the service ended 3 times while it prepared the users'
        }
      }
    ]
  })
})

test('a tag that is not configured any more is waited for, for a day', async (t) => {
  const facebook = await facebookSandbox(t)
  const folder = temporaryFolder(t)
  const tags = { 'facebook/eu-shop': facebook.variables }
  const service = await startService(t, { tags, folder, clock: steppedClock() })
  facebook.failNext({ times: 1, answer: { status: 500, body: '' } })
  await service.post(form())
  await reaches(service, BATCH.sessionId, 'retrying')
  await service.app.close()

  const clock = steppedClock()
  const without = await startService(t, { folder, clock })
  t.match(await reaches(without, BATCH.sessionId, 'retrying'), { state: 'sending' })
  await whileUnsettled(without, () => clock.advance(HOUR_MS))
  t.match(await without.settled(BATCH.sessionId), {
    state: 'failed',
    destinations: [
      {
        lastError: {
          code: 'not_configured',
          message: 'facebook/eu-shop is not configured any more'
        }
      }
    ]
  })
})

test('a tag that stands for another account after a restart brings it everything', async (t) => {
  const facebook = await facebookSandbox(t)
  const folder = temporaryFolder(t)
  const wrong = { 'facebook/eu-shop': { ...facebook.variables, adAccountId: '4242' } }
  const service = await startService(t, { tags: wrong, folder, clock: steppedClock() })
  for (const session of [1, 2]) await service.post(upload(session, 'VIP'))
  t.match(await reaches(service, 1, 'held'), {
    destinations: [
      { lastError: { code: 'permission', message: /^ad account 4242 does not exist/ } }
    ]
  })
  await service.app.close()

  const tags = { 'facebook/eu-shop': facebook.variables }
  const renewed = await startService(t, { tags, folder })
  for (const session of [1, 2]) {
    t.match(await renewed.settled(session), {
      state: 'delivered',
      destinations: [{ attempts: 1, lastError: null }]
    })
  }
  t.same(members(facebook), [['blotout_VIP', 1]])
})

const PEOPLE = Array.from({ length: 2_500 }, (_, n) => ({ email: `person${n}@example.com` }))

/** A service that stopped while a Facebook audience had some of its 25 bodies. */
async function stoppedHalfway(t: Test, facebook: Sandbox, folder: string): Promise<void> {
  const tags = { 'facebook/shop': { ...facebook.variables, batchSize: 100 } }
  const service = await startService(t, { tags, folder, clock: steppedClock() })
  const bodies = () => facebook.requests.filter(({ path }) => path.endsWith('/users')).length
  facebook.configure({ delayMs: 10 })
  await service.post(form({ users: PEOPLE }))
  while (bodies() < 4) await turn()
  facebook.configure({ ...DOWN, delayMs: 0 })
  const status = await reaches(service, BATCH.sessionId, 'retrying')
  t.match(status.destinations[0], { users: { sent: Number } })
  await service.app.close()
  facebook.configure(WORKING)
}

test('bodies of another size than those that were sent are sent from the beginning', async (t) => {
  const facebook = await facebookSandbox(t)
  const folder = temporaryFolder(t)
  await stoppedHalfway(t, facebook, folder)
  const tags = { 'facebook/shop': { ...facebook.variables, batchSize: 1_000 } }
  const service = await startService(t, { tags, folder })
  t.match(await service.settled(BATCH.sessionId), {
    state: 'delivered',
    destinations: [{ users: { sent: 2_500, received: 2_500 } }]
  })
  t.same(members(facebook), [['blotout_High_Value_Customers', 2_500]])
})

test('a segment that had to be made anew gets everything', async (t) => {
  const facebook = await facebookSandbox(t)
  const folder = temporaryFolder(t)
  await stoppedHalfway(t, facebook, folder)
  facebook.reset()
  const without = await startService(t, { folder, clock: steppedClock() })
  const { store } = without.app
  const lock = '["facebook","1234567890","blotout_High_Value_Customers"]'
  const known = await Promise.all([lock, `${lock}CUSTOM`].map((key) => store.segment(key)))
  t.ok(
    known.some((segment) => segment?.id !== undefined),
    'that is where it is noted'
  )
  // A process that ended just after it had forgotten the segment, which was another one.
  for (const key of [lock, `${lock}CUSTOM`]) await store.changeSegment(key, { id: undefined }, 0)
  const session = await store.session('default', BATCH.sessionId)
  await store.changeDelivery(session!.deliveries[0]!.id, { segmentId: '238400001' }, 0)
  await without.app.close()

  const tags = { 'facebook/shop': { ...facebook.variables, batchSize: 100 } }
  const service = await startService(t, { tags, folder })
  t.match(await service.settled(BATCH.sessionId), {
    state: 'delivered',
    destinations: [{ users: { sent: 2_500, received: 2_500 } }]
  })
  t.same(members(facebook), [['blotout_High_Value_Customers', 2_500]])
})

test('what was created without an answer is looked for until it can be listed', async (t) => {
  const facebook = await facebookSandbox(t)
  const service = await startService(t, { sandboxes: [facebook] })
  const path = '/customaudiences'
  facebook.failNext({ times: 1, method: 'POST', path, resetAfter: true })
  facebook.failNext({ times: 1, method: 'GET', path, answer: { status: 200, body: { data: [] } } })
  await service.post(form())
  t.match(await service.settled(BATCH.sessionId), { state: 'delivered' })
  t.same(members(facebook), [['blotout_High_Value_Customers', 1]])
})

test('a tag with a bad token is held alone, not another tag of its account', async (t) => {
  const facebook = await facebookSandbox(t)
  const clock = steppedClock()
  const service = await startService(t, {
    clock,
    tags: {
      'facebook/good': facebook.variables,
      'facebook/bad': { ...facebook.variables, accessToken: 'wrong' }
    }
  })
  t.equal((await service.post(upload(1), '?sync=true&channels=facebook/bad')).status, 400)
  t.equal((await service.post(upload(2), '?sync=true&channels=facebook/good')).status, 200)
  t.match((await service.get('/providers')).body, {
    providers: [
      { tag: 'good', account: { status: 'open' } },
      { tag: 'bad', account: { status: 'held' } }
    ]
  })
})

const BROKEN = { code: 'transient', message: 'no answer' }

/** Marks the only account as failing again and again. */
async function breakAccount(service: Service, now: number): Promise<void> {
  const { dispatcher, store } = service.app
  const { provider, accountId } = dispatcher.destinations[0]!
  const state = { status: 'broken', until: now + 5_000, since: now, failures: 5 } as const
  await store.setAccount(`${provider.name}/${accountId}`, { ...state, error: BROKEN }, now)
}

test('a look at an import that works opens an account that was broken', async (t) => {
  const klaviyo = await sandbox(t, 'klaviyo')
  const clock = steppedClock()
  const service = await startService(t, { sandboxes: [klaviyo], clock })
  for (const session of [1, 2, 3, 4]) {
    t.equal((await service.post(upload(session), '?sync=true')).status, 200)
  }
  await breakAccount(service, clock.now())
  const before = clock.now()
  await whileUnsettled(service, () => clock.advance(1_000))
  t.ok(clock.now() - before < 600_000, 'nobody waits for a probe that has told its result')
})

test('a delivery that makes no call leaves it to the next to find out', async (t) => {
  const facebook = await facebookSandbox(t)
  const clock = steppedClock()
  const service = await startService(t, { sandboxes: [facebook], clock })
  await breakAccount(service, clock.now())
  const before = clock.now()
  for (const session of [1, 2, 3]) {
    const batch = { ...BATCH, sessionId: session }
    await service.post(form({ name: `Nobody ${session}`, batch, users: [{ email: 'n/a' }] }))
  }
  await service.post(upload(9))
  await whileUnsettled(service, () => clock.advance(1_000))
  t.match(await reaches(service, 9, 'delivered'), { state: 'delivered' })
  t.ok(clock.now() - before < 300_000)
})

test('what a platform took over fails when nobody may ask for it for a day', async (t) => {
  const klaviyo = await sandbox(t, 'klaviyo')
  const clock = steppedClock()
  const service = await startService(t, { sandboxes: [klaviyo], clock })
  t.equal((await service.post(upload(1), '?sync=true')).status, 200)
  klaviyo.configure(failing('not_authenticated'))
  await whileUnsettled(service, () => clock.advance(10 * 60_000))
  t.match(await reaches(service, 1, 'failed'), { destinations: [{ lastError: { code: 'auth' } }] })
})

test('a wait that is longer than the time for retries is cut to it', async (t) => {
  const klaviyo = await sandbox(t, 'klaviyo')
  const service = await startService(t, { sandboxes: [klaviyo], config: { retryHours: 0.5 } })
  klaviyo.failNext({
    times: 1,
    answer: { status: 429, headers: { 'retry-after': '2400' }, body: { errors: [] } }
  })
  await service.post(upload(1))
  t.match(await service.settled(1), { state: 'delivered' })
})

test('an instance that does not know a tag does not give up what is old', async (t) => {
  const facebook = await facebookSandbox(t)
  const folder = temporaryFolder(t)
  const service = await startService(t, { sandboxes: [facebook], folder, clock: steppedClock() })
  facebook.configure(failing('expired_token'))
  t.equal((await service.post(upload(1), '?sync=true')).status, 400)
  await service.app.close()
  facebook.configure(WORKING)

  const later = steppedClock()
  later.advance(30 * HOUR_MS)
  const without = await startService(t, { folder, clock: later })
  for (;;) {
    const [destination = {}] = (await reaches(without, 1, 'held')).destinations
    if ((destination['lastError'] as { code: string }).code === 'not_configured') break
  }
  await without.app.close()
  const again = await startService(t, { sandboxes: [facebook], folder })
  t.match(await again.settled(1), { state: 'delivered', destinations: [{ lastError: null }] })
})

test('what an older instance accepted for a former account is moved in the end', async (t) => {
  const facebook = await facebookSandbox(t)
  const folder = temporaryFolder(t)
  const newer = steppedClock()
  const former = { 'facebook/eu-shop': { ...facebook.variables, adAccountId: '4242' } }
  const older = await startService(t, { tags: former, folder })
  await older.post(upload(1))
  await older.app.close()

  // By its clock it was started before that was accepted.
  newer.advance(-HOUR_MS)
  const tags = { 'facebook/eu-shop': facebook.variables }
  const service = await startService(t, { tags, folder, clock: newer })
  const before = newer.now()
  await whileUnsettled(service, () => newer.advance(60_000))
  t.match(await reaches(service, 1, 'delivered'), { state: 'delivered' })
  t.ok(newer.now() - before >= 15 * 60_000)
})
