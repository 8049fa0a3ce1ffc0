import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import tap, { test, type Test } from 'tap'
import type { Sandbox } from '../../providers/sandbox.ts'
import {
  keepSending,
  lies,
  newBatch,
  sendPatiently,
  sequencesSent,
  sessionOf,
  settled
} from '../support/ledger.ts'
import { LONG_ONLY } from '../support/long.ts'
import { startPostgres } from '../support/postgres.ts'
import {
  behindGate,
  eventually,
  launchService,
  type ServiceProcess,
  startPlatforms
} from '../support/processes.ts'
import { form } from '../support/service.ts'
import { MARKED_USER, MARKS, tracesOf } from '../support/traces.ts'

/** Instances of the service that share a PostgreSQL server, and what may happen to that server. */

tap.setTimeout(4 * 60_000)
// Those that leave the server alone run side by side.
tap.jobs = 3

const postgres = await startPostgres()
tap.teardown(() => postgres.close())

type Served = Pick<Sandbox, 'name' | 'variables'>

/** A database of its own, and what starts instances on it. */
async function newCluster(t: Test) {
  const database = await postgres.createDatabase()
  const env = {
    DATABASE_URL: database,
    AUDIENCE_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    AUDIENCE_DRAIN_MS: '0'
  }
  return {
    database,
    launch: (sandboxes: readonly Served[]): ServiceProcess => launchService(t, { sandboxes, env })
  }
}

/** The same stand-in by another of its names, so that it sees whose call it gets. */
function byAnotherName(sandbox: Sandbox): Served {
  const { port } = new URL(sandbox.url)
  return { ...sandbox, variables: { ...sandbox.variables, baseUrl: `http://localhost:${port}` } }
}

/** Uploads that came by this name of the stand-in. */
function uploadsBy(host: 'localhost' | '127.0.0.1', { requests }: Sandbox): number {
  return requests.filter(
    ({ path, headers }) => path.endsWith('/users') && String(headers['host']).startsWith(host)
  ).length
}

test(
  'two instances keep the order of a segment, a failing upload included',
  { buffered: true },
  async (t) => {
    const { facebook } = await startPlatforms(t)
    const { launch } = await newCluster(t)
    const urls = await Promise.all(
      [launch([facebook]), launch([facebook])].map((one) => one.listening())
    )
    facebook.failNext({ times: 1, path: '/users', answer: { status: 500, body: '' } })
    facebook.failNext({ times: 1, path: '/users', resetAfter: true })
    const batches = Array.from({ length: 8 }, (_, index) =>
      newBatch({
        name: 'Order',
        sessionId: 1,
        sequence: index + 1,
        totalBatches: 8,
        channels: ['facebook']
      })
    )
    for (const [index, batch] of batches.entries())
      t.equal(await sendPatiently(urls[index % 2]!, batch), 200)
    t.equal((await settled(urls[0]!, 1)).state, 'delivered')
    t.same(sequencesSent(facebook, batches), [
      '1/1',
      '1/1',
      ...batches.map(({ sequence }) => `1/${sequence}`)
    ])
    t.same(lies(batches, [facebook]), [])
  }
)

test(
  'synchronous callers and event streams hear from one instance what another delivers',
  { buffered: true },
  async (t) => {
    const { facebook } = await startPlatforms(t)
    const { launch } = await newCluster(t)
    const [a, b] = await Promise.all(
      [launch([facebook]), launch([byAnotherName(facebook)])].map((one) => one.listening())
    )
    facebook.configure({ delayMs: 100 })
    const batches = Array.from({ length: 24 }, (_, index) =>
      newBatch({
        name: `Segment ${index}`,
        sessionId: 1,
        sequence: index + 1,
        totalBatches: 24,
        channels: ['facebook']
      })
    )
    // The session is there, so that it can be listened to.
    t.equal(await sendPatiently(a!, batches[0]!, { sync: true }), 200)
    const delivered = deliveredIn(t, `${a}/audience/sessions/1/events`)
    const answers = await Promise.all(
      batches.slice(1).map((batch) => sendPatiently(a!, batch, { sync: true }))
    )
    t.same(
      answers,
      answers.map(() => 200)
    )
    t.ok(uploadsBy('localhost', facebook) > 0, 'the other instance delivered some of them')
    t.ok(uploadsBy('127.0.0.1', facebook) > 0, 'and this one the others')
    t.same(
      (await delivered(24)).toSorted((x, y) => x - y),
      batches.map(({ sequence }) => sequence)
    )
    t.equal((await sessionOf(b!, 1))?.state, 'delivered')
    t.same(lies(batches, [facebook]), [])
  }
)

/** Listens to a session's events; the result waits for so many delivered batches. */
function deliveredIn(t: Test, url: string): (count: number) => Promise<number[]> {
  const leaving = new AbortController()
  t.teardown(() => leaving.abort())
  const response = fetch(url, { signal: leaving.signal, headers: { accept: 'text/event-stream' } })
  return async (count) => {
    const sequences = new Set<number>()
    let text = ''
    const { body } = await response
    if (body === null) throw new Error('no stream')
    for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
      text += chunk
      for (const [, data = ''] of text.matchAll(/^event: delivery\n(?:id: .*\n)?data: (.*)\n/gm)) {
        const { state, sequence } = JSON.parse(data) as { state: string; sequence: number }
        if (state === 'delivered') sequences.add(sequence)
      }
      if (sequences.size === count) break
    }
    return [...sequences]
  }
}

test(
  'an instance that does not know a tag leaves its deliveries to one that does',
  { buffered: true, ...LONG_ONLY },
  async (t) => {
    const { facebook, tiktok } = await startPlatforms(t)
    const { launch } = await newCluster(t)
    const { gate, behind } = await behindGate(t, tiktok)
    await gate.shut()

    const knowing = launch([facebook, behind])
    const batch = newBatch({
      name: 'Tags',
      sessionId: 1,
      sequence: 1,
      totalBatches: 1,
      channels: ['tiktok']
    })
    t.equal(await sendPatiently(await knowing.listening(), batch), 200)
    const unknowing = await launch([facebook]).listening()
    knowing.signal('SIGTERM')
    t.equal(await knowing.exitCode(), 0)
    await gate.open()

    // What comes after it at this instance shows that its turn would have come as well.
    const later = newBatch({
      name: 'Tags',
      sessionId: 2,
      sequence: 1,
      totalBatches: 1,
      channels: ['facebook']
    })
    t.equal(await sendPatiently(unknowing, later, { sync: true }), 200)
    t.equal((await sessionOf(unknowing, 1))?.state, 'sending')
    t.equal(tiktok.requests.length, 0)

    const again = await launch([facebook, behind]).listening()
    t.equal((await settled(again, 1)).state, 'delivered')
    t.same(lies([batch, later], [facebook, tiktok]), [])
  }
)

test(
  'nobody can be read from the server, its dump or its files',
  { buffered: true, ...LONG_ONLY },
  async (t) => {
    const { facebook, klaviyo } = await startPlatforms(t)
    const { launch, database } = await newCluster(t)
    const { gate, behind } = await behindGate(t, klaviyo)
    await gate.shut()
    const url = await launch([facebook, behind]).listening()
    const batch = { sessionId: 1, sequence: 1, totalBatches: 1, totalUsers: 1 }
    const body = form({ batch, users: [MARKED_USER] })
    t.equal((await fetch(`${url}/audience`, { method: 'POST', body })).status, 200)
    await eventually(async () => {
      const session = await sessionOf(url, 1)
      const states = session?.destinations.map(({ provider, state }) => `${provider} ${state}`)
      return states?.join() === 'facebook delivered,klaviyo retrying' ? true : undefined
    })

    t.same(tracesOf(MARKS, Buffer.from(await postgres.dump(database))), [])
    const traces: string[] = []
    for await (const { name, bytes } of postgres.files()) {
      traces.push(...tracesOf(MARKS, bytes).map((mark) => `${mark} in ${name}`))
    }
    t.same(traces, [])
    await gate.open()
    t.equal((await settled(url, 1)).state, 'delivered')
    t.same(tracesOf(MARKS, Buffer.from(await postgres.dump(database))), [])
  }
)

interface StoreFault {
  readonly name: string
  /** Others use the server meanwhile. */
  readonly buffered: boolean
  /** Ends with the database as it was. */
  readonly happen: (database: string) => Promise<void>
}

const STORE_FAULTS: readonly StoreFault[] = [
  {
    name: 'connections are cut again and again',
    buffered: true,
    async happen(database) {
      for (let round = 1; round <= 30; round += 1) {
        await postgres.cutConnections(database)
        await pause(20 + (round % 7) * 15)
      }
    }
  },
  { name: 'the server is restarted', buffered: false, happen: () => postgres.restart() },
  {
    name: 'the server crashes and is away for a while',
    buffered: false,
    async happen() {
      await postgres.stop('immediate')
      await pause(2_000)
      await postgres.start()
    }
  }
]

for (const { name, buffered, happen } of STORE_FAULTS) {
  test(
    `when ${name}, every answer is true and the service recovers by itself`,
    { buffered, ...LONG_ONLY },
    async (t) => {
      const { facebook } = await startPlatforms(t)
      const { launch, database } = await newCluster(t)
      const service = launch([facebook])
      const url = await service.listening()
      const stream = keepSending(t, url)
      await eventually(() => (stream.batches.length > 20 ? true : undefined))
      await happen(database)
      const before = stream.batches.length
      await eventually(() =>
        stream.batches.slice(before).filter(({ answers }) => answers.includes(200)).length > 20
          ? true
          : undefined
      )
      await stream.end()

      const { batches } = stream
      const unsure = batches.filter(({ answers }) => !answers.includes(200))
      const strange = unsure.filter(
        ({ answers }) => !(answers.includes(503) || answers.includes(undefined))
      )
      t.same(strange, [], 'an upload is accepted, or refused for now')
      // Half of them are sent again, which is safe whatever had become of them.
      const again = unsure.slice(0, unsure.length / 2)
      t.same(
        await Promise.all(again.map((batch) => sendPatiently(url, batch))),
        again.map(() => 200)
      )
      const { destinations } = await settled(url, 1)
      t.same(
        destinations.map(({ state }) => state),
        destinations.map(() => 'delivered')
      )
      t.same(lies(batches, [facebook]), [])
      await eventually(async () =>
        (await fetch(`${url}/readyz`)).status === 200 ? true : undefined
      )
    }
  )
}
