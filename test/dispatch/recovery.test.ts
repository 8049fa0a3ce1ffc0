import { setImmediate as turn } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { providers } from '../../providers/registry.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import { systemClock } from '../../src/dispatch/clock.ts'
import { steppedClock } from '../support/clock.ts'
import { BATCH, form, type Service, startService, temporaryFolder } from '../support/service.ts'

const HOUR_MS = 3_600_000

async function facebookSandbox(t: Test): Promise<Sandbox> {
  const started = await providers.find(({ name }) => name === 'facebook')!.sandbox()
  t.teardown(() => started.close())
  return started
}

const failing = (error: string) => ({ failing: { share: 1, faults: [{ error }], seed: 1 } })
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
  while ((await service.app.store.backlog()).deliveries > 0) clock.advance(60_000)
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
  clock.advance(60_000)
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
  clock.advance(25 * HOUR_MS)
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
  while ((await app.store.backlog()).deliveries > 0) clock.advance(60_000)
  for (const session of [...sessions, 9]) await reaches(service, session, 'delivered')
  t.equal(members(facebook).length, 9)
})

test('what was not delivered goes on after a restart, behind what was acknowledged', async (t) => {
  const tiktok = await providers.find(({ name }) => name === 'tiktok')!.sandbox()
  t.teardown(() => tiktok.close())
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
  clock.advance(25 * HOUR_MS)
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
