import { hash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { type Test, test } from 'tap'
import { providers } from '../../providers/registry.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import { BATCH, form, type Service, startService } from '../support/service.ts'

/** The service as a buyer of itself: what it sends by one side of AdCP arrives by the other. */

const sha256 = (text: string) => hash('sha256', text)
const KEY = 'agent-0123456789abcdef'
const NAME = 'High Value Customers'

async function sandboxOf(t: Test, name: string): Promise<Sandbox> {
  const sandbox = await providers.find((one) => one.name === name)!.sandbox()
  t.teardown(() => sandbox.close())
  return sandbox
}

interface Segment {
  readonly name: string
  readonly members: unknown[]
}
const segmentsOf = (sandbox: Sandbox) => (sandbox.state() as { segments: Segment[] }).segments

/** Waits until everything is at its platform. */
async function delivered({ app }: Service): Promise<void> {
  while ((await app.store.backlog()).deliveries > 0) await pause(5)
}

async function setup(t: Test) {
  const [facebook, tiktok] = [await sandboxOf(t, 'facebook'), await sandboxOf(t, 'tiktok')]
  const account = {
    id: 'acct_1',
    name: 'Veloheim EU',
    brand: { domain: 'veloheim.example', brandId: undefined },
    operator: 'nordlicht.example',
    tags: ['facebook/default', 'tiktok/default'],
    keys: ['agent'],
    requireConsentBasis: true,
    sandbox: false
  }
  const seller = await startService(t, {
    sandboxes: [facebook, tiktok],
    config: { accounts: [account], apiKeys: [{ name: 'agent', key: KEY }] }
  })
  const buyer = await startService(t, {
    tags: {
      'adcp/default': {
        agentUrl: `${seller.url}/mcp`,
        token: KEY,
        brandDomain: 'veloheim.example',
        operator: 'nordlicht.example',
        consentBasis: 'consent',
        bytesPerCall: 40_000
      }
    }
  })
  return { facebook, tiktok, seller, buyer }
}

const USERS = Array.from({ length: 400 }, (_, i) => ({
  edgeTagId: `c-${i}`,
  email: `Customer${i}@shop.example`,
  ...(i % 2 === 0 && { phone: `+35385123${1_000 + i}` })
}))
const emailOf = (i: number) => sha256(`customer${i}@shop.example`)
const phoneOf = (i: number) => sha256(`+35385123${1_000 + i}`)

/** Members of these users, as the sandboxes have them. */
const atFacebook = (indexes: readonly number[]) =>
  indexes.map((i) => ({
    EXTERN_ID: `c-${i}`,
    EMAIL: emailOf(i),
    // The hash of its number is of another form than Meta's.
    PHONE: '',
    FN: '',
    LN: '',
    COUNTRY: '',
    ZIP: ''
  }))
const atTikTok = (indexes: readonly number[]) =>
  indexes.map((i) => ({
    EMAIL_SHA256: [emailOf(i)],
    ...(i % 2 === 0 && { PHONE_SHA256: [phoneOf(i)] })
  }))

const ALL = USERS.map((_, i) => i)
const inOrder = (members: readonly unknown[]) =>
  members.map((member) => JSON.stringify(member)).toSorted()
const membersIn = (sandbox: Sandbox) => segmentsOf(sandbox).map(({ members }) => inOrder(members))

test('what is uploaded, removed and deleted arrives at the platforms of a seller, member by member', async (t) => {
  const { facebook, tiktok, seller, buyer } = await setup(t)
  const batch = { ...BATCH, totalUsers: USERS.length }
  await buyer.post(form({ name: NAME, users: USERS, batch }))
  t.match(await buyer.settled(BATCH.sessionId), {
    state: 'delivered',
    destinations: [
      { provider: 'adcp', users: { sent: 400, received: 400, invalid: 0, leftOut: 0 } }
    ]
  })
  await delivered(seller)
  t.same(membersIn(facebook), [inOrder(atFacebook(ALL))])
  t.same(membersIn(tiktok), [inOrder(atTikTok(ALL))])

  const list = await buyer.get('/audience/segments')
  t.match(list.body, {
    segments: [
      { provider: 'adcp', status: { state: 'processing', matched: null }, createdHere: true }
    ]
  })

  const gone = USERS.slice(0, 100)
  const removal = { sessionId: 2, sequence: 1, totalBatches: 1, totalUsers: gone.length }
  await buyer.post(form({ name: NAME, users: gone, batch: removal }), '?mode=remove')
  t.match(await buyer.settled(2), { state: 'delivered' })
  await delivered(seller)
  t.same(membersIn(facebook), [inOrder(atFacebook(ALL.slice(100)))])
  t.same(membersIn(tiktok), [inOrder(atTikTok(ALL.slice(100)))])

  const query = 'provider=adcp&tag=default&name=blotout_High_Value_Customers'
  t.equal((await buyer.delete(`/audience/segments?${query}`)).status, 200)
  await delivered(buyer)
  await delivered(seller)
  t.same([segmentsOf(facebook), segmentsOf(tiktok)], [[], []])
})

test('calls that fail in every way are repeated until each member is there once', async (t) => {
  const seller = await sandboxOf(t, 'adcp')
  const buyer = await startService(t, {
    tags: { 'adcp/default': { ...seller.variables, membersPerCall: 10 } }
  })
  const page = { status: 502, headers: { 'content-type': 'text/html' }, body: '<html></html>' }
  const faults = [
    { resetAfter: true },
    { reset: true },
    { answer: page },
    { error: 'in_flight' },
    { error: 'service_unavailable' },
    { error: 'rate_limited' }
  ]
  seller.configure({ failing: { share: 0.5, faults, seed: 7 } })
  await buyer.post(form({ name: NAME, users: USERS.slice(0, 40) }))
  t.match(await buyer.settled(BATCH.sessionId), { state: 'delivered' })
  t.same(segmentsOf(seller), [
    {
      account: 'acc-118',
      id: 'blotout_High_Value_Customers',
      name: 'blotout_High_Value_Customers',
      members: ALL.slice(0, 40).map((i) => ({
        external_id: `c-${i}`,
        hashed_email: emailOf(i),
        ...(i % 2 === 0 && { hashed_phone: phoneOf(i) })
      }))
    }
  ])
  t.ok(seller.requests.length > 8, 'calls were repeated')
})

test('a task of the seller keeps the delivery until it is over', async (t) => {
  const seller = await sandboxOf(t, 'adcp')
  const agentUrl = 'https://seller.example/tasks'
  const buyer = await startService(t, {
    tags: { 'adcp/default': { ...seller.variables, agentUrl } }
  })
  await buyer.post(form({ name: NAME, users: USERS.slice(0, 3) }))
  t.match(await buyer.settled(BATCH.sessionId), {
    state: 'delivered',
    destinations: [{ users: { sent: 3, received: 3 } }]
  })
  const tools = seller.requests.map(
    ({ body }) => (body as { params: { name: string } }).params.name
  )
  t.same(tools.slice(-2), ['get_task_status', 'get_task_status'])
})
