import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import tap, { test, type Test } from 'tap'
import { seededRandom } from '../../providers/sandbox.ts'
import {
  type Batch,
  deleteSegment,
  emailsAt,
  lies,
  newBatch,
  segmentsOf,
  send,
  sessionOf,
  settled
} from '../support/ledger.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import { IS_LONG, LONG_ONLY } from '../support/long.ts'
import { startPostgres } from '../support/postgres.ts'
import {
  eventually,
  launchService,
  type ServiceProcess,
  startPlatforms,
  temporaryFolder
} from '../support/processes.ts'

/**
 * The service is killed again and again while it takes uploads, removals and deletions for platforms
 * that fail every fifth call. A run is repeated, as far as processes can be, by `AUDIENCE_TEST_SEED=<seed>`.
 */

const KILLS = IS_LONG ? 50 : 4
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
/** Takes out some people of a batch that was accepted, and brings one of them back after that. */
const REMOVALS_SESSION = 7
const RETURNS_SESSION = 8
/** A segment that is deleted after half of the rounds and then filled with other people. */
const DOOMED = { name: 'Omega', channels: ['facebook', 'tiktok', 'klaviyo'] }
const BEFORE_DELETION = 9
const AFTER_DELETION = 10

const NO_ANSWER_MS = 400
const FAULTS = [
  { answer: { status: 500, body: 'Internal Server Error' } },
  { answer: { status: 429, headers: { 'retry-after': '1' }, body: '' } },
  { reset: true },
  { resetAfter: true },
  { hang: true }
]

type Random = () => number

const isAccepted = ({ answers }: Batch) => answers.includes(200)

/** The batches of all sessions, a round at a time, with what was not answered before. */
function createStream(random: Random) {
  const all: Batch[] = []
  const isOpen = (batch: Batch) => !batch.isInvalid && !isAccepted(batch)
  const pick = <T>(items: readonly T[]) => items[Math.floor(random() * items.length)]
  const of = (...sessionIds: readonly number[]) =>
    all.filter(({ sessionId }) => sessionIds.includes(sessionId))

  /** A batch with the first people of another one, the next of its session. */
  function follow(other: Batch, sessionId: number, people: number, mode: Batch['mode']): Batch {
    const { name, channels, emails } = other
    const sequence = of(sessionId).length + 1
    const place = { sessionId, sequence, totalBatches: sequence }
    return newBatch({ ...place, name, channels, mode, emails: emails.slice(0, people) })
  }

  /** Of people whose last batch was accepted, so that it is known what has to come of them. */
  function comeAndGo(): Batch[] {
    const known = new Set(of(REMOVALS_SESSION, RETURNS_SESSION).map(({ emails }) => emails[0]))
    const isNew = ({ emails }: Batch) => !known.has(emails[0])
    const added = of(...SESSIONS.map(({ sessionId }) => sessionId)).filter(isAccepted)
    const leaving = pick(added.filter(isNew))
    const returned = new Set(of(RETURNS_SESSION).map(({ emails }) => emails[0]))
    const removed = of(REMOVALS_SESSION).filter(isAccepted)
    const returning = pick(removed.filter(({ emails }) => !returned.has(emails[0])))
    return [
      ...(leaving === undefined ? [] : [follow(leaving, REMOVALS_SESSION, 3, 'remove')]),
      ...(returning === undefined ? [] : [follow(returning, RETURNS_SESSION, 1, 'add')])
    ]
  }

  return {
    all,
    of,
    /** People leave and return once more, now that something was accepted for certain. */
    last(): Batch[] {
      const batches = comeAndGo()
      all.push(...batches)
      return batches
    },
    /** Valid batches without their 200 that are sent until they have it. */
    open: () =>
      all.filter(
        (batch) => isOpen(batch) && ![ABANDONED_SESSION, BEFORE_DELETION].includes(batch.sessionId)
      ),
    /** A batch of the segment that is deleted. */
    doomed(sessionId: number): Batch {
      const sequence = of(sessionId).length + 1
      const batch = newBatch({ ...DOOMED, sessionId, sequence, totalBatches: sequence })
      all.push(batch)
      return batch
    },
    next(round: number): Batch[] {
      const again = this.open()
      // What a deletion cancelled would begin anew.
      const repeated = pick(
        all.filter((batch) => isAccepted(batch) && batch.sessionId !== BEFORE_DELETION)
      )
      const place = { sequence: round, totalBatches: KILLS }
      const fresh = SESSIONS.map(({ name, ...session }) =>
        newBatch({ name: `${name} ${round % SEGMENTS_PER_NAME}`, ...session, ...place })
      )
      const abandoned = newBatch({ name: 'Delta', sessionId: ABANDONED_SESSION, ...place })
      const invalid = newBatch({ ...place, name: 'Alpha', sessionId: 1, isInvalid: true })
      const added = [...fresh, ...comeAndGo(), invalid, { ...abandoned, channels: ['facebook'] }]
      all.push(...added)
      return [...added, ...again, ...(repeated === undefined ? [] : [repeated])]
    }
  }
}

/** Deletes one segment at each platform. */
function createDeletion(stream: ReturnType<typeof createStream>, sandboxes: readonly Sandbox[]) {
  const left = new Set(sandboxes)
  const asked = new Set<Sandbox>()
  return {
    isOver: () => left.size === 0,
    /** What there is to do in a round: the segment is filled, deleted, filled with other people. */
    next(round: number): Call[] {
      const isFilled = stream.of(BEFORE_DELETION).some(isAccepted)
      if (round <= KILLS / 2 || !isFilled) return [sending(stream.doomed(BEFORE_DELETION))]
      if (left.size === 0) return [sending(stream.doomed(AFTER_DELETION))]
      return [...left].map((sandbox) => (url) => this.deleteAt(url, sandbox))
    },
    /** Until there is an answer: after one that was lost, nothing may be there to be deleted. */
    async deleteAt(url: string, sandbox: Sandbox): Promise<void> {
      // What its platform has, the service knows.
      const isThere = segmentsOf(sandbox).some(({ name }) => name === `blotout_${DOOMED.name}`)
      if (!isThere && !asked.has(sandbox)) return
      asked.add(sandbox)
      const status = await deleteSegment(url, sandbox.name, DOOMED.name)
      if (status === 200 || status === 404) left.delete(sandbox)
    }
  }
}

type Call = (url: string) => Promise<unknown>

const sending =
  (batch: Batch): Call =>
  (url) =>
    send(url, batch)

/** Makes calls at random moments of the round to a random one of the services. */
async function callAll(
  calls: readonly Call[],
  services: readonly ServiceProcess[],
  random: Random
): Promise<void> {
  await Promise.all(
    calls.map(async (call) => {
      const service = services[Math.floor(random() * services.length)]
      const delayMs = random() * SENDING_MS
      const url = await service?.listening().catch(() => undefined)
      await pause(delayMs)
      if (url !== undefined) await call(url)
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
  const deletion = createDeletion(stream, sandboxes)

  const services = Array.from({ length: instances }, launch)
  for (let round = 1; round <= KILLS; round += 1) {
    const victim = round % instances
    const calls = [...stream.next(round).map(sending), ...deletion.next(round)]
    const sent = callAll(calls, services, random)
    await killAtRandom(services[victim]!, random)
    await sent
    services[victim] = launch()
  }

  const [service] = services
  const url = await service!.listening()
  // Waits grow with each failure; the short form does not have the time for more of them.
  if (!IS_LONG) for (const sandbox of sandboxes) sandbox.configure({ failing: null })
  await eventually(async () => {
    await Promise.all(deletion.next(KILLS).map((call) => call(url)))
    return deletion.isOver() || undefined
  })
  stream.doomed(AFTER_DELETION)
  const sendAll = async (batches: readonly Batch[]) =>
    t.same(
      await Promise.all(batches.map((batch) => send(url, batch))),
      batches.map(() => 200)
    )
  await sendAll(stream.open())
  await sendAll(stream.last())
  const unfailing = stream.all.filter(
    ({ sessionId }) => ![ABANDONED_SESSION, BEFORE_DELETION].includes(sessionId)
  )
  for (const sessionId of new Set(unfailing.map((batch) => batch.sessionId))) {
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
  const doomed = stream.of(BEFORE_DELETION)
  t.ok(doomed.some(isAccepted), 'there was something to delete')
  const { destinations: deleted } = await settled(url, BEFORE_DELETION)
  const codes = new Set(deleted.flatMap(({ lastError }) => lastError?.code ?? []))
  codes.delete('cancelled')
  t.same([...codes], [], `what was not cancelled did not fail, seed ${seed}`)
  t.same(
    lies(
      stream.all.filter((batch) => !doomed.includes(batch)),
      sandboxes
    ),
    [],
    `seed ${seed}`
  )
  const arrivedLater = stream.of(AFTER_DELETION).flatMap(({ emails }) => emails)
  t.same(
    sandboxes.map((sandbox) => emailsAt(sandbox, DOOMED.name).size),
    sandboxes.map(() => arrivedLater.length),
    `nobody of before the deletion, seed ${seed}`
  )
  t.ok(stream.of(REMOVALS_SESSION).length > 0, 'people were removed')

  const place = { sequence: 1, totalBatches: 1 }
  const invalid = newBatch({ ...place, name: 'Alpha', sessionId: 1, isInvalid: true })
  t.equal(await send(url, invalid), 400)
  const refused = stream.all.filter(({ answers }) => answers.includes(400))
  t.ok(
    refused.every(({ isInvalid }) => isInvalid),
    'only invalid ones are refused'
  )
  // A few kills may come between the calls.
  if (IS_LONG) {
    t.ok(
      stream.all.some(({ answers }) => answers.includes(undefined)),
      'answers were lost'
    )
  }
}

test(`killed ${KILLS} times, on SQLite: every answer was true`, { buffered: true }, async (t) => {
  const file = join(temporaryFolder(t), 'audience.db')
  await crashAndRecover(t, { env: { DATABASE_URL: `sqlite:${file}` }, instances: 1 })
})

test(
  `two instances killed by turns, ${KILLS} times, on PostgreSQL: every answer was true`,
  { buffered: true, ...LONG_ONLY },
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
