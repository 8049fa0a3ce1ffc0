import { setTimeout as pause } from 'node:timers/promises'
import { createClient, formOf } from './client.ts'
import { benchBytes } from './data.ts'
import { type Figure, report, spread } from './measure.ts'
import {
  cpuSeconds,
  type Delays,
  machineSeconds,
  residentBytes,
  startService,
  startStandIns,
  watchLivez
} from './processes.ts'

/**
 * Uploads of 10,000 users as fast as they are taken, to a stand-in of Facebook that answers at once:
 * is the event loop free meanwhile, does another process get its `/livez`, is memory flat?
 *
 *     npm run bench -- stream [seconds]
 *
 * Client, stand-in and watcher share the machine with the service.
 */

const SECONDS = Number(process.argv[2] ?? 60)
const USERS = 10_000
/** Uploads on their way at once. */
const AT_ONCE = 4
const SECOND_MS = 1_000
/** Until the compiler knows the code. */
const WARM_UP_UPLOADS = 8
const SESSION = 1

/** Several lists, so that no list is the last one again. */
const lists = [0, 1, 2, 3].map((list) => benchBytes(USERS, list * USERS))

const platforms = await startStandIns()
const service = await startService({ platforms: [platforms.facebook] })
const client = createClient(service.url)

let posted = 0
async function postUntil(isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    posted += 1
    const users = lists[posted % lists.length] ?? Buffer.alloc(0)
    await client.post(formOf({ sessionId: SESSION, sequence: posted, users }))
  }
}

const streams = (isOver: () => boolean) =>
  Promise.all(Array.from({ length: AT_ONCE }, () => postUntil(isOver)))

await streams(() => posted >= WARM_UP_UPLOADS)
await client.delivered(SESSION, { batches: posted })

const watcher = watchLivez(service.url)
const pids = {
  service: service.pid,
  'client of the uploads': process.pid,
  'stand-in': platforms.pid,
  'watcher of /livez': watcher.pid
}
await pause(SECOND_MS)
await service.eventLoop()
const before = {
  posted,
  taken: (await platforms.taken()).facebook.users,
  refusals: client.refusals(),
  cpu: Object.values(pids).map(cpuSeconds),
  machine: machineSeconds()
}

const resident: number[] = []
const measuring = setInterval(() => resident.push(residentBytes(service.pid)), SECOND_MS)
const start = performance.now()
const end = start + SECONDS * SECOND_MS
await streams(() => performance.now() >= end)
const seconds = (performance.now() - start) / SECOND_MS
const eventLoop = await service.eventLoop()
clearInterval(measuring)
const taken = (await platforms.taken()).facebook.users - before.taken
const cpu = Object.values(pids).map((pid, index) => cpuSeconds(pid) - (before.cpu[index] ?? 0))
const others = machineSeconds() - before.machine - cpu.reduce((sum, one) => sum + one, 0)
const watched = await watcher.result()
const uploads = posted - before.posted
const { destinations } = await client.status(SESSION)
const { delivered = 0, ...waiting } = destinations[0]?.deliveries ?? {}
const backlog = Object.values(waiting).reduce((sum, count) => sum + count, 0)

const third = Math.floor(resident.length / 3)
const megabytes = (bytes: readonly number[]) => spread(bytes.map((one) => one / 1e6))
const first = megabytes(resident.slice(0, third))
const last = megabytes(resident.slice(-third))

const delays = (name: string, { p50, p99, max }: Delays, wanted = ''): Figure[] => [
  { name: `${name}, p99`, value: p99, unit: 'ms', wanted },
  { name: `${name}, p50`, value: p50, unit: 'ms' },
  { name: `${name}, longest`, value: max, unit: 'ms' }
]

report('stream', [
  {
    name: 'memory of the service, last third / first third',
    value: last.median / first.median,
    wanted: 'flat: ≤ 1.1'
  },
  ...delays('event-loop delay', eventLoop.looks, '< 20'),
  ...delays('event-loop delay as callers find it', eventLoop.callers),
  ...delays('/livez every 10 ms', watched.livez, '< 25'),
  ...delays("the watcher's own event loop", watched.own),
  { name: 'calls of /livez without a 200', value: watched.failed },
  { name: 'memory, first third', value: first, unit: 'MB' },
  { name: 'memory, last third', value: last, unit: 'MB' },
  { name: 'time', value: seconds, unit: 's' },
  { name: 'uploads taken', value: uploads / seconds, unit: 'uploads/s' },
  { name: 'users taken', value: (uploads * USERS) / seconds, unit: 'users/s' },
  { name: 'users delivered meanwhile', value: taken / seconds, unit: 'users/s' },
  { name: 'uploads delivered in all', value: delivered },
  { name: 'uploads that wait at the end', value: backlog },
  { name: 'refusals (503)', value: client.refusals() - before.refusals },
  ...Object.keys(pids).map((name, index) => ({
    name: `processor time of the ${name}`,
    value: (cpu[index] ?? 0) / seconds,
    unit: 'cores'
  })),
  { name: 'processor time of all else on this machine', value: others / seconds, unit: 'cores' }
])
process.exit()
