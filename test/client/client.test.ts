import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type Test } from 'tap'
import type { User } from '../../src/audience/schemas.ts'
import { createClient } from '../../src/client/client.ts'
import { mayPass, ServiceError, UnreachableError } from '../../src/client/errors.ts'
import { pause } from '../../src/client/pause.ts'
import { type Outgoing, sendBatches, sendEach } from '../../src/client/send-batches.ts'
import { newSessionId } from '../../src/client/session-id.ts'

type Answer = readonly [status: number, headers: Record<string, string>, body?: string]

/** A service that gives these answers, one after the other, and tells what it was asked. */
async function serve(t: Test, answers: Answer[]) {
  const asked: string[] = []
  const keys = new Set<string | undefined>()
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    asked.push(`${request.method} ${request.url}`)
    keys.add(request.headers.authorization)
    request.resume().on('end', () => {
      const [status, headers, body = 'told why'] = answers.shift() ?? [500, {}]
      response.writeHead(status, headers).end(body)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, asked, keys }
}

const BATCH = { sessionId: 1, sequence: 1, totalBatches: 1, totalUsers: 1 }
const USERS = [{ email: 'jane@example.com' }]
const UPLOAD = { name: 'VIP' }
const LOCATION = { location: '/audience/sessions/1' }

test('a batch is posted with its key and the parameters that were given', async (t) => {
  const { url, asked, keys } = await serve(t, [
    [200, LOCATION, '{"success":true}'],
    [200, { ...LOCATION, 'x-duplicate': 'true' }, '{"success":true}'],
    [400, LOCATION, '{"success":false,"errors":["facebook/default: no"]}'],
    [202, LOCATION, '{"success":true,"pending":["klaviyo/default"]}']
  ])
  const client = createClient({ url: `${url}/`, apiKey: 'secret' })
  const upload = {
    ...UPLOAD,
    mode: 'remove',
    channels: 'facebook,tiktok/eu',
    disablePrefix: false,
    sync: true
  } as const
  t.same(await client.postBatch(UPLOAD, BATCH, USERS), {
    isDuplicate: false,
    failed: [],
    pending: []
  })
  t.equal((await client.postBatch(UPLOAD, BATCH, USERS)).isDuplicate, true)
  t.same((await client.postBatch(upload, BATCH, USERS)).failed, ['facebook/default: no'])
  t.same((await client.postBatch(upload, BATCH, USERS)).pending, ['klaviyo/default'])
  t.same(asked.slice(1, 3), [
    'POST /audience',
    'POST /audience?mode=remove&channels=facebook%2Ctiktok%2Feu&sync=true'
  ])
  t.same([...keys], ['Bearer secret'])
})

test('a refusal says what the answer says, and whether it may pass', async (t) => {
  const { url } = await serve(t, [
    [400, { 'x-error-code': 'AUD_PAYLOAD' }, '{"success":false,"errors":["users[0] is wrong."]}'],
    [503, { 'x-error-code': 'AUD_OVERLOADED', 'retry-after': '10' }, '{"errors":["busy"]}'],
    [502, {}, '<html>Bad gateway</html>'],
    [200, {}, '<html>Welcome to nginx</html>'],
    [429, {}, '']
  ])
  const client = createClient({ url })
  const caught = async () => {
    const error: unknown = await client.postBatch(UPLOAD, BATCH, USERS).catch((e: unknown) => e)
    if (!(error instanceof ServiceError)) throw error
    return [error.status, error.texts, error.retryAfterMs, mayPass(error)]
  }
  t.same(await caught(), [400, ['users[0] is wrong.'], undefined, false])
  t.same(await caught(), [503, ['busy'], 10_000, true])
  t.same(await caught(), [502, ['HTTP 502', '<html>Bad gateway</html>'], undefined, true])
  const foreign = ['HTTP 200, but not from this version of the Audience API']
  t.same(await caught(), [200, foreign, undefined, false])
  t.same(await caught(), [429, ['HTTP 429', ''], undefined, true])
})

test('nobody there is told with the reason, and a caller who stops gets its own', async (t) => {
  const { url } = await serve(t, [])
  const nobody = createClient({ url: url.replace(/\d+$/, '2') })
  const error: unknown = await nobody.providers(false).catch((caught: unknown) => caught)
  t.ok(error instanceof UnreachableError && mayPass(error))
  t.match(error, { message: /^No answer from http:\/\/127\.0\.0\.1:2: .*ECONNREFUSED/ })
  const stopped = new Error('stopped')
  await t.rejects(createClient({ url }).sessions({}, AbortSignal.abort(stopped)), stopped)
})

test('a session is followed through troubles until all of it has come and nothing is under way', async (t) => {
  const session = (state: string, ...missing: readonly number[]) =>
    JSON.stringify({ state, batches: { missing }, users: {}, warnings: [], destinations: [] })
  const { url, asked } = await serve(t, [
    [200, {}, session('receiving', 2, 3)],
    [200, {}, session('failed', 3)],
    [200, {}, session('sending')],
    [503, {}, ''],
    [200, {}, session('delivered')]
  ])
  const seen: string[] = []
  const troubles: unknown[] = []
  for await (const { state } of createClient({ url }).follow(7, {
    onTrouble: (error) => troubles.push(error)
  })) {
    seen.push(state)
  }
  t.same(seen, ['receiving', 'failed', 'sending', 'delivered'])
  t.equal(troubles.length, 1)
  t.same(new Set(asked), new Set(['GET /audience/sessions/7?limit=1']))
})

test('an error quotes nothing of the headers', async (t) => {
  const client = createClient({ url: 'http://127.0.0.1:2', apiKey: 'secretA\nsecretB' })
  const error = await client.sessions().catch((reason: unknown) => reason)
  t.match(error, { message: 'No answer from http://127.0.0.1:2: the call failed' })
})

async function* batches(number: number): AsyncGenerator<readonly User[]> {
  for (let index = 1; index <= number; index += 1) yield [{ edgeTagId: index }]
}

test('so many batches are under way at once, in the order of reading, and no more are read', async (t) => {
  const begun: number[] = []
  const waiting: (() => void)[] = []
  let read = 0
  async function* counted() {
    for await (const batch of batches(5)) {
      read += 1
      yield batch
    }
  }
  const sent: number[] = []
  const done = sendEach(
    counted(),
    ({ sequence }: Outgoing) => {
      begun.push(sequence)
      return new Promise<void>((resolve) => waiting.push(resolve))
    },
    { inFlight: 2, onSent: ({ sequence }) => sent.push(sequence) }
  )
  while (begun.length < 2) await pause(1)
  t.same([begun, read], [[1, 2], 2])
  while (sent.length < 5) {
    waiting.shift()?.()
    await pause(1)
  }
  await done
  t.same(
    [begun, sent],
    [
      [1, 2, 3, 4, 5],
      [1, 2, 3, 4, 5]
    ]
  )
})

test('what the service has is skipped, and what may pass is repeated', async (t) => {
  const { url, asked } = await serve(t, [
    [503, { 'retry-after': '0' }],
    [200, LOCATION, '{"success":true}'],
    [200, LOCATION, '{"success":true}']
  ])
  const skipped: number[] = []
  const troubles: unknown[] = []
  await sendBatches(createClient({ url }), UPLOAD, BATCH, batches(3), {
    inFlight: 1,
    skip: new Set([2]),
    onSkipped: ({ sequence }) => skipped.push(sequence),
    onTrouble: (error) => troubles.push(error)
  })
  t.same([skipped, troubles.length, asked.length], [[2], 1, 3])
})

test('a refusal ends the upload, patience ends, and a stop lets what is under way end', async (t) => {
  const refusing = await serve(t, [[400, {}]])
  const upload = (url: string, patienceMs: number, signal?: AbortSignal) =>
    sendBatches(createClient({ url }), UPLOAD, BATCH, batches(3), {
      inFlight: 1,
      patienceMs,
      ...(signal !== undefined && { signal })
    })
  await t.rejects(upload(refusing.url, 60_000), { message: /^HTTP 400/ })
  t.equal(refusing.asked.length, 1)

  const busy = await serve(t, [[503, {}]])
  await t.rejects(upload(busy.url, 0), { message: /^HTTP 503/ })

  const stop = new AbortController()
  const failing = await serve(t, [])
  await sendBatches(createClient({ url: failing.url }), UPLOAD, BATCH, batches(3), {
    inFlight: 1,
    signal: stop.signal,
    onTrouble: () => stop.abort()
  })
  t.equal(failing.asked.length, 1, 'nothing new begins')
})

test('a broken file is told as what it is', async (t) => {
  async function* broken(): AsyncGenerator<readonly User[]> {
    yield [{ edgeTagId: 1 }]
    throw new Error('line 3 is wrong')
  }
  await t.rejects(
    sendEach(broken(), async () => undefined, { inFlight: 2 }),
    new Error('line 3 is wrong')
  )
})

test('session ids are safe integers that differ', async (t) => {
  const ids = Array.from({ length: 50 }, newSessionId)
  t.ok(ids.every(Number.isSafeInteger))
  t.ok(new Set(ids).size > 40)
})
