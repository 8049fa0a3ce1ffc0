import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { seal } from '../../src/store/sealing.ts'
import { createClient, formOf } from './client.ts'
import { benchBytes } from './data.ts'
import { interleave, ratio, report, spread } from './measure.ts'
import { cpuSeconds, folder, startService, UNREACHABLE } from './processes.ts'

/**
 * `POST /audience` of 10,000 users to the accepted answer, against what nobody can save: parsing
 * that JSON and writing the sealed users to the disk.
 *
 *     npm run bench -- accept
 */

const USERS = 10_000
const MICROSECONDS = 1e3
const MILLISECONDS = 1e3
const ROUNDS = { warmUp: 15, counted: 40 }

const users = benchBytes(USERS)
const decoder = new TextDecoder()
const key = randomBytes(32)
const sealed = seal(users, 'bench', [key])

// All platforms are served, so that an upload has its deliveries; none is sent meanwhile.
const service = await startService({ platforms: UNREACHABLE, isHeld: true })
const client = createClient(service.url)

const forms = Array.from({ length: ROUNDS.warmUp + ROUNDS.counted }, (_, index) =>
  formOf({ sessionId: index + 1, sequence: 1, users })
)
const reference = openSync(join(folder(), 'reference'), 'w')

function parse(): void {
  JSON.parse(decoder.decode(users))
}

function write(): void {
  writeSync(reference, sealed, 0, sealed.byteLength, 0)
  fsyncSync(reference)
}

/** Milliseconds of processor time of this process. */
let ownCpu = 0
function counted(work: () => void): void {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  ownCpu += (user + system) / MICROSECONDS
}

let posts = 0
let serviceCpu = 0
const times = await interleave(
  {
    async post() {
      await client.post(forms.pop() ?? Buffer.alloc(0))
      posts += 1
      if (posts === ROUNDS.warmUp) {
        serviceCpu = cpuSeconds(service.pid)
        ownCpu = 0
      }
    },
    parse: () => counted(parse),
    write: () => counted(write)
  },
  ROUNDS
)
serviceCpu = (cpuSeconds(service.pid) - serviceCpu) * MILLISECONDS
closeSync(reference)
const needed = times.parse.map((parsing, round) => parsing + (times.write[round] ?? Number.NaN))

report('accept', [
  {
    name: `POST of ${USERS} users to the answer / JSON.parse + durable write`,
    value: ratio(times.post, needed),
    wanted: '≤ 2.5'
  },
  {
    name: 'the same, medians',
    value: spread(times.post).median / spread(needed).median,
    wanted: '≤ 2.5'
  },
  {
    // What others do on the machine lengthens times, and hardly these.
    name: 'the same in processor time of all threads',
    value: serviceCpu / ownCpu
  },
  { name: 'POST to the answer', value: spread(times.post), unit: 'ms' },
  { name: 'processor time of a POST', value: serviceCpu / ROUNDS.counted, unit: 'ms' },
  { name: 'JSON.parse of the same body', value: spread(times.parse), unit: 'ms' },
  { name: 'write and fsync of the sealed users', value: spread(times.write), unit: 'ms' },
  { name: 'users as sent', value: users.byteLength / 1e6, unit: 'MB' },
  { name: 'users sealed', value: sealed.byteLength / 1e6, unit: 'MB' },
  { name: 'refusals (503)', value: client.refusals() }
])
await service.stop()
process.exit()
