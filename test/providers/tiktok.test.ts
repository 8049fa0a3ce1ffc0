import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { test, type Test } from 'tap'
import { Value } from 'typebox/value'
import type { Audience, EncodedBody } from '../../providers/provider.ts'
import { tiktok } from '../../providers/tiktok/index.ts'
import type { ERRORS } from '../../providers/tiktok/sandbox-errors.ts'
import type { TikTokVariables } from '../../providers/tiktok/variables.ts'
import { type Members } from '../../src/audience/members.ts'
import { encodeWhole } from '../support/encode.ts'
import { createMembers } from '../support/members.ts'
import { anyParts, encodeParts } from '../support/parts.ts'
import type { User } from '../../src/audience/schemas.ts'
import { failureOf, providerContext } from '../support/provider-context.ts'
import { form as audienceForm, startService } from '../support/service.ts'

// Hashes made with `sha256sum` from the normalised text. Those of janedoe@gmail.com and of the digits
// 37493828222 are also printed on TikTok's "How to create a custom audience with a customer file".
const JANE = 'd6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69'
const LOCAL_PLAIN = 'd4fbd45fef165cec3d84c7cd401d341b732d9a2f3292792bff930c0c4156ffae' // local-part.123+suffix@domain.com
const LOCAL_STRIPPED = '8d771c407c5ac0a6d864156f7f3018b8f3b6f5ce3a6ab66ed8da18a6903f8978' // local-part123@domain.com
const ARMENIA = '241371e614f8650dfae0f111361c69de1bb4829a72b71bb8044daae8b2e7791d' // +37493828222
const ARMENIA_DIGITS = '65b7e6dcf6f4310f8d7cbfbd78289a753062fb054d6664fb9aaac5df66a422d4' // 37493828222
const LONDON_DIGITS = '35e206e5dec4c89b9e8b71b8c32724a5bb518483ac5a20c6617d738375b3b823' // 442079460958
const LONDON = 'f0bf0228144d9fe2bdf1da2d8ca698f17bf1410ee688b075c27062e47b6f0b6d' // +442079460958

const ADVERTISER = '7100000000000000001'
const FIRST_ID = '7300000000000000001'
const LIST = '/open_api/v1.3/dmp/custom_audience/list/'
const MAPPING = '/open_api/v1.3/segment/mapping/'

const settings: TikTokVariables = {
  accessToken: 'sandbox-tiktok-token',
  advertiserId: ADVERTISER,
  route: 'stream',
  phoneForm: 'e164',
  emailForm: 'plain',
  batchSize: 1000
}

const audience: Audience = {
  segmentName: 'blotout_High_Value_Customers',
  type: 'custom',
  mode: 'add',
  sessionId: 1708531200,
  sequence: 1,
  totalBatches: 1,
  totalUsers: 3
}

const jane: User = { email: ' JaneDoe@Gmail.com ', phone: '374-93-828222', country: 'AM' }
const local: User = { email: 'local-part.123+suffix@domain.com' }
const london: User = { phone: '+44 (0)20 7946 0958' }

/** What TikTok holds once these three have arrived. */
const THREE_ARRIVED = {
  segments: [
    {
      id: FIRST_ID,
      name: 'blotout_High_Value_Customers',
      type: 'Partner',
      isValid: true,
      members: [
        { EMAIL_SHA256: [JANE], PHONE_SHA256: [ARMENIA] },
        { EMAIL_SHA256: [LOCAL_PLAIN] },
        { PHONE_SHA256: [LONDON] }
      ]
    }
  ],
  files: []
}

async function start(t: Test, changes: Partial<TikTokVariables> = {}, timeoutMs = 5_000) {
  const sandbox = await tiktok.sandbox()
  const under = providerContext(sandbox, { ...settings, ...changes }, { timeoutMs })
  t.teardown(async () => {
    await under.close()
    await sandbox.close()
  })
  return { sandbox, context: under.context }
}

function encode(members: Members | readonly User[], changes: Partial<TikTokVariables> = {}) {
  const asMembers = 'size' in members ? members : createMembers(members)
  return encodeWhole(tiktok, asMembers, audience, { ...settings, ...changes })
}

const text = ({ payload }: EncodedBody) => new TextDecoder().decode(payload)

/** The ids of a body's rows, `''` for an empty cell. */
function rows(body: EncodedBody): string[][] {
  const data = JSON.parse(`[${text(body)}]`) as { id?: string }[][]
  return data.map((row) => row.map(({ id = '' }) => id))
}

/** Members whose columns are given outright. */
function columns(hashes: Partial<Record<string, readonly string[]>>): Members {
  const size = Math.max(...Object.values(hashes).map((column) => column?.length ?? 0))
  const hash = (form: string) => hashes[form] ?? Array.from({ length: size }, () => '')
  return { ...createMembers([]), size, hash }
}

/** No hash of anything, but as different from others as hashes are. */
const hex = (number: number) => number.toString(16).padStart(32, '0').repeat(2)
const numbered = (size: number) => Array.from({ length: size }, (_, index) => hex(index + 1))

const listAnswer = (list: readonly object[]) => ({
  status: 200,
  body: {
    code: 0,
    message: 'OK',
    request_id: 'r1',
    data: { page_info: { page: 1, page_size: 100, total_number: 7, total_page: 1 }, list }
  }
})

/** The item of TikTok's reference, as a streamed audience. */
const listed = {
  audience_id: '7300000000000000077',
  name: audience.segmentName,
  audience_type: 'Partner',
  calculate_type: null,
  cover_num: 15320,
  is_valid: true,
  is_expiring: false,
  is_creator: true,
  shared: false,
  create_time: '2026-11-01 10:00:00',
  expired_time: '2099-11-01 10:00:00'
}

test('the settings left out are the streaming route, E.164, plain addresses and 1,000 rows', async (t) => {
  const given = { accessToken: settings.accessToken, advertiserId: ADVERTISER }
  t.same(Value.Default(tiktok.variables, { ...given }), settings)
  t.ok(Value.Check(tiktok.variables, settings))
  for (const wrong of [
    { advertiserId: 'act_1' },
    { accessToken: '' },
    { route: 'csv' },
    { phoneForm: 'plain' },
    { emailForm: 'stripped' },
    { batchSize: 0 },
    { batchSize: 1001 },
    { baseUrl: 'ftp://x' },
    { retention: 30 }
  ]) {
    t.notOk(Value.Check(tiktok.variables, { ...settings, ...wrong }), JSON.stringify(wrong))
  }
})

test('the account is the advertiser, apart for each route; limits follow the route', async (t) => {
  const file: TikTokVariables = { ...settings, route: 'file' }
  t.equal(tiktok.accountId(settings), '7100000000000000001')
  t.equal(tiktok.accountId(file), '7100000000000000001/file')
  const pace = {
    requestsInFlight: 2,
    rates: [
      { requests: 10, perMs: 1_000 },
      { requests: 600, perMs: 60_000 }
    ]
  }
  t.same(tiktok.limits({ ...settings, batchSize: 250 }), {
    ...pace,
    usersPerRequest: 250,
    bytesPerRequest: 1_000_000
  })
  t.same(tiktok.limits(file), {
    ...pace,
    usersPerRequest: 769_230,
    bytesPerRequest: 50_000_000
  })
})

const stream = (name: string) => tiktok.storedName(name, settings)
const file = (name: string) => tiktok.storedName(name, { ...settings, route: 'file' })

test('a stored name is what TikTok keeps: 67 characters and dots when streamed, 128 of a file', async (t) => {
  t.equal(stream('a'.repeat(70)), 'a'.repeat(70))
  t.equal(stream('a'.repeat(71)), `${'a'.repeat(67)}...`)
  t.equal(stream(`${'a'.repeat(66)}😀${'b'.repeat(10)}`), `${'a'.repeat(66)}...`)
  t.equal(file('a'.repeat(128)), 'a'.repeat(128))
  t.equal(file('a'.repeat(129)), 'a'.repeat(128))
  t.equal(file(`${'a'.repeat(127)}😀`), 'a'.repeat(127))
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (name) => {
      const stored = stream(name)
      return stored.length <= 70 && stream(stored) === stored && file(name).isWellFormed()
    })
  )
})

const storedCell = (id: string) => `{"id":"${id}"}`

test('a streamed body holds a row a user, an empty object for what is missing', async (t) => {
  const { bodies, leftOut, notes } = encode([
    jane,
    { email: 'n/a', phone: 'call me' },
    local,
    london,
    {},
    { email: 'janedoe@gmail.com', phone: '+37493828222', firstName: 'Jane' }
  ])
  t.same(bodies.map(text), [
    `[${storedCell(JANE)},${storedCell(ARMENIA)}],\n[${storedCell(LOCAL_PLAIN)},{}],\n[{},${storedCell(LONDON)}]`
  ])
  t.same(
    bodies.map(({ users }) => users),
    [3]
  )
  t.same(leftOut, { no_identifier: 2, duplicate: 1 })
  t.same(notes, {})
})

test('hashes given by the caller pass as they are, in lower case, in every form', async (t) => {
  const given = [{ email: JANE.toUpperCase(), phone: ARMENIA }]
  for (const emailForm of ['plain', 'strip_plus_and_dots', 'both'] as const) {
    for (const phoneForm of ['e164', 'digits', 'both'] as const) {
      const { bodies } = encode(given, { emailForm, phoneForm })
      t.same(bodies.map(rows), [[[JANE, ARMENIA]]], `${emailForm} ${phoneForm}`)
    }
  }
})

test('users are the same only where all their hashes are', async (t) => {
  // Nearly all of the digits that are compared are the same of all of them.
  const [a, b, c] = [hex(1), hex(2), hex(3)]
  const { bodies, leftOut } = encode(
    columns({
      email: [a, b, a, a, '', '', a, b, '', a, a, ''],
      phoneE164: [b, a, c, b, a, b, c, a, a, '', '', c]
    })
  )
  t.same(bodies.map(rows), [
    [
      [a, b],
      [b, a],
      [a, c],
      ['', a],
      ['', b],
      [a, ''],
      ['', c]
    ]
  ])
  t.same(leftOut, { duplicate: 5 })
})

test('every body has memory of its own, so that it can go to another thread', async (t) => {
  for (const route of ['stream', 'file'] as const) {
    const { bodies } = encode(columns({ email: numbered(2_500) }), { route })
    t.same(
      bodies.map(({ payload }) => [payload.byteOffset, payload.buffer.byteLength]),
      bodies.map(({ payload }) => [0, payload.byteLength]),
      route
    )
  }
})

test('the forms of address and number follow the settings, each hash once', async (t) => {
  const users = [{ ...local, phone: '+37493828222' }, jane, { ...jane, phone: null }, london]
  const of = (changes: Partial<TikTokVariables>) => encode(users, changes).bodies.map(rows)
  t.same(of({ emailForm: 'strip_plus_and_dots', phoneForm: 'digits' }), [
    [
      [LOCAL_STRIPPED, ARMENIA_DIGITS],
      [JANE, ARMENIA_DIGITS],
      [JANE, ''],
      ['', LONDON_DIGITS]
    ]
  ])
  t.same(of({ emailForm: 'both' }), [
    [
      [LOCAL_PLAIN, ARMENIA],
      [LOCAL_STRIPPED, ''],
      [JANE, ARMENIA],
      [JANE, ''],
      ['', LONDON]
    ]
  ])
  t.same(of({ emailForm: 'both', phoneForm: 'both' })[0]?.slice(0, 5), [
    [LOCAL_PLAIN, ARMENIA],
    [LOCAL_STRIPPED, ARMENIA_DIGITS],
    [JANE, ARMENIA],
    ['', ARMENIA_DIGITS],
    [JANE, '']
  ])
})

test('bodies end at batchSize rows and never tear a user apart', async (t) => {
  const sizes = (size: number, batchSize: number) =>
    encode(columns({ email: numbered(size) }), { batchSize }).bodies.map(({ users }) => users)
  t.same(sizes(999, 1000), [999])
  t.same(sizes(1000, 1000), [1000])
  t.same(sizes(1001, 1000), [1000, 1])
  t.same(sizes(0, 1000), [])

  const twoForms = columns({ email: numbered(3), emailStripped: [hex(11), hex(2), hex(13)] })
  const inTwos = (batchSize: number) => {
    const { bodies } = encode(twoForms, { emailForm: 'both', batchSize })
    return bodies.map((body) => [
      body.users,
      rows(body).map(([email]) => Number(`0x${email?.slice(32)}`))
    ])
  }
  t.same(inTwos(5), [[3, [1, 11, 2, 3, 13]]])
  t.same(inTwos(4), [
    [2, [1, 11, 2]],
    [1, [3, 13]]
  ])
  t.same(inTwos(1), [
    [1, [1]],
    [0, [11]],
    [1, [2]],
    [1, [3]],
    [0, [13]]
  ])
})

test('whatever the users and settings, every distinct hash is sent and everybody is accounted for', async () => {
  const hash = fc.integer({ min: 0, max: 12 }).map((n) => (n === 0 ? '' : hex(n)))
  const user = fc.tuple(hash, hash, hash, hash).map(([email, stripped, phone, digits]) => ({
    email,
    emailStripped: email && (stripped || email),
    phoneE164: phone,
    phoneDigits: phone && (digits || phone)
  }))
  const emailForm = fc.constantFrom('plain', 'strip_plus_and_dots', 'both')
  const phoneForm = fc.constantFrom('e164', 'digits', 'both')
  const forms = {
    plain: ['email'],
    strip_plus_and_dots: ['emailStripped'],
    e164: ['phoneE164'],
    digits: ['phoneDigits']
  } as const
  const both = { email: ['email', 'emailStripped'], phone: ['phoneE164', 'phoneDigits'] } as const

  fc.assert(
    fc.property(
      fc.array(user, { maxLength: 30 }),
      emailForm,
      phoneForm,
      fc.integer({ min: 1, max: 7 }),
      (users, emails, phones, batchSize) => {
        const column = (form: keyof (typeof users)[number]) => users.map((one) => one[form])
        const members = {
          ...columns({}),
          size: users.length,
          hash: (form: string) => column(form as 'email')
        }
        const wantedEmails = emails === 'both' ? both.email : forms[emails]
        const wantedPhones = phones === 'both' ? both.phone : forms[phones]
        const wanted = new Set([
          ...wantedEmails.flatMap((form) => column(form).map((id) => id && `email ${id}`)),
          ...wantedPhones.flatMap((form) => column(form).map((id) => id && `phone ${id}`))
        ])
        wanted.delete('')

        const changes = { emailForm: emails, phoneForm: phones, batchSize }
        const streamed = encode(members, changes)
        const sent = streamed.bodies.flatMap(rows)
        const sentIds = sent.flatMap(([email = '', phone = '']) => [
          ...(email ? [`email ${email}`] : []),
          ...(phone ? [`phone ${phone}`] : [])
        ])
        assert.deepEqual(new Set(sentIds), wanted)
        assert.ok(streamed.bodies.every((body) => rows(body).length <= batchSize))

        const filed = encode(members, { ...changes, route: 'file' })
        const cells = filed.bodies.flatMap((body) =>
          text(body)
            .split('\n')
            .slice(1)
            .flatMap((line) => line.split(',').filter((cell) => cell !== ''))
        )
        assert.deepEqual(cells.toSorted(), sentIds.map((id) => id.slice(6)).toSorted())

        for (const { bodies, leftOut } of [streamed, filed]) {
          const counts = [...bodies.map((body) => body.users), ...Object.values(leftOut)]
          assert.equal(
            counts.reduce((sum, count) => sum + count, 0),
            users.length
          )
        }
      }
    )
  )
})

test('bodies and counts are the same into whatever parts the users are divided', async () => {
  const id = fc.integer({ min: 0, max: 9 }).map((n) => (n === 0 ? '' : hex(n)))
  const column = fc.array(id, { minLength: 20, maxLength: 20 })
  const hashes = fc.record({
    email: column,
    emailStripped: column,
    phoneE164: column,
    phoneDigits: column
  })
  const changes = fc.record({
    route: fc.constantFrom('stream', 'file'),
    emailForm: fc.constantFrom('plain', 'strip_plus_and_dots', 'both'),
    phoneForm: fc.constantFrom('e164', 'digits', 'both'),
    batchSize: fc.integer({ min: 1, max: 7 })
  })
  fc.assert(
    fc.property(hashes, changes, anyParts, (given, changed, sizes) => {
      const members = columns(given)
      const encoder = tiktok.encoder(audience, { ...settings, ...changed })
      assert.deepEqual(encodeParts(encoder, members, sizes), encode(members, changed))
    })
  )
})

test('users in different blocks of memory are still told apart', async (t) => {
  const ids = [...numbered(2_500), ...numbered(2_500)]
  const { bodies, leftOut } = encode(columns({ email: ids }), { route: 'file' })
  t.same(
    bodies.map(({ users }) => users),
    [2_500]
  )
  t.same(leftOut, { duplicate: 2_500 })
})

const post = (path: string, sent: object) => ({ method: 'POST', path, query: {}, body: sent })
const cell = (hash: string) => ({ id: hash, audience_ids: [FIRST_ID] })

test('find, create and upload are exactly the calls of the reference', async (t) => {
  const { sandbox, context } = await start(t)
  t.equal(await tiktok.findSegment(audience, context), undefined)
  const id = await tiktok.createSegment(audience, context)
  t.equal(id, FIRST_ID)
  t.equal(await tiktok.findSegment(audience, context), FIRST_ID)
  const [body] = encode([jane, local, london]).bodies
  t.same(body && (await tiktok.upload(body, audience, id, context)), { warnings: [] })

  const find = {
    method: 'GET',
    path: LIST,
    query: { advertiser_id: ADVERTISER, page: '1', page_size: '100' },
    body: undefined
  }
  t.same(
    sandbox.requests.map(({ method, path, query, body: sent }) => ({
      method,
      path,
      query,
      body: sent
    })),
    [
      find,
      post('/open_api/v1.3/segment/audience/', {
        advertiser_id: ADVERTISER,
        action: 'create',
        custom_audience_name: 'blotout_High_Value_Customers'
      }),
      find,
      post(MAPPING, {
        advertiser_ids: [ADVERTISER],
        action: 'add',
        id_schema: ['EMAIL_SHA256', 'PHONE_SHA256'],
        batch_data: [
          [cell(JANE), cell(ARMENIA)],
          [cell(LOCAL_PLAIN), {}],
          [{}, cell(LONDON)]
        ]
      })
    ]
  )
  for (const { method, headers } of sandbox.requests) {
    t.equal(headers['access-token'], 'sandbox-tiktok-token')
    t.equal(headers['content-type'], method === 'POST' ? 'application/json' : undefined)
  }
  t.same(sandbox.state(), THREE_ARRIVED)
})

test('nothing is uploaded without an audience', async (t) => {
  const { sandbox, context } = await start(t)
  const [body] = encode([jane]).bodies
  t.match(await failureOf(tiktok.upload(body!, audience, undefined, context)), {
    errorClass: 'not_found'
  })
  t.equal(sandbox.requests.length, 0)
})

test('a name is found on any page, and only the very same name', async (t) => {
  const { sandbox, context } = await start(t)
  const nearMisses = [
    'blotout_high_value_customers',
    'blotout_High_Value_Customers ',
    'blotout_High'
  ]
  const others = Array.from({ length: 198 }, (_, index) => `other ${index}`)
  for (const segmentName of [...nearMisses, ...others]) {
    await tiktok.createSegment({ ...audience, segmentName }, context)
  }
  t.equal(await tiktok.findSegment(audience, context), undefined)
  await tiktok.createSegment(audience, context)
  const before = sandbox.requests.length
  t.equal(await tiktok.findSegment(audience, context), '7300000000000000202')
  t.same(
    sandbox.requests.slice(before).map(({ query }) => query.page),
    ['1', '2', '3']
  )
})

test('a long name is found again under the name that TikTok stored', async (t) => {
  const { context } = await start(t)
  const segmentName = tiktok.storedName('x'.repeat(90), settings)
  const long = { ...audience, segmentName }
  t.equal(await tiktok.createSegment(long, context), FIRST_ID)
  t.equal(await tiktok.findSegment(long, context), FIRST_ID)
})

test('shared, expired and other kinds of audience are passed over, of several the oldest is taken', async (t) => {
  const { sandbox, context } = await start(t)
  const unusable = [
    { ...listed, is_creator: false, shared: true },
    { ...listed, audience_type: 'Customer File Audience' },
    { ...listed, audience_type: 'Lookalike Audience' },
    { ...listed, is_valid: false, expired_time: '2026-01-01 00:00:00' },
    { ...listed, name: 'High_Value_Customers' }
  ]
  const give = (list: readonly object[]) =>
    sandbox.failNext({ times: 1, path: LIST, answer: listAnswer(list) })
  give(unusable)
  t.equal(await tiktok.findSegment(audience, context), undefined)
  give([...unusable, { ...listed, is_valid: false, expired_time: null }])
  t.equal(await tiktok.findSegment(audience, context), '7300000000000000077')
  give([
    listed,
    { ...listed, audience_id: '7300000000000000012', create_time: '2025-01-01 00:00:00' },
    { ...listed, audience_id: '7300000000000000099', create_time: '2026-11-20 00:00:00' }
  ])
  t.equal(await tiktok.findSegment(audience, context), '7300000000000000012')
  give([{ ...listed, audience_type: 'Customer File Audience', expired_time: undefined }])
  const onFiles = { ...context, variables: { ...settings, route: 'file' as const } }
  t.equal(await tiktok.findSegment(audience, onFiles), '7300000000000000077')
})

test('an id that comes as a number keeps its last digits', async (t) => {
  const { sandbox, context } = await start(t)
  const body =
    '{"code":0,"message":"OK","request_id":"r","data":{"audience_id":7300000000000000077}}'
  sandbox.failNext({ times: 1, path: 'segment', answer: { status: 200, body } })
  t.equal(await tiktok.createSegment(audience, context), '7300000000000000077')
})

test('a creation whose answer was lost is found again', async (t) => {
  const { sandbox, context } = await start(t)
  sandbox.failNext({ times: 1, path: 'segment/audience', resetAfter: true })
  t.match(await failureOf(Promise.resolve(tiktok.createSegment(audience, context))), {
    errorClass: 'transient'
  })
  t.equal(await tiktok.findSegment(audience, context), FIRST_ID)
})

test('a partly taken mapping is a success with a warning', async (t) => {
  const { sandbox, context } = await start(t)
  const [body] = encode([jane]).bodies
  sandbox.failNext({ times: 1, error: 'partly_successful' })
  t.same(await tiktok.upload(body!, audience, FIRST_ID, context), {
    warnings: ['TikTok took the request only in part (20001)']
  })
})

test('a refused entry does not fail the other users of its body', async (t) => {
  const { sandbox, context } = await start(t)
  const id = await tiktok.createSegment(audience, context)
  const refused = [0, 499, 500, 999]
  const emails = numbered(1000).map((hash, row) =>
    refused.includes(row) ? `no hash ${row}` : hash
  )
  const [body] = encode(columns({ email: emails })).bodies
  t.same(await tiktok.upload(body!, audience, id, context), {
    invalid: 4,
    warnings: ['TikTok refused 4 of 1000 users (40002)']
  })
  const { segments } = sandbox.state() as { segments: { members: Record<string, string[]>[] }[] }
  t.same(
    segments[0]?.members.map(({ EMAIL_SHA256: ids }) => ids?.join()).toSorted(),
    emails.filter((hash) => hash.length === 64)
  )
})

test('a request that is refused for everybody fails after few calls', async (t) => {
  const { sandbox, context } = await start(t)
  sandbox.failNext({ times: 5_000, path: 'mapping', error: 'invalid_parameter' })
  const refused = {
    errorClass: 'invalid',
    message:
      'TikTok refuses the request: batch_data: invalid value … (request_id 2026112212000000)',
    platformCode: '40002',
    waitMs: undefined,
    status: undefined
  }
  for (const [users, calls] of [
    [1000, 15],
    [8, 15],
    [3, 5],
    [1, 1]
  ] as const) {
    const before = sandbox.requests.length
    const [body] = encode(columns({ email: numbered(users) })).bodies
    t.same(await failureOf(tiktok.upload(body!, audience, FIRST_ID, context)), refused)
    t.equal(sandbox.requests.length - before, calls, `${users} users`)
  }
})

test('a fault while the parts of a refused body are sent is that fault', async (t) => {
  const { sandbox, context } = await start(t)
  sandbox.failNext({ times: 1, path: 'mapping', error: 'invalid_parameter' })
  sandbox.failNext({ times: 1, path: 'mapping', error: 'server_error' })
  const [body] = encode([jane, local]).bodies
  t.match(await failureOf(tiktok.upload(body!, audience, FIRST_ID, context)), {
    errorClass: 'transient',
    platformCode: '50000'
  })
})

/** What TikTok's codes and what stands before TikTok mean, by the sandbox's names for them. */
const failures = {
  no_permission: {
    errorClass: 'permission',
    message:
      'the access token may not do this for the advertiser: grant the app Audience Management and access to the ad account; before it may stream, TikTok may have to allow the app',
    platformCode: '40001'
  },
  invalid_parameter: {
    errorClass: 'invalid',
    message: 'TikTok refuses the request: batch_data: invalid value …',
    platformCode: '40002'
  },
  not_found: {
    errorClass: 'not_found',
    message: 'TikTok does not know the audience any more',
    platformCode: '40007'
  },
  too_many_requests: {
    errorClass: 'rate_limited',
    message: 'too many requests to TikTok',
    platformCode: '40100'
  },
  too_many_requests_40016: {
    errorClass: 'rate_limited',
    message: 'too many requests to TikTok',
    platformCode: '40016'
  },
  too_many_requests_of_field: {
    errorClass: 'rate_limited',
    message: 'too many requests to TikTok',
    platformCode: '40132'
  },
  too_many_requests_of_advertiser: {
    errorClass: 'rate_limited',
    message: 'too many requests to TikTok',
    platformCode: '40133'
  },
  expired_token: {
    errorClass: 'auth',
    message: 'the access token has expired: authorise the app again',
    platformCode: '40102'
  },
  missing_token: {
    errorClass: 'auth',
    message: 'TikTok got no access token',
    platformCode: '40104'
  },
  wrong_token: {
    errorClass: 'auth',
    message: 'the access token is wrong or was revoked: authorise the app again',
    platformCode: '40105'
  },
  busy_40200: {
    errorClass: 'transient',
    message: 'TikTok asks to try again later',
    platformCode: '40200',
    waitMs: 300_000
  },
  busy_40201: {
    errorClass: 'transient',
    message: 'TikTok asks to try again later',
    platformCode: '40201',
    waitMs: 300_000
  },
  busy_40202: {
    errorClass: 'transient',
    message: 'TikTok asks to try again later',
    platformCode: '40202',
    waitMs: 300_000
  },
  busy_40700: {
    errorClass: 'transient',
    message: 'TikTok asks to try again later',
    platformCode: '40700',
    waitMs: 300_000
  },
  unsupported_file: {
    errorClass: 'invalid',
    message: 'TikTok refuses the type of the file',
    platformCode: '40908'
  },
  server_error: {
    errorClass: 'transient',
    message: 'TikTok has an internal fault',
    platformCode: '50000'
  },
  service_error: {
    errorClass: 'transient',
    message: 'TikTok has an internal fault',
    platformCode: '50002'
  },
  internal_error: {
    errorClass: 'transient',
    message: 'TikTok has an internal fault',
    platformCode: '51065'
  },
  unknown_client_error: {
    errorClass: 'invalid',
    message: 'TikTok refuses the request: Field phone … is odd',
    platformCode: '49999'
  },
  unknown_server_error: {
    errorClass: 'transient',
    message: 'TikTok has an internal fault: Node … is down',
    platformCode: '59999'
  },
  http_429: {
    errorClass: 'rate_limited',
    message: 'too many requests to TikTok',
    status: 429,
    waitMs: 7_000
  },
  http_413: {
    errorClass: 'invalid',
    message: 'TikTok finds the request too large',
    status: 413
  },
  http_502: {
    errorClass: 'transient',
    message: 'TikTok gave no usable answer (HTTP 502)',
    status: 502
  }
} as const satisfies Record<Exclude<keyof typeof ERRORS, 'partly_successful'>, object>

test('every failure of TikTok is told by its code, with HTTP 200 too, and is classed', async (t) => {
  const { sandbox, context } = await start(t)
  const nothing = { platformCode: undefined, waitMs: undefined, status: undefined }
  for (const [error, expected] of Object.entries(failures)) {
    sandbox.failNext({ times: 1, error })
    const failed = await failureOf(tiktok.findSegment(audience, context))
    const request = 'platformCode' in expected ? ' (request_id 2026112212000000)' : ''
    const message = `${expected.message}${request}`
    t.same(failed, { ...nothing, ...expected, message }, error)
  }
})

test('an answer that is not TikTok’s, or none at all, may be tried again', async (t) => {
  const { sandbox, context } = await start(t, {}, 200)
  const answers = [
    { status: 200, body: '<html>Sign in</html>' },
    { status: 200, body: { data: {} } },
    { status: 200, body: { code: 0, message: 'OK', data: { list: 'none' } } },
    { status: 404, body: '' },
    { status: 429, body: '' }
  ]
  const classes = ['transient', 'transient', 'transient', 'transient', 'rate_limited']
  for (const [index, answer] of answers.entries()) {
    sandbox.failNext({ times: 1, answer })
    const failed = await failureOf(tiktok.findSegment(audience, context))
    t.match(failed, { errorClass: classes[index], platformCode: undefined, waitMs: undefined })
  }
  for (const fault of [{ hang: true }, { reset: true }]) {
    sandbox.failNext({ times: 1, ...fault })
    t.match(await failureOf(tiktok.findSegment(audience, context)), { errorClass: 'transient' })
  }
  sandbox.configure({ rate: { requests: 0, perMs: 1_000 } })
  t.match(await failureOf(tiktok.findSegment(audience, context)), {
    errorClass: 'rate_limited',
    platformCode: '40100'
  })
})

test('a check asks for advertiser and audiences and finds nothing wrong', async (t) => {
  const { sandbox, context } = await start(t)
  t.same(await tiktok.check(context), [])
  t.same(
    sandbox.requests.map(({ method, path, query }) => ({ method, path, query })),
    [
      {
        method: 'GET',
        path: '/open_api/v1.3/advertiser/info/',
        query: {
          advertiser_ids: '["7100000000000000001"]',
          fields: '["advertiser_id","status"]'
        }
      },
      {
        method: 'GET',
        path: LIST,
        query: { advertiser_id: ADVERTISER, page: '1', page_size: '100' }
      }
    ]
  )
})

test('a check tells what is wrong and what to do', async (t) => {
  const { sandbox, context } = await start(t)
  const giveAdvertisers = (list: readonly object[]) =>
    sandbox.failNext({
      times: 1,
      path: 'advertiser',
      answer: { status: 200, body: { code: 0, message: 'OK', data: { list } } }
    })
  giveAdvertisers([{ advertiser_id: '7100000000000000002', status: 'STATUS_ENABLE' }])
  t.same(await tiktok.check(context), [
    {
      code: 'advertiser_unknown',
      message:
        'The access token does not reach advertiser 7100000000000000001: authorise the app for this ad account or correct advertiserId'
    }
  ])
  giveAdvertisers([{ advertiser_id: ADVERTISER, status: 'STATUS_LIMIT' }])
  const full = listAnswer([])
  full.body.data.page_info.total_number = 400
  sandbox.failNext({ times: 1, path: LIST, answer: full })
  t.same(await tiktok.check(context), [
    {
      code: 'advertiser_not_active',
      message:
        "Advertiser 7100000000000000001 is not active (STATUS_LIMIT): see the account's review or limits in TikTok Ads Manager"
    },
    {
      code: 'audience_limit',
      message:
        'Advertiser 7100000000000000001 has 400 of at most 400 audiences: delete some, or no new one can be created'
    }
  ])
  for (const [changes, errorClass] of [
    [{ accessToken: 'Bearer sandbox-tiktok-token' }, 'auth'],
    [{ advertiserId: '7100000000000000002' }, 'permission']
  ] as const) {
    const wrong = { ...context, variables: { ...settings, ...changes } }
    t.match(await failureOf(Promise.resolve(tiktok.check(wrong))), { errorClass })
  }
})

test('the sandbox refuses what TikTok refuses', async (t) => {
  const { sandbox, context } = await start(t)
  const id = await tiktok.createSegment(audience, context)
  const call = async (path: string, body?: object, headers: object = {}) => {
    const response = await fetch(`${sandbox.url}/open_api/v1.3${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        'access-token': 'sandbox-tiktok-token',
        'content-type': 'application/json',
        ...headers
      },
      ...(body !== undefined && { body: JSON.stringify(body) })
    })
    const { code } = (await response.json()) as { code: number }
    return [response.status, code]
  }
  const list = `/dmp/custom_audience/list/?advertiser_id=${ADVERTISER}`
  t.same(await call(list), [200, 0])
  t.same(await call(list, undefined, { 'access-token': '' }), [200, 40104])
  t.same(await call(list, undefined, { 'access-token': 'other' }), [200, 40105])
  t.same(await call(`${list}&page_size=101`), [200, 40002])
  t.same(await call(`${list}&page=0`), [200, 40002])
  t.same(await call('/dmp/custom_audience/list/?advertiser_id=7'), [200, 40001])
  t.same(await call('/dmp/custom_audience/list/'), [200, 40002])
  t.same(await call('/advertiser/info/?advertiser_ids=7100000000000000001'), [200, 40002])

  const segment = { advertiser_id: ADVERTISER, custom_audience_name: 'vip' }
  const other = { ...segment, advertiser_id: '7' }
  t.same(await call('/segment/audience/', segment), [200, 0])
  t.same(await call('/segment/audience/', other), [200, 40001])
  t.same(await call('/segment/audience/', { advertiser_id: ADVERTISER }), [200, 40002])
  t.same(await call('/segment/audience/', { ...segment, action: 'update' }), [200, 40002])
  t.same(await call('/segment/audience/', { ...segment, action: 'delete' }), [200, 40002])
  t.same(await call('/segment/audience/', segment, { 'content-type': 'text/plain' }), [200, 40002])

  const entry = { id: JANE, audience_ids: [id] }
  const mapping = {
    advertiser_ids: [ADVERTISER],
    action: 'add',
    id_schema: ['EMAIL_SHA256'],
    batch_data: [[entry]]
  }
  const map = (changes: object) => call('/segment/mapping/', { ...mapping, ...changes })
  const byRow = (row: readonly object[]) => map({ batch_data: [row] })
  t.same(await map({ id_schema: ['email_sha256'] }), [200, 0])
  t.same(await map({ advertiser_ids: ADVERTISER }), [200, 40002])
  t.same(await map({ advertiser_ids: ['7'] }), [200, 40001])
  t.same(await map({ action: 'replace' }), [200, 40002])
  t.same(await map({ id_schema: ['GAID_SHA256'] }), [200, 40002])
  t.same(await map({ id_schema: ['EMAIL_SHA256', 'EMAIL_SHA256'] }), [200, 40002])
  t.same(await map({ id_schema: ['EMAIL_SHA256', 'PHONE_SHA256'] }), [200, 40002])
  t.same(await map({ batch_data: [] }), [200, 40002])
  t.same(await map({ batch_data: Array.from({ length: 1001 }, () => [entry]) }), [200, 40002])
  t.same(await map({ padding: ' '.repeat(1_000_000) }), [200, 40002])
  t.same(await byRow([{}]), [200, 40002])
  t.same(await byRow([{ ...entry, id: JANE.toUpperCase() }]), [200, 40002])
  t.same(await byRow([{ ...entry, id: 'janedoe@gmail.com' }]), [200, 40002])
  t.same(await byRow([{ ...entry, audience_ids: [7_300_000_000] }]), [200, 40002])
  t.same(await byRow([{ ...entry, audience_ids: ['7300000000000000999'] }]), [200, 40007])

  const state = () => sandbox.state() as { segments: { id: string; members: object[] }[] }
  t.same(state().segments[0]?.members, [{ EMAIL_SHA256: [JANE] }])
  t.same(await map({ action: 'delete' }), [200, 0])
  t.same(state().segments[0]?.members, [])
  const gone = { advertiser_id: ADVERTISER, action: 'delete', delete_audience_id: id }
  t.same(await call('/segment/audience/', gone), [200, 0])
  t.same(await call('/segment/audience/', gone), [200, 40007])
  t.same(
    state().segments.map((held) => held.id),
    ['7300000000000000002']
  )
  const answer = await fetch(`${sandbox.url}/open_api/v1.2${list}`)
  t.equal(answer.status, 404)

  sandbox.reset()
  t.same(sandbox.state(), { segments: [], files: [] })
})

test('the sandbox keeps 400 audiences and takes 25,000 users', async (t) => {
  const { sandbox, context } = await start(t)
  const id = await tiktok.createSegment(audience, context)
  for (const body of encode(columns({ email: numbered(25_000) })).bodies) {
    await tiktok.upload(body, audience, id, context)
  }
  const { segments } = sandbox.state() as { segments: { members: object[] }[] }
  t.equal(segments[0]?.members.length, 25_000)
  for (let count = 1; count < 400; count += 1) await tiktok.createSegment(audience, context)
  t.match(await failureOf(Promise.resolve(tiktok.createSegment(audience, context))), {
    errorClass: 'invalid',
    platformCode: '40002'
  })
  t.same(
    (await tiktok.check(context)).map(({ code }) => code),
    ['audience_limit']
  )
})

test('through POST /audience TikTok receives exactly what it matches on', async (t) => {
  const { sandbox } = await start(t)
  const service = await startService(t, { sandboxes: [sandbox] })
  const users = [jane, { email: 'none', firstName: 'Jane' }, local, london]
  const { status, body } = await service.post(
    audienceForm({ users, type: 'primary' }),
    '?sync=true'
  )
  t.strictSame({ status, body }, { status: 200, body: { success: true } })
  t.same(sandbox.state(), THREE_ARRIVED)
})

test('every error of TikTok is told to a synchronous caller of POST /audience', async (t) => {
  const { sandbox } = await start(t)
  const service = await startService(t, { sandboxes: [sandbox] })
  let sessionId = 0
  const postOnce = async () => {
    sessionId += 1
    const batch = { sessionId, sequence: 1, totalBatches: 1, totalUsers: 1 }
    const { status, body } = await service.post(audienceForm({ batch }), '?sync=true')
    const told = JSON.stringify(body).replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/, '<time>')
    return { status, body: JSON.parse(told) as unknown }
  }
  const delivered = { status: 200, body: { success: true } }
  for (const [error, expected] of Object.entries(failures)) {
    const { errorClass, message } = expected
    const code =
      'platformCode' in expected ? ` (request_id 2026112212000000) (${expected.platformCode})` : ''
    const isRetried = errorClass === 'transient' || errorClass === 'rate_limited'
    const isFinal = errorClass === 'invalid'
    const reason = `tiktok/default: ${message}${code}${isFinal ? '' : '; retried until <time>'}`

    if (isRetried || errorClass === 'not_found') {
      sandbox.failNext({ error, times: 1, path: 'mapping' })
      t.strictSame(await postOnce(), delivered, `${error} once`)
    }
    if (errorClass === 'not_found') continue
    sandbox.failNext({ error, times: isRetried ? 3 : 1, path: 'mapping' })
    const failed = { status: 400, body: { success: false, errors: [reason] } }
    t.strictSame(await postOnce(), failed, error)
    await service.settled(sessionId)
  }
  const { segments } = sandbox.state() as { segments: unknown[] }
  t.equal(segments.length, 1, 'and no error made a second audience')
})
