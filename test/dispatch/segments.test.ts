import { hash } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { providers } from '../../providers/registry.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import { seal } from '../../src/store/sealing.ts'
import { newSessionId, type NewUpload } from '../../src/store/store.ts'
import { form, type Service, startService, temporaryFolder } from '../support/service.ts'

async function facebookSandbox(t: Test): Promise<Sandbox> {
  const started = await providers.find(({ name }) => name === 'facebook')!.sandbox()
  t.teardown(() => started.close())
  return started
}

const NAME = 'blotout_vips_1a2b3c4d'
const FOREIGN = 'a segment of this name exists already and was not created by this service'

/** Facebook's segments by name, and how many people are in each. */
const held = (facebook: Sandbox) =>
  (facebook.state() as { segments: { name: string; members: unknown[] }[] }).segments.map(
    ({ name, members }) => [name, members.length]
  )

/** Puts an upload of an audience that agents manage on its way; returns how it ends. */
async function manage(service: Service, mode: NewUpload['mode'], email: string) {
  const { app } = service
  const users = Buffer.from(JSON.stringify([{ email: hash('sha256', email) }]))
  const contentHash = hash('sha256', users)
  const [destination] = app.dispatcher.destinations
  const sessionId = newSessionId()
  const { turns } = await app.store.accept(
    {
      mode,
      managed: { account: 'acct_1', audienceId: 'vips' },
      owner: 'default',
      sessionId,
      sequence: 1,
      totalBatches: 1,
      totalUsers: 1,
      pullDate: undefined,
      audienceName: 'VIPs',
      segmentName: NAME,
      type: 'custom',
      users: 1,
      ignoredFields: {},
      defaultCountry: undefined,
      phoneHashes: 'e164',
      contentHash,
      traceparent: undefined,
      acceptedAt: Date.now()
    },
    mode === 'delete' ? undefined : seal(users, contentHash, app.sealingKeys),
    [
      {
        provider: 'facebook',
        tag: 'default',
        accountId: destination!.accountId,
        segmentName: NAME
      }
    ]
  )
  app.dispatcher.push(turns)
  const { destinations } = (await service.settled(sessionId)) as { destinations: object[] }
  return destinations[0]
}

test('an audience of agents never takes over a segment that was there before', async (t) => {
  const facebook = await facebookSandbox(t)
  const other = await startService(t, { sandboxes: [facebook] })
  await other.post(form({ name: NAME }), '?sync=true&disablePrefix=true')
  const service = await startService(t, { sandboxes: [facebook] })
  for (const mode of ['add', 'remove'] as const) {
    t.match(await manage(service, mode, 'jane@example.com'), {
      state: 'failed',
      lastError: { code: 'invalid', message: FOREIGN }
    })
  }
  t.match(await manage(service, 'delete', ''), { state: 'delivered' })
  t.same(held(facebook), [[NAME, 1]])
})

test('an audience of agents does not take over what uploads were sent to', async (t) => {
  const facebook = await facebookSandbox(t)
  const other = await startService(t, { sandboxes: [facebook] })
  await other.post(form({ name: NAME }), '?sync=true&disablePrefix=true')
  const service = await startService(t, { sandboxes: [facebook] })
  await service.post(form({ name: NAME }), '?sync=true&disablePrefix=true')
  for (const mode of ['add', 'remove'] as const) {
    t.match(await manage(service, mode, 'jane@example.com'), {
      state: 'failed',
      lastError: { code: 'invalid', message: FOREIGN }
    })
  }
  t.same(held(facebook), [[NAME, 1]])
})

test('what was created by a call without an answer is its own, and is created once', async (t) => {
  const facebook = await facebookSandbox(t)
  const service = await startService(t, { sandboxes: [facebook] })
  facebook.failNext({ times: 1, method: 'POST', path: '/customaudiences', resetAfter: true })
  t.match(await manage(service, 'add', 'ana@example.com'), { state: 'delivered', attempts: 2 })
  t.same(held(facebook), [[NAME, 1]])
  t.match((await service.get('/audience/segments')).body, {
    segments: [{ name: NAME, createdHere: true }]
  })
})

test('a segment that its platform lost from sight stays the service’s own', async (t) => {
  const facebook = await facebookSandbox(t)
  const folder = temporaryFolder(t)
  const service = await startService(t, { sandboxes: [facebook], folder })
  await manage(service, 'add', 'ana@example.com')
  const [destination] = service.app.dispatcher.destinations
  const { items } = await service.app.store.segments({ limit: 1 })
  t.match(items, [{ segmentName: NAME, kind: 'CUSTOM' }])
  // Long enough ago for "not found" not to mean "not visible yet".
  const key = JSON.stringify(['facebook', destination!.accountId, NAME])
  await service.app.store.changeSegment(`${key}CUSTOM`, { createdAt: 1 }, Date.now())
  facebook.failNext({ times: 1, path: '/users', error: 'audience_missing' })
  t.match(await manage(service, 'add', 'ben@example.com'), { state: 'delivered', attempts: 2 })
  t.same(held(facebook), [[NAME, 2]])
  t.match(await manage(service, 'delete', ''), { state: 'delivered' })
  t.same(held(facebook), [])
  t.match(await manage(service, 'add', 'eve@example.com'), { state: 'delivered' })
  t.same(held(facebook), [[NAME, 1]])
})

test('a deletion that the process did not live to see is made by the next one', async (t) => {
  const facebook = await facebookSandbox(t)
  const folder = temporaryFolder(t)
  const path = '/audience/segments?provider=facebook&tag=default&name=blotout_High_Value_Customers'
  const service = await startService(t, { sandboxes: [facebook], folder })
  await service.post(form(), '?sync=true')
  facebook.failNext({ times: 1, method: 'DELETE', hang: true })
  const answer = await service.delete(path)
  while (!facebook.requests.some(({ method }) => method === 'DELETE')) await turn()
  await service.post(form({ users: [{ email: 'ben@example.com' }] }))
  await service.app.close()
  t.same(held(facebook), [['blotout_High_Value_Customers', 1]])

  const again = await startService(t, { sandboxes: [facebook], folder })
  const sessionId = Number(answer.headers.get('location')?.split('/').at(-1))
  t.match(await again.settled(sessionId), { state: 'delivered' })
  t.match(await again.settled(1708531200), { state: 'delivered' })
  t.same(held(facebook), [['blotout_High_Value_Customers', 1]])
  t.match(facebook.state(), {
    segments: [{ members: [{ EMAIL: hash('sha256', 'ben@example.com') }] }]
  })
})
