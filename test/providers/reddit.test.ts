import { test, type Test } from 'tap'
import { Value } from 'typebox/value'
import * as fc from 'fast-check'
import { reddit } from '../../providers/reddit/index.ts'
import type { RedditVariables } from '../../providers/reddit/variables.ts'
import type { Audience, Encoding } from '../../providers/provider.ts'
import type { Sandbox, SandboxRequest } from '../../providers/sandbox.ts'
import type { User } from '../../src/audience/schemas.ts'
import { encodeWhole } from '../support/encode.ts'
import { createMembers } from '../support/members.ts'
import { anyParts, encodeParts } from '../support/parts.ts'
import { audience, failureOf, providerContext } from '../support/provider-context.ts'
import { form, startService } from '../support/service.ts'

// Made with `sha256sum`; Reddit prints the first one itself.
const ALICE = 'ff8d9819fc0e12bf0d24892e45987e249a28dce836a85cad60e28eaaa8c6d976' // alice@example.com
const MARY = '08066cc1430a69d09b301ee2b90ff153b5e7d9e1df232ab0d935ee5732be270b' // maryann7@shop.example
const MARY_STRIPPED = '13502a631a5e0043a2c7fd3fafe960e0432bbbae721c7079e6c3c5d24fedfba6' // mary-ann7@shop.example
const MARY_PLAIN = 'e67a9f1f32377229fbd3bff5b4662bdf555312a69a383c7997c1cfaa54c6ac53' // mary-ann.7+x@shop.example
const BEN = '71b6eecfce0bba680ff5d2955520b9cde51277a1c0c51102bb39cb8e8dcb5a8a' // ben@shop.example

const alice: User = { email: 'Al.ice$+Apple@Example.Com' }
const mary: User = { email: ' Mary-Ann.7+x@shop.example', phone: '+4915123456789' }
const ben: User = { email: 'ben@shop.example', firstName: 'Ben' }

const removal: Audience = { ...audience, mode: 'remove' }
const settings = (changes: object): RedditVariables => {
  const all = Value.Default(reddit.variables, { adAccountId: 'a2_sandbox', ...changes })
  return Value.Parse(reddit.variables, all)
}
const CREDENTIALS = {
  clientId: 'sandbox-client',
  clientSecret: 'sandbox-secret',
  refreshToken: 'sandbox-refresh-token'
}

const FIRST_ID = 'ca.2066268373552240021'
const ACCOUNT = '/api/v3/ad_accounts/a2_sandbox/custom_audiences'
const AUDIENCE = `/api/v3/custom_audiences/${FIRST_ID}`
const USER_AGENT = 'server:audience-api:v1'
const TOKEN_CALL = {
  method: 'POST',
  path: '/api/v1/access_token',
  query: {},
  headers: {
    // sandbox-client:sandbox-secret, by `base64`.
    authorization: 'Basic c2FuZGJveC1jbGllbnQ6c2FuZGJveC1zZWNyZXQ=',
    'content-type': 'application/x-www-form-urlencoded',
    'user-agent': USER_AGENT
  },
  body: 'grant_type=refresh_token&refresh_token=sandbox-refresh-token'
}
const call = (method: string, path: string, body?: unknown, query = {}, token = 1) => ({
  method,
  path,
  query,
  headers: {
    authorization: `Bearer sandbox-access-token-${token}`,
    'content-type': body === undefined ? undefined : 'application/json',
    'user-agent': USER_AGENT
  },
  body
})

/** What of a request the platform acts upon. */
function essence({ method, path, query, headers, body }: SandboxRequest) {
  const { authorization, 'content-type': contentType, 'user-agent': userAgent } = headers
  const names = { authorization, 'content-type': contentType, 'user-agent': userAgent }
  return { method, path, query, headers: names, body }
}

async function start(t: Test, changes: object = CREDENTIALS) {
  const sandbox = await reddit.sandbox()
  const variables = settings({ ...changes, baseUrl: sandbox.url })
  const platform = providerContext(sandbox, variables)
  t.teardown(async () => {
    await platform.close()
    await sandbox.close()
  })
  let aheadMs = 0
  const context = { ...platform.context, now: () => Date.now() + aheadMs }
  const bodies = (users: readonly User[], to: Audience) =>
    encodeWhole(reddit, createMembers(users), to, variables).bodies
  return {
    sandbox,
    context,
    calls: () => sandbox.requests.map(essence),
    later: (forMs: number) => {
      aheadMs += forMs
    },
    upload: (users: readonly User[], id?: string) =>
      reddit.upload(bodies(users, audience)[0]!, audience, id, context),
    remove: (users: readonly User[], id: string) =>
      reddit.remove(bodies(users, removal)[0]!, removal, id, context)
  }
}

interface State {
  readonly segments: readonly { name: string; members: readonly { EMAIL_SHA256: string }[] }[]
}
const held = (sandbox: Sandbox) =>
  (sandbox.state() as State).segments.map(({ name, members }) => [
    name,
    members.map((member) => member.EMAIL_SHA256)
  ])

const texts = ({ bodies }: Encoding) =>
  bodies.map(({ payload, users }) => [users, new TextDecoder().decode(payload)])
const body = (action: string, ...hashes: readonly string[]) =>
  `{"data":{"action_type":"${action}","column_order":["EMAIL_SHA256"],"user_data":[${hashes
    .map((hash) => `["${hash}"]`)
    .join(',')}]}}`

test('users become rows of one hash, in the form that the tag sets', async (t) => {
  const users = createMembers([alice, mary, { phone: '+4915123456789' }, { email: 'n/a' }])
  const canonical = encodeWhole(reddit, users, audience, settings({}))
  t.same(texts(canonical), [[2, body('ADD', ALICE, MARY)]])
  t.same(canonical.leftOut, { no_identifier: 2 })
  t.same(canonical.notes, {})
  t.same(texts(encodeWhole(reddit, users, removal, settings({}))), [
    [2, body('REMOVE', ALICE, MARY)]
  ])
  const onlyMary = createMembers([mary])
  const emailForms = { strip_plus_and_dots: MARY_STRIPPED, plain: MARY_PLAIN }
  for (const [emailForm, hash] of Object.entries(emailForms)) {
    const encoding = encodeWhole(reddit, onlyMary, audience, settings({ emailForm }))
    t.same(texts(encoding), [[1, body('ADD', hash)]], emailForm)
  }
  const nobody = encodeWhole(reddit, createMembers([]), audience, settings({}))
  t.same(nobody, { bodies: [], leftOut: {}, notes: {} })
})

test('a request has at most 2,500 rows', async (t) => {
  const users = (count: number) =>
    createMembers(Array.from({ length: count }, (_, n) => ({ email: `p${n}@shop.example` })))
  const sizes = (count: number) =>
    encodeWhole(reddit, users(count), audience, settings({})).bodies.map((one) => one.users)
  t.same(sizes(2_500), [2_500])
  t.same(sizes(2_501), [2_500, 1])
})

test('bodies do not depend on the parts that users come in', async (t) => {
  const users = createMembers([alice, mary, {}, ben, alice])
  const whole = encodeWhole(reddit, users, audience, settings({}))
  fc.assert(
    fc.property(anyParts, (sizes) => {
      const parts = encodeParts(reddit.encoder(audience, settings({})), users, sizes)
      t.same(parts, whole)
    }),
    { numRuns: 20 }
  )
})

test('addresses that came as hashes are sent where they can be of the right form', async (t) => {
  const given = { email: MARY_PLAIN.toUpperCase() }
  const nobodyKnows = encodeWhole(reddit, createMembers([given]), audience, settings({}))
  t.same(texts(nobodyKnows), [[1, body('ADD', MARY_PLAIN)]])
  const plain = createMembers([given, ben], { phoneHashes: 'e164' })
  const lost = encodeWhole(reddit, plain, audience, settings({}))
  t.same([texts(lost), lost.leftOut], [[[1, body('ADD', BEN)]], { hashed_only: 1 }])
  const kept = encodeWhole(reddit, plain, audience, settings({ emailForm: 'plain' }))
  t.same(texts(kept), [[2, body('ADD', MARY_PLAIN, BEN)]])
  t.same(reddit.hashedIdentifiers(settings({})), [])
  t.same(reddit.hashedIdentifiers(settings({ emailForm: 'plain' })), ['email'])
})

test('an audience is made, filled, emptied, described and deleted by whole requests', async (t) => {
  const { sandbox, context, calls, upload, remove } = await start(t)
  t.equal(await reddit.findSegment(audience, context), undefined)
  const id = (await reddit.createSegment(audience, context)) ?? ''
  t.equal(id, FIRST_ID)
  t.same(await upload([alice, ben], id), {})
  t.same(await remove([alice], id), {})
  t.same(held(sandbox), [['blotout_VIP', [BEN]]])
  t.same(await reddit.status(id, context), { state: 'too_small', matched: 1 })
  await reddit.deleteSegment(id, context)
  t.same(held(sandbox), [])
  t.same(calls(), [
    TOKEN_CALL,
    call('GET', ACCOUNT),
    call('POST', ACCOUNT, { data: { name: 'blotout_VIP', type: 'CUSTOMER_LIST' } }),
    call('PATCH', `${AUDIENCE}/users`, JSON.parse(body('ADD', ALICE, BEN))),
    call('PATCH', `${AUDIENCE}/users`, JSON.parse(body('REMOVE', ALICE))),
    call('GET', AUDIENCE),
    call('DELETE', AUDIENCE)
  ])
})

test('an audience is found by its exact name and type, on all pages', async (t) => {
  const { sandbox, context, calls } = await start(t)
  for (const name of ['blotout_vip', 'blotout_VIP ', 'blotout_VIP_2', 'blotout_VIP']) {
    await reddit.createSegment({ ...audience, segmentName: name }, context)
  }
  t.equal(await reddit.findSegment(audience, context), 'ca.2066268373552240024')
  t.same(calls().slice(-2), [
    call('GET', ACCOUNT),
    call('GET', ACCOUNT, undefined, { 'page.token': '2' })
  ])

  const page = (data: object[], next_url?: string | null) =>
    sandbox.failNext({
      times: 1,
      answer: { status: 200, body: { data, pagination: { next_url } } }
    })
  page([{ id: 'ca.1', name: 'blotout_VIP', type: 'PIXEL_RETARGETING' }], null)
  t.equal(await reddit.findSegment(audience, context), undefined)
  page([{ id: 'ca.2', name: 'blotout_VIP' }], null)
  t.equal(await reddit.findSegment(audience, context), 'ca.2')
  page([], 'https://ads-api.reddit.invalid/next?page.token=2')
  sandbox.failNext({
    times: 1,
    path: ACCOUNT,
    answer: { status: 200, body: { data: [], pagination: { next_url: '/x?page.token=2' } } }
  })
  t.match(await failureOf(reddit.findSegment(audience, context)), {
    errorClass: 'transient',
    message: 'Reddit gave an answer of an unknown form'
  })
})

test('an access token is fetched once, and again before it ends or once it is refused', async (t) => {
  const { sandbox, context, calls, later } = await start(t)
  const tokens = () => calls().filter(({ path }) => path === '/api/v1/access_token').length
  await reddit.findSegment(audience, context)
  await reddit.findSegment(audience, context)
  t.equal(tokens(), 1)
  later(86_400_000 - 61_000)
  await reddit.findSegment(audience, context)
  t.equal(tokens(), 1)
  later(2_000)
  await reddit.findSegment(audience, context)
  t.equal(tokens(), 2)

  // It forgets its tokens, as Reddit does where access is taken away and given back.
  sandbox.reset()
  await reddit.findSegment(audience, context)
  t.same(calls(), [
    call('GET', ACCOUNT, undefined, {}, 2),
    TOKEN_CALL,
    call('GET', ACCOUNT, undefined, {}, 3)
  ])

  sandbox.failNext({ times: 2, path: ACCOUNT, error: 'invalid_token' })
  t.match(await failureOf(reddit.findSegment(audience, context)), {
    errorClass: 'auth',
    platformCode: '401'
  })
  t.equal(await reddit.findSegment(audience, context), undefined, 'works again afterwards')
})

test('several calls whose token has ended at once all go on with another', async (t) => {
  const { sandbox, context } = await start(t)
  await reddit.findSegment(audience, context)
  sandbox.reset()
  const found = await Promise.all([1, 2, 3].map(() => reddit.findSegment(audience, context)))
  t.same(found, [undefined, undefined, undefined])
})

test('a token without a word of its end serves for an hour', async (t) => {
  const { sandbox, context, calls, later } = await start(t)
  const answer = { status: 200, body: { access_token: 'sandbox-access-token' } }
  sandbox.failNext({ times: 1, path: '/access_token', answer })
  await reddit.findSegment(audience, context)
  later(3_600_000 - 61_000)
  await reddit.findSegment(audience, context)
  t.equal(calls().length, 3)
  later(2_000)
  await reddit.findSegment(audience, context)
  t.equal(calls().length, 5)
})

test('an access token made by hand is used as it is, and not replaced', async (t) => {
  const { sandbox, context, calls } = await start(t, { accessToken: 'sandbox-access-token' })
  t.same(await reddit.check(context), [])
  sandbox.failNext({ times: 1, error: 'invalid_token' })
  t.match(await failureOf(reddit.findSegment(audience, context)), { errorClass: 'auth' })
  t.same(
    calls().map(({ path, headers }) => [path, headers.authorization]),
    [
      [ACCOUNT, 'Bearer sandbox-access-token'],
      [ACCOUNT, 'Bearer sandbox-access-token']
    ]
  )
})

test('tokens are fetched from the origin that gives them out, unless the tag has a baseUrl', async (t) => {
  const { context } = await start(t)
  const originsWith = async ({ baseUrl, ...variables }: RedditVariables) => {
    const origins: (string | undefined)[] = []
    const send: typeof context.send = ({ origin, ...rest }) => {
      origins.push(origin)
      return context.send(rest)
    }
    const tag = baseUrl === undefined ? variables : { ...variables, baseUrl }
    await reddit.findSegment(audience, { ...context, variables: tag, send })
    return origins
  }
  t.same(await originsWith(context.variables), [undefined, undefined])
  t.same(await originsWith(settings(CREDENTIALS)), ['https://www.reddit.com', undefined])
  t.equal(reddit.origin(context.variables), 'https://ads-api.reddit.com')
})

const ACCESS =
  'the token may not do this: it needs the scopes adsread and adsedit and a user of the ad account; Reddit may have to allow the account custom audiences'
const TURNED_AWAY =
  'Reddit turns the service away: set userAgent to platform:app:version (by /u/name)'
const UNUSABLE = 'Reddit gave no usable answer'
const NO_TOKEN =
  'Reddit gives out no access token: check clientId and clientSecret, and authorise the application again for a new refreshToken'

const answers: Readonly<Record<string, readonly [string, string, string]>> = {
  bad_request: [
    'invalid',
    '400',
    'Reddit refuses the request (Bad request. user_data: Invalid value.)'
  ],
  missing_scope: ['permission', '403', `${ACCESS} (Insufficient authentication scopes.)`],
  blocked: ['blocked', '403', TURNED_AWAY],
  not_found: ['not_found', '404', 'Reddit does not know the audience any more (Not found.)'],
  version_ended: [
    'blocked',
    '410',
    'Reddit no longer serves this version of its API: update the service (Gone.)'
  ],
  too_large: ['invalid', '413', 'Reddit finds the request too large'],
  rate_limited: ['rate_limited', '429', 'Reddit takes no more calls for now (Too many requests.)'],
  server_error: ['transient', '500', `${UNUSABLE} (Server error.)`],
  bad_gateway: ['transient', '502', UNUSABLE]
}

test('every answer of the API gets its class', async (t) => {
  const { sandbox, context, upload } = await start(t)
  const id = await reddit.createSegment(audience, context)
  for (const [error, [errorClass, platformCode, message]] of Object.entries(answers)) {
    sandbox.failNext({ times: 1, path: '/users', error })
    const expected = { errorClass, platformCode, message, waitMs: undefined }
    t.match(await failureOf(upload([ben], id)), expected, error)
  }
  const others = { 405: 'invalid', 408: 'transient', 409: 'invalid', 302: 'transient' }
  for (const [status, errorClass] of Object.entries(others)) {
    sandbox.failNext({ times: 1, path: '/users', answer: { status: Number(status), body: '' } })
    t.match(await failureOf(upload([ben], id)), { errorClass }, status)
  }
  const quoting = { error: { message: 'Value jane@example.com is wrong' } }
  sandbox.failNext({ times: 1, answer: { status: 400, body: quoting } })
  t.match(await failureOf(upload([ben], id)), {
    message: 'Reddit refuses the request (Value … is wrong)'
  })
  t.match(await failureOf(upload([ben])), { errorClass: 'not_found' }, 'without an id')
})

test('a limit is waited for as long as Reddit says, if it does', async (t) => {
  const { sandbox, context } = await start(t)
  const waits = [
    [{ 'x-ratelimit-reset': '7' }, 7_000],
    [{ 'x-ratelimit-reset': '7', 'retry-after': '3' }, 3_000],
    [{ 'x-ratelimit-reset': 'soon' }, undefined]
  ] as const
  for (const [headers, waitMs] of waits) {
    const answer = { status: 429, headers, body: { error: { code: 429 } } }
    sandbox.failNext({ times: 1, path: ACCOUNT, answer })
    const { errorClass, ...rest } = await failureOf(reddit.findSegment(audience, context))
    t.equal(errorClass, 'rate_limited')
    t.equal(rest.waitMs, waitMs)
  }
})

test('who gets no token is told what to do', async (t) => {
  const { sandbox, context } = await start(t)
  const cases: Readonly<Record<string, readonly [string, string]>> = {
    invalid_grant: ['auth', NO_TOKEN],
    invalid_grant_with_200: ['auth', NO_TOKEN],
    invalid_client: ['auth', NO_TOKEN],
    blocked: ['blocked', TURNED_AWAY],
    rate_limited: ['rate_limited', 'Reddit takes no more calls for now (Too many requests.)'],
    not_found: ['transient', `${UNUSABLE} (Not found.)`],
    bad_gateway: ['transient', UNUSABLE]
  }
  for (const [error, [errorClass, message]] of Object.entries(cases)) {
    sandbox.failNext({ times: 1, path: '/access_token', error })
    t.match(await failureOf(reddit.check(context)), { errorClass, message }, error)
  }
  const wrong = await start(t, { ...CREDENTIALS, refreshToken: 'revoked' })
  t.match(await failureOf(reddit.check(wrong.context)), { errorClass: 'auth', message: NO_TOKEN })
  const elsewhere = await start(t, { ...CREDENTIALS, adAccountId: 't2_other' })
  t.match(await failureOf(reddit.check(elsewhere.context)), {
    errorClass: 'permission',
    message:
      'Reddit shows the token no such ad account: check adAccountId and who authorised the application (Not found.)'
  })
  const generic = await start(t, CREDENTIALS)
  const variables = { ...generic.context.variables, userAgent: 'axios/1' }
  t.match(await failureOf(reddit.check({ ...generic.context, variables })), {
    errorClass: 'blocked'
  })
})

test('a check reads, and tells the scopes that are missing', async (t) => {
  const { sandbox, context, calls } = await start(t)
  t.same(await reddit.check(context), [])
  t.same(calls(), [TOKEN_CALL, call('GET', ACCOUNT)])
  const readOnly = await start(t)
  const answer = {
    status: 200,
    body: { access_token: 'sandbox-access-token', expires_in: 86_400, scope: 'adsread' }
  }
  readOnly.sandbox.failNext({ times: 1, answer })
  t.same(await reddit.check(readOnly.context), [
    {
      code: 'missing_scope',
      message:
        'the application lacks the scope adsedit: authorise it again with adsread and adsedit'
    }
  ])
  t.same(held(sandbox), [])
})

test('an audience that is gone counts as deleted, one that DELETE does not reach does not', async (t) => {
  const { sandbox, context, calls } = await start(t)
  const id = (await reddit.createSegment(audience, context)) ?? ''
  // Reddit answers 404 to a method that it does not know.
  sandbox.failNext({ times: 1, method: 'DELETE', error: 'not_found' })
  t.match(await failureOf(reddit.deleteSegment(id, context)), {
    errorClass: 'invalid',
    message:
      'Reddit has the audience but does not let it be deleted by its API: delete it in Reddit Ads Manager'
  })
  t.equal(held(sandbox).length, 1)
  await reddit.deleteSegment(id, context)
  await reddit.deleteSegment(id, context)
  t.same(
    calls()
      .slice(2)
      .map(({ method }) => method),
    ['DELETE', 'GET', 'DELETE', 'DELETE', 'GET']
  )
  sandbox.failNext({ times: 1, method: 'DELETE', error: 'server_error' })
  t.match(await failureOf(reddit.deleteSegment(id, context)), { errorClass: 'transient' })
})

test('the stand-in answers a wrong method with 404, as Reddit does', async (t) => {
  const { sandbox } = await start(t)
  const headers = { authorization: 'Bearer sandbox-access-token', 'user-agent': USER_AGENT }
  const answer = await fetch(`${sandbox.url}${AUDIENCE}/users`, { method: 'PUT', headers })
  t.equal(answer.status, 404)
  t.same(await answer.json(), { error: { code: 404, message: 'Not found.' } })
})

test('a status says what Reddit says and no more', async (t) => {
  const { sandbox, context, upload } = await start(t)
  const id = (await reddit.createSegment(audience, context)) ?? ''
  t.same(await reddit.status(id, context), { state: 'processing', matched: 0 })
  await upload([ben], id)
  sandbox.configure({ segments: { [id]: { matched: 1_000 } } })
  t.same(await reddit.status(id, context), { state: 'ready', matched: 1_000 })
  sandbox.configure({ segments: { [id]: { matched: 999 } } })
  t.same(await reddit.status(id, context), { state: 'too_small', matched: 999 })

  const told = async (data: object) => {
    sandbox.failNext({ times: 1, answer: { status: 200, body: { data } } })
    return reddit.status(id, context)
  }
  const message = 'Reddit tells no status that is known here'
  t.same(await told({}), { state: 'processing', message })
  t.same(await told({ status: 'ON_HOLD', size_range_lower: null }), {
    state: 'processing',
    message
  })
  t.same(await told({ status: 'valid', size_range_lower: -1 }), { state: 'ready' })
  t.match(await failureOf(reddit.status('ca.1', context)), { errorClass: 'not_found' })
})

test('there is one way to an access token', async (t) => {
  const problem =
    'clientId, clientSecret and refreshToken must be set together, or accessToken alone'
  const { clientId, clientSecret } = CREDENTIALS
  const cases: [object, string[]][] = [
    [CREDENTIALS, []],
    [{ accessToken: 'token' }, []],
    [{}, [problem]],
    [{ clientId, clientSecret }, [problem]],
    [{ ...CREDENTIALS, accessToken: 'token' }, [problem]]
  ]
  for (const [variables, problems] of cases) {
    t.same(reddit.problems?.(settings(variables)), problems, Object.keys(variables).join())
  }
})

test('the service adds and removes, and says nothing secret', async (t) => {
  const sandbox = await reddit.sandbox()
  t.teardown(() => sandbox.close())
  const service = await startService(t, { sandboxes: [sandbox] })
  const send = (sessionId: number, users: readonly User[], mode: string) =>
    service.post(
      form({ users, batch: { sessionId, sequence: 1, totalBatches: 1, totalUsers: users.length } }),
      `?sync=true&mode=${mode}`
    )
  sandbox.failNext({ times: 1, path: '/users', error: 'rate_limited' })
  sandbox.failNext({ times: 1, path: '/users', error: 'not_found' })
  t.equal((await send(1, [alice, mary, {}], 'add')).text, '{"success":true}')
  t.same(held(sandbox), [['blotout_High_Value_Customers', [ALICE, MARY]]])
  t.match(await service.settled(1), {
    state: 'delivered',
    destinations: [
      {
        provider: 'reddit',
        segment: 'blotout_High_Value_Customers',
        segmentId: FIRST_ID,
        users: { sent: 2, received: 2, leftOut: 1 },
        leftOutBy: { no_identifier: 1 }
      }
    ]
  })
  t.equal((await send(2, [alice], 'remove')).text, '{"success":true}')
  t.same(held(sandbox), [['blotout_High_Value_Customers', [MARY]]])

  sandbox.failNext({ times: 1, path: '/users', error: 'missing_scope' })
  t.match((await send(3, [ben], 'add')).body, {
    errors: [/^reddit\/default: the token may not do this: .* \(403\); retried until /]
  })
  t.match((await service.get('/providers')).body, {
    providers: [{ provider: 'reddit', accountId: 'a2_sandbox' }]
  })
  const secrets = /sandbox-secret|sandbox-refresh|sandbox-access|example\.com|shop\.example/
  t.notMatch(service.log(), secrets)
  const place = 'provider=reddit&tag=default&name=blotout_High_Value_Customers&sync=true'
  t.equal((await service.delete(`/audience/segments?${place}`)).status, 200)
  t.same(held(sandbox), [])
})
