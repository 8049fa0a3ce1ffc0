import { existsSync, statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { type Client, createClient, formOf } from './client.ts'
import { benchBytes } from './data.ts'
import { type Figure, report, spread } from './measure.ts'
import { residentBytes, startService, startStandIns } from './processes.ts'

/**
 * Whether the service grows with what passes through it: from 1,000 to 1,000,000 users in one
 * session to a stand-in of Facebook that answers at once. To Facebook alone: TikTok and Klaviyo allow
 * ten calls a second, which would be all that is seen.
 *
 *     npm run bench -- growth [most users]
 */

const MOST_USERS = Number(process.argv[2] ?? 1_000_000)
/** Of each size: a median of as many runs as the time allows. */
const SIZES = [
  { users: 1_000, perCall: 1_000, runs: 15 },
  { users: 10_000, perCall: 10_000, runs: 7 },
  { users: 100_000, perCall: 100_000, runs: 3 },
  { users: 1_000_000, perCall: 10_000, runs: 1 }
].filter(({ users }) => users <= MOST_USERS)
type Size = (typeof SIZES)[number]

/** As many uploads as a careful client sends at once. */
const AT_ONCE = 2
const WARM_UP_RUNS = 8
const MEASURE_EVERY_MS = 100
const MEGABYTE = 1e6
const MICROSECONDS = 1e3

/** Lists that take turns in a session of several batches. */
const LISTS = 4
const lists = new Map<number, readonly Uint8Array[]>()

function listsOf(users: number, batches: number): readonly Uint8Array[] {
  const known = lists.get(users) ?? []
  const wanted = Math.min(LISTS, batches)
  const missing = Array.from({ length: Math.max(0, wanted - known.length) }, (_, index) =>
    benchBytes(users, (known.length + index) * users)
  )
  const all = [...known, ...missing]
  lists.set(users, all)
  return all
}

let sessions = 0

/** One session of so many users: microseconds a user until accepted and until delivered. */
async function run(client: Client, { users, perCall }: Omit<Size, 'runs'>) {
  const sessionId = (sessions += 1)
  const batches = users / perCall
  const own = listsOf(perCall, batches)
  let next = 1
  const postAll = async () => {
    while (next <= batches) {
      const sequence = next
      next += 1
      const list = own[sequence % own.length] ?? new Uint8Array()
      await client.post(formOf({ sessionId, sequence, totalBatches: batches, users: list }))
    }
  }
  const start = performance.now()
  const perUser = () => ((performance.now() - start) * MICROSECONDS) / users
  await Promise.all(Array.from({ length: AT_ONCE }, postAll))
  const accepted = perUser()
  await client.delivered(sessionId, { batches })
  return { accepted, delivered: perUser() }
}

const standIns = await startStandIns()
const service = await startService({ platforms: [standIns.facebook] })
const client = createClient(service.url)
const wal = `${service.file}-wal`
const sizeOf = (path: string) => (existsSync(path) ? statSync(path).size : 0)

for (let left = WARM_UP_RUNS; left > 0; left -= 1) {
  await run(client, { users: 10_000, perCall: 10_000 })
}

const atStart = residentBytes(service.pid)
const resident: number[] = []
const peaks = { database: 0, wal: 0 }
const measuring = setInterval(() => {
  resident.push(residentBytes(service.pid))
  peaks.database = Math.max(peaks.database, sizeOf(service.file))
  peaks.wal = Math.max(peaks.wal, sizeOf(wal))
}, MEASURE_EVERY_MS)

const results: { size: Size; accepted: number[]; delivered: number[]; resident: number[] }[] = []
for (const size of SIZES) {
  const result = { size, accepted: [] as number[], delivered: [] as number[] }
  resident.length = 0
  for (let left = size.runs; left > 0; left -= 1) {
    const { accepted, delivered } = await run(client, size)
    result.accepted.push(accepted)
    result.delivered.push(delivered)
  }
  results.push({ ...result, resident: [...resident] })
}
clearInterval(measuring)
const atEnd = residentBytes(service.pid)
const { facebook: taken } = await standIns.taken()
await service.stop()

const database = new DatabaseSync(service.file)
const payloads = database.prepare('SELECT count(*) AS count FROM payloads').get()
database.close()

const largest = results.at(-1)
const reference = results.find(({ size }) => size.users === 10_000)
const third = Math.floor((largest?.resident.length ?? 0) / 3)
const megabytes = (bytes: readonly number[] = []) => spread(bytes.map((one) => one / MEGABYTE))
const first = megabytes(largest?.resident.slice(0, third))
const last = megabytes(largest?.resident.slice(-third))
const named = (users: number) => users.toLocaleString('en-US')

const ratios = results.flatMap(({ size, accepted, delivered }): Figure[] =>
  reference === undefined || size.users === 10_000
    ? []
    : [
        {
          name: `time per user, ${named(size.users)} / 10,000 users: accepted`,
          value: spread(accepted).median / spread(reference.accepted).median
        },
        {
          name: `time per user, ${named(size.users)} / 10,000 users: delivered`,
          value: spread(delivered).median / spread(reference.delivered).median,
          ...(size.users > 10_000 && { wanted: 'linear: ≤ 1.2' })
        }
      ]
)
const times = results.flatMap(({ size, accepted, delivered, resident: memory }): Figure[] => [
  { name: `${named(size.users)} users: accepted`, value: spread(accepted), unit: 'µs a user' },
  { name: `${named(size.users)} users: delivered`, value: spread(delivered), unit: 'µs a user' },
  { name: `${named(size.users)} users: memory meanwhile`, value: megabytes(memory), unit: 'MB' }
])

/** One call has its peak; only what comes after calls before it can be flat. */
const flat: Figure[] =
  largest === undefined || largest.size.users === largest.size.perCall
    ? []
    : [
        {
          name: `memory with ${named(largest.size.users)} users, last third / first third`,
          value: last.median / first.median,
          wanted: 'flat: ≤ 1.1'
        }
      ]

report('growth', [
  ...ratios,
  ...flat,
  ...times,
  { name: 'memory after the warm-up', value: atStart / MEGABYTE, unit: 'MB' },
  { name: 'memory at the end', value: atEnd / MEGABYTE, unit: 'MB' },
  { name: 'users that arrived, of all runs', value: taken.users },
  { name: 'uploads whose users are still kept at the end', value: Number(payloads?.['count']) },
  { name: 'database file at its peak', value: peaks.database / MEGABYTE, unit: 'MB' },
  { name: 'database file after the stop', value: sizeOf(service.file) / MEGABYTE, unit: 'MB' },
  { name: 'write-ahead log at its peak', value: peaks.wal / MEGABYTE, unit: 'MB' }
])
process.exit()
