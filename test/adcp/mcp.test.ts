import { once } from 'node:events'
import { connect } from 'node:net'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import Fastify from 'fastify'
import { Registry } from 'prom-client'
import { test, type Test } from 'tap'
import auth from '../../plugins/auth.ts'
import closing from '../../plugins/closing.ts'
import errors from '../../plugins/errors.ts'
import mcp from '../../plugins/mcp.ts'
import { createMeter } from '../../plugins/meter.ts'
import telemetry from '../../plugins/telemetry.ts'
import uploadBudget from '../../plugins/upload-budget.ts'
import { AdcpError } from '../../src/adcp/protocol.ts'
import { TOOLS } from '../../src/adcp/tools.ts'
import { loadConfig } from '../../src/config.ts'
import { readCall } from '../../src/dispatch/read-call.ts'
import type { Seller } from '../../src/seller/seller.ts'
import { StoreError } from '../../src/store/store.ts'
import { holdToContract } from '../support/contract.ts'
import { assertValid, assertValidResult } from './validate.ts'

const EMAIL = '5c1f0d7a92b84e36a1d4c7f0925b3e86d1407ac95f3be281640d9a7c52e8f13b'
const CONTEXT = { trace: 't-1' }
const ARGS = {
  adcp_version: '3.1',
  adcp_major_version: 3,
  idempotency_key: '6f1d2c0e-93b4-4f0a-8a57-2b9f0f6d1c11',
  account: { account_id: 'acct_12345' },
  context: CONTEXT
}
const ADDING = {
  ...ARGS,
  audiences: [{ audience_id: 'vip', add: [{ external_id: 'vh-70012', hashed_email: EMAIL }] }]
}
const MAX_BODY_BYTES = 200_000
const ROWS = {
  audiences: [{ audience_id: 'vip', action: 'created', status: 'processing', uploaded_count: 1 }]
}

/** A seller that answers as little as the schemas want. */
const SELLER: Seller = {
  capabilities: () => ({
    adcp: { major_versions: [3], idempotency: { supported: true, replay_ttl_seconds: 86_400 } },
    supported_protocols: ['media_buy']
  }),
  listAccounts: () => ({ accounts: [{ account_id: 'acct_12345', name: 'EU', status: 'active' }] }),
  syncAudiences: () => Promise.resolve({ status: 'completed', isReplay: false, fields: ROWS }),
  taskStatus: (_principal, { taskId }) =>
    Promise.resolve({
      task_id: taskId,
      task_type: 'sync_audiences',
      protocol: 'media-buy',
      status: 'submitted',
      created_at: '2026-11-22T08:15:02Z',
      updated_at: '2026-11-22T08:15:02Z'
    })
}

interface Options {
  readonly seller?: Partial<Seller>
  readonly isOverloaded?: () => boolean
  readonly maxWaitMs?: number
}

/** The transport alone, with that seller behind it. */
async function startMcp(t: Test, { seller, isOverloaded = () => false, maxWaitMs }: Options = {}) {
  let log = ''
  const app = Fastify({ logger: { stream: { write: (line: string) => void (log += line) } } })
  const config = loadConfig(
    { AUDIENCE_API_KEYS: 'agent:key-1-of-the-agent,other:key-2-of-another' },
    []
  )
  await app.register(telemetry)
  await app.register(closing, { closeWithinMs: 0 })
  await app.register(errors)
  await app.register(auth, { config })
  await app.register(uploadBudget, {
    maxBodyBytes: MAX_BODY_BYTES,
    ...(maxWaitMs !== undefined && { maxWaitMs })
  })
  app.decorate('sealingKeys', [new Uint8Array(32)])
  app.decorate('isOverloaded', isOverloaded)
  app.decorate('meter', createMeter(new Registry(), []))
  // What else threads do has nothing to do with calls.
  app.decorate('workers', { readCall } as typeof app.workers)
  await app.register(mcp, {
    config: { maxBodyBytes: MAX_BODY_BYTES },
    seller: { ...SELLER, ...seller }
  })
  holdToContract(t, app)
  const url = `${await app.listen({ host: '127.0.0.1', port: 0 })}/mcp`
  t.teardown(() => app.close())
  return {
    app,
    url,
    log: () => log,
    client: async (key = 'key-1-of-the-agent') => {
      const client = new Client({ name: 'test', version: '1' })
      const headers = { authorization: `Bearer ${key}` }
      await client.connect(
        new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } })
      )
      t.teardown(() => client.close())
      return client
    },
    post: async (body: string | object, headers: Record<string, string> = {}) => {
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          authorization: 'Bearer key-1-of-the-agent',
          'content-type': 'application/json',
          ...headers
        },
        body: typeof body === 'string' ? body : JSON.stringify(body)
      })
      const text = await response.text()
      return { status: response.status, headers: response.headers, text }
    }
  }
}

const call = (name: string, args: object) => ({
  jsonrpc: '2.0',
  id: 7,
  method: 'tools/call',
  params: { name, arguments: args }
})

test("the SDK's own client finds the tools and calls them, by API key", async (t) => {
  const principals: string[] = []
  const { client } = await startMcp(t, {
    seller: {
      capabilities(principal) {
        principals.push(principal)
        return SELLER.capabilities(principal)
      }
    }
  })
  const agent = await client()
  t.match(agent.getServerVersion(), { name: 'audience-api', title: 'Audience API' })
  t.match(agent.getInstructions(), /Ad Context Protocol/)
  const { tools } = await agent.listTools()
  t.same(
    tools.map(({ name }) => name),
    [
      'get_adcp_capabilities',
      'list_accounts',
      'sync_audiences',
      'get_task_status',
      'tasks_get',
      'tasks/get'
    ]
  )
  const TASK = { task_id: 'task_1', context: CONTEXT }
  const calls: readonly (readonly [string, Record<string, unknown>])[] = [
    [
      'get_adcp_capabilities',
      { adcp_version: '3.2', context: CONTEXT, idempotency_key: 'ignored' }
    ],
    ['list_accounts', { context: CONTEXT, pagination: { max_results: 10 } }],
    ['sync_audiences', ADDING],
    ['get_task_status', TASK],
    ['tasks_get', TASK],
    ['tasks/get', TASK]
  ]
  for (const [name, args] of calls) {
    assertValid(t, name, 'request', args)
    const result = await agent.callTool({ name, arguments: args })
    assertValidResult(t, name, result)
    t.match(result.structuredContent, {
      adcp_version: args['adcp_version'] ?? '3.2',
      context: CONTEXT
    })
  }
  await (await client('key-2-of-another')).callTool({ name: 'get_adcp_capabilities' })
  t.same(principals, ['agent', 'other'])
})

test('every tool tells which arguments it takes, and that there may be others', async (t) => {
  for (const { name, description, inputSchema } of TOOLS) {
    const { properties, additionalProperties, type } = inputSchema as unknown as Record<
      string,
      object
    >
    t.same([type, additionalProperties], ['object', undefined], name)
    const names = Object.keys(properties ?? {})
    for (const own of ['adcp_version', 'adcp_major_version', 'context', 'ext', 'idempotency_key']) {
      t.ok(names.includes(own), `${name}: ${own}`)
    }
    t.ok(description.length > 40, name)
  }
})

test('what the seller gets and answers is what went over the wire', async (t) => {
  const calls: unknown[] = []
  const { post, log } = await startMcp(t, {
    seller: {
      syncAudiences(principal, sync, traceparent) {
        const [audience] = sync.audiences ?? []
        calls.push([
          principal,
          sync.idempotencyKey,
          audience?.add?.count,
          traceparent?.slice(0, 36)
        ])
        return Promise.resolve({
          status: 'submitted',
          isReplay: true,
          fields: { task_id: 'tsk-1' }
        })
      }
    }
  })
  const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736'
  const answer = await post(call('sync_audiences', ADDING), {
    traceparent: `${trace}-00f067aa0ba902b7-01`
  })
  t.same(calls, [['agent', ARGS.idempotency_key, 1, `${trace}-`]])
  t.same([answer.status, answer.headers.get('content-type')], [200, 'application/json'])
  const fields = {
    status: 'submitted',
    task_id: 'tsk-1',
    replayed: true,
    adcp_version: '3.1',
    context: CONTEXT
  }
  t.same(JSON.parse(answer.text), {
    jsonrpc: '2.0',
    id: 7,
    result: {
      structuredContent: fields,
      content: [{ type: 'text', text: JSON.stringify(fields) }]
    }
  })
  assertValid(t, 'sync_audiences', 'response', fields)
  const [line] = log()
    .split('\n')
    .filter((one) => one.includes('"POST /mcp"'))
  t.match(JSON.parse(line ?? ''), {
    'http.route': '/mcp',
    'mcp.method.name': 'tools/call',
    'gen_ai.tool.name': 'sync_audiences',
    'adcp.version': '3.1',
    'adcp.audiences': 1,
    'adcp.members.added': 1,
    'adcp.members.removed': 0,
    ok: true
  })
  t.notMatch(log(), /vh-70012|5c1f0d7a|acct_12345|t-1|6f1d2c0e/)
})

test('errors of the seller are answers, in both layers', async (t) => {
  const seller: Partial<Seller> = {
    listAccounts() {
      throw new AdcpError('RATE_LIMITED', 'Too many calls.', { retry_after: 30 })
    },
    taskStatus: () => Promise.reject(new AdcpError('REFERENCE_NOT_FOUND', 'No such task.')),
    syncAudiences: () =>
      Promise.reject(new AdcpError('ACCOUNT_NOT_FOUND', 'No such account.', { field: 'account' }))
  }
  const { client } = await startMcp(t, { seller })
  const agent = await client()
  const errorsOf: Readonly<Record<string, unknown>> = {
    list_accounts: {
      code: 'RATE_LIMITED',
      message: 'Too many calls.',
      recovery: 'transient',
      retry_after: 30
    },
    get_task_status: {
      code: 'REFERENCE_NOT_FOUND',
      message: 'No such task.',
      recovery: 'correctable'
    },
    sync_audiences: {
      code: 'ACCOUNT_NOT_FOUND',
      message: 'No such account.',
      recovery: 'terminal',
      field: 'account'
    }
  }
  for (const [name, error] of Object.entries(errorsOf)) {
    const result = await agent.callTool({ name, arguments: { ...ARGS, task_id: 'x' } })
    assertValidResult(t, name, result)
    t.same(result.structuredContent, {
      status: 'failed',
      adcp_error: error,
      errors: [error],
      adcp_version: '3.1',
      context: CONTEXT
    })
  }
})

const UNAVAILABLE = {
  code: 'SERVICE_UNAVAILABLE',
  message: 'The service cannot answer the call now. Please send it again later.',
  recovery: 'transient',
  retry_after: 10
}

test('a call without arguments is told which there are', async (t) => {
  const { client } = await startMcp(t)
  const result = await (await client()).callTool({ name: 'sync_audiences' })
  assertValidResult(t, 'sync_audiences', result)
  t.match(result.structuredContent, {
    errors: [
      {
        code: 'INVALID_REQUEST',
        issues: [{ pointer: '/idempotency_key' }, { pointer: '/account' }]
      }
    ]
  })
})

test('what fails here is told without details, and logged without data', async (t) => {
  const failures: Error[] = [
    new StoreError('the database is away'),
    new TypeError('jane@example.com is not a function')
  ]
  const { client, log } = await startMcp(t, {
    seller: { syncAudiences: () => Promise.reject(failures.shift() ?? new Error('no more')) }
  })
  const agent = await client()
  for (let left = failures.length; left > 0; left -= 1) {
    const result = await agent.callTool({ name: 'sync_audiences', arguments: ADDING })
    assertValidResult(t, 'sync_audiences', result)
    t.match(result.structuredContent, { errors: [UNAVAILABLE], context: CONTEXT })
  }
  t.notMatch(log(), /jane/)
  const faults = log()
    .split('\n')
    .filter((line) => line.includes('a call failed'))
  t.equal(faults.length, 1, 'an unavailable store is told by who watches it')
  t.match(faults[0], /"type":"TypeError"/)
})

test('while there is too much to do changes are refused, and all else is answered', async (t) => {
  const { client, post } = await startMcp(t, { isOverloaded: () => true })
  const agent = await client()
  const refused = await agent.callTool({ name: 'sync_audiences', arguments: ADDING })
  assertValidResult(t, 'sync_audiences', refused)
  t.match(refused.structuredContent, { errors: [UNAVAILABLE] })
  const listed = await agent.callTool({ name: 'sync_audiences', arguments: ARGS })
  t.match(listed.structuredContent, { status: 'completed' })

  const large = await post(call('sync_audiences', { ...ADDING, ext: { a: 'x'.repeat(70_000) } }))
  t.same(
    [large.status, large.headers.get('retry-after'), large.headers.get('x-error-code')],
    [503, '10', 'AUD_OVERLOADED']
  )
  t.same(JSON.parse(large.text), {
    jsonrpc: '2.0',
    id: null,
    error: {
      code: -32_027,
      message: 'The service is busy. Please send the upload again later.',
      data: { adcp_error: UNAVAILABLE }
    }
  })
})

test('large bodies wait for room in memory, small ones do not', async (t) => {
  const { app, post, client } = await startMcp(t, { maxWaitMs: 0 })
  const taken = await app.uploadBudget.reserve(4 * MAX_BODY_BYTES, new AbortController().signal)
  const large = call('sync_audiences', { ...ADDING, ext: { a: 'x'.repeat(70_000) } })
  t.equal((await post(large)).status, 503)
  t.match(await (await client()).callTool({ name: 'list_accounts' }), { structuredContent: {} })
  taken.release()
  t.equal((await post(large)).status, 200)
  t.equal(app.uploadBudget.takenBytes, 0)
})

const TOO_LARGE = {
  success: false,
  errors: [
    'Too large: the request body is over the limit of 200000 bytes (AUDIENCE_MAX_BODY_BYTES).'
  ]
}

test('a body over the limit is refused, whether or not it tells its length', async (t) => {
  const { post, url, app } = await startMcp(t)
  const told = await post('x'.repeat(MAX_BODY_BYTES + 1))
  t.same([told.status, JSON.parse(told.text)], [413, TOO_LARGE])

  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.write(
    'POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer key-1-of-the-agent\r\n' +
      'content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n'
  )
  const chunk = 'x'.repeat(50_000)
  for (let sent = 0; sent <= MAX_BODY_BYTES; sent += chunk.length) {
    socket.write(`${chunk.length.toString(16)}\r\n${chunk}\r\n`)
  }
  socket.write('0\r\n\r\n')
  let text = ''
  socket.on('data', (data) => (text += String(data)))
  await once(socket, 'end')
  socket.destroy()
  t.match(text, /^HTTP\/1.1 413 /)
  t.ok(text.includes(JSON.stringify(TOO_LARGE)))
  t.equal(app.uploadBudget.takenBytes, 0)
})

test('a chunked body is read whole', async (t) => {
  const { url } = await startMcp(t)
  const text = JSON.stringify(
    call('sync_audiences', { ...ADDING, ext: { a: 'x'.repeat(150_000) } })
  )
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: 'Bearer key-1-of-the-agent', 'content-type': 'application/json' },
    body: new Blob([text]).stream(),
    duplex: 'half'
  })
  t.match(await response.json(), { result: { structuredContent: { status: 'completed' } } })
})

test('a caller that hangs up leaves nothing behind', async (t) => {
  const { app, url } = await startMcp(t)
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.write(
    'POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer key-1-of-the-agent\r\n' +
      'content-type: application/json\r\ncontent-length: 150000\r\n\r\n{"jsonrpc"'
  )
  const { uploadBudget: budget } = app
  while (budget.takenBytes === 0) await new Promise(setImmediate)
  socket.destroy()
  while (budget.takenBytes > 0) await new Promise(setImmediate)
  t.pass('its room is free again')
})

test('without a key nobody gets in, and there is nothing but POST', async (t) => {
  const { url, post } = await startMcp(t)
  const refused = await post(call('list_accounts', {}), { authorization: 'Bearer wrong' })
  t.same([refused.status, refused.headers.get('www-authenticate')], [401, 'Bearer'])
  for (const method of ['GET', 'DELETE']) {
    const response = await fetch(url, {
      method,
      headers: { authorization: 'Bearer key-1-of-the-agent' }
    })
    t.same([response.status, response.headers.get('allow')], [405, 'POST'])
  }
})

test('what is no message of MCP is answered in the words of JSON-RPC', async (t) => {
  const { post } = await startMcp(t)
  const code = async (body: string | object, headers?: Record<string, string>) => {
    const { status, text } = await post(body, headers)
    return [status, (JSON.parse(text) as { error: { code: number } }).error.code]
  }
  t.same(
    {
      notJson: await code('{'),
      batch: await code([call('list_accounts', {})]),
      noMessage: await code({ a: 1 }),
      noSuchTool: await code(call('get_products', {})),
      noSuchMethod: await code({ jsonrpc: '2.0', id: 1, method: 'resources/list' }),
      // Newer clients ask for this first, and then go back to what there is.
      discover: await code(
        { jsonrpc: '2.0', id: 1, method: 'server/discover', params: {} },
        { 'mcp-protocol-version': '2026-07-28' }
      ),
      noArguments: await code({
        ...call('x', {}),
        params: { name: 'list_accounts', arguments: 1 }
      }),
      otherType: await code(call('list_accounts', {}), { 'content-type': 'text/plain' })
    },
    {
      notJson: [400, -32_700],
      batch: [400, -32_600],
      noMessage: [400, -32_700],
      noSuchTool: [200, -32_602],
      noSuchMethod: [200, -32_601],
      discover: [400, -32_000],
      noArguments: [200, -32_603],
      otherType: [415, -32_000]
    }
  )
  t.equal((await post('{}', { 'content-encoding': 'gzip' })).status, 400)
})

test('all versions of MCP are spoken, and no header is asked for but the key', async (t) => {
  const { post } = await startMcp(t)
  const initialize = (protocolVersion: string) => ({
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion, capabilities: {}, clientInfo: { name: 'test', version: '1' } }
  })
  for (const version of ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25']) {
    const { text, headers } = await post(initialize(version), { accept: '*/*' })
    t.match(JSON.parse(text), { result: { protocolVersion: version } })
    t.equal(headers.get('mcp-session-id'), null)
    const called = await post(call('list_accounts', {}), { 'mcp-protocol-version': version })
    t.match(JSON.parse(called.text), { result: { structuredContent: { status: 'completed' } } })
  }
  const newer = await post(initialize('2026-07-28'))
  t.match(JSON.parse(newer.text), { result: { protocolVersion: '2025-11-25' } })
  const notice = await post({ jsonrpc: '2.0', method: 'notifications/initialized' })
  t.same([notice.status, notice.text], [202, ''])
})

test('an answer that is too long for text is in structuredContent alone', async (t) => {
  const audiences = Array.from({ length: 20_000 }, (_, index) => ({
    audience_id: `audience-number-${index}`,
    action: 'unchanged',
    status: 'processing'
  }))
  const { client } = await startMcp(t, {
    seller: {
      syncAudiences: () =>
        Promise.resolve({ status: 'completed', isReplay: false, fields: { audiences } })
    }
  })
  const result = await (await client()).callTool({ name: 'sync_audiences', arguments: ARGS })
  t.same(result.content, [
    {
      type: 'text',
      text: 'The answer is in structuredContent; it is too long to be repeated here.'
    }
  ])
  t.equal((result.structuredContent as typeof ROWS).audiences.length, 20_000)
})

test('while it closes, nothing new is taken', async (t) => {
  const { app, post } = await startMcp(t)
  app.isClosing = () => true
  const { status, text, headers } = await post(call('list_accounts', {}))
  t.same([status, headers.get('x-error-code')], [503, 'AUD_CLOSING'])
  t.match(JSON.parse(text), { error: { code: -32_027, data: { adcp_error: UNAVAILABLE } } })
})
