import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import type { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { generateCustomers } from '../../src/cli/sample-customers.ts'

/**
 * Whether the service grows with what passes through it: a session of 1,000,000 made-up customers in
 * 100 batches to one platform that answers at once.
 *
 *     npx node test/bench/growth.ts
 *
 * To Facebook alone: TikTok and Klaviyo allow ten calls a second, which would be all that is seen.
 * Needs Linux, for the memory of the service's process. Prints one line of JSON and a table.
 */

const BATCHES = 100
const USERS = 10_000
/** As many uploads as a careful client sends at once. */
const AT_ONCE = 2
const MEASURE_EVERY_MS = 100

/** Distinct customers in each batch: the values of a made-up list, made unique by the batch's number. */
const customers = generateCustomers(USERS, 1).map(({ user }) => user)
function usersOf(batch: number): string {
  return JSON.stringify(
    customers.map((user, index) => ({ ...user, email: `user.${batch}.${index}@growth.example` }))
  )
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

/** Takes everything and keeps nothing but the number of users: the stand-in itself would grow. */
async function startPlatform() {
  let received = 0
  const server = createServer((request, response) => {
    void (async () => {
      const text = await bodyOf(request)
      response.setHeader('content-type', 'application/json')
      if (request.url?.includes('/users') === true) {
        const { payload } = JSON.parse(text) as { payload: { data: unknown[] } }
        received += payload.data.length
        response.end(JSON.stringify({ num_received: payload.data.length, num_invalid_entries: 0 }))
      } else if (request.method === 'POST') response.end('{"id":"238500001"}')
      else response.end('{"data":[]}')
    })()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, received: () => received, close: () => server.close() }
}

const folder = mkdtempSync(join(tmpdir(), 'audience-growth-'))
const file = join(folder, 'audience.db')
const platform = await startPlatform()
const service = spawn(process.execPath, [join(import.meta.dirname, '../../src/main.ts')], {
  cwd: folder,
  stdio: ['ignore', 'pipe', 'inherit'],
  env: {
    PORT: '0',
    DATABASE_URL: `sqlite:${file}`,
    FACEBOOK_ACCESS_TOKEN: 'benchmark',
    FACEBOOK_AD_ACCOUNT_ID: '1234567890',
    FACEBOOK_BASE_URL: platform.url
  }
})
process.once('exit', () => service.kill('SIGKILL'))
const serviceUrl = await listening(service.stdout)

/** The address in the service's log, which is read on and thrown away afterwards. */
async function listening(stdout: Readable): Promise<string> {
  for await (const line of createInterface(stdout)) {
    const url = /Server listening at (http:[^"]+)"/.exec(line)?.[1]
    if (url === undefined) continue
    stdout.resume()
    return url
  }
  throw new Error('the service did not start')
}

const megabytes = (bytes: number) => Math.round(bytes / 1e5) / 10
const sizeOf = (path: string) => (existsSync(path) ? statSync(path).size : 0)

/** Resident memory of the service now, in bytes. */
function residentBytes(): number {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(
    readFileSync(`/proc/${service.pid}/status`, 'utf8')
  )?.[1]
  return Number(kilobytes) * 1024
}

const peaks = { resident: 0, database: 0, wal: 0 }
function measure() {
  const now = { resident: residentBytes(), database: sizeOf(file), wal: sizeOf(`${file}-wal`) }
  for (const name of ['resident', 'database', 'wal'] as const) {
    peaks[name] = Math.max(peaks[name], now[name])
  }
  return now
}
const measuring = setInterval(measure, MEASURE_EVERY_MS)

async function post(sequence: number): Promise<void> {
  const form = new FormData()
  form.append('name', 'growth')
  const batch = { sessionId: 1, sequence, totalBatches: BATCHES, totalUsers: BATCHES * USERS }
  form.append('batch', JSON.stringify(batch))
  form.append('users', new Blob([usersOf(sequence)]), 'users.json')
  for (;;) {
    const answer = await fetch(`${serviceUrl}/audience`, { method: 'POST', body: form })
    const text = await answer.text()
    if (answer.status === 200) return
    if (answer.status !== 503) throw new Error(text)
    await pause(Number(answer.headers.get('retry-after') ?? 1) * 1_000)
  }
}

async function delivered(): Promise<number> {
  const answer = await fetch(`${serviceUrl}/audience/sessions/1`)
  // Until the first batch is accepted there is no session.
  const { destinations = [] } = (await answer.json()) as {
    destinations?: { deliveries: { delivered: number; failed: number } }[]
  }
  const { delivered: done = 0, failed = 0 } = destinations[0]?.deliveries ?? {}
  if (failed > 0) throw new Error('a delivery failed')
  return done
}

const start = performance.now()
const atStart = megabytes(measure().resident)
const seconds = () => Math.round((performance.now() - start) / 100) / 10

let next = 1
async function postAll(): Promise<void> {
  while (next <= BATCHES) await post(next++)
}
async function acceptAll(): Promise<number> {
  await Promise.all(Array.from({ length: AT_ONCE }, postAll))
  return seconds()
}
const accepting = acceptAll()

/** When each ten batches were delivered, and the memory then. */
const marks: { batches: number; seconds: number; megabytes: number }[] = []
for (let batches = 10; batches <= BATCHES; batches += 10) {
  while ((await delivered()) < batches) await pause(MEASURE_EVERY_MS)
  marks.push({ batches, seconds: seconds(), megabytes: megabytes(measure().resident) })
}
const acceptedAfter = await accepting
const total = seconds()
clearInterval(measuring)
const end = measure()
service.kill('SIGTERM')
await once(service, 'exit')
platform.close()

const database = new DatabaseSync(file)
const payloads = database.prepare('SELECT count(*) AS count FROM payloads').get()
database.close()

const result = {
  users: platform.received(),
  secondsToAccept: acceptedAfter,
  secondsToDeliver: total,
  marks,
  megabytesOfMemory: {
    start: atStart,
    peak: megabytes(peaks.resident),
    end: megabytes(end.resident)
  },
  payloadsLeft: Number(payloads?.['count']),
  megabytesOfDatabase: { peak: megabytes(peaks.database), end: megabytes(sizeOf(file)) },
  megabytesOfWal: { peak: megabytes(peaks.wal), end: megabytes(sizeOf(`${file}-wal`)) }
}
rmSync(folder, { recursive: true })
const { megabytesOfMemory, megabytesOfDatabase, megabytesOfWal } = result
console.log(JSON.stringify(result))
console.log(`
| Batches delivered | Seconds since the start | Memory of the service |
| --- | --- | --- |
${marks.map((mark) => `| ${mark.batches} | ${mark.seconds} | ${mark.megabytes} MB |`).join('\n')}

| What | Figure |
| --- | --- |
| users that arrived | ${result.users.toLocaleString('en')} |
| until all batches were accepted, delivered | ${result.secondsToAccept} s, ${total} s |
| memory at the start, at its peak, at the end | ${megabytesOfMemory.start} MB, ${megabytesOfMemory.peak} MB, ${megabytesOfMemory.end} MB |
| uploads whose users are still kept | ${result.payloadsLeft} |
| database file at its peak, after the stop | ${megabytesOfDatabase.peak} MB, ${megabytesOfDatabase.end} MB |
| write-ahead log at its peak, after the stop | ${megabytesOfWal.peak} MB, ${megabytesOfWal.end} MB |`)
