import { hash } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { ROOT_CONTEXT } from '@opentelemetry/api'
import { test } from 'tap'
import { providers } from '../../providers/registry.ts'
import { createMembers, fieldReport } from '../support/members.ts'
import { createDestinations } from '../../src/dispatch/destination.ts'
import { createEncodings, type EncodingsOptions } from '../../src/dispatch/encodings.ts'
import type { Job } from '../../src/dispatch/job.ts'
import { acceptUsers, type EncodeOutcome, encodeUsers } from '../../src/dispatch/worker.ts'
import { createShares } from '../../src/dispatch/shares.ts'
import {
  createWorkers,
  isOutOfMemory,
  isOutOfTime,
  type Workers
} from '../../src/dispatch/workers.ts'
import { seal } from '../../src/store/sealing.ts'
import { FRESH } from '../../src/store/store.ts'
import { EU, T0, upload as newUpload } from '../store/contract.ts'
import { instantClock, steppedClock } from '../support/clock.ts'
import { BATCH, form, startService } from '../support/service.ts'

const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
const keys = [new Uint8Array(32).fill(7)] as const
const audience = {
  segmentName: 'blotout_VIP',
  type: 'custom',
  mode: 'add',
  sessionId: 1,
  sequence: 1,
  totalBatches: 1,
  totalUsers: 1
} as const
const sealed = (users: unknown) => ({
  sealed: seal(bytes(users), 'hash', keys),
  contentHash: 'hash',
  keys,
  defaultCountry: undefined,
  targets: []
})

test("one platform's fault in encoding is not the others'", async (t) => {
  const outcome = encodeUsers({
    ...sealed([{ email: 'jane@example.com' }]),
    targets: [
      { provider: 'myspace', variables: {}, audience },
      { provider: 'facebook', variables: { batchSize: 10_000 }, audience }
    ]
  })
  t.match(outcome, {
    encodings: [{ stack: /no provider myspace/ }, { bodies: [{ users: 1 }] }],
    report: { email: { usable: 1 } }
  })
})

test('users are counted and sealed, and what is wrong with them is told', async (t) => {
  const read = await acceptUsers({ users: bytes([{}, { a: 1 }]), maxUsers: 2, keys })
  t.match(read, { count: 2, contentHash: /^[0-9a-f]{64}$/, ignoredFields: { a: 1 } })
  t.same(await acceptUsers({ users: bytes([]), maxUsers: 2, keys }), {
    kind: 'empty',
    problem: 'users is empty'
  })
  t.throws(() => encodeUsers(sealed({})))
})

test('the same users have the same hash, which only who has the key can compute', async (t) => {
  const hashOf = async (users: unknown, ...ring: [Uint8Array, ...Uint8Array[]]) => {
    const read = await acceptUsers({ users: bytes(users), maxUsers: 2, keys: ring })
    return 'contentHash' in read ? read.contentHash : undefined
  }
  const [own] = keys
  const jane = [{ email: 'jane@example.com' }]
  const known = await hashOf(jane, own)
  t.equal(known, await hashOf(jane, own))
  t.not(known, await hashOf([{ email: 'john@example.com' }], own))
  t.not(known, await hashOf(jane, new Uint8Array(32)))
  t.not(known, hash('sha256', bytes(jane)))
})

test('a task whose time is over ends', async (t) => {
  const workers = createWorkers({ read: 0, encode: 0 })
  t.teardown(() => workers.close())
  const outcomes = await Promise.allSettled([
    workers.read({ users: bytes([{}]), maxUsers: 1, keys }),
    workers.encode(sealed([{}]))
  ])
  for (const outcome of outcomes) {
    const reason: unknown = outcome.status === 'rejected' ? outcome.reason : undefined
    t.same([isOutOfTime(reason), isOutOfMemory(reason)], [true, false])
  }
})

test('reads leave a thread to preparations, and take it where there are none', async (t) => {
  const begun: string[] = []
  const running = new Map<string, () => void>()
  const task = (name: string) => () => {
    begun.push(name)
    const { promise, resolve } = Promise.withResolvers<void>()
    running.set(name, resolve)
    return promise
  }
  const end = async (name: string) => {
    running.get(name)?.()
    await turn()
  }
  const shares = createShares(2)
  const { signal } = new AbortController()
  const stopped = new AbortController()
  const reads = [1, 2, 3].map((index) => shares.read(task(`read ${index}`), signal))
  const given = shares.read(task('given up'), stopped.signal)
  const last = shares.read(task('read 4'), signal)
  const preparation = shares.prepare(task('preparation'))
  await turn()
  t.same(begun, ['read 1', 'read 2', 'preparation'], 'which the threads do in this order')
  await end('read 1')
  t.same(begun.slice(3), [], 'one read is enough')
  await end('read 2')
  t.same(begun.slice(3), ['read 3'])
  stopped.abort()
  await t.rejects(given)
  await end('preparation')
  t.same(begun.slice(4), ['read 4'])
  for (const name of ['read 3', 'read 4']) await end(name)
  await Promise.all([...reads, last, preparation])

  const alone = createShares(1)
  const both = [alone.prepare(task('preparation')), alone.read(task('read'), signal)]
  await turn()
  t.same(begun.slice(5), ['preparation', 'read'], 'who has one thread reads all the same')
  for (const name of ['preparation', 'read']) await end(name)
  await Promise.all(both)
})

test('users that no key opens are told as that', async (t) => {
  const other = [new Uint8Array(32).fill(8)] as const
  t.same(encodeUsers({ ...sealed([{}]), keys: other }), {
    unreadable: 'sealed with a key that is not listed in AUDIENCE_ENCRYPTION_KEY any more'
  })
  t.same(encodeUsers({ ...sealed([{}]), contentHash: 'other' }), {
    unreadable: 'the sealed bytes were changed'
  })
})

test('what ends a thread takes no other platform of its upload along', async (t) => {
  const [facebook, klaviyo] = await Promise.all(
    ['facebook', 'klaviyo'].map((name) => providers.find((one) => one.name === name)!.sandbox())
  )
  for (const sandbox of [facebook!, klaviyo!]) t.teardown(() => sandbox.close())
  const clock = steppedClock()
  const encoded: string[][] = []
  const service = await startService(t, {
    sandboxes: [facebook!, klaviyo!],
    clock,
    workers: (real) => ({
      ...real,
      encode(task) {
        const names = task.targets.map(({ provider }) => provider)
        encoded.push(names)
        const isDeadly = names.includes('klaviyo') && task.targets[0]?.audience.sessionId === 2
        return isDeadly ? Promise.reject(new Error('it died')) : real.encode(task)
      }
    })
  })
  const upload = (sessionId: number) =>
    service.post(form({ name: `Audience ${sessionId}`, batch: { ...BATCH, sessionId } }))
  const states = async (sessionId: number) => {
    const { body } = await service.get(`/audience/sessions/${sessionId}`)
    const { destinations } = body as { destinations: Record<string, unknown>[] }
    return destinations.map(({ state }) => state)
  }
  const ENDED: readonly unknown[] = ['delivered', 'failed']
  const ended = async (sessionId: number, index: number) => {
    while (!ENDED.includes((await states(sessionId))[index])) clock.advance(10_000)
    return states(sessionId)
  }
  // While its account waits, the deadly delivery is prepared only along with the other one.
  klaviyo!.failNext({
    times: 1,
    answer: { status: 429, headers: { 'retry-after': '36000' }, body: { errors: [] } }
  })
  await upload(1)
  while ((await states(1))[1] !== 'retrying') await turn()
  encoded.length = 0
  await upload(2)
  t.same(await ended(2, 0), ['delivered', 'queued'])
  t.same(encoded, [['facebook', 'klaviyo'], ['facebook']])

  clock.advance(11 * 3_600_000)
  t.same(await ended(2, 1), ['delivered', 'failed'])
  t.same(encoded.slice(2), [['klaviyo'], ['klaviyo'], ['klaviyo']])
})

test('an upload is prepared once, also for platforms whose turn comes later', async (t) => {
  const [facebook, klaviyo] = await Promise.all(
    ['facebook', 'klaviyo'].map((name) => providers.find((one) => one.name === name)!.sandbox())
  )
  for (const sandbox of [facebook!, klaviyo!]) t.teardown(() => sandbox.close())
  const clock = steppedClock()
  const encoded: string[] = []
  const service = await startService(t, {
    sandboxes: [facebook!, klaviyo!],
    clock,
    workers: (real) => ({
      ...real,
      encode(task) {
        const names = task.targets.map(({ provider }) => provider)
        encoded.push(`${task.targets[0]?.audience.sequence}: ${names.join(', ')}`)
        return real.encode(task)
      }
    })
  })
  const delivered = async () => {
    const { body } = await service.get(`/audience/sessions/${BATCH.sessionId}`)
    const { destinations } = body as { destinations: { deliveries: { delivered: number } }[] }
    return destinations.map(({ deliveries }) => deliveries.delivered)
  }
  klaviyo!.failNext({
    times: 1,
    answer: { status: 429, headers: { 'retry-after': '60' }, body: { errors: [] } }
  })
  for (const sequence of [1, 2]) {
    await service.post(form({ batch: { ...BATCH, sequence, totalBatches: 2 } }))
  }
  while ((await delivered())[0] !== 2) await turn()
  t.same(await delivered(), [2, 0])
  while ((await delivered())[1] !== 2) clock.advance(10_000)
  t.same(encoded, ['1: facebook, klaviyo', '2: facebook, klaviyo'])
})

/** Encodings of uploads that are nowhere but here, made by this function. */
function encodingsBy(
  threads: number,
  encode: Workers['encode'],
  options: Partial<
    Pick<EncodingsOptions, 'roomBytes' | 'isShared' | 'withDestinations'> & {
      readonly store: Partial<EncodingsOptions['store']>
    }
  > = {}
) {
  return createEncodings({
    isShared: false,
    withDestinations: () => [],
    ...options,
    store: {
      sealedUsers: () => Promise.resolve(new Uint8Array()),
      startable: () => Promise.resolve([]),
      untried: () => Promise.resolve([]),
      setReport: () => Promise.resolve(),
      ...options.store
    },
    workers: {
      threads,
      ready: () => Promise.resolve(),
      read: () => Promise.reject(new Error('nothing to read')),
      inspect: () => Promise.reject(new Error('nothing to inspect')),
      readCall: () => Promise.reject(new Error('nothing to read')),
      encode,
      load: () => ({ busy: 0, waiting: 0 }),
      close: () => Promise.resolve()
    },
    keys
  })
}

test('what may have ended the process is prepared while nothing else is', async (t) => {
  const running = new Map<string, (outcome: EncodeOutcome) => void>()
  const encodings = encodingsBy(4, ({ contentHash }) => {
    const { promise, resolve } = Promise.withResolvers<EncodeOutcome>()
    running.set(contentHash, resolve)
    return promise
  })
  const prepare = (name: string, preparingIn?: string) =>
    encodings.of(jobOf(name, preparingIn), {
      begin: () => Promise.resolve(),
      signal: new AbortController().signal
    })
  const prepared = [
    prepare('a'),
    prepare('b'),
    prepare('suspect', 'a process'),
    prepare('another suspect', 'a process'),
    prepare('c'),
    prepare('d')
  ]
  const seen: string[][] = []
  for (let left = prepared.length; left > 0;) {
    await turn()
    seen.push([...running.keys()])
    const ending = [...running.values()]
    left -= ending.length
    running.clear()
    for (const end of ending) end({ encodings: [ENCODED], report: fieldReport(createMembers([])) })
  }
  await Promise.all(prepared)
  t.same(seen, [['a', 'b'], ['suspect'], ['c', 'd'], ['another suspect']])
})

/** Encodings whose bodies take 100 bytes each, in room for 300. */
function smallRoom() {
  const made: string[] = []
  const encode: Workers['encode'] = async ({ contentHash }) => {
    made.push(contentHash)
    const bodies = [{ payload: new Uint8Array(100), users: 1 }]
    return { encodings: [{ ...ENCODED, bodies }], report: fieldReport(createMembers([])) }
  }
  const encodings = encodingsBy(2, encode, { roomBytes: 300 })
  const prepare = (name: string, account: string, signal = new AbortController().signal) =>
    encodings.of(jobOf(name, undefined, account), { begin: () => Promise.resolve(), signal })
  return { encodings, prepare, made }
}

test('a slow account fills half of the room for bodies, and never keeps a fast one waiting', async (t) => {
  const { prepare, made } = smallRoom()
  const slow = [await prepare('slow 1', 'slow'), await prepare('slow 2', 'slow')]
  const third = prepare('slow 3', 'slow')
  for (const name of ['fast 1', 'fast 2', 'fast 3']) (await prepare(name, 'fast'))[Symbol.dispose]()
  t.same(made, ['slow 1', 'slow 2', 'fast 1', 'fast 2', 'fast 3'])

  const fast = await prepare('fast 4', 'fast')
  const fifth = prepare('fast 5', 'fast')
  const other = await prepare('other 1', 'other')
  t.same(made.slice(5), ['fast 4', 'other 1'], 'full: but for who holds nothing')
  slow[0]![Symbol.dispose]()
  other[Symbol.dispose]()
  t.equal((await third).encoded.hash, 'hash')
  fast[Symbol.dispose]()
  t.equal((await fifth).encoded.hash, 'hash')
  t.same(made.slice(7), ['slow 3', 'fast 5'])
})

/** Deliveries of each upload to two accounts, one of which never comes to them. */
function madeAhead(isShared: boolean) {
  const { destination } = jobOf('any', undefined)
  const made: number[] = []
  const encode: Workers['encode'] = async ({ targets }) => {
    made.push(targets.length)
    const bodies = [{ payload: new Uint8Array(100), users: 1 }]
    const encodings = targets.map(() => ({ ...ENCODED, bodies }))
    return { encodings, report: fieldReport(createMembers([])) }
  }
  const slow = (name: string) => jobOf(`${name} slow`, undefined, 'slow').delivery
  const encodings = encodingsBy(2, encode, {
    isShared,
    roomBytes: 2_400,
    withDestinations: (all) => all.map((delivery) => ({ destination, delivery })),
    store: { untried: async (name) => [jobOf(name, undefined, 'fast').delivery, slow(name)] }
  })
  const prepare = async (name: string) => {
    const { signal } = new AbortController()
    const job = jobOf(name, undefined, 'fast')
    ;(await encodings.of(job, { begin: () => Promise.resolve(), signal }))[Symbol.dispose]()
    encodings.drop(name)
  }
  return { encodings, prepare, made, slow }
}

test('a slow account has an eighth of the room for what it does not send yet', async (t) => {
  const { encodings, prepare, made, slow } = madeAhead(false)
  for (const name of ['1', '2', '3', '4', '5']) await prepare(name)
  t.same(made, [2, 2, 2, 1, 1])
  encodings.drop(slow('1').id)
  for (const name of ['6', '7']) await prepare(name)
  t.same(made.slice(5), [2, 1])
})

test('where other instances may take the later turns nothing is made for them', async (t) => {
  const { prepare, made } = madeAhead(true)
  await prepare('1')
  t.same(made, [1])
})

test('who waits for room for bodies can be stopped, and leaves nothing behind', async (t) => {
  const { prepare, made } = smallRoom()
  const held = [await prepare('1', 'slow'), await prepare('2', 'slow')]
  const stop = new AbortController()
  const waiting = prepare('3', 'slow', stop.signal)
  stop.abort(new Error('stopped'))
  await t.rejects(waiting, { message: 'stopped' })
  await t.rejects(prepare('4', 'other', stop.signal), { message: 'stopped' })
  for (const one of held) one[Symbol.dispose]()
  ;(await prepare('5', 'slow'))[Symbol.dispose]()
  t.same(made, ['1', '2', '5'])
})

test('bodies are kept for the next attempt until others need the room', async (t) => {
  const { encodings, prepare, made } = smallRoom()
  for (const name of ['1', '1', '2', '1', '3', '4', '1', '4', '1']) {
    const held = await prepare(name, 'account')
    held[Symbol.dispose]()
  }
  t.same(made, ['1', '2', '3', '4'], 'in room for three the one that was used first went')
  encodings.drop('1')
  ;(await prepare('1', 'account'))[Symbol.dispose]()
  t.same(made.slice(4), ['1'])
})

test('bodies that could not be made leave the room', async (t) => {
  const { encodings, prepare } = smallRoom()
  const held = await prepare('1', 'slow')
  const begin = () => Promise.reject(new Error('the store is away'))
  const { signal } = new AbortController()
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const job = jobOf('2', undefined, 'slow')
    await t.rejects(encodings.of(job, { begin, signal }), { message: 'the store is away' })
  }
  ;(await prepare('3', 'slow'))[Symbol.dispose]()
  held[Symbol.dispose]()
})

const ENCODED = { bodies: [], leftOut: {}, notes: {}, hash: 'hash' }

function jobOf(
  name: string,
  preparingIn: string | undefined,
  accountId: string = EU.accountId
): Job {
  const provider = providers.find((one) => one.name === 'klaviyo')!
  const variables = { apiKey: 'pk_test' }
  const client = {
    send: () => Promise.reject(new Error('nothing to send')),
    close: () => Promise.resolve()
  }
  const [destination] = createDestinations([{ provider, tag: 'eu', variables, client }], {
    clock: instantClock(),
    permits: undefined,
    callWithinMs: 1_000
  })
  const id = name
  const times = { queuedAt: T0, targetedAt: T0 }
  const upload = {
    ...newUpload({ contentHash: name }),
    id,
    replacesSequence: false,
    report: undefined
  }
  return {
    destination: destination!,
    upload,
    audience,
    parent: ROOT_CONTEXT,
    delivery: {
      ...EU,
      accountId,
      ...FRESH,
      ...times,
      id,
      preparingIn,
      uploadId: id,
      sequence: 1,
      position: 1,
      revision: 1
    }
  }
}
