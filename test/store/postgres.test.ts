import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Client } from 'pg'
import { test, type Test } from 'tap'
import { MIGRATIONS, migrate } from '../../src/store/migrations.ts'
import { openPostgres } from '../../src/store/postgres.ts'
import {
  createPool,
  createPostgresDatabase,
  toPostgres
} from '../../src/store/postgres-database.ts'
import type { CallLimits, Permits } from '../../src/store/permits.ts'
import type { Queue, TakeTurn } from '../../src/store/queue.ts'
import { seal } from '../../src/store/sealing.ts'
import {
  type NewUpload,
  OPEN_ACCOUNT,
  type Store,
  StoreError,
  type StoreOptions,
  type Target
} from '../../src/store/store.ts'
import { checkFromSchema2, FROM_SCHEMA_2, type OpenStores, storeContract } from './contract.ts'
import { ledgerContract, members, request, upsert } from './ledger-contract.ts'
import { startCommand } from '../support/command.ts'
import { startPostgres } from '../support/postgres.ts'
import { eventually } from '../support/processes.ts'

const KEY = randomBytes(32)
const SEALED = new Uint8Array([1, 2, 3])
const MUCH = () => 100
const IS_LONG = process.env['AUDIENCE_TEST_LONG'] !== undefined

// It ends with this process.
const server = await startPostgres()

/** Lines that were logged, by level. */
class Lines {
  readonly warnings: string[] = []
  readonly errors: string[] = []
  warn(_details: object, message: string): void {
    this.warnings.push(message)
  }
  error(_details: object, message: string): void {
    this.errors.push(message)
  }
}

interface Instance {
  readonly store: Store
  readonly queue: Queue
  readonly permits: Permits
  readonly log: Lines
}

/** One instance of the service on a database, closed with the test. */
async function open(
  t: Test,
  databaseUrl: string,
  options: StoreOptions = { dedupMs: 3_600_000, retentionMs: 3_600_000, hookEndpoints: [] }
): Promise<Instance> {
  const log = new Lines()
  const storage = await openPostgres({ databaseUrl, encryptionKeys: [KEY], ...options }, log)
  const { store, queue, permits } = storage
  if (queue === undefined || permits === undefined) throw new Error('not shared')
  t.teardown(async () => {
    await queue.stop()
    await store.close()
  })
  return { store, queue, permits, log }
}

function upload(sequence: number, change: Partial<NewUpload> = {}): NewUpload {
  return {
    owner: 'default',
    sessionId: 1,
    sequence,
    totalBatches: 1_000,
    totalUsers: 1_000,
    pullDate: undefined,
    audienceName: 'Customers',
    segmentName: 'Customers',
    type: 'custom',
    users: 1,
    ignoredFields: {},
    defaultCountry: undefined,
    contentHash: String(sequence),
    mode: 'add',
    managed: undefined,
    phoneHashes: undefined,
    traceparent: undefined,
    acceptedAt: Date.now(),
    ...change
  }
}

const target = (segmentName: string, accountId = '1'): Target => ({
  provider: 'facebook',
  tag: 'default',
  accountId,
  segmentName
})

/** Takes turns by marking their deliveries as delivered. */
function deliver(
  { store }: Pick<Instance, 'store'>,
  delivered: (sequence: number) => void
): TakeTurn {
  return async (turn) => {
    const work = await store.work(turn)
    if (work === undefined) return 'done'
    await store.changeDelivery(work.delivery.id, { state: 'delivered' }, Date.now())
    delivered(work.delivery.sequence)
    return 'done'
  }
}

/** Resolves when it was called so many times. */
function countdown(from: number): { readonly done: Promise<void>; readonly tick: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  let left = from
  return {
    done: promise,
    tick() {
      left -= 1
      if (left === 0) resolve()
    }
  }
}

const ofTheDead = await server.createDatabase()

test('an instance takes a turn and dies', async (t) => {
  const { store } = await open(t, ofTheDead)
  await store.accept(upload(1), SEALED, [target('a')])
  const holder = startCommand(t, 'test/support/hold-turns.ts', {
    env: { DATABASE_URL: ofTheDead, ENCRYPTION_KEY: KEY.toString('base64') }
  })
  await holder.find(/took facebook\/1/)
  holder.kill('SIGKILL')
  t.equal(await holder.exitCode(), null)
})

test('instances that start together on an empty database share one schema', async (t) => {
  const url = await server.createDatabase()
  const instances = await Promise.all([1, 2, 3, 4].map(() => open(t, url)))
  await Promise.all(
    instances.map(({ store }, index) => store.accept(upload(index), SEALED, [target('a')]))
  )
  const sessions = await Promise.all(instances.map(({ store }) => store.session('default', 1)))
  t.same(
    sessions.map((session) => session?.uploads.map(({ sequence }) => sequence).toSorted()),
    [0, 1, 2, 3].map(() => [0, 1, 2, 3])
  )
})

test('nothing starts without a key', async (t) => {
  const databaseUrl = await server.createDatabase()
  const options = { databaseUrl, encryptionKeys: [], dedupMs: 1, retentionMs: 1, hookEndpoints: [] }
  await t.rejects(
    openPostgres(options, new Lines()),
    new StoreError(
      'AUDIENCE_ENCRYPTION_KEY is missing: PostgreSQL needs it, the same one for all instances. ' +
        'Make one with: openssl rand -base64 32'
    )
  )
})

test('nothing starts on a server that is not there', async (t) => {
  const options = { encryptionKeys: [KEY], dedupMs: 1, retentionMs: 1, hookEndpoints: [] }
  await t.rejects(
    openPostgres({ databaseUrl: 'postgres://127.0.0.1:1/none', ...options }, new Lines()),
    new StoreError('PostgreSQL: connect ECONNREFUSED 127.0.0.1:1')
  )
})

test('values are named as PostgreSQL names them, but not within quotes', async (t) => {
  t.equal(
    toPostgres(`SELECT ?1, '?1 it''s', "?2", ?12 WHERE a = ?2`),
    `SELECT $1, '?1 it''s', "?2", $12 WHERE a = $2`
  )
})

/** Two rows of numbers. */
async function openNumbers(t: Test) {
  const url = await server.createDatabase()
  const database = createPostgresDatabase(createPool(url, 4))
  t.teardown(() => database.close())
  await database.transaction(async (sql) => {
    await sql.run('CREATE TABLE numbers (id BIGINT PRIMARY KEY, value BIGINT, bytes BYTEA)')
    await sql.run('INSERT INTO numbers VALUES (1, 0, NULL), (2, 0, NULL)')
  })
  const values = () => database.transaction((sql) => sql.run('SELECT value FROM numbers'))
  return { url, database, values }
}

test('numbers, sums and bytes come back as they went', async (t) => {
  const { database } = await openNumbers(t)
  const rows = await database.transaction(async (sql) => {
    await sql.run('UPDATE numbers SET value = ?2, bytes = ?3 WHERE id = ?1', [
      1,
      2 ** 52,
      Uint8Array.of(0, 255)
    ])
    return sql.run('SELECT id, value, bytes, sum(value) OVER () AS sum FROM numbers ORDER BY id')
  })
  t.same(rows, [
    { id: 1, value: 2 ** 52, bytes: Buffer.of(0, 255), sum: 2 ** 52 },
    { id: 2, value: 0, bytes: null, sum: 2 ** 52 }
  ])
})

test('transactions that get into each other’s way are repeated', async (t) => {
  const { database, values } = await openNumbers(t)
  const [first, second] = [countdown(1), countdown(1)]
  const add = (mine: typeof first, other: typeof first, ids: readonly [number, number]) =>
    database.transaction(async (sql) => {
      await sql.run('UPDATE numbers SET value = value + 1 WHERE id = ?1', [ids[0]])
      mine.tick()
      await other.done
      await sql.run('UPDATE numbers SET value = value + 1 WHERE id = ?1', [ids[1]])
    })
  await Promise.all([add(first, second, [1, 2]), add(second, first, [2, 1])])
  t.same(await values(), [{ value: 2 }, { value: 2 }])
})

test('a mistake of the caller’s is no fault of the database', async (t) => {
  const { database } = await openNumbers(t)
  const repeat = 'INSERT INTO numbers VALUES (1, 0, NULL)'
  await t.rejects(
    database.transaction((sql) => sql.run(repeat)),
    { name: 'error', code: '23505' }
  )
  await t.rejects(
    database.transaction((sql) => sql.run(repeat).catch(() => {})),
    new Error('a failed statement was passed over')
  )
  await t.rejects(
    database.transaction(() => Promise.reject(new RangeError('of the caller'))),
    new RangeError('of the caller')
  )
})

test('a commit whose answer is lost is a failure of the store', async (t) => {
  const { url, database, values } = await openNumbers(t)
  await t.rejects(
    database.transaction(async (sql) => {
      const [row] = await sql.run('SELECT pg_backend_pid() AS pid')
      await sql.run('UPDATE numbers SET value = 1')
      await server.query(url, 'SELECT pg_terminate_backend($1)', [row?.['pid']])
    }),
    StoreError
  )
  t.same(await values(), [{ value: 0 }, { value: 0 }])
})

test('turns of a segment are had singly and in order, whatever fails, by two instances', async (t) => {
  const url = await server.createDatabase()
  const instances = await Promise.all([open(t, url), open(t, url)])
  const segments = ['a', 'b', 'c', 'd']
  const sequences = Array.from({ length: IS_LONG ? 60 : 6 }, (_, index) => index + 1)
  for (const sequence of sequences) {
    for (const segmentName of segments) {
      await instances[0].store.accept(upload(sequence, { segmentName }), SEALED, [
        target(segmentName)
      ])
    }
  }
  const order = new Map<string, number[]>(segments.map((segment) => [segment, []]))
  const underWay = new Set<string>()
  const { done, tick } = countdown(segments.length * sequences.length)
  let turns = 0
  const take =
    ({ store }: Instance): TakeTurn =>
    async (turn) => {
      const work = await store.work(turn)
      if (work === undefined) return 'done'
      const { id, segmentName, sequence } = work.delivery
      t.notOk(underWay.has(segmentName), 'two at once')
      underWay.add(segmentName)
      try {
        turns += 1
        if (turns === 3) throw new Error('in the middle')
        if (turns % 3 === 0) return { againAt: Date.now() + 20 }
        await store.changeDelivery(id, { state: 'delivered' }, Date.now())
        order.get(segmentName)?.push(sequence)
        tick()
        return 'done'
      } finally {
        underWay.delete(segmentName)
      }
    }
  await Promise.all(instances.map((instance) => instance.queue.start(take(instance), MUCH)))
  await done
  t.same(
    [...order.values()],
    segments.map(() => sequences)
  )
  t.same(
    instances.flatMap(({ log }) => log.errors),
    ['a turn was not taken']
  )
})

test('nothing is left without a turn, whenever it is accepted', async (t) => {
  const [one, two] = await twoInstances(t)
  const total = IS_LONG ? 600 : 60
  const { done, tick } = countdown(total)
  await Promise.all([one, two].map((it) => it.queue.start(deliver(it, tick), MUCH)))
  const accept = async ({ store, queue }: Instance, sequences: readonly number[]) => {
    for (const sequence of sequences) {
      // Each session has a lock of its own: nothing but the segment joins them.
      const own = upload(sequence, { sessionId: sequence })
      const { turns } = await store.accept(own, SEALED, [target(sequence % 3 > 0 ? 'a' : 'b')])
      queue.push(turns)
    }
  }
  const sequences = Array.from({ length: total }, (_, index) => index)
  await Promise.all(
    [0, 1, 2, 3].map((part) =>
      accept(
        part % 2 === 0 ? one : two,
        sequences.filter((sequence) => sequence % 4 === part)
      )
    )
  )
  await done
  t.equal((await one.store.backlog()).deliveries, 0)
})

test('an account gets no more turns than it has room for, and does not hold up another', async (t) => {
  const { store, queue } = await open(t, await server.createDatabase())
  const full = Array.from({ length: 12 }, (_, index) => target(`full ${index}`, 'full'))
  const other = Array.from({ length: 12 }, (_, index) => target(`other ${index}`, 'other'))
  await store.accept(upload(1), SEALED, [...full, ...other])
  const held = Promise.withResolvers<void>()
  const delivered = countdown(12)
  const all = countdown(24)
  const underWay: Record<string, number> = { 'facebook/full': 0, 'facebook/other': 0 }
  const most = { ...underWay }
  const rooms: Record<string, number> = { 'facebook/full': 3, 'facebook/other': 2 }
  await queue.start(
    async (turn) => {
      const { account } = turn
      underWay[account] = (underWay[account] ?? 0) + 1
      most[account] = Math.max(most[account] ?? 0, underWay[account])
      if (account === 'facebook/full') await held.promise
      await deliver({ store }, account === 'facebook/full' ? () => {} : delivered.tick)(
        turn,
        new AbortController().signal
      )
      underWay[account] -= 1
      all.tick()
      return 'done'
    },
    ({ account }) => rooms[account] ?? 0
  )
  await delivered.done
  t.equal(underWay['facebook/full'], 3)
  held.resolve()
  await all.done
  t.same(most, rooms)
})

test('a turn is had again at its time, or when its account is woken', async (t) => {
  const [one, two] = await twoInstances(t)
  await one.store.accept(upload(1), SEALED, [target('a', '1'), target('b', '2'), target('c', '3')])
  const had: string[] = []
  const late = Date.now() + 3_600_000
  const againAt: Record<string, number> = { 'facebook/1': Date.now() + 600, 'facebook/2': late }
  const waiting = countdown(3)
  const done = countdown(2)
  const take: TakeTurn = async (turn, signal) => {
    const { account } = turn
    const isAgain = had.includes(account)
    had.push(account)
    if (isAgain) {
      if (account === 'facebook/1') t.ok(Date.now() >= (againAt[account] ?? 0), 'too early')
      return deliver(one, done.tick)(turn, signal)
    }
    waiting.tick()
    return { againAt: againAt[account] ?? late }
  }
  await one.queue.start(take, MUCH)
  await waiting.done
  await one.queue.stop()
  two.queue.wake('facebook/2')
  await two.queue.start(take, MUCH)
  await done.done
  t.same(had.toSorted(), ['facebook/1', 'facebook/1', 'facebook/2', 'facebook/2', 'facebook/3'])
})

async function twoInstances(t: Test): Promise<readonly [Instance, Instance]> {
  const url = await server.createDatabase()
  return [await open(t, url), await open(t, url)]
}

test('a turn whose account was woken meanwhile does not wait', async (t) => {
  const { store, queue } = await open(t, await server.createDatabase())
  await store.accept(upload(1), SEALED, [target('a')])
  const again = countdown(2)
  await queue.start(async () => {
    queue.wake('facebook/1')
    again.tick()
    return { againAt: Date.now() + 3_600_000 }
  }, MUCH)
  await again.done
})

test('who stops gives back at once what was not done', async (t) => {
  const [one, two] = await twoInstances(t)
  await one.store.accept(upload(1), SEALED, [target('a')])
  const begun = countdown(1)
  const stopping = new AbortController()
  await one.queue.start(async () => {
    begun.tick()
    await once(stopping.signal, 'abort')
    throw new Error('stopped in the middle')
  }, MUCH)
  await begun.done
  const stopped = one.queue.stop()
  stopping.abort()
  await stopped
  const { done, tick } = countdown(1)
  await two.queue.start(deliver(two, tick), MUCH)
  await done
  t.same(one.log.errors, [])
})

test('a turn that is another instance’s by now is let go, and what is said of it passed over', async (t) => {
  const url = await server.createDatabase()
  const { store, queue } = await open(t, url)
  await store.accept(upload(1), SEALED, [target('a')])
  const lapsed = Promise.withResolvers<AbortSignal>()
  await queue.start(async (_turn, signal) => {
    // As another instance's claim would.
    await server.query(url, `UPDATE audience_queue.job SET retry_count = retry_count + 1`)
    await once(signal, 'abort')
    lapsed.resolve(signal)
    return 'done'
  }, MUCH)
  const signal = await lapsed.promise
  t.match(signal.reason, { message: 'the turn may be another instance’s' })
  await queue.stop()
  const { rows } = await server.query(url, 'SELECT state FROM audience_queue.job')
  t.same(rows, [{ state: 'active' }])
})

test('turns that the queue lost are made anew, and failed ones had again', async (t) => {
  const url = await server.createDatabase()
  const [one, two] = [await open(t, url), await open(t, url)]
  await one.store.accept(upload(1), SEALED, [target('a'), target('b')])
  await server.query(url, `DELETE FROM audience_queue.job WHERE group_id = 'send facebook/1'`)
  await one.store.accept(upload(2), SEALED, [target('c', '2')])
  await server.query(url, `UPDATE audience_queue.job SET state = 'failed'`)
  const { done, tick } = countdown(3)
  await Promise.all([one, two].map((it) => it.queue.start(deliver(it, tick), MUCH)))
  await done
  t.same([...one.log.warnings, ...two.log.warnings], ['deliveries had no turn in the queue'])
})

test('limits of an account hold over two instances', async (t) => {
  const url = await server.createDatabase()
  const instances = await Promise.all([open(t, url), open(t, url)])
  const limits: CallLimits = {
    inFlight: 3,
    rates: [
      { requests: 4, perMs: 200 },
      { requests: 10, perMs: 1_000 }
    ],
    endsWithinMs: 60_000
  }
  const calls = IS_LONG ? 240 : 24
  let inFlight = 0
  const most = new Set<number>()
  const call = async ({ permits }: Instance): Promise<void> => {
    const permit = await permits.take('facebook/1', limits)
    if ('waitMs' in permit) {
      await new Promise((resolve) => setTimeout(resolve, permit.waitMs))
      return call({ permits } as Instance)
    }
    inFlight += 1
    most.add(inFlight)
    await server.query(url, 'SELECT pg_sleep(0.02)')
    inFlight -= 1
    await permits.giveBack(permit.id)
  }
  await Promise.all(
    Array.from({ length: calls }, (_, index) => call(instances[index % 2] as Instance))
  )
  const { rows } = await server.query(url, 'SELECT started_at FROM calls ORDER BY started_at')
  const times = rows.map(({ started_at: time }) => Number(time))
  t.equal(times.length, calls)
  for (const { requests, perMs } of limits.rates) {
    const gaps = times.slice(requests).map((time, index) => time - (times[index] ?? 0))
    t.ok(Math.min(...gaps) >= perMs, `${requests} in ${Math.min(...gaps)} ms`)
  }
  t.ok(Math.max(...most) <= limits.inFlight)
})

test('a wait that one instance was told of holds for the permits of all', async (t) => {
  const url = await server.createDatabase()
  const [one, other] = [await open(t, url), await open(t, url)]
  const limits = { inFlight: 4, rates: [], endsWithinMs: 60_000 }
  const until = Date.now() + 3_600_000
  await one.store.setAccount('facebook/1', { ...OPEN_ACCOUNT, status: 'paused', until }, Date.now())
  const paused = await other.permits.take('facebook/1', limits)
  t.ok('waitMs' in paused && paused.waitMs >= 5_000, 'it may ask again later')
  t.match(await other.permits.take('facebook/2', limits), { id: String })
  await one.store.setAccount('facebook/1', { ...OPEN_ACCOUNT, status: 'paused', until: 1 }, 1)
  t.match(await other.permits.take('facebook/1', limits), { id: String })
})

test('a call that nobody ended has ended after its time', async (t) => {
  const { permits } = await open(t, await server.createDatabase())
  const limits: CallLimits = { inFlight: 1, rates: [], endsWithinMs: 300 }
  t.match(await permits.take('a', limits), { id: String })
  let waits = 0
  for (;;) {
    const permit = await permits.take('a', limits)
    if ('id' in permit) break
    waits += 1
    await new Promise((resolve) => setTimeout(resolve, permit.waitMs))
  }
  t.ok(waits > 0)
})

test('connections cut in the middle accept all of an upload or nothing', async (t) => {
  const url = await server.createDatabase()
  const { store, queue } = await open(t, url)
  const outcomes = new Map<number, unknown>()
  const cutting = new AbortController()
  const cuts = (async () => {
    while (!cutting.signal.aborted) {
      await server.query(url, 'SELECT pg_sleep(0.1 * random())')
      await server.cutConnections(url)
    }
  })()
  for (let sequence = 1; sequence <= (IS_LONG ? 400 : 40); sequence += 1) {
    const outcome = await store
      .accept(upload(sequence), SEALED, [target('a')])
      .catch((e: unknown) => e)
    outcomes.set(sequence, outcome)
  }
  cutting.abort()
  await cuts
  const errors = [...outcomes.values()].filter((outcome) => outcome instanceof Error)
  t.ok(errors.length > 0)
  t.same(
    errors.filter((error) => !(error instanceof StoreError)),
    []
  )

  const session = await store.session('default', 1)
  const kept = session?.uploads.map(({ sequence }) => sequence) ?? []
  const accepted = [...outcomes].filter(([, outcome]) => !(outcome instanceof Error))
  t.same(
    accepted.filter(([sequence]) => !kept.includes(sequence)),
    []
  )
  t.same(
    session?.deliveries.map(({ sequence }) => sequence),
    kept
  )
  t.equal((await store.backlog()).payloadBytes, kept.length * SEALED.length)

  const delivered: number[] = []
  const { done, tick } = countdown(kept.length)
  await queue.start(
    deliver({ store }, (sequence) => {
      delivered.push(sequence)
      tick()
    }),
    MUCH
  )
  await done
  t.same(delivered, kept)
})

test('a database that is gone for a while is waited for', async (t) => {
  const { store, queue, log } = await open(t, await server.createDatabase())
  const delivered: number[] = []
  const all = countdown(2)
  await queue.start(
    deliver({ store }, (sequence) => {
      delivered.push(sequence)
      all.tick()
    }),
    MUCH
  )
  await store.accept(upload(1), SEALED, [target('a')])
  await server.stop('immediate')
  await t.rejects(store.accept(upload(2), SEALED, [target('a')]), StoreError)
  await t.rejects(store.backlog(), StoreError)
  await eventually(() => log.errors.includes('the queue does not work') || undefined)
  await server.start()
  await store.accept(upload(3), SEALED, [target('a')])
  queue.push([])
  await all.done
  t.same(delivered, [1, 3])
  t.equal((await store.backlog()).deliveries, 0)
  t.equal(log.errors.filter((line) => line === 'the queue does not work').length, 1)
  t.same(log.warnings, ['the queue works again'])
})

test('a turn is let go while the database cannot be told of it', { skip: !IS_LONG }, async (t) => {
  const { store, queue } = await open(t, await server.createDatabase())
  await store.accept(upload(1), SEALED, [target('a')])
  const { done, tick } = countdown(1)
  let turns = 0
  await queue.start(async (turn, signal) => {
    turns += 1
    if (turns > 1) return deliver({ store }, tick)(turn, signal)
    await server.stop()
    await once(signal, 'abort')
    await server.start()
    return 'done'
  }, MUCH)
  await done
  t.equal(turns, 2)
})

test('what lies on the disk tells nobody’s name, address or number', async (t) => {
  const url = await server.createDatabase()
  const { store } = await open(t, url)
  const secrets = ['jane.marker@example.com', '+4917612345678', 'Markerson']
  const [email, phone, lastName] = secrets
  const users = Buffer.from(JSON.stringify([{ email, phone, lastName }]))
  const sealed = seal(users, 'users', [KEY])
  const { deliveries } = await store.accept(upload(1), sealed, [target('Customers')])
  await store.changeDelivery(deliveries[0]?.id ?? '', { state: 'failed' }, Date.now())
  const forms = secrets.flatMap((secret) => [
    secret,
    Buffer.from(secret).toString('hex'),
    Buffer.from(secret).toString('base64').replace(/=+$/, '')
  ])

  const dump = await server.dump(url)
  t.match(dump, 'Customers')
  t.match(dump, Buffer.from(sealed).toString('hex'))
  t.same(
    forms.filter((form) => dump.includes(form)),
    []
  )
  const found: string[] = []
  for await (const { name, bytes } of server.files()) {
    if (bytes.includes(sealed)) found.push('sealed')
    for (const form of forms) if (bytes.includes(form)) found.push(`${form} in ${name}`)
  }
  t.same([...new Set(found)], ['sealed'])
})

test('a database of the schema before is brought up to date with all that it holds', async (t) => {
  const url = await server.createDatabase()
  const database = createPostgresDatabase(createPool(url, 1))
  await migrate(database, MIGRATIONS.slice(0, 2))
  await database.transaction(async (sql) => {
    for (const [statement, values] of FROM_SCHEMA_2) await sql.run(statement, values)
    await sql.run("SELECT setval('positions', 3)")
  })
  await database.close()
  await checkFromSchema2(t, (await open(t, url)).store)
})

test('a connection that is lost in the middle of a call leaves nothing of it', async (t) => {
  const url = await server.createDatabase()
  const { store } = await open(t, url)
  const call = () =>
    request({
      idempotencyKey: 'key-of-this-call',
      requestHash: 'hash-of-the-request',
      changes: [upsert('riders', { add: members('riders', 'add') })],
      push: { token: 'token-of-the-receiver' }
    })
  const guard = new Client({ connectionString: url })
  guard.on('error', () => {})
  await guard.connect()
  // Its record is what a call writes last.
  await guard.query('BEGIN; LOCK TABLE syncs IN EXCLUSIVE MODE')
  const cut = store.syncAudiences(call())
  const isWaiting = `SELECT pid FROM pg_stat_activity
    WHERE query LIKE 'INSERT INTO syncs%' AND wait_event_type = 'Lock'`
  await Promise.all([
    t.rejects(cut, StoreError),
    eventually(async () => {
      // Not by the guard: what it sees of others stands still within its transaction.
      const { rows } = await server.query(url, isWaiting)
      return rows[0] && server.query(url, 'SELECT pg_terminate_backend($1)', [rows[0].pid])
    })
  ])
  await guard.query('ROLLBACK')
  await guard.end()
  t.same([await store.audiences('acct'), await store.turns()], [[], []])
  t.equal((await store.backlog()).payloadBytes, 0)

  const outcome = await store.syncAudiences(call())
  t.match(outcome, { kind: 'done', isReplay: false })
  const { store: another } = await open(t, url)
  t.strictSame(await another.syncAudiences(call()), { ...outcome, isReplay: true })
  t.equal((await another.turns()).length, 2)
  const dump = await server.dump(url)
  t.match(dump, 'riders')
  for (const secret of ['key-of-this-call', 'token-of-the-receiver', 'hash-of-the-request']) {
    t.notMatch(dump, secret)
    t.notMatch(dump, Buffer.from(secret).toString('hex'))
  }
})

let prepared: Promise<string> | undefined

/** A new database that has the schema already, which takes longer than all that most tests do. */
async function createPrepared(): Promise<string> {
  prepared ??= (async () => {
    const databaseUrl = await server.createDatabase()
    const options = { dedupMs: 1, retentionMs: 1, hookEndpoints: [], encryptionKeys: [KEY] }
    const { store } = await openPostgres({ databaseUrl, ...options }, new Lines())
    await store.close()
    return databaseUrl
  })()
  return server.createDatabase(await prepared)
}

const openStores: OpenStores = async (t, options) => {
  const url = await createPrepared()
  return [(await open(t, url, options)).store, (await open(t, url, options)).store]
}
storeContract('PostgreSQL', openStores)
ledgerContract('PostgreSQL', openStores)

// At the end, because it takes a while until a silent instance counts as dead.
test('the turn of an instance that died is had by another one', async (t) => {
  const { store, queue } = await open(t, ofTheDead)
  const { done, tick } = countdown(1)
  await queue.start(deliver({ store }, tick), MUCH)
  await done
  t.equal((await store.backlog()).deliveries, 0)
})
