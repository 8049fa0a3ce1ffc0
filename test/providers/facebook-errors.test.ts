import * as fc from 'fast-check'
import { test, type Test } from 'tap'
import { Value } from 'typebox/value'
import { facebook } from '../../providers/facebook/index.ts'
import { ERRORS } from '../../providers/facebook/sandbox-errors.ts'
import { pauseFor, readUsage } from '../../providers/facebook/usage.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import { encodeWhole } from '../support/encode.ts'
import { createMembers } from '../support/members.ts'
import { audience, failureOf, providerContext } from '../support/provider-context.ts'
import { form, startService } from '../support/service.ts'

async function setup(t: Test, { timeoutMs = 5_000 } = {}) {
  const sandbox = await facebook.sandbox()
  const settings = Value.Parse(
    facebook.variables,
    Value.Default(facebook.variables, { ...sandbox.variables })
  )
  const platform = providerContext(sandbox, settings, { timeoutMs })
  const { context } = platform
  t.teardown(async () => {
    await platform.close()
    await sandbox.close()
  })
  const members = createMembers([{ edgeTagId: 'tag-1' }])
  const body = encodeWhole(facebook, members, audience, settings).bodies[0]!
  const upload = () => facebook.upload(body, audience, '238500001', context)
  return { sandbox, context, upload, pauses: platform.pauses }
}

const TERMS =
  'the Custom Audience terms are not accepted for the business that owns the ad account; a person has to accept them at https://business.facebook.com/ads/manage/customaudiences/tos/?act=1234567890'
const PERMISSION =
  'the token lacks a permission; it needs ads_management and a user assigned to ad account 1234567890'
const FLAGGED =
  'the audience is flagged because its name or description hints at health or finances; rename it'
const NO_SEGMENT = 'the audience does not exist or is not visible to the token'
const LIMIT = 'the rate limit is reached'

/** Meta's code, what it is for us, our words, the wait it brings. */
const classes: Readonly<
  Record<
    keyof typeof ERRORS,
    readonly [code: string, errorClass: string, message: string, waitMs?: number]
  >
> = {
  invalid_token: ['190', 'auth', 'the access token is not valid; create a new one'],
  app_removed: ['190/458', 'auth', 'the user removed the app; let them log in to it again'],
  user_checkpointed: [
    '190/459',
    'auth',
    'the user has to log in at facebook.com and pass a checkpoint'
  ],
  password_changed: [
    '190/460',
    'auth',
    'the user changed their password; create a new access token'
  ],
  expired_token: ['190/463', 'auth', 'the access token has expired; create a new one'],
  unconfirmed_user: [
    '190/464',
    'auth',
    'the user is not confirmed; they have to log in at facebook.com'
  ],
  revoked_token: [
    '190/467',
    'auth',
    'the access token was revoked or logged out; create a new one'
  ],
  invalid_session: [
    '190/492',
    'auth',
    "the access token's user has no role on the page or app it is for"
  ],
  session_over: ['102', 'auth', 'the session of the access token is over; create a new token'],
  no_capability: ['3', 'permission', PERMISSION],
  no_permission: ['10', 'permission', PERMISSION],
  permissions_error: ['200', 'permission', PERMISSION],
  managed_page_permission: ['294', 'permission', PERMISSION],
  development_access: [
    '270',
    'permission',
    'the app has development access only; request access in its dashboard'
  ],
  account_not_linked: [
    '200/1870050',
    'permission',
    'ad account 1234567890 is not linked to a business'
  ],
  terms_not_accepted: ['200/1870090', 'blocked', TERMS],
  terms_not_accepted_old: ['2655', 'blocked', TERMS],
  terms_not_accepted_older: ['2663', 'blocked', TERMS],
  audience_flagged: ['100/1713230', 'blocked', FLAGGED],
  flagged_edit: ['100/1713228', 'blocked', FLAGGED],
  flagged_update: ['100/1713231', 'blocked', FLAGGED],
  policy_block: [
    '368',
    'blocked',
    'Meta blocked the account for reasons of policy; see its Account Quality'
  ],
  version_too_old: ['2635', 'blocked', 'the API version is too old; set apiVersion to a newer one'],
  invalid_parameter: ['100', 'invalid', 'Meta finds the request invalid'],
  invalid_proof: ['100', 'invalid', 'Meta finds the request invalid'],
  too_many_parameters: ['105', 'invalid', 'Meta finds too many parameters in the request'],
  missing_parameter: ['194', 'invalid', 'Meta misses a parameter in the request'],
  bad_query: ['2500', 'invalid', 'Meta finds the request invalid'],
  update_failed: ['2650', 'invalid', 'Meta refuses to update the audience'],
  session_closed: ['2650/1870159', 'invalid', 'Meta refuses to update the audience'],
  creation_failed: [
    '2654',
    'invalid',
    'Meta refuses to create the audience; check its limits and terms'
  ],
  lookalikes_exist: [
    '2656',
    'invalid',
    'the audience cannot be deleted while lookalikes are built on it'
  ],
  unlisted_code: [
    '999',
    'invalid',
    'Meta refused the request with code 999: Cannot use the value … here'
  ],
  audience_missing: ['100/33', 'not_found', NO_SEGMENT],
  audience_not_yet_visible: ['803', 'not_found', NO_SEGMENT],
  audience_deleted: ['1487366', 'not_found', 'the audience was deleted'],
  audience_not_shared: [
    '1487301',
    'not_found',
    'the audience is not shared with ad account 1234567890'
  ],
  rate_limited: ['80003/2446079', 'rate_limited', LIMIT, 60_000],
  app_limit: ['4', 'rate_limited', LIMIT],
  user_limit: ['17', 'rate_limited', LIMIT],
  page_limit: ['32', 'rate_limited', LIMIT],
  application_limit: ['341', 'rate_limited', LIMIT],
  call_limit: ['613', 'rate_limited', LIMIT],
  abnormal_volume: ['613/1996', 'rate_limited', 'Meta sees an abnormal volume of calls'],
  unknown_error: ['1', 'transient', 'Meta had an unknown error'],
  too_much_data: ['1', 'transient', 'Meta had an unknown error'],
  service_unavailable: ['2', 'transient', 'a service of Meta is not available for the moment'],
  update_in_progress: [
    '2650/1870145',
    'transient',
    'another update of the audience is in progress'
  ],
  marked_transient: [
    '99',
    'transient',
    'Meta refused the request with code 99: Something went wrong, please retry'
  ],
  bad_gateway: ['', 'transient', 'Meta gave no readable answer (HTTP 502)'],
  too_large: [
    '',
    'invalid',
    'Meta refused the request without a reason (HTTP 413), as it does where an upload is too large; lower batchSize'
  ]
}

test('every error of the platform becomes its class, in our own words', async (t) => {
  const { sandbox, upload } = await setup(t)
  t.strictSame(Object.keys(classes).toSorted(), Object.keys(ERRORS).toSorted())
  for (const [error, [code, errorClass, message, waitMs]] of Object.entries(classes)) {
    sandbox.failNext({ error, times: 1 })
    t.strictSame(
      await failureOf(upload()),
      {
        errorClass,
        message: code === '' ? message : `${message} (fbtrace_id Axyz)`,
        platformCode: code === '' ? undefined : code,
        waitMs,
        status: { bad_gateway: 502, too_large: 413 }[error] ?? 400
      },
      error
    )
  }
})

test('a synchronous caller hears of every error in these words, unless a retry mends it', async (t) => {
  const sandbox = await facebook.sandbox()
  t.teardown(() => sandbox.close())
  const service = await startService(t, { sandboxes: [sandbox] })
  let sessionId = 0
  const post = async () => {
    sessionId += 1
    const batch = { sessionId, sequence: 1, totalBatches: 1, totalUsers: 1 }
    const { status, body } = await service.post(form({ batch }), '?sync=true')
    const text = JSON.stringify(body).replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/, '<time>')
    return { status, body: JSON.parse(text) as unknown }
  }
  for (const [error, [code, errorClass, message]] of Object.entries(classes)) {
    const reason = `facebook/default: ${message}${code && ` (fbtrace_id Axyz) (${code})`}`
    const isRetried = errorClass === 'transient' || errorClass === 'rate_limited'
    const failed = errorClass === 'invalid' ? reason : `${reason}; retried until <time>`

    if (isRetried || errorClass === 'not_found') {
      sandbox.failNext({ error, times: 1, path: '/users' })
      t.strictSame(await post(), { status: 200, body: { success: true } }, `${error} once`)
    }
    if (errorClass === 'not_found') continue
    sandbox.failNext({ error, times: isRetried ? 3 : 1, path: '/users' })
    t.strictSame(await post(), { status: 400, body: { success: false, errors: [failed] } }, error)
    await service.settled(sessionId)
  }
  const { segments } = sandbox.state() as { segments: unknown[] }
  t.equal(segments.length, 1, 'and no error made a second audience')
})

test('whole families of codes have one class', async (t) => {
  const { sandbox, upload } = await setup(t)
  const families = {
    201: 'permission',
    299: 'permission',
    300: 'invalid',
    80_000: 'rate_limited',
    80_014: 'rate_limited',
    80_015: 'invalid'
  }
  for (const [code, errorClass] of Object.entries(families)) {
    const body = { error: { code: Number(code) } }
    sandbox.failNext({ times: 1, answer: { status: 400, body } })
    t.match(await failureOf(upload()), { errorClass, platformCode: code })
  }
})

test('an account that cannot be seen is a matter of permission, not a missing segment', async (t) => {
  const { sandbox, context } = await setup(t)
  const expected = {
    errorClass: 'permission',
    message:
      'ad account 1234567890 does not exist or the token has no access to it; assign its user to the account (fbtrace_id Axyz)'
  }
  for (const error of ['audience_missing', 'audience_not_yet_visible']) {
    sandbox.failNext({ error, times: 3 })
    t.match(await failureOf(facebook.check(context)), expected)
    t.match(await failureOf(facebook.findSegment(audience, context)), expected)
    t.match(await failureOf(facebook.createSegment(audience, context)), expected)
  }
})

test('the error decides, not the status; without an error the status does', async (t) => {
  const { sandbox, upload } = await setup(t)
  const page = '<html><body>jane@example.com</body></html>'
  const expired = { error: { message: 'x', code: 190, error_subcode: 463, fbtrace_id: '<b>' } }
  const noAnswer = 'Meta gave no readable answer (HTTP 200)'
  const cases = [
    {
      status: 200,
      body: expired,
      errorClass: 'auth',
      message: 'the access token has expired; create a new one'
    },
    {
      status: 500,
      body: expired,
      errorClass: 'auth',
      message: 'the access token has expired; create a new one'
    },
    { status: 200, body: page, errorClass: 'transient', message: noAnswer },
    { status: 200, body: '', errorClass: 'transient', message: noAnswer },
    {
      status: 200,
      body: { num_received: 'many' },
      errorClass: 'transient',
      message: 'Meta gave an answer of an unknown form'
    },
    {
      status: 503,
      body: {},
      errorClass: 'transient',
      message: 'Meta gave no readable answer (HTTP 503)'
    },
    { status: 429, body: page, errorClass: 'rate_limited', message: LIMIT },
    {
      status: 400,
      body: page,
      errorClass: 'invalid',
      message:
        'Meta refused the request without a reason (HTTP 400), as it does where an upload is too large; lower batchSize'
    }
  ]
  for (const { status, body, errorClass, message } of cases) {
    sandbox.failNext({ times: 1, answer: { status, body } })
    const failure = await failureOf(upload())
    t.strictSame(
      [failure.errorClass, failure.message, failure.status],
      [errorClass, message, status]
    )
  }
})

test('a call without an answer is transient, and its work may have been done', async (t) => {
  const { sandbox, context, upload } = await setup(t, { timeoutMs: 100 })
  sandbox.failNext({ times: 1, reset: true })
  t.match(await failureOf(upload()), { errorClass: 'transient' })
  sandbox.failNext({ times: 1, hang: true })
  t.match(await failureOf(upload()), { errorClass: 'transient' })
  sandbox.failNext({ times: 1, resetAfter: true })
  t.match(await failureOf(facebook.createSegment(audience, context)), { errorClass: 'transient' })
  t.equal(await facebook.findSegment(audience, context), '238500001')
})

test('a segment without an id cannot be uploaded to', async (t) => {
  const { context } = await setup(t)
  const body = { payload: Buffer.from('{}'), users: 1 }
  t.match(await failureOf(facebook.upload(body, audience, undefined, context)), {
    errorClass: 'not_found'
  })
})

/** Examples of Meta's "Rate Limiting" page with other numbers. */
const business = (callCount: number, minutes: number) => ({
  'x-business-use-case-usage': `{"1234567890":[{"type":"custom_audience","call_count":${callCount},"total_cputime":25,"total_time":25,"estimated_time_to_regain_access":${minutes}}]}`
})

test('every answer is read for how much of the allowance is used, and the account pauses', async (t) => {
  const { sandbox, upload, pauses } = await setup(t)
  const cases = [
    { headers: business(74, 0), pause: undefined },
    { headers: business(75, 0), pause: 1_000 },
    { headers: business(99, 0), pause: 25_000 },
    { headers: business(100, 0), pause: 60_000 },
    { headers: business(100, 19), pause: 19 * 60_000 },
    {
      headers: { 'x-app-usage': '{"call_count":28,"total_time":80,"total_cputime":25}' },
      pause: 6_000
    },
    { headers: { 'x-ad-account-usage': '{"acc_id_util_pct":9.67}' }, pause: undefined },
    {
      headers: { 'x-ad-account-usage': '{"acc_id_util_pct":80.5,"reset_time_duration":500}' },
      pause: 6_000
    },
    {
      headers: { 'x-ad-account-usage': '{"acc_id_util_pct":100,"reset_time_duration":500}' },
      pause: 500_000
    },
    { headers: { ...business(80, 0), 'x-app-usage': '{"call_count":90}' }, pause: 16_000 },
    { headers: { 'x-app-usage': 'not JSON' }, pause: undefined }
  ]
  for (const { headers, pause } of cases) {
    pauses.length = 0
    sandbox.failNext({ times: 1, answer: { status: 200, headers, body: { num_received: 1 } } })
    await upload()
    t.strictSame(pauses, pause === undefined ? [] : [pause], JSON.stringify(headers))
  }
  pauses.length = 0
  sandbox.configure({ rate: { requests: 0, perMs: 60_000 } })
  t.match(await failureOf(upload()), { errorClass: 'rate_limited', waitMs: 60_000 })
  t.strictSame(pauses, [60_000])
})

test('usage headers of any form are read without failing and never shorten the wait', async (t) => {
  const header = fc.option(fc.oneof(fc.string(), fc.json(), fc.array(fc.string())), {
    nil: undefined
  })
  const names = ['x-business-use-case-usage', 'x-app-usage', 'x-ad-account-usage']
  const headers = fc.record(Object.fromEntries(names.map((name) => [name, header])))
  fc.assert(
    fc.property(headers, (given) => {
      const usage = readUsage(given)
      return usage.percent >= 0 && (usage.waitMs ?? 1) > 0 && pauseFor(usage) >= 0
    })
  )
  const percent = fc.integer({ min: 0, max: 200 })
  fc.assert(
    fc.property(percent, percent, (left, right) => {
      const [less, more] = [Math.min(left, right), Math.max(left, right)]
      return pauseFor(readUsage(business(less, 0))) <= pauseFor(readUsage(business(more, 0)))
    })
  )
  t.end()
})

interface Call {
  readonly method?: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}
const AUTHORIZED = { authorization: 'Bearer sandbox-facebook-token' }

async function answerTo(sandbox: Sandbox, { path, headers = AUTHORIZED, body, ...call }: Call) {
  const response = await fetch(sandbox.url + path, {
    method: call.method ?? (body === undefined ? 'GET' : 'POST'),
    headers,
    ...(body !== undefined && { body: JSON.stringify(body) })
  })
  return (await response.json()) as Record<string, unknown>
}

/** `code` or `code/subcode`; empty where the call was answered. */
async function codeOf(sandbox: Sandbox, call: Call) {
  const { error = {} } = (await answerTo(sandbox, call)) as { error?: Record<string, number> }
  return [error.code, error.error_subcode].filter((code) => code !== undefined).join('/')
}

const LIST = '/v26.0/act_1234567890/customaudiences'
const USERS = '/v26.0/238500001/users'
const NEW_AUDIENCE = { name: 'vip', subtype: 'CUSTOM', customer_file_source: 'USER_PROVIDED_ONLY' }
const EMAIL = 'f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79'
const SCHEMA = ['EXTERN_ID', 'EMAIL']

const uploadOf = (payload: object, session: object = {}) => ({
  payload: { schema: SCHEMA, data: [['tag-1', EMAIL]], ...payload },
  session: { session_id: 1, batch_seq: 1, last_batch_flag: true, ...session }
})

test('the sandbox refuses calls that the platform refuses', async (t) => {
  const { sandbox } = await setup(t)
  await answerTo(sandbox, { path: LIST, body: NEW_AUDIENCE })
  const invalidBodies = [
    { payload: undefined },
    { session: undefined },
    uploadOf({ schema: [] }),
    uploadOf({ schema: ['EXTERN_ID', 'MAIL'] }),
    uploadOf({ schema: ['EMAIL', 'EMAIL'] }),
    uploadOf({ data: [] }),
    uploadOf({ data: [['tag-1']] }),
    uploadOf({ data: ['tag-1'] }),
    uploadOf({ data: Array.from({ length: 10_001 }, (_, i) => [`tag-${i}`, '']) }),
    uploadOf({ schema: [...SCHEMA, 'LOOKALIKE_VALUE'], data: [['tag-1', EMAIL, 1]] }),
    uploadOf({}, { session_id: 0 }),
    uploadOf({}, { session_id: '1' }),
    uploadOf({}, { session_id: 2 ** 53 }),
    uploadOf({}, { batch_seq: 0 }),
    uploadOf({}, { batch_seq: 2 }),
    uploadOf({}, { last_batch_flag: 1 })
  ]
  const refused: { code: string; call: Call }[] = [
    { code: '190', call: { path: LIST, headers: {} } },
    { code: '190', call: { path: LIST, headers: { authorization: 'Bearer other' } } },
    { code: '2635', call: { path: LIST.replace('v26.0', 'v24.0') } },
    { code: '2500', call: { path: LIST.replace('v26.0', 'latest') } },
    { code: '100', call: { path: `${LIST}?appsecret_proof=00` } },
    { code: '100', call: { path: `${LIST}?limit=0` } },
    { code: '100', call: { path: `${LIST}?after=x` } },
    { code: '100/33', call: { path: '/v26.0/act_1' } },
    { code: '100/33', call: { path: '/v26.0/act_1/customaudiences' } },
    { code: '100/33', call: { path: '/v26.0/act_1/customaudiences', body: NEW_AUDIENCE } },
    { code: '100/33', call: { path: '/v26.0/99/users', body: uploadOf({}) } },
    { code: '100', call: { path: LIST, body: { ...NEW_AUDIENCE, name: '' } } },
    { code: '100', call: { path: LIST, body: { ...NEW_AUDIENCE, subtype: 'LIST' } } },
    {
      code: '100',
      call: { path: LIST, body: { ...NEW_AUDIENCE, customer_file_source: undefined } }
    },
    { code: '100', call: { path: LIST, body: { ...NEW_AUDIENCE, is_value_based: 'yes' } } },
    ...invalidBodies.map((body) => ({ code: '100', call: { path: USERS, body } }))
  ]
  for (const { code, call } of refused) {
    t.equal(await codeOf(sandbox, call), code, JSON.stringify(call).slice(0, 200))
  }
  t.match(sandbox.state(), { segments: [{ id: '238500001', members: [] }] })
})

test('the sandbox takes a session batch by batch and counts what it cannot read', async (t) => {
  const { sandbox } = await setup(t)
  await answerTo(sandbox, { path: LIST, body: NEW_AUDIENCE })
  await answerTo(sandbox, { path: LIST, body: NEW_AUDIENCE })
  const data = [
    ['tag-1', EMAIL],
    ['tag-2', EMAIL.toUpperCase()],
    [3, 'mary@example.com'],
    ['tag-1', EMAIL]
  ]
  t.strictSame(
    await answerTo(sandbox, { path: USERS, body: uploadOf({ data }, { last_batch_flag: false }) }),
    {
      audience_id: '238500001',
      session_id: '1',
      num_received: 4,
      num_invalid_entries: 3,
      invalid_entry_samples: {}
    }
  )
  const next = { batch_seq: 2 }
  const elsewhere = { path: USERS.replace('238500001', '238500002'), body: uploadOf({}, next) }
  t.equal(await codeOf(sandbox, elsewhere), '100')
  const otherSchema = uploadOf({ schema: ['EMAIL', 'EXTERN_ID'] }, next)
  t.equal(await codeOf(sandbox, { path: USERS, body: otherSchema }), '100')
  t.match(await answerTo(sandbox, { path: USERS, body: uploadOf({}, next) }), { num_received: 5 })
  t.equal(
    await codeOf(sandbox, { path: USERS, body: uploadOf({}, { batch_seq: 3 }) }),
    '2650/1870159'
  )
  const singleKey = uploadOf({ schema: ['EMAIL'], data: [[EMAIL]] }, { session_id: 2 })
  t.equal(await codeOf(sandbox, { path: USERS, body: singleKey }), '2650')
  t.match(sandbox.state(), {
    segments: [
      {
        members: [
          { EXTERN_ID: 'tag-1', EMAIL },
          { EXTERN_ID: 'tag-2', EMAIL: EMAIL.toUpperCase() },
          { EXTERN_ID: 3, EMAIL: 'mary@example.com' }
        ]
      },
      { members: [] }
    ]
  })
})

test('the sandbox lists newest first, ids alone unless asked, primary audiences only when asked', async (t) => {
  const { sandbox } = await setup(t)
  await answerTo(sandbox, { path: LIST, body: NEW_AUDIENCE })
  await answerTo(sandbox, { path: LIST, body: { ...NEW_AUDIENCE, subtype: 'PRIMARY' } })
  const cursors = { before: 'UVZGSTA', after: 'UVZGSTE' }
  const next = 'https://graph.facebook.invalid/next'
  t.strictSame(await answerTo(sandbox, { path: `${LIST}?limit=1` }), {
    data: [],
    paging: { cursors, next }
  })
  t.strictSame(await answerTo(sandbox, { path: `${LIST}?limit=1&after=UVZGSTE` }), {
    data: [{ id: '238500001' }],
    paging: { cursors: { before: 'UVZGSTE', after: 'UVZGSTI' } }
  })
  const asked = `${LIST}?limit=1&fetch_primary_audience=true&fields=name,subtype,operation_status`
  t.strictSame(await answerTo(sandbox, { path: asked }), {
    data: [
      {
        id: '238500002',
        name: 'vip',
        subtype: 'PRIMARY',
        operation_status: { code: 410, description: 'No upload' }
      }
    ],
    paging: { cursors, next }
  })
})

test('the sandbox holds at most 500 audiences, and none after a reset', async (t) => {
  const { sandbox } = await setup(t)
  for (let i = 0; i < 500; i += 1) await answerTo(sandbox, { path: LIST, body: NEW_AUDIENCE })
  t.equal(await codeOf(sandbox, { path: LIST, body: NEW_AUDIENCE }), '2654')
  sandbox.reset()
  t.strictSame(sandbox.state(), { segments: [] })
})
