import { createHmac, createPublicKey, hash, verify } from 'node:crypto'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { test, type Test } from 'tap'
import { createPushClient } from '../../src/seller/push-client.ts'
import type { SyncTask } from '../../src/store/ledger.ts'
import { assertValidWebhook } from '../adcp/validate.ts'
import type { ServiceOptions } from '../support/service.ts'
import { byEmail, type Fields, row, sandboxOf, startSeller } from './support.ts'

const ACCOUNT = { account_id: 'facebook/default' }
const ALLOWED = { AUDIENCE_WEBHOOK_PRIVATE_ADDRESSES: 'allow' }
const SECOND_MS = 1_000
const TASK: SyncTask = {
  id: 'tsk-1',
  principal: 'default',
  account: 'facebook/default',
  audiences: [],
  completedAt: 2,
  createdAt: 1,
  updatedAt: 2,
  hasPush: true
}

interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A buyer's endpoint: answers with these statuses, then with 204. */
async function receiver(t: Test, statuses: number[] = []) {
  const received: Received[] = []
  const waiting: (() => void)[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    received.push({ headers: request.headers, body: Buffer.concat(chunks).toString() })
    response.writeHead(statuses.shift() ?? 204).end()
    for (const tell of waiting.splice(0)) tell()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  return {
    host: `127.0.0.1:${port}`,
    url: `http://127.0.0.1:${port}/adcp/hook?from=audience`,
    received,
    async until(count: number) {
      while (received.length < count) await new Promise<void>((tell) => waiting.push(tell))
    }
  }
}

async function startWithFacebook(t: Test, env: ServiceOptions['env'] = ALLOWED) {
  const facebook = await sandboxOf(t, 'facebook')
  facebook.configure({ segments: { '*': { state: 'processing' } } })
  const service = await startSeller(t, { sandboxes: [facebook], env })
  const agent = await service.agent()
  const sync = (push: Fields, more: Fields = {}) =>
    agent.sync({
      account: ACCOUNT,
      audiences: [{ audience_id: 'vip', name: 'VIP', add: [byEmail('jane')] }],
      push_notification_config: push,
      ...more
    })
  const settle = async (state: 'ready' | 'too_small', matched: number) => {
    await service.delivered()
    facebook.configure({ segments: { '*': { state, matched } } })
    await service.later(15 * SECOND_MS)
  }
  return { facebook, service, agent, sync, settle }
}

/** What RFC 9421 signs, put together from the request alone. */
function signatureBase({ headers }: Received, url: string, host: string, params: string): string {
  return [
    '"@method": POST',
    `"@target-uri": ${url}`,
    `"@authority": ${host}`,
    `"content-type": ${headers['content-type']}`,
    `"content-digest": ${String(headers['content-digest'])}`,
    `"@signature-params": ${params}`
  ].join('\n')
}

test('who asked for it is told once that an audience is ready, with a signature', async (t) => {
  const { service, agent, sync, settle } = await startWithFacebook(t)
  const buyer = await receiver(t)
  const push = { url: buyer.url, operation_id: 'op-31f7', token: 'a-token-of-the-buyer' }
  const context = { trace: 't-4' }
  const { task_id: taskId, ...submitted } = await sync(push, { context })
  t.match(submitted, { status: 'submitted', context })
  t.equal('audiences' in submitted, false)
  t.match(await agent.call('get_task_status', { task_id: taskId }), {
    status: 'submitted',
    task_type: 'sync_audiences',
    protocol: 'media-buy',
    has_webhook: true
  })

  await settle('ready', 120)
  await buyer.until(1)
  const [received] = buyer.received
  if (received === undefined) throw new Error('nothing was received')
  const body = JSON.parse(received.body) as Fields
  assertValidWebhook(t, body)
  t.match(body, {
    operation_id: 'op-31f7',
    task_id: taskId,
    task_type: 'sync_audiences',
    protocol: 'media-buy',
    status: 'completed',
    token: 'a-token-of-the-buyer',
    context
  })
  t.match(row(body['result'] as Fields), {
    audience_id: 'vip',
    action: 'created',
    status: 'ready',
    matched_count: 120
  })
  const done = await agent.call('get_task_status', { task_id: taskId, include_result: true })
  t.same(done['result'], body['result'])

  const { headers } = received
  const input = String(headers['signature-input'])
  const [, params = ''] = /^sig1=(.*)$/.exec(input) ?? []
  t.match(
    params,
    /^\("@method" "@target-uri" "@authority" "content-type" "content-digest"\);created=\d+;expires=\d+;nonce="[\w-]{22}";keyid="[\w-]{43}";alg="ed25519";tag="adcp\/webhook-signing\/v1"$/
  )
  t.equal(headers['content-digest'], `sha-256=:${hash('sha256', received.body, 'base64')}:`)
  const { keys } = (await (await fetch(`${service.url}/.well-known/jwks.json`)).json()) as {
    readonly keys: readonly Record<'kid' | 'kty' | 'crv' | 'x', string>[]
  }
  const [, kid] = /keyid="([^"]+)"/.exec(params) ?? []
  const jwk = keys.find((key) => key.kid === kid)
  t.match(jwk, { kty: 'OKP', crv: 'Ed25519', use: 'sig', key_ops: ['verify'], alg: 'EdDSA' })
  t.equal('d' in (jwk ?? {}), false, 'the public half alone')
  const [, signature = ''] = /^sig1=:([\w-]+):$/.exec(String(headers['signature'])) ?? []
  const publicKey = createPublicKey({ key: jwk ?? {}, format: 'jwk' })
  const base = signatureBase(received, buyer.url, buyer.host, params)
  t.ok(verify(null, Buffer.from(base), publicKey, Buffer.from(signature, 'base64url')))

  await settle('too_small', 3)
  t.equal(buyer.received.length, 1, 'a task ends once')
})

test('one that is too small is told as well, and tried again under the same key', async (t) => {
  const { service, sync, settle } = await startWithFacebook(t)
  const buyer = await receiver(t, [500])
  await sync({ url: buyer.url })
  await settle('too_small', 41)
  await buyer.until(1)
  // The wait after a failed attempt is the clock's, not the wall's.
  const nudged = setInterval(() => service.clock.advance(60 * SECOND_MS), 20)
  t.teardown(() => clearInterval(nudged))
  await buyer.until(2)
  const [first, second] = buyer.received.map(({ body }) => JSON.parse(body) as Fields)
  t.same(second, first)
  assertValidWebhook(t, second ?? {})
  t.equal(second?.['operation_id'], second?.['task_id'], 'where the buyer gave none')
  t.match(row(second?.['result'] as Fields), { status: 'too_small', minimum_size: 100 })
})

test('a secret of the buyer selects the older forms', async (t) => {
  const { sync, settle } = await startWithFacebook(t)
  const buyer = await receiver(t)
  const credentials = 'a-shared-secret-of-32-characters'
  await sync({ url: buyer.url, authentication: { schemes: ['HMAC-SHA256'], credentials } })
  await settle('ready', 120)
  await buyer.until(1)
  const [{ headers, body } = { headers: {}, body: '' }] = buyer.received
  const timestamp = String(headers['x-adcp-timestamp'])
  const mac = createHmac('sha256', credentials).update(`${timestamp}.${body}`).digest('hex')
  t.equal(headers['x-adcp-signature'], `sha256=${mac}`)
  t.equal(headers['signature'], undefined, 'never signed both ways')

  await sync(
    { url: buyer.url, authentication: { schemes: ['Bearer'], credentials } },
    { audiences: [{ audience_id: 'vip', add: [byEmail('joe')] }] }
  )
  await settle('ready', 121)
  await buyer.until(2)
  t.equal(buyer.received[1]?.headers.authorization, `Bearer ${credentials}`)
})

test('private addresses are refused, and nothing is written', async (t) => {
  const { agent, sync } = await startWithFacebook(t, {})
  for (const url of ['https://127.0.0.1/hook', 'https://[::1]/hook', 'http://buyer.example/hook']) {
    const { errors } = await sync({ url })
    t.match(errors, [{ code: 'INVALID_REQUEST', field: 'push_notification_config.url' }], url)
  }
  t.same((await agent.sync({ account: ACCOUNT }))['audiences'], [])
})

test('where the service is reached from outside, its keys are found from there', async (t) => {
  const { service, agent } = await startWithFacebook(t, {
    ...ALLOWED,
    AUDIENCE_PUBLIC_URL: 'https://audience.example'
  })
  t.match(await agent.call('get_adcp_capabilities'), {
    identity: { brand_json_url: 'https://audience.example/.well-known/brand.json' },
    webhook_signing: { supported: true, profile: 'adcp/webhook-signing/v1' }
  })
  const brand: unknown = await (await fetch(`${service.url}/.well-known/brand.json`)).json()
  t.same(brand, {
    version: '1.0',
    agents: [
      {
        type: 'sales',
        id: 'audience-api',
        url: 'https://audience.example/mcp',
        jwks_uri: 'https://audience.example/.well-known/jwks.json'
      }
    ]
  })
})

test('a host that hangs has one message under way, and others wait for none of it', async (t) => {
  const posted: string[] = []
  const hung: (() => void)[] = []
  const client = createPushClient({
    store: {
      pushOf: (taskId) =>
        Promise.resolve({
          task: { ...TASK, id: taskId },
          push: { url: `https://${taskId.startsWith('slow') ? 'slow' : 'quick'}.example/hook` }
        })
    },
    accounts: { find: () => undefined },
    keys: [new Uint8Array(32)],
    poster: {
      post({ url }) {
        posted.push(new URL(url).host)
        if (!url.includes('slow')) return Promise.resolve({ status: 204, retryAfterMs: undefined })
        return new Promise((resolve) => hung.push(() => resolve({ fault: 'timeout' })))
      },
      close: () => Promise.resolve()
    }
  })
  const { signal } = new AbortController()
  const send = (task: string) => client.post(undefined, { id: `msg-${task}`, body: task }, signal)
  const waitsFor = async (count: number) => {
    while (hung.length < count) await new Promise((resolve) => setImmediate(resolve))
  }
  const first = send('slow-1')
  await waitsFor(1)
  hung[0]?.()
  t.same(await first, { fault: 'timeout' })
  const second = send('slow-2')
  await waitsFor(2)
  t.same(await send('slow-3'), { fault: 'host does not answer' })
  t.same(await send('quick-1'), { status: 204, retryAfterMs: undefined })
  hung[1]?.()
  t.same(await second, { fault: 'timeout' })
  t.same(posted, ['slow.example', 'slow.example', 'quick.example'])
})
