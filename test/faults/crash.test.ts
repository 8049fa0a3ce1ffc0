import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import tap, { test, type Test } from 'tap'
import { seededRandom } from '../../providers/sandbox.ts'
import { type Batch, lies, newBatch, send, sessionOf, settled } from '../support/ledger.ts'
import { startPostgres } from '../support/postgres.ts'
import {
  eventually,
  launchService,
  type ServiceProcess,
  startPlatforms,
  temporaryFolder
} from '../support/processes.ts'

/**
 * The service is killed again and again while it takes uploads for platforms that fail every fifth
 * call. A run is repeated, as far as processes can be, by `AUDIENCE_TEST_SEED=<seed>`.
 */

const IS_LONG = Boolean(process.env['AUDIENCE_TEST_LONG'])
const KILLS = IS_LONG ? 50 : 10
const LIMIT_MS = IS_LONG ? 15 * 60_000 : 4 * 60_000

tap.setTimeout(LIMIT_MS)
// Most of the time is waited for: both storages share it.
tap.jobs = 2

/** Time in which the batches of a round are sent, and soon after which it is over. */
const SENDING_MS = 800
const ROUND_MS = 1_200

const SESSIONS: readonly Pick<Batch, 'sessionId' | 'name' | 'channels'>[] = [
  { sessionId: 1, name: 'Alpha', channels: ['facebook', 'tiktok'] },
  { sessionId: 2, name: 'Alpha', channels: ['facebook'] },
  { sessionId: 3, name: 'Beta', channels: ['facebook', 'tiktok'] },
  { sessionId: 4, name: 'Beta', channels: ['facebook'] },
  // Klaviyo takes 150 calls a minute.
  { sessionId: 5, name: 'Gamma', channels: ['facebook', 'tiktok', 'klaviyo'] }
]
/** So that a segment whose delivery waits after a crash does not hold up everything. */
const SEGMENTS_PER_NAME = 3
/** What got no answer here is not sent again. */
const ABANDONED_SESSION = 6

const NO_ANSWER_MS = 400
const FAULTS = [
  { answer: { status: 500, body: 'Internal Server Error' } },
  { answer: { status: 429, headers: { 'retry-after': '1' }, body: '' } },
  { reset: true },
  { resetAfter: true },
  { hang: true }
]

type Random = () => number

/** The batches of all sessions, a round at a time, with what was not answered before. */
function createStream(random: Random) {
  const all: Batch[] = []
  const isOpen = ({ answers, isInvalid }: Batch) => !isInvalid && !answers.includes(200)
  const pick = <T>(items: readonly T[]) => items[Math.floor(random() * items.length)]

  return {
    all,
    /** Valid batches without their 200 that are sent until they have it. */
    open: () => all.filter((batch) => isOpen(batch) && batch.sessionId !== ABANDONED_SESSION),
    next(round: number): Batch[] {
      const again = this.open()
      const repeated = pick(all.filter(({ answers }) => answers.includes(200)))
      const place = { sequence: round, totalBatches: KILLS }
      const fresh = SESSIONS.map(({ name, ...session }) =>
        newBatch({ name: `${name} ${round % SEGMENTS_PER_NAME}`, ...session, ...place })
      )
      const abandoned = newBatch({ name: 'Delta', sessionId: ABANDONED_SESSION, ...place })
      const invalid = newBatch({ ...place, name: 'Alpha', sessionId: 1, isInvalid: true })
      const added = [...fresh, invalid, { ...abandoned, channels: ['facebook'] }]
      all.push(...added)
      return [...added, ...again, ...(repeated === undefined ? [] : [repeated])]
    }
  }
}

/** Sends batches at random moments of the round to a random one of the services. */
async function sendAll(
  batches: readonly Batch[],
  services: readonly ServiceProcess[],
  random: Random
): Promise<void> {
  await Promise.all(
    batches.map(async (batch) => {
      const service = services[Math.floor(random() * services.length)]
      const delayMs = random() * SENDING_MS
      const url = await service?.listening().catch(() => undefined)
      await pause(delayMs)
      if (url !== undefined) await send(url, batch)
    })
  )
}

/** Kills it at a random moment: one time in eight while it starts. */
async function killAtRandom(service: ServiceProcess, random: Random): Promise<void> {
  const whileItStarts = random() < 1 / 8
  const delayMs = random() * ROUND_MS
  if (!whileItStarts) await service.listening()
  await pause(delayMs)
  await service.kill()
}

interface Scenario {
  readonly env: Readonly<Record<string, string>> & { readonly DATABASE_URL: string }
  readonly instances: number
}

async function crashAndRecover(t: Test, { env, instances }: Scenario): Promise<void> {
  const seed = Number(process.env['AUDIENCE_TEST_SEED'] ?? randomBytes(3).readUIntBE(0, 3))
  t.comment(`AUDIENCE_TEST_SEED=${seed}`)
  const random = seededRandom(seed)
  const { all: sandboxes } = await startPlatforms(t)
  for (const sandbox of sandboxes) {
    sandbox.configure({ failing: { share: 0.2, faults: FAULTS, seed } })
  }
  const launch = () =>
    launchService(t, {
      sandboxes,
      env: { AUDIENCE_PLATFORM_TIMEOUT_MS: String(NO_ANSWER_MS), ...env }
    })
  const stream = createStream(random)

  const services = Array.from({ length: instances }, launch)
  for (let round = 1; round <= KILLS; round += 1) {
    const victim = round % instances
    const sent = sendAll(stream.next(round), services, random)
    await killAtRandom(services[victim]!, random)
    await sent
    services[victim] = launch()
  }

  const [service] = services
  const url = await service!.listening()
  // Waits grow with each failure; the short form does not have the time for more of them.
  if (!IS_LONG) for (const sandbox of sandboxes) sandbox.configure({ failing: null })
  const open = stream.open()
  t.same(
    await Promise.all(open.map((batch) => send(url, batch))),
    open.map(() => 200)
  )
  for (const { sessionId } of SESSIONS) {
    const { state, batches, destinations } = await settled(url, sessionId)
    t.same(
      {
        state,
        missing: batches.missing,
        errors: destinations.flatMap(({ lastError }) => lastError ?? [])
      },
      { state: 'delivered', missing: [], errors: [] },
      `session ${sessionId}, seed ${seed}`
    )
  }
  await eventually(async () => {
    const abandoned = await sessionOf(url, ABANDONED_SESSION)
    return abandoned?.state === 'sending' ? undefined : true
  })
  t.same(lies(stream.all, sandboxes), [], `seed ${seed}`)

  const place = { sequence: 1, totalBatches: 1 }
  const invalid = newBatch({ ...place, name: 'Alpha', sessionId: 1, isInvalid: true })
  t.equal(await send(url, invalid), 400)
  const refused = stream.all.filter(({ answers }) => answers.includes(400))
  t.ok(
    refused.every(({ isInvalid }) => isInvalid),
    'only invalid ones are refused'
  )
  t.ok(
    stream.all.some(({ answers }) => answers.includes(undefined)),
    'answers were lost'
  )
}

test(`killed ${KILLS} times, on SQLite: every answer was true`, { buffered: true }, async (t) => {
  const file = join(temporaryFolder(t), 'audience.db')
  await crashAndRecover(t, { env: { DATABASE_URL: `sqlite:${file}` }, instances: 1 })
})

test(
  `two instances killed by turns, ${KILLS} times, on PostgreSQL: every answer was true`,
  { buffered: true },
  async (t) => {
    const postgres = await startPostgres()
    t.teardown(() => postgres.close())
    const env = {
      DATABASE_URL: await postgres.createDatabase(),
      AUDIENCE_ENCRYPTION_KEY: randomBytes(32).toString('base64')
    }
    await crashAndRecover(t, { env, instances: 2 })
  }
)
