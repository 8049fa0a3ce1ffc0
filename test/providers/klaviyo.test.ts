import * as fc from 'fast-check'
import { type Test, test } from 'tap'
import { ProviderError } from '../../providers/errors.ts'
import { klaviyo } from '../../providers/klaviyo/index.ts'
import { nextCursor } from '../../providers/klaviyo/api.ts'
import type { KlaviyoVariables } from '../../providers/klaviyo/variables.ts'
import { encodeWhole } from '../support/encode.ts'
import { createMembers } from '../support/members.ts'
import type { EncodedBody } from '../../providers/provider.ts'
import type { Fault, Sandbox, SandboxRequest } from '../../providers/sandbox.ts'
import { audience, failureOf, providerContext } from '../support/provider-context.ts'
import { BATCH, form, startService } from '../support/service.ts'

const NAME = 'blotout_VIP'
const LISTS = '/api/lists'
const JOBS = '/api/profile-bulk-import-jobs'

const audienceNamed = (segmentName: string) => ({ ...audience, segmentName })

async function setup(t: Test, changed: Partial<KlaviyoVariables> = {}) {
  const sandbox = await klaviyo.sandbox()
  const variables: KlaviyoVariables = {
    apiKey: 'sandbox',
    revision: '2026-07-15',
    profileFields: ['names'],
    ...changed
  }
  const platform = providerContext(sandbox, variables)
  t.teardown(async () => {
    await platform.close()
    await sandbox.close()
  })
  return { sandbox, context: platform.context, variables }
}

/** A body as `encode` makes it. */
function bodyOf(...attributes: Record<string, unknown>[]): EncodedBody {
  const profiles = attributes.map((each) => ({ type: 'profile', attributes: each }))
  return {
    payload: new TextEncoder().encode(JSON.stringify(profiles)),
    users: profiles.length
  }
}
const ana = { email: 'ana@shop.example', phone_number: '+353851234567', first_name: 'Ana' }
const ben = { email: 'ben@shop.example' }
const emails = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ email: `u${i}@shop.example` }))

/** The sandbox's cursor of the page that starts here. */
const cursor = (offset: number) => Buffer.from(`next::id::${offset}`).toString('base64')

/** What of a request the platform acts upon. */
function essence({ method, path, query, headers, body }: SandboxRequest) {
  const { authorization, revision, accept, 'content-type': contentType } = headers
  return { method, path, query, headers: { authorization, revision, accept, contentType }, body }
}
const READ_HEADERS = {
  authorization: 'Klaviyo-API-Key sandbox',
  revision: '2026-07-15',
  accept: 'application/vnd.api+json',
  contentType: undefined
}
const WRITE_HEADERS = { ...READ_HEADERS, contentType: 'application/vnd.api+json' }

interface State {
  segments: { account: string; id: string; name: string; created: string; members: unknown[] }[]
  forbiddenCalls: string[]
}
const stateOf = (sandbox: Sandbox) => sandbox.state() as State
const membersOf = (sandbox: Sandbox) => stateOf(sandbox).segments.map(({ members }) => members)

/** Lists of these names, oldest first; their ids. */
async function createLists(
  context: Parameters<typeof klaviyo.createSegment>[1],
  names: readonly string[]
) {
  const ids: (string | undefined)[] = []
  for (const name of names) ids.push(await klaviyo.createSegment(audienceNamed(name), context))
  return ids
}

test('a list is created and found again by whole requests as documented', async (t) => {
  const { sandbox, context } = await setup(t)
  t.equal(await klaviyo.findSegment(audience, context), undefined)
  const id = await klaviyo.createSegment(audience, context)
  t.equal(await klaviyo.findSegment(audience, context), id)

  const find = {
    method: 'GET',
    path: LISTS,
    query: { filter: 'any(name,["blotout_VIP"])', 'fields[list]': 'name,created', sort: 'created' },
    headers: READ_HEADERS,
    body: undefined
  }
  const create = {
    method: 'POST',
    path: LISTS,
    query: {},
    headers: WRITE_HEADERS,
    body: { data: { type: 'list', attributes: { name: 'blotout_VIP' } } }
  }
  t.strictSame(sandbox.requests.map(essence), [find, create, find])
  t.strictSame(sandbox.state(), {
    segments: [
      { account: 'sandbox', id, name: NAME, created: '2026-01-01T00:00:01+00:00', members: [] }
    ],
    forbiddenCalls: []
  })
})

test('of several lists of one name the oldest is used', async (t) => {
  const { context } = await setup(t)
  const ids = await createLists(context, ['other', NAME, NAME, NAME])
  t.equal(await klaviyo.findSegment(audience, context), ids[1])
})

test('a name that only resembles the wanted one is not taken', async (t) => {
  const { sandbox, context } = await setup(t)
  const nearMisses = ['blotout_vip', 'blotout_VIP ', ' blotout_VIP', 'blotout_VIP_2', 'VIP']
  await createLists(context, nearMisses)
  // A platform that compares without regard to case would return all of them.
  sandbox.failNext({
    times: 1,
    answer: {
      status: 200,
      body: {
        data: nearMisses.map((name, i) => ({ type: 'list', id: `L${i}`, attributes: { name } })),
        links: { self: 'https://a.klaviyo.com/api/lists', next: null }
      }
    }
  })
  t.equal(await klaviyo.findSegment(audience, context), undefined)
  t.equal(await klaviyo.findSegment(audience, context), undefined)
})

test('a name that a filter cannot carry is looked for on all pages of lists', async (t) => {
  const { sandbox, context } = await setup(t)
  const name = 'Say "hello" \\ VIP'
  const others = Array.from({ length: 20 }, (_, i) => `other ${i}`)
  const ids = await createLists(context, [...others, name, name])
  t.equal(await klaviyo.findSegment(audienceNamed(name), context), ids[20])
  const query = { 'fields[list]': 'name,created', sort: 'created' }
  t.strictSame(
    sandbox.requests.slice(22).map((request) => request.query),
    [query, { ...query, 'page[cursor]': cursor(10) }, { ...query, 'page[cursor]': cursor(20) }]
  )
})

test('a cursor that comes again ends the search', async (t) => {
  const { sandbox, context } = await setup(t)
  const next = 'https://a.klaviyo.com/api/lists?page%5Bcursor%5D=again'
  const answer = { status: 200, body: { data: [], links: { self: next, next } } }
  sandbox.failNext({ times: 9, answer })
  t.equal(await klaviyo.findSegment(audience, context), undefined)
  t.equal(sandbox.requests.length, 2)
})

test('a cursor is read from any link and nothing else makes one', async (t) => {
  t.equal(nextCursor('https://x.example/api/lists?page%5Bcursor%5D=bmV4dA%3D%3D'), 'bmV4dA==')
  t.equal(nextCursor('/api/lists?sort=created&page[cursor]=abc'), 'abc')
  t.equal(nextCursor('https://x.example/api/lists'), undefined)
  t.equal(nextCursor('http://['), undefined)
  t.equal(nextCursor(null), undefined)
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), (anyCursor) => {
      const link = new URL('https://x.example/api/lists')
      link.searchParams.set('page[cursor]', anyCursor)
      return nextCursor(link.href) === link.searchParams.get('page[cursor]')
    })
  )
})

test('an upload is one import job that puts the profiles on the list', async (t) => {
  const { sandbox, context } = await setup(t)
  const [id] = await createLists(context, [NAME])
  const result = await klaviyo.upload(bodyOf(ana, ben), audience, id, context)
  t.strictSame(result, { ticket: `{"list":"${id}","jobs":["am9iOjI="],"refused":0}` })
  t.strictSame(sandbox.requests.slice(1).map(essence), [
    {
      method: 'POST',
      path: JOBS,
      query: {},
      headers: WRITE_HEADERS,
      body: {
        data: {
          type: 'profile-bulk-import-job',
          attributes: {
            profiles: {
              data: [
                {
                  type: 'profile',
                  attributes: {
                    email: 'ana@shop.example',
                    phone_number: '+353851234567',
                    first_name: 'Ana'
                  }
                },
                { type: 'profile', attributes: { email: 'ben@shop.example' } }
              ]
            }
          },
          relationships: { lists: { data: [{ type: 'list', id }] } }
        }
      }
    }
  ])
  t.strictSame(membersOf(sandbox), [[ana, ben]])
})

test('a job is followed until it is complete', async (t) => {
  const { sandbox, context } = await setup(t)
  const [id] = await createLists(context, [NAME])
  const { ticket = '' } = await klaviyo.upload(bodyOf(ana, ben), audience, id, context)
  t.equal(await klaviyo.confirm?.(ticket, audience, context), undefined)
  t.strictSame(await klaviyo.confirm?.(ticket, audience, context), {
    received: 2,
    invalid: 0,
    warnings: []
  })
  const look = {
    method: 'GET',
    path: `${JOBS}/am9iOjI%3D`,
    query: { include: 'lists', 'fields[list]': 'name' },
    headers: READ_HEADERS,
    body: undefined
  }
  t.strictSame(sandbox.requests.slice(2).map(essence), [look, look])
})

test('uploading a body again changes nothing', async (t) => {
  const { sandbox, context } = await setup(t)
  const [id] = await createLists(context, [NAME])
  for (let times = 0; times < 3; times += 1) {
    await klaviyo.upload(bodyOf(ana, ben), audience, id, context)
  }
  t.strictSame(membersOf(sandbox), [[ana, ben]])
})

test('import errors of all pages are counted by code and nothing else is read', async (t) => {
  const { sandbox, context } = await setup(t)
  const [id] = await createLists(context, [NAME])
  const bad = Array.from({ length: 250 }, (_, i) => ({ email: `not-an-email-${i}` }))
  const { ticket = '' } = await klaviyo.upload(bodyOf(ana, ...bad, ben), audience, id, context)
  t.equal(await klaviyo.confirm?.(ticket, audience, context), undefined)
  t.strictSame(await klaviyo.confirm?.(ticket, audience, context), {
    received: 2,
    invalid: 250,
    warnings: ['profiles failed in the import (invalid): 250']
  })
  const query = { 'fields[import-error]': 'code', 'page[size]': '100' }
  t.strictSame(
    sandbox.requests.slice(4).map((request) => [request.path, request.query]),
    [
      [`${JOBS}/am9iOjI%3D/import-errors`, query],
      [`${JOBS}/am9iOjI%3D/import-errors`, { ...query, 'page[cursor]': cursor(100) }],
      [`${JOBS}/am9iOjI%3D/import-errors`, { ...query, 'page[cursor]': cursor(200) }]
    ]
  )
  t.strictSame(membersOf(sandbox), [[ana, ben]])
})

test('profiles that a refusal names are dropped until none is named', async (t) => {
  const { sandbox, context } = await setup(t)
  const [id] = await createLists(context, [NAME])
  const bad = { email: 'bad@shop.example', phone_number: '0151 123' }
  // The first refusal names the first profile only, the second is the sandbox's own.
  sandbox.failNext({ times: 1, method: 'POST', path: JOBS, error: 'invalid_phone' })
  const body = bodyOf({ email: 'cut@shop.example' }, ana, bad, ben, bad)
  const result = await klaviyo.upload(body, audience, id, context)
  t.strictSame(result, {
    ticket: `{"list":"${id}","jobs":["am9iOjI="],"refused":3}`,
    warnings: ['profiles refused before the import: 3']
  })
  t.strictSame(membersOf(sandbox), [[ana, ben]])
  await klaviyo.confirm?.(result.ticket ?? '', audience, context)
  t.strictSame(await klaviyo.confirm?.(result.ticket ?? '', audience, context), {
    received: 2,
    invalid: 3,
    warnings: []
  })
})

test('an account without SMS gets everybody who has more than a phone number', async (t) => {
  const { sandbox, context } = await setup(t, { apiKey: 'sandbox-without-sms' })
  const [id] = await createLists(context, [NAME])
  const phoneOnly = { phone_number: '+12025550123' }
  const { warnings } = await klaviyo.upload(bodyOf(phoneOnly, ana), audience, id, context)
  t.strictSame(warnings, ['profiles refused before the import: 1'])
  t.strictSame(membersOf(sandbox), [[ana]])

  t.strictSame(await failureOf(klaviyo.upload(bodyOf(phoneOnly), audience, id, context)), {
    errorClass: 'invalid',
    message: 'Klaviyo refuses the request',
    platformCode: '400/invalid',
    status: 400,
    waitMs: undefined
  })
})

test('a job refused without naming a profile is halved, and its ticket names every part', async (t) => {
  const { sandbox, context } = await setup(t)
  const [id] = await createLists(context, [NAME])
  sandbox.failNext({ times: 2, method: 'POST', path: JOBS, error: 'invalid' })
  const users = emails(5)
  const { ticket = '', warnings } = await klaviyo.upload(bodyOf(...users), audience, id, context)
  t.equal(ticket, `{"list":"${id}","jobs":["am9iOjI=","am9iOjM=","am9iOjQ="],"refused":0}`)
  t.equal(warnings, undefined)
  const sizes = sandbox.requests.slice(1).map(({ body }) => {
    const job = body as { data: { attributes: { profiles: { data: unknown[] } } } }
    return job.data.attributes.profiles.data.length
  })
  t.strictSame(sizes, [5, 3, 2, 1, 2])
  t.strictSame(
    stateOf(sandbox).segments[0]?.members.toSorted((a, b) =>
      JSON.stringify(a).localeCompare(JSON.stringify(b))
    ),
    users
  )
  const before = sandbox.requests.length
  t.equal(await klaviyo.confirm?.(ticket, audience, context), undefined)
  t.strictSame(await klaviyo.confirm?.(ticket, audience, context), {
    received: 5,
    invalid: 0,
    warnings: []
  })
  const look = ['am9iOjI%3D', 'am9iOjM%3D', 'am9iOjQ%3D'].map((job) => `${JOBS}/${job}`)
  t.strictSame(
    sandbox.requests.slice(before).map(({ path }) => path),
    [...look, ...look]
  )
})

test('a refusal that is not about profiles is not repaired', async (t) => {
  const { sandbox, context } = await setup(t)
  const [id] = await createLists(context, [NAME])
  const cases = [
    [{ pointer: '/data/relationships/lists/data/0/id' }, 'not_found'],
    [{ pointer: '/data/type' }, 'invalid'],
    [{ parameter: 'fields[profile-bulk-import-job]' }, 'invalid'],
    [{ header: 'revision' }, 'invalid'],
    [{ pointer: '/data/attributes/profilesdata/1/' }, 'invalid']
  ] as const
  for (const [source, expected] of cases) {
    const body = {
      errors: [
        {
          code: 'invalid',
          source: { pointer: '/data/attributes/profiles/data/0/attributes/email' }
        },
        { code: 'invalid', source }
      ]
    }
    sandbox.failNext({ times: 1, answer: { status: 400, body } })
    const calls = sandbox.requests.length
    const { errorClass } = await failureOf(klaviyo.upload(bodyOf(ana, ben), audience, id, context))
    t.equal(errorClass, expected, JSON.stringify(source))
    t.equal(sandbox.requests.length, calls + 1)
  }
})

test('a refusal that names profiles beyond the end is repaired by halving', async (t) => {
  const { sandbox, context } = await setup(t)
  const [id] = await createLists(context, [NAME])
  const source = { pointer: '/data/attributes/profiles/data/7/attributes/email' }
  const body = { errors: [{ code: 'invalid', source }] }
  sandbox.failNext({ times: 1, path: JOBS, answer: { status: 400, body } })
  await klaviyo.upload(bodyOf(ana, ben), audience, id, context)
  t.strictSame(membersOf(sandbox), [[ana, ben]])
})

const INVALID = 'Klaviyo refuses the request'
const KEY = 'the API key is wrong or revoked: set a valid private key'
const UNUSABLE = 'Klaviyo gave no usable answer'
const SCOPES =
  'the API key lacks a scope: it needs lists:read, lists:write, profiles:read and profiles:write'

const answers: [
  error: string,
  errorClass: string,
  code: string,
  message: string,
  waitMs?: number
][] = [
  ['invalid', 'invalid', '400/invalid', INVALID],
  ['invalid_phone', 'invalid', '400/invalid', INVALID],
  ['invalid_list', 'not_found', '400/invalid', 'Klaviyo no longer has the list'],
  ['not_authenticated', 'auth', '401/not_authenticated', KEY],
  ['authentication_failed', 'auth', '401/authentication_failed', KEY],
  ['permission_denied', 'permission', '403/permission_denied', SCOPES],
  ['challenge', 'transient', '403', UNUSABLE],
  ['not_found', 'not_found', '404/not_found', 'Klaviyo no longer has what was asked for'],
  ['method_not_allowed', 'invalid', '405/method_not_allowed', INVALID],
  [
    'duplicate_profile',
    'invalid',
    '409/duplicate_profile',
    'the request conflicts with what Klaviyo holds'
  ],
  ['gone', 'blocked', '410/gone', 'Klaviyo no longer serves this API revision: set a newer one'],
  ['too_large', 'invalid', '413', 'the request is larger than Klaviyo takes'],
  ['unsupported_media_type', 'invalid', '415/unsupported_media_type', INVALID],
  ['throttled', 'rate_limited', '429/throttled', 'Klaviyo takes no more calls for now', 3_000],
  [
    'daily_limit',
    'rate_limited',
    '429/throttled',
    'Klaviyo takes no more calls for now',
    7_200_000
  ],
  ['internal_error', 'transient', '500/error', UNUSABLE],
  ['bad_gateway', 'transient', '502', UNUSABLE],
  ['unavailable', 'transient', '503', UNUSABLE],
  ['gateway_timeout', 'transient', '504', UNUSABLE],
  ['origin_timeout', 'transient', '524', UNUSABLE]
]

test('every error of the platform gets its class, its code and our own words', async (t) => {
  const { sandbox, context } = await setup(t)
  const [id] = await createLists(context, [NAME])
  for (const [error, errorClass, platformCode, message, waitMs] of answers) {
    sandbox.failNext({ times: 1, error })
    const status = Number(platformCode.slice(0, 3))
    const expected = { errorClass, message, platformCode, status, waitMs }
    t.strictSame(
      await failureOf(klaviyo.upload(bodyOf(ana), audience, id, context)),
      expected,
      error
    )
  }
  for (const [error, errorClass] of answers) {
    sandbox.failNext({ times: 2, error })
    const found = await failureOf(klaviyo.findSegment(audience, context))
    const created = await failureOf(klaviyo.createSegment(audience, context))
    t.strictSame([found.errorClass, created.errorClass], [errorClass, errorClass], error)
  }
})

/** One of each class. */
const TYPICAL_ERRORS = [
  'invalid',
  'authentication_failed',
  'permission_denied',
  'gone',
  'not_found',
  'throttled',
  'challenge'
]

test('every class of error reaches the caller of POST /audience in our own words', async (t) => {
  const { sandbox, context } = await setup(t)
  await createLists(context, ['blotout_High_Value_Customers'])
  const service = await startService(t, { sandboxes: [sandbox] })
  let sessionId = 0
  const post = async () => {
    sessionId += 1
    const { status, body } = await service.post(
      form({ batch: { ...BATCH, sessionId } }),
      '?sync=true'
    )
    await service.settled(sessionId)
    const text = JSON.stringify(body).replace(/retried until [\dT:.-]+Z/, 'retried until <time>')
    return { status, body: JSON.parse(text) as unknown }
  }
  const taken = { status: 200, body: { success: true } }
  const typical = answers.filter(([error]) => TYPICAL_ERRORS.includes(error))
  t.equal(new Set(typical.map(([, errorClass]) => errorClass)).size, 7)
  for (const [error, errorClass, platformCode, message] of typical) {
    const isRetried = errorClass === 'transient' || errorClass === 'rate_limited'
    const isResolvedAnew = errorClass === 'not_found'
    const fault = { error, method: 'POST', path: JOBS }
    if (isRetried || isResolvedAnew) {
      sandbox.failNext({ ...fault, times: 1 })
      t.strictSame(await post(), taken, `${error} once`)
    }
    const reason = `klaviyo/default: ${message} (${platformCode})`
    const isFinal = errorClass === 'invalid' || isResolvedAnew
    const errors = [isFinal ? reason : `${reason}; retried until <time>`]
    sandbox.failNext({ ...fault, times: isRetried ? 3 : isResolvedAnew ? 2 : 1 })
    t.strictSame(await post(), { status: 400, body: { success: false, errors } }, error)
  }
  t.strictSame(membersOf(sandbox), [[{ email: 'jane@example.com' }]])
  t.strictSame(stateOf(sandbox).forbiddenCalls, [])
})

test('answers that are not of the documented form are told apart', async (t) => {
  const { sandbox, context } = await setup(t)
  const cases: [Fault, Awaited<ReturnType<typeof failureOf>>][] = [
    [
      { times: 1, answer: { status: 429, headers: { 'retry-after': 'soon' }, body: {} } },
      {
        errorClass: 'rate_limited',
        message: 'Klaviyo takes no more calls for now',
        platformCode: '429',
        status: 429,
        waitMs: undefined
      }
    ],
    [
      {
        times: 1,
        answer: {
          status: 418,
          body: { errors: [{ code: 'ana@shop.example', detail: '+353851234567' }] }
        }
      },
      {
        errorClass: 'invalid',
        message: INVALID,
        platformCode: '418',
        status: 418,
        waitMs: undefined
      }
    ],
    [
      { times: 1, answer: { status: 200, body: '<html>ana@shop.example</html>' } },
      {
        errorClass: 'transient',
        message: 'Klaviyo gave no readable answer',
        platformCode: undefined,
        status: 200,
        waitMs: undefined
      }
    ],
    [
      { times: 1, answer: { status: 302, headers: { location: '/login' }, body: '' } },
      {
        errorClass: 'transient',
        message: UNUSABLE,
        platformCode: '302',
        status: 302,
        waitMs: undefined
      }
    ],
    [
      { times: 1, reset: true },
      {
        errorClass: 'transient',
        message: 'no answer (ECONNRESET)',
        platformCode: undefined,
        status: undefined,
        waitMs: undefined
      }
    ]
  ]
  for (const [fault, expected] of cases) {
    sandbox.failNext(fault)
    t.strictSame(await failureOf(klaviyo.findSegment(audience, context)), expected)
  }
})

test('whatever a 400 says of a job, the upload ends in a result or a ProviderError', async (t) => {
  const { sandbox, context } = await setup(t)
  const [id] = await createLists(context, [NAME])
  const pointer = fc.oneof(
    fc.constantFrom('/data', '', '/data/attributes/profiles/data/0', '/data/relationships/lists'),
    fc.nat(3).map((index) => `/data/attributes/profiles/data/${index}/attributes/email`),
    fc.anything()
  )
  const anyError = fc.oneof(
    fc.record({ code: fc.string(), source: fc.record({ pointer }) }),
    fc.json()
  )
  await fc.assert(
    fc.asyncProperty(fc.array(anyError, { maxLength: 3 }), async (errors) => {
      sandbox.failNext({ times: 1, answer: { status: 400, body: { errors } } })
      const outcome = await klaviyo
        .upload(bodyOf(ana, ben), audience, id, context)
        .catch((error: unknown) => error)
      return (
        outcome instanceof ProviderError ||
        typeof (outcome as { ticket: unknown }).ticket === 'string'
      )
    }),
    { numRuns: 50 }
  )
})

/** What following a job gives after the platform said this of it. */
const jobAnswer = (attributes: Record<string, unknown>, relationships = {}): Fault => ({
  times: 1,
  method: 'GET',
  path: JOBS,
  answer: {
    status: 200,
    body: {
      data: {
        type: 'profile-bulk-import-job',
        id: 'am9iOjE3',
        attributes: { total_count: 3, failed_count: null, ...attributes },
        relationships
      }
    }
  }
})
const TICKET = '{"list":"Xk4Rt9","jobs":["am9iOjE3"],"refused":1}'

test('a job ends as the platform says', async (t) => {
  const { sandbox, context } = await setup(t)
  const follow = async () => klaviyo.confirm?.(TICKET, audience, context)

  for (const status of ['queued', 'processing', 'of a later revision']) {
    sandbox.failNext(jobAnswer({ status }))
    t.equal(await follow(), undefined, status)
  }
  sandbox.failNext(jobAnswer({ status: 'complete' }))
  t.strictSame(await follow(), { received: 3, invalid: 1, warnings: [] })

  const onTheList = { lists: { data: [{ type: 'list', id: 'Xk4Rt9' }] } }
  sandbox.failNext(jobAnswer({ status: 'complete' }, onTheList))
  t.strictSame(await follow(), { received: 3, invalid: 1, warnings: [] })

  sandbox.failNext(jobAnswer({ status: 'complete' }, { lists: { data: [] } }))
  t.strictSame(await follow(), {
    received: 3,
    invalid: 1,
    warnings: ['a job put nobody on the list']
  })

  sandbox.failNext(jobAnswer({ status: 'complete', failed_count: 2 }))
  const errors = [{ attributes: { code: 'invalid' } }, { attributes: { code: 'ana@shop.example' } }]
  sandbox.failNext({ times: 1, answer: { status: 200, body: { data: errors } } })
  t.strictSame(await follow(), {
    received: 1,
    invalid: 3,
    warnings: [
      'profiles failed in the import (invalid): 1',
      'profiles failed in the import (unknown): 1'
    ]
  })

  sandbox.failNext(jobAnswer({ status: 'cancelled' }))
  t.strictSame(await failureOf(follow()), {
    errorClass: 'invalid',
    message: 'the import job was cancelled at Klaviyo',
    platformCode: undefined,
    status: undefined,
    waitMs: undefined
  })
  t.strictSame(await failureOf(follow()), {
    errorClass: 'invalid',
    message: 'the import job is no longer known, its outcome is unclear',
    platformCode: undefined,
    status: 404,
    waitMs: undefined
  })
  sandbox.failNext({ times: 1, error: 'throttled' })
  t.match(await failureOf(follow()), { errorClass: 'rate_limited', waitMs: 3_000 })
})

test('the status of a session tells how the import ended', async (t) => {
  const { sandbox } = await setup(t)
  const service = await startService(t, { sandboxes: [sandbox] })
  sandbox.failNext(jobAnswer({ status: 'processing' }))
  sandbox.failNext(jobAnswer({ status: 'complete', failed_count: 1 }))
  const errors = [{ attributes: { code: 'invalid', original_payload: ana } }]
  sandbox.failNext({
    times: 1,
    path: 'import-errors',
    answer: { status: 200, body: { data: errors } }
  })
  const users = [...emails(3), { email: 'U0@shop.example' }, { phone: '+4915112345678' }]
  const posted = await service.post(
    form({ users, batch: { ...BATCH, totalUsers: 5 } }),
    '?sync=true'
  )
  t.strictSame(posted.body, { success: true })
  t.match(await service.settled(BATCH.sessionId), {
    destinations: [
      {
        provider: 'klaviyo',
        tag: 'default',
        segment: 'blotout_High_Value_Customers',
        segmentId: stateOf(sandbox).segments[0]?.id,
        state: 'delivered',
        users: { sent: 3, received: 2, invalid: 1, leftOut: 2 }
      }
    ]
  })
  t.notMatch(service.log(), /shop\.example|851234567|15112345678/)
})

test('a ticket of another provider and an upload without list are refused', async (t) => {
  const { sandbox, context } = await setup(t)
  for (const ticket of ['', '{}', 'am9iOjE3']) {
    const { errorClass } = await failureOf(
      Promise.resolve(klaviyo.confirm?.(ticket, audience, context))
    )
    t.equal(errorClass, 'invalid')
  }
  const { errorClass } = await failureOf(klaviyo.upload(bodyOf(ana), audience, undefined, context))
  t.equal(errorClass, 'invalid')
  t.equal(sandbox.requests.length, 0)
})

const missing = (scope: string) => ({
  code: 'missing_scope',
  message: `the API key lacks the scope ${scope}: use one with lists:read, lists:write, profiles:read and profiles:write`
})

test('the check tells which scopes are missing and changes nothing', async (t) => {
  const cases: [apiKey: string, problems: unknown[]][] = [
    ['sandbox', []],
    ['sandbox-read-only', []],
    ['sandbox-lists-only', [missing('profiles:read')]],
    ['sandbox-without-scopes', [missing('lists:read'), missing('profiles:read')]]
  ]
  for (const [apiKey, problems] of cases) {
    const { sandbox, context } = await setup(t, { apiKey })
    t.strictSame(await klaviyo.check(context), problems, apiKey)
    t.strictSame(
      sandbox.requests.map(({ method, path, query }) => ({ method, path, query })),
      [
        { method: 'GET', path: LISTS, query: { 'page[size]': '1' } },
        { method: 'GET', path: JOBS, query: { 'page[size]': '1' } }
      ]
    )
    t.strictSame(stateOf(sandbox).segments, [])
  }
})

test('the check throws where it cannot tell', async (t) => {
  const wrong = await setup(t, { apiKey: 'pk_wrong' })
  t.strictSame(await failureOf(klaviyo.check(wrong.context)), {
    errorClass: 'auth',
    message: KEY,
    platformCode: '401/authentication_failed',
    status: 401,
    waitMs: undefined
  })
  const { sandbox, context } = await setup(t)
  sandbox.failNext({ times: 1, error: 'challenge' })
  t.match(await failureOf(klaviyo.check(context)), { errorClass: 'transient' })
})

test('a key that may only read fails with the scopes it needs', async (t) => {
  const { context } = await setup(t, { apiKey: 'sandbox-read-only' })
  t.match(await failureOf(klaviyo.createSegment(audience, context)), {
    errorClass: 'permission',
    message: SCOPES
  })
})

test('25,000 users arrive member by member', async (t) => {
  const { sandbox, context, variables } = await setup(t)
  const users = Array.from({ length: 25_000 }, (_, i) => ({
    email: `User${i}@Shop.example`,
    firstName: `Name ${i}`
  }))
  const { bodies } = encodeWhole(klaviyo, createMembers(users), audience, variables)
  const [id] = await createLists(context, [NAME])
  for (const body of bodies) await klaviyo.upload(body, audience, id, context)
  t.strictSame(membersOf(sandbox), [
    users.map((_, i) => ({ email: `user${i}@shop.example`, first_name: `Name ${i}` }))
  ])
  t.strictSame(stateOf(sandbox).forbiddenCalls, [])
})

const GOOD_HEADERS = {
  authorization: 'Klaviyo-API-Key sandbox',
  revision: '2026-07-15',
  'content-type': 'application/vnd.api+json'
}
const jobOn = (listId: string, profiles: unknown) => ({
  data: {
    type: 'profile-bulk-import-job',
    attributes: { profiles },
    relationships: { lists: { data: [{ type: 'list', id: listId }] } }
  }
})
const profilesOf = (...attributes: unknown[]) => ({
  data: attributes.map((each) => ({ type: 'profile', attributes: each }))
})
const FIRST = '/data/attributes/profiles/data/0/attributes'

interface WrongCall {
  what: string
  method?: string
  path: string
  headers?: Record<string, string>
  body?: unknown
  status: number
  code?: string
  source?: Record<string, string>
}

const wrongCalls: WrongCall[] = [
  {
    what: 'a key under another scheme',
    path: LISTS,
    headers: { ...GOOD_HEADERS, authorization: 'Bearer sandbox' },
    status: 401,
    code: 'not_authenticated'
  },
  {
    what: 'an unknown key',
    path: LISTS,
    headers: { ...GOOD_HEADERS, authorization: 'Klaviyo-API-Key other' },
    status: 401,
    code: 'authentication_failed'
  },
  {
    what: 'no revision',
    path: LISTS,
    headers: { authorization: 'Klaviyo-API-Key sandbox' },
    status: 400,
    code: 'invalid'
  },
  {
    what: 'a form in place of JSON:API',
    method: 'POST',
    path: LISTS,
    headers: { ...GOOD_HEADERS, 'content-type': 'text/plain' },
    body: { data: { type: 'list', attributes: { name: NAME } } },
    status: 415,
    code: 'unsupported_media_type'
  },
  {
    what: 'a list without name',
    method: 'POST',
    path: LISTS,
    body: { data: { type: 'list', attributes: {} } },
    status: 400,
    code: 'invalid'
  },
  {
    what: 'a filter without array',
    path: `${LISTS}?filter=${encodeURIComponent('equals(name,"blotout_VIP")')}`,
    status: 400,
    source: { parameter: 'filter' }
  },
  {
    what: 'a filter with a broken array',
    path: `${LISTS}?filter=${encodeURIComponent('any(name,["a"b"])')}`,
    status: 400,
    source: { parameter: 'filter' }
  },
  {
    what: 'pages of 11',
    path: `${LISTS}?page[size]=11`,
    status: 400,
    source: { parameter: 'page[size]' }
  },
  {
    what: 'a made-up cursor',
    path: `${LISTS}?page[cursor]=2`,
    status: 400,
    source: { parameter: 'page[cursor]' }
  },
  {
    what: 'an unknown order',
    path: `${LISTS}?sort=size`,
    status: 400,
    source: { parameter: 'sort' }
  },
  {
    what: 'an unknown parameter',
    path: `${LISTS}?limit=5`,
    status: 400,
    source: { parameter: 'limit' }
  },
  {
    what: 'a parameter twice',
    path: `${LISTS}?sort=id&sort=id`,
    status: 400,
    source: { parameter: 'query' }
  },
  {
    what: 'a list that is not there',
    method: 'DELETE',
    path: `${LISTS}/none`,
    status: 404,
    code: 'not_found'
  },
  { what: 'an unknown path', path: '/api/audiences', status: 404, code: 'not_found' },
  { what: 'a retired API', path: '/api/v2/lists', status: 410, code: 'gone' },
  { what: 'a job that is not there', path: `${JOBS}/none`, status: 404, code: 'not_found' },
  {
    what: 'a job for a list that is not there',
    method: 'POST',
    path: JOBS,
    body: jobOn('none', profilesOf(ana)),
    status: 404,
    code: 'not_found'
  },
  {
    what: 'profiles as a bare array',
    method: 'POST',
    path: JOBS,
    body: jobOn('LIST', [{ type: 'profile', attributes: ana }]),
    status: 400,
    source: { pointer: '/data/attributes/profiles' }
  },
  {
    what: 'no profile',
    method: 'POST',
    path: JOBS,
    body: jobOn('LIST', profilesOf()),
    status: 400,
    source: { pointer: '/data/attributes/profiles/data' }
  },
  {
    what: '10,001 profiles',
    method: 'POST',
    path: JOBS,
    body: jobOn('LIST', profilesOf(...emails(10_001))),
    status: 400,
    source: { pointer: '/data/attributes/profiles' }
  },
  {
    what: 'an attribute of the retired API',
    method: 'POST',
    path: JOBS,
    body: jobOn('LIST', profilesOf({ $email: 'ana@shop.example' })),
    status: 400,
    source: { pointer: `${FIRST}/$email` }
  },
  {
    what: 'a national phone number',
    method: 'POST',
    path: JOBS,
    body: jobOn('LIST', profilesOf({ ...ana, phone_number: '0851234567' })),
    status: 400,
    source: { pointer: `${FIRST}/phone_number` }
  },
  {
    what: 'a profile without identifier',
    method: 'POST',
    path: JOBS,
    body: jobOn('LIST', profilesOf({ first_name: 'Ana', email: null })),
    status: 400,
    source: { pointer: FIRST }
  },
  {
    what: 'a profile of more than 100 KB',
    method: 'POST',
    path: JOBS,
    body: jobOn('LIST', profilesOf({ ...ana, last_name: 'x'.repeat(100_000) })),
    status: 400,
    source: { pointer: FIRST }
  },
  {
    what: 'a body of more than 5 MB',
    method: 'POST',
    path: JOBS,
    body: jobOn('LIST', profilesOf({ ...ana, last_name: 'x'.repeat(5_000_000) })),
    status: 413
  }
]

test('the sandbox refuses what the platform refuses, and keeps nothing of it', async (t) => {
  const { sandbox, context } = await setup(t)
  const [listId = ''] = await createLists(context, [NAME])
  for (const { what, method = 'GET', path, headers, body, status, code, source } of wrongCalls) {
    const answer = await fetch(`${sandbox.url}${path}`, {
      method,
      headers: headers ?? GOOD_HEADERS,
      ...(body !== undefined && { body: JSON.stringify(body).replace('"LIST"', `"${listId}"`) })
    })
    const text = await answer.text()
    t.equal(answer.status, status, what)
    if (code === undefined && source === undefined) continue
    const { errors } = JSON.parse(text) as { errors: { code: string; source: unknown }[] }
    if (code !== undefined) t.equal(errors[0]?.code, code, what)
    if (source !== undefined) t.strictSame(errors[0]?.source, source, what)
  }
  t.strictSame(membersOf(sandbox), [[]])
})

test('the sandbox remembers calls that would change consent', async (t) => {
  const { sandbox } = await setup(t)
  const path = '/api/profile-subscription-bulk-create-jobs'
  await fetch(`${sandbox.url}${path}`, { method: 'POST', headers: GOOD_HEADERS, body: '{}' })
  t.strictSame(stateOf(sandbox).forbiddenCalls, [path])
  sandbox.reset()
  t.strictSame(sandbox.state(), { segments: [], forbiddenCalls: [] })
})

test('the sandbox allows 150 new lists a day, of any names, and limits calls on demand', async (t) => {
  const { sandbox, context } = await setup(t)
  const ids = await createLists(
    context,
    Array.from({ length: 150 }, () => NAME)
  )
  t.equal(new Set(ids).size, 150)
  t.match(await failureOf(klaviyo.createSegment(audience, context)), {
    errorClass: 'rate_limited',
    waitMs: 7_200_000
  })
  sandbox.configure({ rate: { requests: 0, perMs: 1_000 } })
  t.match(await failureOf(klaviyo.findSegment(audience, context)), {
    errorClass: 'rate_limited',
    waitMs: 1_000
  })
})

test('profiles of one person are merged in the sandbox, and a deleted list is gone', async (t) => {
  const { sandbox, context } = await setup(t)
  const [id = ''] = await createLists(context, [NAME])
  const phone = { phone_number: ana.phone_number, last_name: 'Byrne', first_name: null }
  await klaviyo.upload(bodyOf(ana), audience, id, context)
  await klaviyo.upload(bodyOf(phone), audience, id, context)
  t.strictSame(membersOf(sandbox), [[{ ...ana, last_name: 'Byrne' }]])

  await fetch(`${sandbox.url}${LISTS}/${id}`, { method: 'DELETE', headers: GOOD_HEADERS })
  t.equal(await klaviyo.findSegment(audience, context), undefined)
  t.match(await failureOf(klaviyo.upload(bodyOf(ana), audience, id, context)), {
    errorClass: 'not_found'
  })
})

test('the sandbox sorts lists both ways and pages jobs', async (t) => {
  const { sandbox, context } = await setup(t)
  const [first = '', second = ''] = await createLists(context, ['b', 'a'])
  await klaviyo.upload(bodyOf(ana), audience, first, context)
  const idsAt = async (path: string) => {
    const answer = await fetch(`${sandbox.url}${path}`, { headers: GOOD_HEADERS })
    const { data } = (await answer.json()) as { data: { id: string }[] }
    return data.map(({ id }) => id)
  }
  t.strictSame(await idsAt(`${LISTS}?sort=name`), [second, first])
  t.strictSame(await idsAt(`${LISTS}?sort=-id`), [second, first])
  t.strictSame(await idsAt(LISTS), [first, second])
  t.strictSame(await idsAt(JOBS), ['am9iOjM='])
})
