import { join } from 'node:path'
import tap, { test, type Test } from 'tap'
import type { Sandbox } from '../../providers/sandbox.ts'
import {
  type Batch,
  lies,
  newBatch,
  sendPatiently,
  sendForAnswer,
  sequencesSent,
  sessionOf,
  settled
} from '../support/ledger.ts'
import {
  behindGate,
  eventually,
  launchService,
  startPlatforms,
  temporaryFolder
} from '../support/processes.ts'

tap.setTimeout(4 * 60_000)
tap.jobs = 3

/** The service on SQLite, serving these stand-ins. */
async function startOn(t: Test, sandboxes: readonly Pick<Sandbox, 'name' | 'variables'>[]) {
  const file = join(temporaryFolder(t), 'audience.db')
  return launchService(t, { sandboxes, env: { DATABASE_URL: `sqlite:${file}` } }).listening()
}

/** The batches of one session, each with people of its own. */
function batchesOf(total: number, batch: Pick<Batch, 'name' | 'sessionId'> & Partial<Batch>) {
  return Array.from({ length: total }, (_, index) =>
    newBatch({ ...batch, sequence: index + 1, totalBatches: total })
  )
}

async function destinationAt(url: string, sessionId: number, provider: string) {
  const session = await sessionOf(url, sessionId)
  return session?.destinations.find((destination) => destination.provider === provider)
}

/** The most calls that arrived within any period of this length. */
function mostWithin(periodMs: number, { requests }: Sandbox): number {
  const times = requests.map(({ at }) => at)
  return Math.max(
    ...times.map((from) => times.filter((at) => at >= from && at < from + periodMs).length)
  )
}

test(
  'while a platform is down the others get everything; once it is back it does too, within its limits',
  { buffered: true },
  async (t) => {
    const { facebook, tiktok, klaviyo, all } = await startPlatforms(t)
    const { gate, behind } = await behindGate(t, tiktok)
    const url = await startOn(t, [facebook, behind, klaviyo])
    await gate.shut()

    const batches = [
      ...batchesOf(30, { sessionId: 1, name: 'Outage', channels: ['facebook', 'tiktok'] }),
      ...batchesOf(3, { sessionId: 2, name: 'Outage too' })
    ]
    t.same(
      await Promise.all(batches.map((batch) => sendPatiently(url, batch))),
      batches.map(() => 200)
    )
    for (const [sessionId, provider] of [
      [1, 'facebook'],
      [2, 'facebook'],
      [2, 'klaviyo']
    ] as const) {
      await eventually(async () =>
        (await destinationAt(url, sessionId, provider))?.state === 'delivered' ? true : undefined
      )
    }
    for (const sessionId of [1, 2]) {
      const waiting = await eventually(async () => {
        const destination = await destinationAt(url, sessionId, 'tiktok')
        return destination?.lastError === null ? undefined : destination
      })
      t.equal(waiting.deliveries['delivered'], 0)
      t.equal(waiting.deliveries['failed'], 0)
    }
    t.equal(tiktok.requests.length, 0)

    await gate.open()
    t.equal((await settled(url, 1)).state, 'delivered')
    t.equal((await settled(url, 2)).state, 'delivered')
    t.same(lies(batches, all), [])
    // Ten a second are allowed; the way through two busy processes may squeeze calls together.
    t.ok(mostWithin(600, tiktok) <= 10, `${mostWithin(600, tiktok)} calls`)
  }
)

test(
  'when a token expires the deliveries wait until it is renewed, and none fails',
  { buffered: true },
  async (t) => {
    const { facebook, tiktok } = await startPlatforms(t)
    const url = await startOn(t, [facebook, tiktok])
    const batches = batchesOf(8, { sessionId: 1, name: 'Token', channels: ['facebook', 'tiktok'] })
    const [first, second, ...others] = batches
    t.equal(await sendPatiently(url, first!, { sync: true }), 200)

    facebook.configure({ failing: { share: 1, faults: [{ error: 'expired_token' }], seed: 1 } })
    const answer = await sendForAnswer(url, second!, { sync: true })
    t.equal(answer?.status, 400)
    t.match(answer?.body, {
      success: false,
      errors: [/^facebook\/default: the access token has expired/]
    })
    t.same(
      await Promise.all(others.map((batch) => sendPatiently(url, batch))),
      others.map(() => 200)
    )
    const held = await eventually(async () => {
      const destination = await destinationAt(url, 1, 'facebook')
      return destination?.state === 'held' ? destination : undefined
    })
    t.equal(held.lastError?.code, 'auth')
    t.equal(held.deliveries['failed'], 0)

    const before = facebook.requests.length
    await eventually(async () =>
      (await destinationAt(url, 1, 'tiktok'))?.state === 'delivered' ? true : undefined
    )
    t.ok(facebook.requests.length - before <= 2, 'an account that is held is not called on and on')

    facebook.configure({ failing: null })
    const { state, destinations } = await settled(url, 1)
    t.equal(state, 'delivered')
    t.same(
      destinations.map(({ deliveries }) => deliveries['delivered']),
      [8, 8]
    )
  }
)

test('uploads behind one that fails arrive after it', { buffered: true }, async (t) => {
  const { facebook } = await startPlatforms(t)
  const url = await startOn(t, [facebook])
  facebook.failNext({ times: 1, path: '/users', answer: { status: 500, body: '' } })
  facebook.failNext({ times: 1, path: '/users', resetAfter: true })
  const batches = [
    ...batchesOf(3, { sessionId: 1, name: 'Order', channels: ['facebook'] }),
    ...batchesOf(3, { sessionId: 2, name: 'Order', channels: ['facebook'] })
  ]
  for (const batch of batches) t.equal(await sendPatiently(url, batch), 200)
  for (const sessionId of [1, 2]) t.equal((await settled(url, sessionId)).state, 'delivered')
  t.same(sequencesSent(facebook, batches), ['1/1', '1/1', '1/1', '1/2', '1/3', '2/1', '2/2', '2/3'])
})
