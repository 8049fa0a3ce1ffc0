import { setTimeout as pause } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { providers } from '../../providers/registry.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import { BATCH, form, type Service, startService } from '../support/service.ts'

async function sandboxOf(t: Test, name: string): Promise<Sandbox> {
  const started = await providers.find((provider) => provider.name === name)!.sandbox()
  t.teardown(() => started.close())
  return started
}

const NAME = 'blotout_High_Value_Customers'
const people = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => ({ email: `p${from + index}@example.com` }))

/** Names of segments, and how many people are in each. */
const heldBy = (sandbox: Sandbox) =>
  (sandbox.state() as { segments: { name: string; members: unknown[] }[] }).segments.map(
    ({ name, members }) => [name, members.length]
  )

/** Waits until the session's only destination is in this state. */
async function reaches(service: Service, sessionId: number, state: string): Promise<void> {
  for (;;) {
    const { body } = await service.get(`/audience/sessions/${sessionId}`)
    const { destinations } = body as { destinations: { state: string }[] }
    if (destinations[0]?.state === state) return
    await pause(5)
  }
}

/** A service that sends to TikTok by files, and how it sends a batch. */
async function byFiles(t: Test, tiktok: Sandbox) {
  const service = await startService(t, {
    tags: { 'tiktok/default': { ...tiktok.variables, route: 'file' } }
  })
  const send = (batch: Partial<typeof BATCH>, users: readonly object[], query = '') =>
    service.post(form({ batch: { ...BATCH, ...batch }, users }), query)
  return { service, send }
}

test('a removal does not keep back the batches that a platform waits for', async (t) => {
  const { service, send } = await byFiles(t, await sandboxOf(t, 'tiktok'))
  await send({ sessionId: 1, totalBatches: 2 }, people(1, 500))
  await reaches(service, 1, 'confirming')
  await send({ sessionId: 2 }, people(1, 1), '?mode=remove')
  await send({ sessionId: 1, sequence: 2, totalBatches: 2 }, people(501, 1000))
  t.match(await service.settled(1), { state: 'delivered' })
  t.match(await service.settled(2), {
    state: 'failed',
    destinations: [{ lastError: { code: 'invalid', message: /wait at TikTok for the other/ } }]
  })
})

test('what the service never got made is not its own once somebody else has made it', async (t) => {
  const tiktok = await sandboxOf(t, 'tiktok')
  const { service, send } = await byFiles(t, tiktok)
  const other = await byFiles(t, tiktok)
  t.equal((await send({}, people(1, 10), '?sync=true')).status, 400)
  await other.send({}, people(1, 1000), '?sync=true')
  t.same(heldBy(tiktok), [[NAME, 1000]])

  const path = `/audience/segments?provider=tiktok&tag=default&name=${NAME}&sync=true`
  t.equal((await service.delete(path)).status, 404)
  t.same(heldBy(tiktok), [[NAME, 1000]])
})

test('who was removed is not added by a retry of what was accepted before', async (t) => {
  const facebook = await sandboxOf(t, 'facebook')
  const service = await startService(t, { sandboxes: [facebook] })
  const send = (sessionId: number, users: readonly object[], query: string) =>
    service.post(form({ batch: { ...BATCH, sessionId }, users }), query)
  await send(1, people(1, 1), '?sync=true')
  facebook.failNext({ times: 1, path: '/users', error: 'invalid_parameter' })
  t.equal((await send(2, people(2, 3), '?sync=true')).status, 400)
  t.equal((await send(3, people(2, 2), '?sync=true&mode=remove')).status, 200)
  const retry = async () => {
    const answer = await fetch(`${service.url}/audience/sessions/2/retry`, { method: 'POST' })
    return answer.json()
  }
  t.same(await retry(), { success: true, retried: 0, expired: 0 })
  t.same(heldBy(facebook), [[NAME, 1]])
  // Who sends them again asks for it.
  t.equal((await send(2, people(2, 3), '?sync=true')).status, 200)
  t.same(heldBy(facebook), [[NAME, 3]])
})
