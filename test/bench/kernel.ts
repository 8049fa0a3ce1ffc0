import { Value } from 'typebox/value'
import type { Provider } from '../../providers/provider.ts'
import { providers } from '../../providers/registry.ts'
import { createMembers } from '../../src/audience/members.ts'
import { readUsers } from '../../src/audience/parse-users.ts'
import { createWorkers, type Workers } from '../../src/dispatch/workers.ts'
import { seal } from '../../src/store/sealing.ts'
import { benchBytes } from './data.ts'
import { floorBody, floorBodyWithPhones } from './floor.ts'
import { type Figure, interleave, ratio, report, spread } from './measure.ts'
import { loadPeers } from './peers/index.ts'

/**
 * From the bytes of `users` to bodies that are ready to be sent, on one core: each platform alone, all
 * of them, and beside them the floor and other packages that do the same job. Then through the
 * service's own worker threads, one and two at a time.
 *
 *     npm run bench -- kernel
 */

const USERS = 10_000
const ROUNDS = { warmUp: 15, counted: 31 }
const THREADS_ROUNDS = { warmUp: 4, counted: 15 }
const TASKS = 6

const users = benchBytes(USERS)
const audience = {
  segmentName: 'benchmark',
  type: 'custom',
  mode: 'add',
  sessionId: 1,
  sequence: 1,
  totalBatches: 1,
  totalUsers: USERS
} as const

interface Target {
  readonly provider: Provider
  readonly variables: Readonly<Record<string, unknown>>
}

/** The platforms with their default settings; encoding needs no credentials. */
const targets = providers.map((provider): Target => ({
  provider,
  variables: Value.Default(provider.variables, {}) as Record<string, unknown>
}))

function targetOf(name: string): Target {
  const target = targets.find(({ provider }) => provider.name === name)
  if (target === undefined) throw new Error(`no platform ${name}`)
  return target
}

function encode(chosen: readonly Target[]) {
  const toMembers = createMembers()
  const encoders = chosen.map(({ provider, variables }) => provider.encoder(audience, variables))
  const read = readUsers(users, { maxUsers: USERS }, (part) => {
    const members = toMembers(part)
    for (const encoder of encoders) encoder.add(members)
  })
  if ('problem' in read) throw new Error(read.problem)
  return encoders.map((encoder) => encoder.end())
}

/** The tasks, so many of them at a time. */
async function encodeInThreads(workers: Workers, sealed: Uint8Array, atOnce: number) {
  let left = TASKS
  const work = async () => {
    while (left > 0) {
      left -= 1
      const outcome = await workers.encode({
        // The thread takes the buffer away.
        sealed: sealed.slice(),
        contentHash: 'benchmark',
        keys: [KEY],
        defaultCountry: undefined,
        targets: targets.map(({ provider, variables }) => ({
          provider: provider.name,
          variables,
          audience
        }))
      })
      if ('unreadable' in outcome) throw new Error(outcome.unreadable)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
}

const KEY = new Uint8Array(32).fill(7)

/** How much faster the first is than the second: the time of the second over that of the first. */
const speed = (of: readonly number[], to: readonly number[]) => ratio(to, of)

const perSecond = (times: readonly number[]) => spread(times.map((ms) => (USERS / ms) * 1000))

async function measureOneCore(): Promise<Figure[]> {
  const peers = loadPeers()
  if (peers.length === 0) {
    console.log('peers: not installed, run npm ci --prefix test/bench/peers\n')
  }
  const facebook = [targetOf('facebook')]
  const tiktok = [targetOf('tiktok')]
  const klaviyo = [targetOf('klaviyo')]
  const times = await interleave<string>(
    {
      facebook: () => encode(facebook),
      tiktok: () => encode(tiktok),
      klaviyo: () => encode(klaviyo),
      all: () => encode(targets),
      floor: () => floorBody(users),
      'floor with libphonenumber-js': () => floorBodyWithPhones(users),
      ...Object.fromEntries(peers.map(({ name, body }) => [name, () => body(users)]))
    },
    ROUNDS
  )
  const timesOf = (name: string) => times[name] ?? []
  const own = timesOf('facebook')
  return [
    ...peers.map(({ name }) => ({
      name: `speed, facebook to ${name}`,
      value: speed(own, timesOf(name)),
      wanted: '≥ 3'
    })),
    { name: 'speed, facebook to floor', value: speed(own, timesOf('floor')), wanted: '≥ 0.7' },
    {
      name: 'speed, facebook to floor with libphonenumber-js',
      value: speed(own, timesOf('floor with libphonenumber-js'))
    },
    { name: 'time, all three to facebook', value: ratio(timesOf('all'), own), wanted: '≤ 1.8' },
    { name: 'time, tiktok to facebook', value: ratio(timesOf('tiktok'), own) },
    { name: 'time, klaviyo to facebook', value: ratio(timesOf('klaviyo'), own) },
    ...Object.entries(times).map(([name, taken]) => ({
      name,
      value: perSecond(taken),
      unit: 'users/s'
    }))
  ]
}

async function measureThreads(): Promise<Figure[]> {
  const workers = createWorkers()
  const sealed = seal(users, 'benchmark', [KEY])
  const times = await interleave(
    {
      one: () => encodeInThreads(workers, sealed, 1),
      two: () => encodeInThreads(workers, sealed, 2)
    },
    THREADS_ROUNDS
  )
  await workers.close()
  const allUsers = (ms: number) => (TASKS * USERS * 1000) / ms
  return [
    { name: 'speed, two threads to one', value: speed(times.two, times.one), wanted: '≥ 1.6' },
    { name: 'one thread, all three', value: spread(times.one.map(allUsers)), unit: 'users/s' },
    { name: 'two threads, all three', value: spread(times.two.map(allUsers)), unit: 'users/s' }
  ]
}

const figures = [...(await measureOneCore()), ...(await measureThreads())]
report(
  'kernel',
  figures.toSorted((a, b) => Number('unit' in a) - Number('unit' in b))
)
