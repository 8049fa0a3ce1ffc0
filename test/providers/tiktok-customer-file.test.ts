import { hash } from 'node:crypto'
import { test, type Test } from 'tap'
import type { Audience, EncodedBody } from '../../providers/provider.ts'
import { tiktok } from '../../providers/tiktok/index.ts'
import type { TikTokVariables } from '../../providers/tiktok/variables.ts'
import { type Members } from '../../src/audience/members.ts'
import { encodeWhole } from '../support/encode.ts'
import { createMembers } from '../support/members.ts'
import { fastClock } from '../support/clock.ts'
import { failureOf, providerContext } from '../support/provider-context.ts'
import { form as audienceForm, startService } from '../support/service.ts'

// Made with `sha256sum`; the first and the digits are also printed in TikTok's help pages.
const JANE = 'd6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69' // janedoe@gmail.com
const LOCAL_PLAIN = 'd4fbd45fef165cec3d84c7cd401d341b732d9a2f3292792bff930c0c4156ffae' // local-part.123+suffix@domain.com
const LOCAL_STRIPPED = '8d771c407c5ac0a6d864156f7f3018b8f3b6f5ce3a6ab66ed8da18a6903f8978' // local-part123@domain.com
const ARMENIA = '241371e614f8650dfae0f111361c69de1bb4829a72b71bb8044daae8b2e7791d' // +37493828222
const ARMENIA_DIGITS = '65b7e6dcf6f4310f8d7cbfbd78289a753062fb054d6664fb9aaac5df66a422d4' // 37493828222

const ADVERTISER = '7100000000000000001'
const FIRST_ID = '7300000000000000001'
const ROOT = '/open_api/v1.3/dmp/custom_audience'
const HOUR_MS = 3_600_000

const settings: TikTokVariables = {
  accessToken: 'sandbox-tiktok-token',
  advertiserId: ADVERTISER,
  route: 'file',
  phoneForm: 'e164',
  emailForm: 'plain',
  batchSize: 1000
}

const audience: Audience = {
  segmentName: 'blotout_VIP',
  type: 'custom',
  mode: 'add',
  sessionId: 1708531200,
  sequence: 1,
  totalBatches: 1,
  totalUsers: 1000
}

async function start(t: Test) {
  const sandbox = await tiktok.sandbox()
  const platform = providerContext(sandbox, settings)
  t.teardown(async () => {
    await platform.close()
    await sandbox.close()
  })
  let aheadMs = 0
  const context = { ...platform.context, now: () => Date.now() + aheadMs }
  return {
    sandbox,
    context,
    later: (forMs: number) => {
      aheadMs += forMs
    },
    paths: () => sandbox.requests.map(({ path }) => path.slice(ROOT.length)),
    held: () =>
      sandbox.state() as {
        segments: { id: string; name: string; isValid: boolean; members: object[] }[]
        files: { entries: number }[]
      },
    upload: (body: EncodedBody, sequence = 1, totalBatches = 1, id?: string) =>
      tiktok.upload(body, { ...audience, sequence, totalBatches }, id, context),
    confirm: (ticket = '', sequence = 1, totalBatches = 1) =>
      Promise.try(async () =>
        tiktok.confirm?.(ticket, { ...audience, sequence, totalBatches }, context)
      )
  }
}

/** No hash of anything, but as different from others as hashes are. */
const hex = (number: number) => number.toString(16).padStart(32, '0').repeat(2)

/** Users `from` to `to`, known by e-mail. */
function people(from: number, to: number): EncodedBody {
  const emails = Array.from({ length: to - from + 1 }, (_, index) => hex(from + index))
  const members = columns({ email: emails })
  const [body] = encodeWhole(tiktok, members, audience, settings).bodies
  if (body === undefined) throw new Error('nobody')
  return body
}

function columns(hashes: Partial<Record<string, readonly string[]>>): Members {
  const size = Math.max(...Object.values(hashes).map((column) => column?.length ?? 0))
  const column = (form: string) => hashes[form] ?? Array.from({ length: size }, () => '')
  return { ...createMembers([]), size, hash: column }
}

const text = ({ payload }: EncodedBody) => new TextDecoder().decode(payload)

/** A file's error has neither a status nor a code of TikTok. */
async function failure(work: Promise<unknown>) {
  const { errorClass, message, waitMs } = await failureOf(work)
  return { errorClass, message, waitMs }
}

const processing = {
  errorClass: 'transient',
  message: 'TikTok still works on the audience',
  waitMs: 60_000
}
const gone = {
  errorClass: 'not_found',
  message: 'TikTok does not have the audience any more',
  waitMs: undefined
}
const invalid = (message: string) => ({ errorClass: 'invalid', message, waitMs: undefined })

test('a file has a header and a row a user, an empty cell for what is missing', async (t) => {
  const users = [
    { email: 'JaneDoe@gmail.com', phone: '374-93-828222', country: 'Armenia' },
    { phone: 'none' },
    { email: 'local-part.123+suffix@domain.com' },
    { phone: '+37493828222' },
    { email: 'janedoe@gmail.com', phone: '37493828222', country: 'AM' }
  ]
  const encode = (changes: Partial<TikTokVariables>) => {
    const { bodies, leftOut } = encodeWhole(tiktok, createMembers(users), audience, {
      ...settings,
      ...changes
    })
    t.same(leftOut, { no_identifier: 1, duplicate: 1 })
    t.same(
      bodies.map((body) => body.users),
      [3]
    )
    return bodies.map(text).join().split('\n')
  }
  t.same(encode({}), [
    'email_SHA256,phone_SHA256',
    `${JANE},${ARMENIA}`,
    `${LOCAL_PLAIN},`,
    `,${ARMENIA}`
  ])
  t.same(encode({ emailForm: 'strip_plus_and_dots', phoneForm: 'digits', batchSize: 1 }), [
    'email_SHA256,phone_SHA256',
    `${JANE},${ARMENIA_DIGITS}`,
    `${LOCAL_STRIPPED},`,
    `,${ARMENIA_DIGITS}`
  ])
  t.same(encode({ emailForm: 'both', phoneForm: 'both' }), [
    'email_SHA256,email_SHA256,phone_SHA256,phone_SHA256',
    `${JANE},,${ARMENIA},${ARMENIA_DIGITS}`,
    `${LOCAL_PLAIN},${LOCAL_STRIPPED},,`,
    `,,${ARMENIA},${ARMENIA_DIGITS}`
  ])
  t.same(encodeWhole(tiktok, createMembers([{}]), audience, settings).bodies, [])
})

test('a file ends at 50 MB', async (t) => {
  // A header of 51 bytes, and 260 for each row with its line break.
  const fitting = Math.floor((50_000_000 - 51) / 260)
  const emails = Array.from({ length: fitting + 1 }, (_, index) => hex(index + 1))
  const rest = Array.from({ length: fitting + 1 }, (_, index) => hex(index + 1_000_000))
  const sizes = (count: number) => {
    const members = columns({
      email: emails.slice(0, count),
      emailStripped: rest,
      phoneE164: emails,
      phoneDigits: rest
    })
    const both = { ...settings, emailForm: 'both', phoneForm: 'both' } as const
    const { bodies } = encodeWhole(tiktok, { ...members, size: count }, audience, both)
    return bodies.map((body) => [body.users, body.payload.length])
  }
  t.same(sizes(fitting), [[fitting, 49_999_871]])
  t.same(sizes(fitting + 1), [
    [fitting, 49_999_871],
    [1, 311]
  ])
})

test('the first 1,000 users create the audience by exactly the calls of the reference', async (t) => {
  const { sandbox, context, upload, held } = await start(t)
  t.equal(await tiktok.findSegment(audience, context), undefined)
  t.equal(await tiktok.createSegment(audience, context), undefined)
  const body = people(1, 1000)
  t.same(await upload(body), { warnings: [] })

  const [find, file, again, create, ...more] = sandbox.requests
  t.same(more, [])
  for (const request of [find, again]) {
    t.match(request, {
      method: 'GET',
      path: `${ROOT}/list/`,
      query: { advertiser_id: ADVERTISER, page: '1', page_size: '100' }
    })
  }
  t.match(file, {
    method: 'POST',
    path: `${ROOT}/file/upload/`,
    headers: {
      'access-token': 'sandbox-tiktok-token',
      'content-type': /^multipart\/form-data; boundary=/
    }
  })
  const form = await new Response(String(file?.body), {
    headers: { 'content-type': String(file?.headers['content-type']) }
  }).formData()
  const sent = form.get('file') as File
  t.same(
    [...form].map(([name, value]) => [name, typeof value === 'string' ? value : value.name]),
    [
      ['advertiser_id', ADVERTISER],
      ['calculate_type', 'MULTIPLE_TYPES'],
      ['file_signature', hash('md5', body.payload)],
      ['file', 'audience.csv']
    ]
  )
  t.equal(await sent.text(), text(body))
  t.match(create, { method: 'POST', path: `${ROOT}/create/`, query: {} })
  t.same(create?.body, {
    advertiser_id: ADVERTISER,
    custom_audience_name: 'blotout_VIP',
    file_paths: ['sandbox/1'],
    calculate_type: 'MULTIPLE_TYPES'
  })

  const [segment] = held().segments
  t.match(segment, { id: FIRST_ID, name: 'blotout_VIP', type: 'Customer File Audience' })
  t.equal(segment?.members.length, 1000)
  t.same(segment?.members[0], { EMAIL_SHA256: [hex(1)] })
  t.equal(await tiktok.findSegment(audience, context), FIRST_ID)
})

test('a large file is signed as a whole', async (t) => {
  const { upload, held } = await start(t)
  const body = people(1, 24_000)
  t.equal(body.payload.byteLength, 1_584_025)
  // A file whose signature is wrong is refused.
  t.same(await upload(body), { warnings: [] })
  t.equal(held().segments[0]?.members.length, 24_000)
})

test('an existing audience is appended to, once TikTok is done with the file before', async (t) => {
  const { sandbox, upload, held, paths } = await start(t)
  await upload(people(1, 1000))
  const before = sandbox.requests.length
  t.same(await failure(upload(people(1001, 1003), 2, 2, FIRST_ID)), processing)
  t.same(paths().slice(before), ['/get/'])
  t.same(await upload(people(1001, 1003), 2, 2, FIRST_ID), { warnings: [] })
  t.same(paths().slice(before), ['/get/', '/get/', '/file/upload/', '/update/'])
  t.same(sandbox.requests.at(before)?.query, {
    advertiser_id: ADVERTISER,
    custom_audience_ids: '["7300000000000000001"]'
  })
  t.same(sandbox.requests.at(-1)?.body, {
    advertiser_id: ADVERTISER,
    custom_audience_id: FIRST_ID,
    action: 'APPEND',
    file_paths: ['sandbox/2']
  })
  t.equal(held().segments[0]?.members.length, 1003)
})

test('small batches wait until those of their session make an audience', async (t) => {
  const { sandbox, upload, confirm, held } = await start(t)
  const first = await upload(people(1, 600), 1, 3)
  const md5 = hash('md5', people(1, 600).payload)
  t.same(first, { ticket: `{"md5":"${md5}","users":600}` })
  t.equal(await confirm(first.ticket, 1, 3), undefined)
  const second = await upload(people(601, 999), 2, 3)
  t.equal(await confirm(second.ticket, 2, 3), undefined)
  t.same(held().segments, [])

  // A batch sent again counts once.
  await upload(people(601, 999), 2, 3)
  t.same(held().segments, [])
  t.same(await upload(people(1000, 1000), 3, 3), { warnings: [] })
  t.same(sandbox.requests.at(-1)?.body, {
    advertiser_id: ADVERTISER,
    custom_audience_name: 'blotout_VIP',
    file_paths: ['sandbox/1', 'sandbox/3', 'sandbox/4'],
    calculate_type: 'MULTIPLE_TYPES'
  })
  t.equal(held().segments[0]?.members.length, 1000)
  t.same(await confirm(first.ticket, 1, 3), { received: 600 })
  t.same(await confirm(second.ticket, 2, 3), { received: 399 })
})

test('an audience that appears meanwhile gets the waiting files too', async (t) => {
  const { context, upload, confirm, held } = await start(t)
  const small = await upload(people(1, 600), 1, 2)
  const other = { ...audience, sessionId: 2 }
  await tiktok.upload(people(5001, 6000), other, undefined, context)
  t.equal(await confirm(small.ticket, 1, 2), undefined)
  t.same(await failure(upload(people(601, 700), 2, 2)), processing)
  await upload(people(601, 700), 2, 2)
  t.same(await confirm(small.ticket, 1, 2), { received: 600 })
  t.same(
    held().segments.map(({ members }) => members.length),
    [1700]
  )
})

test('files that suffice wait for the audience made of them, a day at most', async (t) => {
  const { sandbox, upload, confirm, later } = await start(t)
  const { ticket } = await upload(people(1, 600), 1, 2)
  sandbox.failNext({ times: 1, path: '/create/', error: 'internal_error' })
  t.match(await failure(upload(people(601, 1200), 2, 2)), { errorClass: 'transient' })
  t.equal(await confirm(ticket, 1, 2), undefined)
  later(25 * HOUR_MS)
  t.same(
    await failure(confirm(ticket, 1, 2)),
    invalid('no audience was made of the collected files: send them again')
  )
  await upload(people(601, 1200), 2, 2)
  t.same(await confirm(ticket, 1, 2), { received: 600 })
})

const short = (users: number, batches: string) =>
  invalid(
    `TikTok makes a customer file audience from 1000 users up; the session has ${users} in ${batches} batches: send more or set the route to stream`
  )

test('too few users fail with the last batch, in numbers', async (t) => {
  const { upload, held } = await start(t)
  t.same(await failure(upload(people(1, 999))), short(999, '1 of 1'))

  const other = await start(t)
  const { ticket } = await other.upload(people(1, 500), 0, 2)
  t.equal(await other.confirm(ticket, 0, 2), undefined)
  t.same(await failure(other.upload(people(501, 999), 1, 2)), short(999, '2 of 2'))
  t.same(await failure(other.confirm(ticket, 0, 2)), short(999, '2 of 2'))
  t.same([...held().segments, ...other.held().segments], [])

  const waiting = await start(t)
  const lonely = await waiting.upload(people(1, 500), 1, 2)
  waiting.later(23 * HOUR_MS)
  t.equal(await waiting.confirm(lonely.ticket, 1, 2), undefined)
  waiting.later(2 * HOUR_MS)
  t.same(await failure(waiting.confirm(lonely.ticket, 1, 2)), short(500, '1 of 2'))
})

test('files that are no longer known are told of, not taken for delivered', async (t) => {
  const { context, upload, confirm, later } = await start(t)
  const lost = invalid('the collected files are no longer known: send them again')
  t.same(await failure(confirm('{"md5":"d41d8cd98f00b204e9800998ecf8427e","users":1}')), lost)
  for (const foreign of ['', '{"md5":"d41d8cd98f00b204e9800998ecf8427e"}']) {
    t.same(await failure(confirm(foreign)), invalid('the ticket is not of this provider'))
  }

  const { ticket } = await upload(people(1, 500), 1, 2)
  later(48 * HOUR_MS)
  const next = { ...audience, sessionId: 2, totalBatches: 2 }
  await tiktok.upload(people(1, 5), next, undefined, context)
  t.same(await failure(confirm(ticket, 1, 2)), lost)
})

test('a creation whose answer was lost makes no second audience', async (t) => {
  const { sandbox, upload, held } = await start(t)
  sandbox.failNext({ times: 1, path: '/create/', resetAfter: true })
  t.match(await failure(upload(people(1, 1000))), { errorClass: 'transient' })
  t.same(await failure(upload(people(1, 1000))), processing)
  t.same(await upload(people(1, 1000)), { warnings: [] })
  t.same(
    held().segments.map(({ members }) => members.length),
    [1000]
  )
})

test('an audience just created is known before TikTok lists it, and forgotten when it is gone', async (t) => {
  const { sandbox, context, upload, later, paths } = await start(t)
  await upload(people(1, 1000))
  const empty = { status: 200, body: { code: 0, message: 'OK', data: { list: [] } } }
  sandbox.failNext({ times: 2, path: '/get/', answer: empty })
  const before = sandbox.requests.length
  t.same(await failure(upload(people(1001, 1002))), processing)
  t.same(paths().slice(before), ['/get/'])
  later(11 * 60_000)
  t.same(await failure(upload(people(1001, 1002))), gone)
  t.same(context.notes.get(), {
    sessions: { 1708531200: { ...session(context.notes.get()), sequences: [1], waiting: [] } }
  })
  sandbox.failNext({ times: 1, path: '/get/', error: 'not_found' })
  t.same(await failure(upload(people(1001, 1002), 1, 1, '7300000000000000999')), gone)
})

function session(notes: unknown): object {
  return (notes as { sessions: Record<string, object> }).sessions[1708531200] ?? {}
}

test('an audience that cannot take a file says why before one is sent', async (t) => {
  const { sandbox, upload, paths } = await start(t)
  const details = {
    audience_id: FIRST_ID,
    name: 'blotout_VIP',
    audience_type: 'Customer File Audience',
    calculate_type: 'MULTIPLE_TYPES',
    is_valid: true,
    is_creator: true,
    error_msg: '',
    expired_time: '2099-01-01 00:00:00'
  }
  const cases = [
    [{ is_valid: false }, processing],
    [
      { error_msg: 'Row 3 "ada@veloheim.example" cannot be parsed' },
      invalid('TikTok reports: Row 3 … cannot be parsed')
    ],
    [
      { calculate_type: 'EMAIL_SHA256' },
      invalid('the audience of this name takes EMAIL_SHA256 only: rename or delete it')
    ],
    [{ is_valid: false, expired_time: '2026-01-01 00:00:00' }, gone]
  ] as const
  for (const [changes, expected] of cases) {
    const list = [{ audience_details: { ...details, ...changes }, audience_history: [] }]
    const body = { code: 0, message: 'OK', data: { list } }
    sandbox.failNext({ times: 1, path: '/get/', answer: { status: 200, body } })
    t.same(await failure(upload(people(1, 5), 1, 1, FIRST_ID)), expected)
  }
  sandbox.failNext({ times: 1, path: '/get/', error: 'expired_token' })
  t.match(await failure(upload(people(1, 5), 1, 1, FIRST_ID)), { errorClass: 'auth' })
  t.same(new Set(paths()), new Set(['/get/']))
})

test('the new id is read under either of its names', async (t) => {
  const { sandbox, context, upload } = await start(t)
  const body = { code: 0, message: 'OK', data: { audience_id: '7300000000000000042' } }
  sandbox.failNext({ times: 1, path: '/create/', answer: { status: 200, body } })
  await upload(people(1, 1000))
  t.match(context.notes.get(), { created: { id: '7300000000000000042' } })
})

test('the sandbox refuses files and changes that TikTok refuses', async (t) => {
  const { sandbox, upload, held } = await start(t)
  const send = async (path: string, body: FormData | object) => {
    const isForm = body instanceof FormData
    const response = await fetch(`${sandbox.url}${ROOT}${path}`, {
      method: 'POST',
      headers: {
        'access-token': 'sandbox-tiktok-token',
        ...(!isForm && { 'content-type': 'application/json' })
      },
      body: isForm ? body : JSON.stringify(body)
    })
    return ((await response.json()) as { code: number }).code
  }
  const file = (content: string, changes: Record<string, string> = {}, name = 'a.csv') => {
    const form = new FormData()
    const fields = {
      advertiser_id: ADVERTISER,
      calculate_type: 'MULTIPLE_TYPES',
      file_signature: hash('md5', content),
      ...changes
    }
    for (const [field, value] of Object.entries(fields)) form.append(field, value)
    form.append('file', new Blob([content]), name)
    return send('/file/upload/', form)
  }
  const csv = `email_SHA256,phone_SHA256\n${JANE},`
  t.equal(await file(csv), 0)
  t.equal(await file(csv.toLowerCase()), 0)
  t.equal(await file(csv, {}, 'a.xlsx'), 40908)
  t.equal(await file(csv, { file_signature: '0' }), 40002)
  t.equal(await file(csv, { advertiser_id: '7' }), 40001)
  t.equal(await file(csv, { calculate_type: 'FIRST_NORMAL' }), 40002)
  t.equal(await file(csv, { calculate_type: 'EMAIL_SHA256' }), 40002)
  t.equal(await file(JANE, { calculate_type: 'EMAIL_SHA256' }), 0)
  t.equal(await file(`email_SHA256,phone_SHA256\n${JANE}`), 40002)
  t.equal(await file('email_SHA256,phone_SHA256\n,'), 40002)
  t.equal(await file(`email_SHA256\n${JANE.toUpperCase()}`), 40002)
  t.equal(await file('email_SHA256\njanedoe@gmail.com'), 40002)
  t.equal(await file(`first_name\n${JANE}`), 40002)
  t.equal(await file(`email_SHA256,email_SHA256,email_SHA256\n${JANE},,`), 0)
  t.equal(await file(`email_SHA256,email_SHA256,email_SHA256,email_SHA256\n${JANE},,,`), 40002)
  t.equal(await send('/file/upload/', {}), 40002)
  t.equal(await send('/file/upload/', new FormData()), 40002)

  const create = {
    advertiser_id: ADVERTISER,
    custom_audience_name: 'few',
    file_paths: ['sandbox/1'],
    calculate_type: 'MULTIPLE_TYPES'
  }
  t.equal(await send('/create/', create), 40002)
  t.equal(await send('/create/', { ...create, file_paths: [] }), 40002)
  t.equal(await send('/create/', { ...create, file_paths: ['elsewhere/1'] }), 40002)
  t.equal(await send('/create/', { ...create, calculate_type: 'EMAIL_SHA256' }), 40002)
  t.equal(await send('/create/', { ...create, custom_audience_name: 'x'.repeat(129) }), 40002)

  await upload(people(1, 1000))
  const update = {
    advertiser_id: ADVERTISER,
    custom_audience_id: FIRST_ID,
    action: 'APPEND',
    file_paths: ['sandbox/1']
  }
  const query = `advertiser_id=${ADVERTISER}&custom_audience_ids=["${FIRST_ID}"]`
  const ready = async () => {
    await fetch(`${sandbox.url}${ROOT}/get/?${query}`, {
      headers: { 'access-token': 'sandbox-tiktok-token' }
    })
  }
  const size = () => held().segments[0]?.members.length
  t.equal(await send('/update/', update), 40002, 'it is still being processed')
  await ready()
  t.equal(await send('/update/', { ...update, action: 'MERGE' }), 40002)
  t.equal(await send('/update/', { ...update, custom_audience_id: '7' }), 40007)
  t.equal(await send('/update/', { ...update, action: 'REPLACE' }), 40002)
  t.equal(await send('/update/', update), 0)
  t.equal(size(), 1001)
  await ready()
  t.equal(await send('/update/', { ...update, action: 'REMOVE' }), 0)
  t.equal(size(), 1000)
  await ready()
  const { action: _action, ...withoutAction } = { ...update, file_paths: ['sandbox/5'] }
  t.equal(await send('/update/', withoutAction), 0, 'left out, the action is REPLACE')
  const deletion = { advertiser_id: ADVERTISER, custom_audience_ids: [FIRST_ID] }
  t.equal(await send('/delete/', deletion), 0)
  t.equal(await send('/delete/', deletion), 40007)
})

test('through POST /audience small batches become one audience, or the caller hears why not', async (t) => {
  const { sandbox, held } = await start(t)
  const tag = { ...sandbox.variables, route: 'file' }
  // Polls take little time, and the day that files wait for others is not over at once.
  const clock = fastClock(200)
  const service = await startService(t, { tags: { 'tiktok/eu-shop': tag }, clock })
  const post = async (sessionId: number, sequence: number, from: number, to: number) => {
    const users = Array.from({ length: to - from + 1 }, (_, index) => ({
      email: `user${from + index}@veloheim.example`
    }))
    const batch = { sessionId, sequence, totalBatches: 2, totalUsers: 1200 }
    const { status, body } = await service.post(audienceForm({ batch, users }), '?sync=true')
    return { status, body }
  }
  const delivered = { status: 200, body: { success: true } }
  t.strictSame(await post(1, 1, 1, 600), delivered)
  t.same(held().segments, [])
  t.strictSame(await post(1, 2, 601, 1200), delivered)
  t.match(await service.settled(1), {
    destinations: [
      { state: 'delivered', users: { sent: 1200, received: 1200, invalid: 0, leftOut: 0 } }
    ]
  })
  t.same(
    held().segments.map(({ name, members }) => [name, members.length]),
    [['blotout_High_Value_Customers', 1200]]
  )
  // The wait for TikTok's own work on the first files is the dispatcher's, and takes no time here.
  t.strictSame(await post(2, 1, 1201, 1210), delivered)
  t.equal(held().segments[0]?.members.length, 1210)
})

test('through POST /audience too few users are an error in numbers', async (t) => {
  const { sandbox } = await start(t)
  const tag = { ...sandbox.variables, route: 'file' }
  const service = await startService(t, { tags: { 'tiktok/eu-shop': tag } })
  const { status, body } = await service.post(audienceForm(), '?sync=true')
  t.strictSame(
    { status, body },
    {
      status: 400,
      body: {
        success: false,
        errors: [
          'tiktok/eu-shop: TikTok makes a customer file audience from 1000 users up; the session has 1 in 1 of 1 batches: send more or set the route to stream'
        ]
      }
    }
  )
})
