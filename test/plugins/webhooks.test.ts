import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { Webhook } from 'standardwebhooks'
import { Registry } from 'prom-client'
import { test, type Test } from 'tap'
import { createMeter } from '../../plugins/meter.ts'
import webhooks from '../../plugins/webhooks.ts'
import { isPublicAddress, publicLookup } from '../../src/dispatch/webhook-address.ts'
import {
  createWebhookClient,
  signedHeaders,
  type WebhookEndpoint
} from '../../src/dispatch/webhook-client.ts'
import { judgeAnswer } from '../../src/dispatch/webhooks.ts'
import { openStorage } from '../../src/store/open.ts'

import { OPEN_ACCOUNT, type Store, StoreError } from '../../src/store/store.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const HOUR_MS = 3_600_000

interface Received {
  readonly id: string
  readonly type: string
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

type Reply = (response: ServerResponse) => void

interface Counter {
  add(): void
  /** Resolves once it counted so many in all. */
  reaches: (count: number) => Promise<void>
}

function counter(): Counter {
  const events = new EventEmitter()
  const counted = { times: 0 }
  return {
    add() {
      counted.times += 1
      events.emit('more')
    },
    async reaches(count) {
      while (counted.times < count) await once(events, 'more')
    }
  }
}

interface Receiver {
  readonly endpoint: WebhookEndpoint
  readonly port: number
  /** What came and was signed rightly, in the order of arrival. */
  readonly received: readonly Received[]
  connections(): number
  /** Answers the next ones so; afterwards it takes everything again. */
  replyNext(...replies: Reply[]): void
  readonly has: Counter['reaches']
}

const status =
  (code: number, headers: Record<string, string> = {}): Reply =>
  (response) =>
    response.writeHead(code, headers).end('anything')
const reset: Reply = (response) => response.destroy()
const hang: Reply = () => undefined
const endless: Reply = (response) => {
  response.writeHead(200)
  const more = () => {
    while (!response.destroyed && response.write('x'.repeat(16_384)));
  }
  response.on('drain', more)
  more()
}

/** A server which takes only what the verifier of Standard Webhooks takes. */
async function startReceiver(t: Test, path = '/hook', id = 'receiver'): Promise<Receiver> {
  const received: Received[] = []
  const arrivals = counter()
  const replies: Reply[] = []
  const verifier = new Webhook(SECRET)
  let connections = 0
  const server = createServer(async (request, response) => {
    const text = (await request.toArray()).join('')
    const headers = request.headers as Record<string, string>
    const { type } = verifier.verify(text, headers) as { type: string }
    received.push({ id: headers['webhook-id'] ?? '', type, headers, text })
    arrivals.add()
    const reply = replies.shift() ?? status(204)
    reply(response)
  })
  server.on('connection', () => {
    connections += 1
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    endpoint: { id, url: `http://127.0.0.1:${port}${path}`, secret: SECRET },
    port,
    received,
    connections: () => connections,
    replyNext: (...next) => replies.push(...next),
    has: arrivals.reaches
  }
}

test('the signature is the one of the specification', async (t) => {
  const message = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', body: '{"test": 2432232314}' }
  const at = new Date(1_614_265_330_999)
  const first = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
  // https://github.com/standard-webhooks/standard-webhooks/blob/main/libraries/javascript/src/webhook.test.ts
  t.same(signedHeaders({ secret: SECRET }, message, at), {
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': first
  })

  const newer = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
  const both = signedHeaders({ secret: `${newer}, ${SECRET}` }, message, new Date())
  t.equal(both['webhook-signature']?.split(' ').length, 2)
  for (const secret of [newer, SECRET]) {
    t.same(new Webhook(secret).verify(message.body, both), { test: 2_432_232_314 })
  }
  const other = new Webhook(`whsec_${Buffer.alloc(32, 8).toString('base64')}`)
  t.throws(() => other.verify(message.body, both), { name: 'WebhookVerificationError' })
})

const ADDRESSES: Readonly<Record<string, boolean>> = {
  '93.184.215.14': true,
  '9.255.255.255': true,
  '11.0.0.0': true,
  '100.63.255.255': true,
  '100.128.0.0': true,
  '172.15.255.255': true,
  '172.32.0.0': true,
  '2606:4700:4700::1111': true,
  '2a00:1450:4001:830::200e': true,
  '0.0.0.0': false,
  '0.1.2.3': false,
  '10.0.0.1': false,
  '100.64.0.1': false,
  '127.0.0.1': false,
  '127.255.255.254': false,
  '169.254.169.254': false,
  '172.16.0.1': false,
  '172.31.255.255': false,
  '192.0.0.192': false,
  '192.168.1.1': false,
  '198.18.0.1': false,
  '203.0.113.1': false,
  '224.0.0.1': false,
  '240.0.0.1': false,
  '255.255.255.255': false,
  '::': false,
  '::1': false,
  '::7f00:1': false,
  '::ffff:127.0.0.1': false,
  '::ffff:93.184.215.14': false,
  '::ffff:0:127.0.0.1': false,
  '64:ff9b::7f00:1': false,
  '64:ff9b:1::a00:1': false,
  '2001:0:7f00:1::': false,
  '2002:7f00:1::': false,
  '2001:db8::1': false,
  'fc00::1': false,
  'fd00:ec2::254': false,
  'fe80::1': false,
  'fe80::1%1': false,
  'fec0::1': false,
  'ff02::1': false
}

test('only addresses of the public internet are public', async (t) => {
  t.same(
    Object.fromEntries(
      Object.keys(ADDRESSES).map((address) => [address, isPublicAddress(address)])
    ),
    ADDRESSES
  )
})

test('a name leads to none but its public addresses', async (t) => {
  const addresses = [
    { address: '10.0.0.1', family: 4 },
    { address: '93.184.215.14', family: 4 },
    { address: '::1', family: 6 },
    { address: '2606:4700:4700::1111', family: 6 }
  ]
  const found = (all: boolean, known = addresses) =>
    new Promise((resolve) => {
      const lookup = publicLookup((_name, _options, callback) => callback(null, known))
      lookup('hooks.example', { all }, (error, address, family) =>
        resolve(error === null ? [address, family] : error.message)
      )
    })
  t.same(await found(true), [[addresses[1], addresses[3]], undefined])
  t.same(await found(false), ['93.184.215.14', 4])
  t.equal(
    await found(true, [{ address: '10.0.0.1', family: 4 }]),
    'the address is private (AUDIENCE_WEBHOOK_PRIVATE_ADDRESSES=allow permits it)'
  )
})

const MESSAGE = { id: 'm-1', body: '{"type":"audience.session.settled"}' }

test('private addresses are not connected to, however they are written', async (t) => {
  const receiver = await startReceiver(t)
  const client = createWebhookClient({ timeoutMs: 15_000, privateAddresses: false })
  t.teardown(() => client.close())
  for (const host of [
    '127.0.0.1',
    'localhost',
    '127.1',
    '0x7f.1',
    '2130706433',
    '017700000001',
    '0.0.0.0',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[64:ff9b::7f00:1]',
    '169.254.169.254'
  ]) {
    for (const protocol of ['http', 'https']) {
      const url = `${protocol}://${host}:${receiver.port}/`
      const answer = await client.post(
        { ...receiver.endpoint, url },
        MESSAGE,
        new AbortController().signal
      )
      t.same(answer, { fault: 'PRIVATE_ADDRESS' }, url)
    }
  }
  t.equal(receiver.connections(), 0)

  const open = createWebhookClient({ timeoutMs: 15_000, privateAddresses: true })
  t.teardown(() => open.close())
  const url = `http://localhost:${receiver.port}/`
  t.same(await open.post({ ...receiver.endpoint, url }, MESSAGE, new AbortController().signal), {
    status: 204,
    retryAfterMs: undefined
  })
})

test('one attempt is one request, whatever is answered', async (t) => {
  const receiver = await startReceiver(t)
  const elsewhere = await startReceiver(t)
  const client = createWebhookClient({ timeoutMs: 200, privateAddresses: true })
  t.teardown(() => client.close())
  const location = elsewhere.endpoint.url
  const cases: [Reply, unknown][] = [
    [status(200), { status: 200, retryAfterMs: undefined }],
    [endless, { status: 200, retryAfterMs: undefined }],
    [status(307, { location }), { status: 307, retryAfterMs: undefined }],
    [status(429, { 'retry-after': '120' }), { status: 429, retryAfterMs: 120_000 }],
    [status(500), { status: 500, retryAfterMs: undefined }],
    [reset, { fault: 'UND_ERR_SOCKET' }],
    [hang, { fault: 'timeout' }]
  ]
  for (const [reply, expected] of cases) {
    receiver.replyNext(reply)
    const answer = await client.post(receiver.endpoint, MESSAGE, new AbortController().signal)
    t.same(answer, expected)
  }
  t.equal(receiver.received.length, cases.length)
  t.equal(elsewhere.connections(), 0)
  t.match(receiver.received[0]?.headers, {
    'content-type': 'application/json',
    'user-agent': 'audience-api',
    'webhook-id': 'm-1'
  })
})

test('attempts go on for three days, further and further apart', async (t) => {
  const tried: number[] = []
  let now = 0
  for (let attempts = 1; ; attempts += 1) {
    tried.push(now / 1_000)
    const verdict = judgeAnswer({ attempts, createdAt: 0 }, { fault: 'timeout' }, now, () => 0)
    if (verdict.action !== 'retry') {
      t.same(verdict, { action: 'give_up' })
      break
    }
    now = verdict.againAt
  }
  t.same(
    tried,
    [
      0, 5, 65, 365, 2_165, 9_365, 27_365, 56_165, 84_965, 113_765, 142_565, 171_365, 200_165
    ].concat(228_965, 257_765)
  )

  const message = { attempts: 1, createdAt: 0 }
  const judged = (answer: Parameters<typeof judgeAnswer>[1], random = 0) =>
    judgeAnswer(message, answer, 1_000, () => random)
  t.same(judged({ status: 200, retryAfterMs: undefined }), { action: 'delivered' })
  t.same(judged({ status: 299, retryAfterMs: undefined }), { action: 'delivered' })
  t.same(judged({ status: 410, retryAfterMs: undefined }), { action: 'give_up' })
  const retried = (againAt: number) => ({ action: 'retry', againAt })
  t.same(judged({ status: 302, retryAfterMs: undefined }), retried(6_000))
  t.same(judged({ fault: 'PRIVATE_ADDRESS' }), retried(6_000))
  t.same(judged({ fault: 'timeout' }, 1), retried(7_250), 'a part of the wait is random')
  t.same(judged({ status: 503, retryAfterMs: 120_000 }), retried(121_000))
  t.same(judged({ status: 503, retryAfterMs: 1_000 }), retried(6_000))
})

/** A store in a file, and how many attempts it was told about. */
async function openStore(
  t: Test,
  endpoints: readonly WebhookEndpoint[]
): Promise<{ store: Store; settled: Counter['reaches'] }> {
  const { store } = await openStorage(
    {
      databaseUrl: `sqlite:${join(t.testdir(), 'audience.db')}`,
      encryptionKeys: [],
      dedupMs: HOUR_MS,
      retentionMs: HOUR_MS,
      hookEndpoints: endpoints.map(({ id }) => id)
    },
    pino({ level: 'silent' })
  )
  t.teardown(() => store.close())
  const attempts = counter()
  const observed: Store = Object.assign(Object.create(store) as Store, {
    async settleHook(id: string, againAt: number | undefined) {
      await store.settleHook(id, againAt)
      attempts.add()
    }
  })
  return { store: observed, settled: attempts.reaches }
}

interface Instance {
  readonly app: FastifyInstance
  readonly log: () => string
  readonly lines: () => Record<string, unknown>[]
}

interface InstanceOptions {
  readonly store: Store
  readonly endpoints: readonly WebhookEndpoint[]
  readonly now?: () => number
  readonly privateAddresses?: boolean
  readonly timeoutMs?: number
}

/** As much of the service as delivers webhooks. */
async function startInstance(t: Test, options: InstanceOptions): Promise<Instance> {
  let log = ''
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      log += chunk.toString()
      done()
    }
  })
  const app = Fastify({ logger: { level: 'trace', stream } })
  app.decorate('store', options.store)
  app.decorate('meter', createMeter(new Registry(), []))
  await app.register(webhooks, {
    config: {
      webhooks: options.endpoints,
      webhookPrivateAddresses: options.privateAddresses ?? true
    },
    clock: { now: options.now ?? Date.now },
    timeoutMs: options.timeoutMs ?? 15_000,
    closeWithinMs: 0
  })
  await app.ready()
  t.teardown(() => app.close())
  return {
    app,
    log: () => log,
    lines: () =>
      log
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>)
  }
}

/** An account that is held or works again is a message to every endpoint. */
async function happen(store: Store, times = 1): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    const now = Date.now()
    const key = `facebook/${time}`
    await store.setAccount(
      key,
      { ...OPEN_ACCOUNT, status: 'held', until: now, since: now, failures: 1, error: EXPIRED },
      now
    )
  }
}
const EXPIRED = { code: 'auth', message: 'the access token has expired' }

test('a message is delivered once, signed', async (t) => {
  const receiver = await startReceiver(t)
  const { endpoint } = receiver
  const { store, settled } = await openStore(t, [endpoint])
  const { app, lines } = await startInstance(t, { store, endpoints: [endpoint] })
  await happen(store)
  app.nudgeWebhooks()
  await settled(1)

  const [message] = receiver.received
  t.equal(message?.type, 'audience.account.held')
  t.same(lines(), [
    {
      ...lines()[0],
      level: 30,
      webhook: 'receiver',
      host: `127.0.0.1:${receiver.port}`,
      message: message?.id,
      type: 'audience.account.held',
      attempt: 1,
      status: 204,
      msg: 'webhook delivered'
    }
  ])
  t.same(await store.takeHooks('receiver', Date.now() + 80 * HOUR_MS, 1, 10), [])
  t.equal(receiver.received.length, 1)
})

test('what fails is sent again with the same id, until the receiver wants no more', async (t) => {
  const receiver = await startReceiver(t, '/hook/canary-path?token=canary-query')
  const { endpoint } = receiver
  let aheadMs = 0
  const now = () => Date.now() + aheadMs
  const { store, settled } = await openStore(t, [endpoint])
  const endpoints = [endpoint]
  const { app, lines, log } = await startInstance(t, { store, endpoints, now, timeoutMs: 300 })
  receiver.replyNext(status(500), reset, hang, status(307), status(410))
  await happen(store)
  for (let attempt = 1; attempt <= 5; attempt += 1) {
    app.nudgeWebhooks()
    await settled(attempt)
    aheadMs += HOUR_MS
  }
  t.same(await store.takeHooks('receiver', now() + 80 * HOUR_MS, 1, 10), [])
  t.equal(new Set(receiver.received.map(({ id }) => id)).size, 1)
  t.same(
    lines().map(({ level, attempt, status: code, fault, msg }) => [
      level,
      attempt,
      code ?? fault,
      msg
    ]),
    [
      [40, 1, 500, 'webhook not delivered, tried again later'],
      [40, 2, 'UND_ERR_SOCKET', 'webhook not delivered, tried again later'],
      [40, 3, 'timeout', 'webhook not delivered, tried again later'],
      [40, 4, 307, 'webhook not delivered, tried again later'],
      [40, 5, 410, 'webhook given up']
    ]
  )
  for (const secret of [SECRET, SECRET.slice(6), 'canary', EXPIRED.message]) {
    t.notOk(log().includes(secret), secret)
  }
})

test('a private address is tried again like any other failure, and never reached', async (t) => {
  const receiver = await startReceiver(t)
  const endpoint = { ...receiver.endpoint, url: `https://localhost:${receiver.port}/` }
  const { store, settled } = await openStore(t, [endpoint])
  await happen(store)
  const endpoints = [endpoint]
  const { lines } = await startInstance(t, { store, endpoints, privateAddresses: false })
  await settled(1)
  t.match(lines(), [
    { level: 40, fault: 'PRIVATE_ADDRESS', msg: 'webhook not delivered, tried again later' }
  ])
  t.equal((await store.takeHooks('receiver', Date.now() + HOUR_MS, 1, 10)).length, 1)
  t.equal(receiver.connections(), 0)
})

test('an endpoint that hangs holds up no other one, and keeps to a few connections', async (t) => {
  const slow = await startReceiver(t, '/', 'slow')
  const quick = await startReceiver(t, '/', 'quick')
  const endpoints = [slow.endpoint, quick.endpoint]
  const { store } = await openStore(t, endpoints)
  slow.replyNext(...Array.from({ length: 30 }, () => hang))
  await happen(store, 30)
  const { app } = await startInstance(t, { store, endpoints })
  await slow.has(4)
  await quick.has(30)
  t.equal(slow.received.length, 4)
  t.equal(slow.connections(), 4)
  t.equal(new Set(quick.received.map(({ id }) => id)).size, 30)

  await app.close()
  const left = await store.takeHooks('slow', Date.now(), 1, 100)
  t.equal(left.length, 30, 'what was under way is given back')
})

test('an endpoint that asks for a wait gets nothing meanwhile', async (t) => {
  const busy = await startReceiver(t, '/', 'busy')
  const other = await startReceiver(t, '/', 'other')
  const endpoints = [busy.endpoint, other.endpoint]
  let aheadMs = 0
  const now = () => Date.now() + aheadMs
  const { store, settled } = await openStore(t, endpoints)
  const { app } = await startInstance(t, { store, endpoints, now })
  busy.replyNext(status(429, { 'retry-after': '3600' }))
  await happen(store)
  app.nudgeWebhooks()
  await settled(2)
  await happen(store, 4)
  aheadMs = HOUR_MS - 60_000
  app.nudgeWebhooks()
  await other.has(4)
  t.equal(busy.received.length, 1)
  aheadMs = HOUR_MS + 1_000
  app.nudgeWebhooks()
  await busy.has(5)
})

test('a message outlives the process, and two instances send it once', async (t) => {
  const receiver = await startReceiver(t)
  const endpoints = [receiver.endpoint]
  const { store, settled } = await openStore(t, endpoints)
  const first = await startInstance(t, { store, endpoints })
  receiver.replyNext(hang)
  await happen(store)
  first.app.nudgeWebhooks()
  await receiver.has(1)
  await first.app.close()
  await settled(1)

  await happen(store, 20)
  await Promise.all([1, 2, 3].map(() => startInstance(t, { store, endpoints })))
  await settled(21)
  const ids = receiver.received.map(({ id }) => id)
  t.equal(ids.length, 21)
  t.equal(new Set(ids).size, 20)
  t.equal(ids.filter((id) => id === ids[0]).length, 2, 'the one that had no answer came twice')
})

test('a store that fails is asked again', async (t) => {
  const receiver = await startReceiver(t)
  const endpoints = [receiver.endpoint]
  const { store } = await openStore(t, endpoints)
  const state = { isDown: true, asked: 0 }
  const failing: Store = Object.assign(Object.create(store) as Store, {
    takeHooks(...args: Parameters<Store['takeHooks']>) {
      state.asked += 1
      return state.isDown ? Promise.reject(new StoreError('down')) : store.takeHooks(...args)
    }
  })
  const { app, lines } = await startInstance(t, { store: failing, endpoints })
  await happen(store)
  while (state.asked < 3) {
    app.nudgeWebhooks()
    await setImmediate()
  }
  state.isDown = false
  while (receiver.received.length === 0) {
    app.nudgeWebhooks()
    await setImmediate()
  }
  t.match(lines()[0], { level: 20, webhook: 'receiver', fault: { type: 'StoreError' } })
})

test('without webhooks nothing is asked of the store', async (t) => {
  const { store } = await openStore(t, [])
  const untouched: Store = Object.assign(Object.create(store) as Store, {
    takeHooks: () => t.fail('asked')
  })
  const { app } = await startInstance(t, { store: untouched, endpoints: [] })
  app.nudgeWebhooks()
  t.pass('nothing to do')
})
