import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * Stand-ins of all platforms in one process that answer at once, check nothing and keep nothing but
 * counts: the sandboxes, which check and keep everything, would be what is measured. `GET /taken`
 * tells what they took.
 */

const WINDOW_MS = 1_000

interface Counts {
  calls: number
  users: number
  mostCallsInSecond: number
  recent: number[]
}

const none = (): Counts => ({ calls: 0, users: 0, mostCallsInSecond: 0, recent: [] })
const taken = { facebook: none(), tiktok: none(), klaviyo: none() }

function count(counts: Counts, users = 0): void {
  const now = Date.now()
  counts.calls += 1
  counts.users += users
  counts.recent = [...counts.recent.filter((at) => at > now - WINDOW_MS), now]
  counts.mostCallsInSecond = Math.max(counts.mostCallsInSecond, counts.recent.length)
}

function timesIn(body: Buffer, mark: string): number {
  let times = 0
  for (let at = body.indexOf(mark); at >= 0; at = body.indexOf(mark, at + mark.length)) times += 1
  return times
}

/** The session, which tells the number of users, stands at the end. */
function facebookUsers(body: Buffer): number {
  const end = body.toString('latin1', Math.max(0, body.length - 300))
  return Number(/"estimated_num_total":(\d+)/.exec(end)?.[1])
}

function facebook(method: string, path: string, body: Buffer): unknown {
  if (path.endsWith('/users')) {
    const users = facebookUsers(body)
    count(taken.facebook, users)
    return { num_received: users, num_invalid_entries: 0 }
  }
  count(taken.facebook)
  return method === 'POST' ? { id: '238500001' } : { data: [] }
}

function tiktok(path: string, body: Buffer): unknown {
  if (path.endsWith('/segment/mapping/')) {
    count(taken.tiktok, timesIn(body, '\n') + 1)
    return { code: 0, data: {} }
  }
  count(taken.tiktok)
  return path.endsWith('/segment/audience/')
    ? { code: 0, data: { audience_id: '1' } }
    : { code: 0, data: { page_info: { total_number: 0, total_page: 0 }, list: [] } }
}

/** Profiles of each import job. */
const jobs: number[] = []

function klaviyo(method: string, path: string, body: Buffer): unknown {
  if (path.endsWith('/api/lists')) {
    count(taken.klaviyo)
    return { data: method === 'POST' ? { id: 'LIST01' } : [] }
  }
  if (method === 'POST') {
    const profiles = timesIn(body, '"type":"profile"')
    count(taken.klaviyo, profiles)
    return { data: { id: String(jobs.push(profiles)) } }
  }
  count(taken.klaviyo)
  const total_count = jobs[Number(path.split('/').at(-1)) - 1] ?? 0
  return { data: { attributes: { status: 'complete', total_count, failed_count: 0 } } }
}

function answer(method: string, path: string, body: Buffer): unknown {
  if (path === '/taken') return taken
  if (path.startsWith('/open_api/')) return tiktok(path, body)
  if (path.startsWith('/api/')) return klaviyo(method, path, body)
  return facebook(method, path, body)
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const server = createServer((request, response) => {
  void (async () => {
    const body = await bodyOf(request)
    const { pathname } = new URL(request.url ?? '/', 'http://stand-in')
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(answer(request.method ?? 'GET', pathname, body)))
  })()
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
process.stdout.write(`listening at http://127.0.0.1:${(server.address() as AddressInfo).port}\n`)
