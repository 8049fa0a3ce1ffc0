import { hash } from 'node:crypto'
import { type Test, test } from 'tap'
import { adcp } from '../../providers/adcp/index.ts'
import { NAMED_ERRORS } from '../../providers/adcp/sandbox-errors.ts'
import type { AdcpVariables } from '../../providers/adcp/variables.ts'
import type { EncodedBody } from '../../providers/provider.ts'
import type { Sandbox, SandboxRequest } from '../../providers/sandbox.ts'
import { assertValid } from '../adcp/validate.ts'
import { audience, failureOf, providerContext } from '../support/provider-context.ts'

const ID = 'blotout_VIP'
const ACCOUNT = { account_id: 'acc-118' }
const sha256 = (text: string) => hash('sha256', text)

async function setup(t: Test, changed: Partial<AdcpVariables> = {}, path = '/mcp') {
  const sandbox = await adcp.sandbox()
  const variables: AdcpVariables = {
    agentUrl: `https://seller.example${path}`,
    token: 'sandbox',
    accountId: 'acc-118',
    membersPerCall: 100_000,
    bytesPerCall: 1_500_000,
    ...changed
  }
  const platform = providerContext(sandbox, variables)
  t.teardown(async () => {
    await platform.close()
    await sandbox.close()
  })
  return { sandbox, context: platform.context, variables }
}

const ann = { external_id: 'ann', hashed_email: sha256('ann@shop.example') }
const bob = { external_id: 'bob', hashed_phone: sha256('+353851234567') }
const cid = {
  external_id: 'cid',
  hashed_email: sha256('cid@shop.example'),
  hashed_phone: sha256('+353851234568')
}

/** A body as `encoder` makes it. */
function bodyOf(...members: object[]): EncodedBody {
  const payload = new TextEncoder().encode(members.map((one) => JSON.stringify(one)).join(',\n'))
  return { payload, users: members.length }
}

interface Message {
  readonly method: string
  readonly params: { readonly name: string; readonly arguments: Record<string, unknown> }
}
const messagesOf = ({ requests }: Sandbox) => requests.map(({ body }) => body as Message)
const toolsCalled = (sandbox: Sandbox) =>
  messagesOf(sandbox).map(({ method, params }) => params?.name ?? method)
/** Arguments of all calls of `sync_audiences`, all of them valid. */
function syncsOf(t: Test, sandbox: Sandbox) {
  const syncs = messagesOf(sandbox)
    .filter(({ params }) => params?.name === 'sync_audiences')
    .map(({ params }) => params.arguments)
  for (const args of syncs) assertValid(t, 'sync_audiences', 'request', args)
  return syncs
}
const withoutKey = ({ idempotency_key: key, ...rest }: Record<string, unknown>) => {
  if (typeof key !== 'string') throw new Error('no key')
  return rest
}
const segmentsOf = (sandbox: Sandbox) => (sandbox.state() as { segments: unknown[] }).segments
const segment = (...members: object[]) => ({ account: 'acc-118', id: ID, name: ID, members })

test('members are added, removed and their audience deleted by messages as AdCP has them', async (t) => {
  const { sandbox, context } = await setup(t, { consentBasis: 'consent' })
  t.equal(await adcp.findSegment(audience, context), undefined)
  t.equal(await adcp.createSegment(audience, context), ID)
  t.same(await adcp.upload(bodyOf(ann, bob), audience, ID, context), { received: 2, warnings: [] })
  t.equal(await adcp.findSegment(audience, context), ID)
  t.same(segmentsOf(sandbox), [{ ...segment(ann, bob), consentBasis: 'consent' }])
  const removal = { ...audience, mode: 'remove' } as const
  t.same(await adcp.remove(bodyOf(ann, cid), removal, ID, context), { warnings: [] })
  t.same(segmentsOf(sandbox), [{ ...segment(bob), consentBasis: 'consent' }])
  await adcp.deleteSegment(ID, context)
  t.same(segmentsOf(sandbox), [])

  const common = { adcp_version: '3.2', adcp_major_version: 3, account: ACCOUNT }
  const details = { audience_id: ID, name: ID, audience_type: 'crm', consent_basis: 'consent' }
  t.same(syncsOf(t, sandbox).map(withoutKey), [
    common,
    { ...common, audiences: [{ ...details, add: [ann, bob] }] },
    common,
    { ...common, audiences: [{ audience_id: ID, remove: [ann, cid] }] },
    { ...common, audiences: [{ audience_id: ID, delete: true }] }
  ])
  t.same(toolsCalled(sandbox).slice(0, 2), ['get_adcp_capabilities', 'sync_audiences'])
  const essence = ({ method, path, headers }: SandboxRequest) => ({
    method,
    path,
    authorization: headers['authorization'],
    contentType: headers['content-type'],
    accept: headers['accept']
  })
  t.same(sandbox.requests.map(essence)[1], {
    method: 'POST',
    path: '/mcp',
    authorization: 'Bearer sandbox',
    contentType: 'application/json',
    accept: 'application/json, text/event-stream'
  })
})

test('an audience that is gone counts as deleted, and has no status', async (t) => {
  const { context } = await setup(t)
  await adcp.deleteSegment(ID, context)
  t.same(await failureOf(adcp.status(ID, context)), {
    errorClass: 'not_found',
    message: 'the seller does not have the audience',
    platformCode: undefined,
    waitMs: undefined,
    status: 200
  })
  t.match(await failureOf(adcp.upload(bodyOf(ann), audience, undefined, context)), {
    errorClass: 'not_found'
  })
})

test('a status is what the seller says', async (t) => {
  const { sandbox, context } = await setup(t)
  await adcp.upload(bodyOf(ann), audience, ID, context)
  t.same(await adcp.status(ID, context), { state: 'too_small', matched: 1 })
  const standings = [
    [{ state: 'processing' }, { state: 'processing' }],
    [{ matched: 4_711 }, { state: 'ready', matched: 4_711 }],
    [{ state: 'suspended' }, { state: 'suspended' }]
  ] as const
  for (const [standing, status] of standings) {
    sandbox.configure({ segments: { [ID]: standing } })
    t.same(await adcp.status(ID, context), status)
  }
  const error = { code: 'POLICY_VIOLATION', message: 'jane@example.com complained.' }
  const rows = [{ audience_id: ID, action: 'unchanged', status: 'suspended', errors: [error] }]
  sandbox.failNext({ times: 1, answer: answerOf({ audiences: rows }) })
  t.same(await adcp.status(ID, context), { state: 'suspended', message: '… complained.' })
})

/** The answer of a tool. */
const answerOf = (fields: object) => ({
  status: 200,
  body: { jsonrpc: '2.0', id: 1, result: { structuredContent: fields, content: [] } }
})

test('a call whose answer was lost is repeated under its key and done once', async (t) => {
  const { sandbox, context } = await setup(t)
  await adcp.check(context)
  sandbox.failNext({ times: 1, resetAfter: true })
  t.match(await failureOf(adcp.upload(bodyOf(ann, bob), audience, ID, context)), {
    errorClass: 'transient',
    status: undefined
  })
  t.match(await adcp.upload(bodyOf(ann, bob), audience, ID, context), { received: 2 })
  const [, first, second] = syncsOf(t, sandbox)
  t.ok(first)
  t.equal(JSON.stringify(second), JSON.stringify(first), 'byte for byte')

  const keys = new Set<unknown>([first?.['idempotency_key']])
  await adcp.upload(bodyOf(ann), audience, ID, context)
  await adcp.remove(bodyOf(ann), audience, ID, context)
  await adcp.upload(bodyOf(ann, bob), audience, 'other', context)
  await adcp.upload(bodyOf(ann, bob), audience, ID, { ...context, runId: 'run 2' })
  for (const args of syncsOf(t, sandbox).slice(3)) keys.add(args['idempotency_key'])
  t.equal(keys.size, 5, 'another content, audience, mode or run has another key')
})

test('accounts are named by their id, by brand and operator, or not at all', async (t) => {
  const named = { accountId: undefined }
  const berglift = { brandDomain: 'bergluft.example', brandId: 'outdoor' }
  const operator = 'nordlicht-media.example'
  const cases = [
    [{ accountId: 'acc-118' }, ACCOUNT],
    [
      { ...named, ...berglift, operator, token: 'sandbox-agency' },
      { brand: { domain: 'bergluft.example', brand_id: 'outdoor' }, operator }
    ],
    [
      { ...named, brandDomain: 'veloheim.example', operator },
      { brand: { domain: 'veloheim.example' }, operator }
    ],
    [named, ACCOUNT]
  ] as const
  for (const [changed, account] of cases) {
    const { accountId, ...others } = changed
    const { sandbox, context } = await setup(t, others)
    const variables = { ...context.variables }
    delete variables.accountId
    const used = accountId === undefined ? variables : { ...variables, accountId }
    const own = { ...context, variables: used }
    t.same(await adcp.check(own), [])
    t.equal(await adcp.findSegment(audience, own), undefined)
    t.same(
      syncsOf(t, sandbox).map((args) => args['account']),
      [account, account]
    )
  }
})

test('an account that the token does not tell is asked for', async (t) => {
  for (const [token, wanted] of [
    ['sandbox-agency', { errorClass: 'blocked', message: /several accounts/ }],
    ['sandbox-without-account', { errorClass: 'permission', message: /no account/ }]
  ] as const) {
    const { context } = await setup(t, { token })
    const variables = { ...context.variables }
    delete variables.accountId
    t.match(await failureOf(adcp.findSegment(audience, { ...context, variables })), wanted)
  }
})

test('the check tells what is wrong before anything is sent', async (t) => {
  const problemsAt = async (path: string, changed: Partial<AdcpVariables> = {}) => {
    const { context } = await setup(t, changed, path)
    return adcp.check(context)
  }
  t.same(await problemsAt('/mcp'), [])
  t.match(await problemsAt('/nothing'), [{ code: 'no_identifiers' }])
  t.match(await problemsAt('/mcp', { accountId: 'acc-1' }), [{ code: 'account' }])
  t.match(await failureOf(problemsAt('/unsafe')), {
    errorClass: 'blocked',
    message: 'the seller does not say how it treats repeated calls'
  })
  t.match(await failureOf(problemsAt('/mcp', { token: 'wrong' })), { errorClass: 'auth' })
  t.match(await failureOf(problemsAt('/elsewhere')), { errorClass: 'blocked' })
  const { sandbox, context } = await setup(t)
  sandbox.failNext({
    times: 1,
    answer: { status: 200, body: { jsonrpc: '2.0', id: 1, result: { tools: [] } } }
  })
  t.match(await adcp.check(context), [{ code: 'no_sync_audiences' }])
})

for (const path of ['/stream', '/session', '/old']) {
  test(`members are added, listed and removed at a seller of another manner: ${path}`, async (t) => {
    const { sandbox, context } = await setup(t, {}, path)
    t.same(await adcp.check(context), [])
    t.equal(await adcp.findSegment(audience, context), undefined)
    t.match(await adcp.upload(bodyOf(ann, bob), audience, ID, context), { received: 2 })
    t.equal(await adcp.findSegment(audience, context), ID)
    await adcp.remove(bodyOf(bob), audience, ID, context)
    t.same(segmentsOf(sandbox), [segment(ann)])
    t.match(await failureOf(adcp.remove(bodyOf(bob), audience, '', context)), {
      errorClass: 'invalid',
      platformCode: 'INVALID_REQUEST'
    })
    await adcp.deleteSegment(ID, context)
    await adcp.deleteSegment(ID, context)
    t.same(segmentsOf(sandbox), [])
  })
}

test('a session is begun once, and anew where the seller has forgotten it', async (t) => {
  const { sandbox, context } = await setup(t, {}, '/session')
  await adcp.findSegment(audience, context)
  t.same(toolsCalled(sandbox), [
    'get_adcp_capabilities',
    'initialize',
    'notifications/initialized',
    'get_adcp_capabilities',
    'sync_audiences'
  ])
  const { headers: before } = sandbox.requests[1]!
  t.equal(before['mcp-session-id'], undefined)
  const { headers } = sandbox.requests.at(-1)!
  t.match(headers, { 'mcp-session-id': /^[0-9a-f-]{36}$/, 'mcp-protocol-version': '2025-06-18' })

  sandbox.reset()
  await adcp.findSegment(audience, context)
  t.same(toolsCalled(sandbox), [
    'sync_audiences',
    'initialize',
    'notifications/initialized',
    'sync_audiences'
  ])
})

test('a release is named that the seller has', async (t) => {
  const cases: [readonly unknown[] | undefined, object][] = [
    [['3.1', '3.2'], { adcp_version: '3.2', adcp_major_version: 3 }],
    [['3.0', '3.1'], { adcp_version: '3.1', adcp_major_version: 3 }],
    [['3.3', '3.2-beta.1', 4], { adcp_major_version: 3 }],
    [undefined, { adcp_major_version: 3 }]
  ]
  for (const [versions, wanted] of cases) {
    const { sandbox, context } = await setup(t)
    const capabilities = { idempotency: { supported: true }, supported_versions: versions }
    sandbox.failNext({ times: 1, answer: answerOf({ adcp: capabilities }) })
    await adcp.findSegment(audience, context)
    t.same(syncsOf(t, sandbox).map(withoutKey), [{ ...wanted, account: ACCOUNT }])
  }
})

test('identifiers that the seller does not take are not sent, and told', async (t) => {
  const { sandbox, context } = await setup(t, {}, '/emails')
  const { hashed_phone: _phone, ...cidByEmail } = cid
  t.same(await adcp.upload(bodyOf(ann, bob, cid), audience, ID, context), {
    received: 2,
    warnings: [
      'members sent without hashed_phone, which the seller does not take: 1',
      'members not sent, who have only hashed_phone: 1'
    ]
  })
  t.same(segmentsOf(sandbox), [segment(ann, cidByEmail)])
  const calls = sandbox.requests.length
  t.same(await adcp.upload(bodyOf(bob), audience, ID, context), {
    received: 0,
    warnings: ['members not sent, who have only hashed_phone: 1']
  })
  t.equal(sandbox.requests.length, calls, 'nothing is left to send')
})

test('what a seller does as a task is followed to its end', async (t) => {
  const { sandbox, context } = await setup(t, {}, '/tasks')
  const { ticket = '' } = await adcp.upload(bodyOf(ann, bob), audience, ID, context)
  t.equal(ticket, 'tsk-1')
  t.equal(await adcp.confirm?.(ticket, audience, context), undefined)
  t.same(await adcp.confirm?.(ticket, audience, context), { received: 2 })
  t.equal(toolsCalled(sandbox).at(-1), 'get_task_status')
  t.same(await failureOf(adcp.confirm!('tsk-9', audience, context)), {
    errorClass: 'invalid',
    message: 'the seller does not know the task any more',
    platformCode: undefined,
    waitMs: undefined,
    status: 200
  })

  const failed = { code: 'ACCOUNT_SUSPENDED', message: 'Suspended.' }
  const ends: [object, object][] = [
    [{ status: 'failed', error: failed }, { errorClass: 'blocked' }],
    [{ status: 'rejected', errors: [failed] }, { errorClass: 'blocked' }],
    [
      { status: 'canceled' },
      { errorClass: 'invalid', message: 'the seller has given the task up' }
    ],
    [{ status: 'auth-required' }, { errorClass: 'blocked' }],
    [{ status: 'unknown' }, { errorClass: 'transient' }],
    [
      {
        status: 'completed',
        result: { audiences: [{ audience_id: ID, action: 'failed', errors: [failed] }] }
      },
      { errorClass: 'blocked', platformCode: 'ACCOUNT_SUSPENDED' }
    ]
  ]
  for (const [task, wanted] of ends) {
    sandbox.failNext({ times: 1, answer: answerOf(task) })
    t.match(await failureOf(adcp.confirm!(ticket, audience, context)), wanted)
  }
  sandbox.failNext({ times: 1, answer: answerOf({ status: 'completed' }) })
  t.same(await adcp.confirm!(ticket, audience, context), {})
})

test('without a tool for tasks their end is seen in the list of audiences', async (t) => {
  const { sandbox, context } = await setup(t, {}, '/tasks-without-tools')
  const { ticket = '' } = await adcp.upload(bodyOf(ann), audience, ID, context)
  sandbox.configure({ segments: { [ID]: { state: 'processing' } } })
  t.equal(await adcp.confirm?.(ticket, audience, context), undefined)
  sandbox.configure({ segments: null })
  t.same(await adcp.confirm?.(ticket, audience, context), {})
})

test('every answer that is none of success has its class', async (t) => {
  const { sandbox, context } = await setup(t)
  const classes: Record<string, [string, string | undefined, number?]> = {
    auth_missing: ['auth', 'AUTH_MISSING'],
    auth_invalid: ['auth', 'AUTH_INVALID'],
    permission_denied: ['permission', 'PERMISSION_DENIED'],
    account_not_found: ['permission', 'ACCOUNT_NOT_FOUND'],
    account_suspended: ['blocked', 'ACCOUNT_SUSPENDED'],
    account_setup_required: ['blocked', 'ACCOUNT_SETUP_REQUIRED'],
    policy_violation: ['blocked', 'POLICY_VIOLATION'],
    rate_limited: ['rate_limited', 'RATE_LIMITED', 7_000],
    service_unavailable: ['transient', 'SERVICE_UNAVAILABLE', 30_000],
    in_flight: ['transient', 'IDEMPOTENCY_IN_FLIGHT', 2_000],
    conflict: ['invalid', 'IDEMPOTENCY_CONFLICT'],
    expired: ['invalid', 'IDEMPOTENCY_EXPIRED'],
    audience_gone: ['not_found', 'REFERENCE_NOT_FOUND'],
    invalid_request: ['invalid', 'INVALID_REQUEST'],
    validation_error: ['invalid', 'VALIDATION_ERROR'],
    version_unsupported: ['invalid', 'VERSION_UNSUPPORTED'],
    new_transient: ['transient', 'NEW_CODE'],
    new_correctable: ['invalid', 'NEW_CODE'],
    new_terminal: ['blocked', 'NEW_CODE'],
    new_code: ['transient', 'NEW_CODE'],
    error_alone: ['auth', 'AUTH_INVALID'],
    errors_alone: ['permission', 'PERMISSION_DENIED'],
    error_in_text: ['invalid', undefined],
    unknown_text: ['transient', undefined],
    input_required: ['blocked', undefined],
    working: ['transient', undefined],
    rejected: ['invalid', undefined],
    no_rows: ['transient', undefined],
    unreadable: ['transient', undefined],
    no_result: ['transient', undefined],
    no_such_tool: ['invalid', '-32602'],
    internal_rpc_error: ['transient', '-32603'],
    unauthorized: ['auth', '401'],
    forbidden: ['permission', '403'],
    not_found: ['blocked', '404'],
    too_large: ['invalid', '413'],
    too_many_requests: ['rate_limited', '429', 3_000],
    internal_error: ['transient', '500'],
    bad_gateway: ['transient', '502'],
    unavailable: ['transient', '503', 9_000]
  }
  for (const [error, [errorClass, platformCode, waitMs]] of Object.entries(classes)) {
    // Its capabilities are read first, anew after some of the errors.
    await adcp.check(context)
    sandbox.failNext({ times: 1, error })
    const failure = await failureOf(adcp.upload(bodyOf(ann), audience, ID, context))
    const { message, status, ...told } = failure
    t.same(told, { errorClass, platformCode, waitMs }, error)
    t.notMatch(message, 'jane', error)
    t.type(status, 'number', error)
  }
  t.throws(() => sandbox.failNext({ times: 1, error: 'no_such_error' }), /knows only/)
  t.match(Object.keys(NAMED_ERRORS).toSorted(), Object.keys(classes).toSorted())
})

test('the row of an audience that failed is an error of its own', async (t) => {
  const { sandbox, context } = await setup(t)
  await adcp.check(context)
  const rows = (errors?: unknown[]) => ({
    status: 'completed',
    audiences: [{ audience_id: ID, action: 'failed', ...(errors && { errors }) }]
  })
  const limited = { code: 'RATE_LIMITED', message: 'Slower.', retry_after: 60 }
  sandbox.failNext({ times: 1, answer: answerOf(rows([limited])) })
  t.same(await failureOf(adcp.upload(bodyOf(ann), audience, ID, context)), {
    errorClass: 'rate_limited',
    message: 'the seller takes no more calls for now (Slower.)',
    platformCode: 'RATE_LIMITED',
    waitMs: 60_000,
    status: 200
  })
  sandbox.failNext({ times: 1, answer: answerOf(rows()) })
  t.match(await failureOf(adcp.upload(bodyOf(ann), audience, ID, context)), {
    errorClass: 'invalid',
    message: 'the seller refuses the audience without saying why'
  })
  sandbox.failNext({ times: 1, answer: answerOf(rows(['odd'])) })
  t.match(await failureOf(adcp.upload(bodyOf(ann), audience, ID, context)), {
    errorClass: 'transient'
  })
  const gone = { code: 'REFERENCE_NOT_FOUND', message: 'No such audience.' }
  sandbox.failNext({ times: 1, answer: answerOf(rows([gone])) })
  t.match(await failureOf(adcp.remove(bodyOf(ann), audience, ID, context)), {
    errorClass: 'not_found'
  })
})

test('an error in the words of the transport has the class of AdCP', async (t) => {
  const { sandbox, context } = await setup(t)
  const told = { code: 'SERVICE_UNAVAILABLE', message: 'Full.', retry_after: 5 }
  const error = { code: -32_027, message: 'Unavailable', data: { adcp_error: told } }
  sandbox.failNext({ times: 1, answer: { status: 503, body: { jsonrpc: '2.0', id: null, error } } })
  t.same(await failureOf(adcp.findSegment(audience, context)), {
    errorClass: 'transient',
    message: 'the seller gave no usable answer (Full.)',
    platformCode: 'SERVICE_UNAVAILABLE',
    waitMs: 5_000,
    status: 503
  })
})

test('a stream that ends in the middle, and a seller that hangs, are no answers', async (t) => {
  const { sandbox, variables } = await setup(t)
  const platform = providerContext(sandbox, variables, { timeoutMs: 100 })
  const { context } = platform
  t.teardown(() => platform.close())
  await adcp.check(context)
  const headers = { 'content-type': 'text/event-stream' }
  sandbox.failNext({
    times: 1,
    answer: { status: 200, headers, body: 'event: message\ndata: {"jsonrpc":"2.0","id":1,"resu' }
  })
  t.match(await failureOf(adcp.findSegment(audience, context)), {
    errorClass: 'transient',
    message: 'the seller gave no readable answer'
  })
  sandbox.failNext({ times: 1, hang: true })
  t.match(await failureOf(adcp.findSegment(audience, context)), { errorClass: 'transient' })
  t.equal(await adcp.findSegment(audience, context), undefined)
})

test('configurations that the schema lets through are refused in words', async (t) => {
  const base = { agentUrl: 'https://a.example/mcp', token: 't', membersPerCall: 1, bytesPerCall: 1 }
  const problems = (changed: object) => adcp.problems?.({ ...base, ...changed })
  t.same(problems({}), [])
  t.same(problems({ accountId: 'a' }), [])
  t.same(problems({ brandDomain: 'b.example', operator: 'o.example', brandId: 'x' }), [])
  t.same(problems({ agentUrl: 'https://a.example:99999/mcp' }), ['agentUrl is no address'])
  t.same(problems({ accountId: 'a', operator: 'o.example', brandDomain: 'b.example' }), [
    'accountId is an alternative to brandDomain, operator and brandId'
  ])
  for (const part of [{ operator: 'o.example' }, { brandDomain: 'b.example' }, { brandId: 'x' }]) {
    t.same(problems(part), ['brandDomain and operator are needed together'])
  }
})

test('accounts of two sellers, and two at one seller, are told apart without a secret', async (t) => {
  const base = { token: 'secret-1', membersPerCall: 1, bytesPerCall: 1 }
  const id = (changed: object) =>
    adcp.accountId({ ...base, agentUrl: 'https://a.example/mcp?k=v', ...changed })
  const operator = 'o.example'
  t.same(
    [
      id({ accountId: 'acc-1' }),
      id({ accountId: 'acc-1', token: 'secret-2' }),
      id({ accountId: 'acc-1', agentUrl: 'https://b.example/' }),
      id({ brandDomain: 'b.example', operator }),
      id({ brandDomain: 'b.example', operator, brandId: 'x' })
    ],
    [
      'https://a.example/mcp acc-1',
      'https://a.example/mcp acc-1',
      'https://b.example/ acc-1',
      'https://a.example/mcp o.example/b.example',
      'https://a.example/mcp o.example/b.example/x'
    ]
  )
  t.match(id({}), /^https:\/\/a\.example\/mcp #[0-9a-f]{8}$/)
  t.not(id({}), id({ token: 'secret-2' }), 'another token may stand for another account')
  t.equal(
    adcp.origin({ ...base, agentUrl: 'https://a.example:8443/mcp' }),
    'https://a.example:8443'
  )
})

test('names become ids that every seller takes, two names never one id', async (t) => {
  const { context } = await setup(t)
  const idOf = (segmentName: string) => adcp.createSegment({ ...audience, segmentName }, context)
  t.equal(await idOf('blotout_High_Value.Customers-1'), 'blotout_High_Value.Customers-1')
  t.equal(await idOf('Käufer 2026'), 'K_ufer_2026-0a13326679b52bda')
  const long = 'x'.repeat(128)
  t.equal(await idOf(long), long)
  const names = ['a b', 'a_b', 'a  b', 'a/b', 'ä', 'ö', '日本', '', ' ', `${long}x`, `${long}y`]
  const ids = await Promise.all(names.map(idOf))
  t.equal(new Set(ids).size, names.length)
  t.ok(ids.every((id) => /^[A-Za-z0-9_.-]{1,128}$/.test(id ?? '')))
})

test('a name that is too long is kept with a hash of what is cut off', async (t) => {
  const { variables } = await setup(t)
  const stored = (name: string) => adcp.storedName(name, variables)
  t.equal(stored('Käufer "2026" 👍'), 'Käufer "2026" 👍')
  t.equal(stored('x'.repeat(255)), 'x'.repeat(255))
  const cut = stored(`${'👍'.repeat(119)}x👍${'y'.repeat(100)}`)
  t.ok(cut.length <= 255 && cut.isWellFormed())
  t.not(stored(`${'x'.repeat(255)}a`), stored(`${'x'.repeat(255)}b`))
  t.match(stored('two\nlines'), /^two lines~[0-9a-f]{16}$/)
})
