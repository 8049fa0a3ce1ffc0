import { test, type Test } from 'tap'
import type { Audience, EncodedBody } from '../../providers/provider.ts'
import { tiktok } from '../../providers/tiktok/index.ts'
import type { TikTokVariables } from '../../providers/tiktok/variables.ts'
import type { Members } from '../../src/audience/members.ts'
import type { User } from '../../src/audience/schemas.ts'
import { encodeWhole } from '../support/encode.ts'
import { createMembers } from '../support/members.ts'
import { audience, failureOf, providerContext } from '../support/provider-context.ts'

// Made with `sha256sum`; the first and the digits are also printed in TikTok's help pages.
const JANE = 'd6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69' // janedoe@gmail.com
const LOCAL_PLAIN = 'd4fbd45fef165cec3d84c7cd401d341b732d9a2f3292792bff930c0c4156ffae' // local-part.123+suffix@domain.com
const LOCAL_STRIPPED = '8d771c407c5ac0a6d864156f7f3018b8f3b6f5ce3a6ab66ed8da18a6903f8978' // local-part123@domain.com
const ARMENIA = '241371e614f8650dfae0f111361c69de1bb4829a72b71bb8044daae8b2e7791d' // +37493828222
const ARMENIA_DIGITS = '65b7e6dcf6f4310f8d7cbfbd78289a753062fb054d6664fb9aaac5df66a422d4' // 37493828222

const ADVERTISER = '7100000000000000001'
const FIRST_ID = '7300000000000000001'
const ROOT = '/open_api/v1.3'
const AUDIENCES = `${ROOT}/dmp/custom_audience`

const settings: TikTokVariables = {
  accessToken: 'sandbox-tiktok-token',
  advertiserId: ADVERTISER,
  route: 'stream',
  phoneForm: 'e164',
  emailForm: 'plain',
  batchSize: 1000
}
const BOTH = { emailForm: 'both', phoneForm: 'both' } as const
const FILE = { route: 'file' } as const

const removal: Audience = { ...audience, mode: 'remove' }

const jane: User = { email: 'JaneDoe@gmail.com', phone: '374-93-828222', country: 'AM' }
const local: User = { email: 'local-part.123+suffix@domain.com' }

interface State {
  segments: { id: string; members: Record<string, string[]>[] }[]
}

async function start(t: Test, changes: Partial<TikTokVariables> = {}) {
  const sandbox = await tiktok.sandbox()
  const variables = { ...settings, ...changes }
  const platform = providerContext(sandbox, variables)
  t.teardown(async () => {
    await platform.close()
    await sandbox.close()
  })
  let aheadMs = 0
  const context = { ...platform.context, now: () => Date.now() + aheadMs }
  const bodies = (members: Members, to: Audience) =>
    encodeWhole(tiktok, members, to, variables).bodies
  return {
    sandbox,
    context,
    later: (forMs: number) => {
      aheadMs += forMs
    },
    upload: async (members: Members, id?: string, to: Partial<Audience> = {}) => {
      for (const body of bodies(members, audience)) {
        await tiktok.upload(body, { ...audience, ...to }, id, context)
      }
    },
    remove: async (members: Members, id = FIRST_ID) => {
      const results = []
      for (const body of bodies(members, removal)) {
        results.push(await tiktok.remove(body, removal, id, context))
      }
      return results
    },
    held: () => (sandbox.state() as State).segments.map(({ members }) => members),
    calls: () =>
      sandbox.requests.map(({ method, path, query, body }) => ({ method, path, query, body }))
  }
}

/** No hash of anything, but as different from others as hashes are. */
const hex = (number: number) => number.toString(16).padStart(32, '0').repeat(2)

/** Users `from` to `to`, known by e-mail. */
function people(from: number, to: number): Members {
  return createMembers(
    Array.from({ length: to - from + 1 }, (_, index) => ({ email: hex(from + index) }))
  )
}

const text = ({ payload }: EncodedBody) => new TextDecoder().decode(payload)

const mapping = (action: string, ids: readonly (readonly (string | undefined)[])[]) => ({
  method: 'POST',
  path: `${ROOT}/segment/mapping/`,
  query: {},
  body: {
    advertiser_ids: [ADVERTISER],
    action,
    id_schema: ['EMAIL_SHA256', 'PHONE_SHA256'],
    batch_data: ids.map((row) =>
      row.map((id) => (id === undefined ? {} : { id, audience_ids: [FIRST_ID] }))
    )
  }
})

test('who is removed is named by every hash that adding them sends', async (t) => {
  const rows = [
    [JANE, ARMENIA],
    [undefined, ARMENIA_DIGITS],
    [LOCAL_PLAIN, undefined],
    [LOCAL_STRIPPED, undefined]
  ]
  const { upload, remove, held, calls, context } = await start(t, BOTH)
  const id = await tiktok.createSegment(audience, context)
  await upload(createMembers([jane, local]), id)
  t.same(held(), [
    [
      { EMAIL_SHA256: [JANE], PHONE_SHA256: [ARMENIA] },
      { PHONE_SHA256: [ARMENIA_DIGITS] },
      { EMAIL_SHA256: [LOCAL_PLAIN] },
      { EMAIL_SHA256: [LOCAL_STRIPPED] }
    ]
  ])
  t.same(await remove(createMembers([jane, local])), [{ warnings: [] }])
  t.same(held(), [[]])
  t.same(calls().slice(1), [mapping('add', rows), mapping('delete', rows)])
  t.same(await remove(createMembers([jane])), [{ warnings: [] }], 'who is not in it is no error')
})

test('removing leaves the others in', async (t) => {
  const { upload, remove, held, context } = await start(t)
  const id = await tiktok.createSegment(audience, context)
  await upload(createMembers([jane, local]), id)
  await remove(createMembers([{ phone: '+37493828222' }]))
  t.same(held(), [[{ EMAIL_SHA256: [LOCAL_PLAIN] }]])
})

test('one user whom TikTok refuses to remove does not keep the others in', async (t) => {
  const { sandbox, upload, remove, held, context } = await start(t)
  const id = await tiktok.createSegment(audience, context)
  await upload(people(1, 8), id)
  // Both of them, then the first one alone.
  sandbox.failNext({ times: 2, error: 'invalid_parameter' })
  t.same(await remove(people(1, 2)), [
    { invalid: 1, warnings: ['TikTok refused 1 of 2 users (40002)'] }
  ])
  t.same(
    held()[0]?.map(({ EMAIL_SHA256: ids }) => ids?.[0]),
    [1, 3, 4, 5, 6, 7, 8].map(hex)
  )
})

test('a removal from an audience that is gone says so', async (t) => {
  const stream = await start(t)
  t.match(await failureOf(stream.remove(people(1, 1))), {
    errorClass: 'not_found',
    platformCode: '40007'
  })
  const file = await start(t, FILE)
  t.match(await failureOf(file.remove(people(1, 1))), { errorClass: 'not_found' })
})

test('on the file route a file of the users is uploaded and removed from the audience', async (t) => {
  const { sandbox, context, upload, remove, held, calls } = await start(t, FILE)
  await upload(people(1, 1002))
  t.same(await tiktok.status(FIRST_ID, context), { state: 'processing', matched: 1002 })
  const before = calls().length
  t.same(await remove(people(1002, 1003)), [{ warnings: [] }])
  t.equal(held()[0]?.length, 1001)
  const [get, file, update, ...more] = calls().slice(before)
  t.same(more, [])
  t.match(get, { method: 'GET', path: `${AUDIENCES}/get/` })
  t.match(file, { method: 'POST', path: `${AUDIENCES}/file/upload/` })
  t.match(file?.body, `email_SHA256,phone_SHA256\n${hex(1002)},\n${hex(1003)},\r\n`)
  t.same(update, {
    method: 'POST',
    path: `${AUDIENCES}/update/`,
    query: {},
    body: {
      advertiser_id: ADVERTISER,
      custom_audience_id: FIRST_ID,
      action: 'REMOVE',
      file_paths: ['sandbox/2']
    }
  })

  t.match(
    await failureOf(remove(people(1, 2))),
    { errorClass: 'transient', waitMs: 60_000 },
    'TikTok still works on the file before'
  )
  t.match(await failureOf(remove(people(1, 2))), {
    errorClass: 'invalid',
    message:
      /^TikTok refuses the request: audience: 999 of at least 1000 entries \(request_id .*\): a customer file audience keeps at least 1000 users; to empty it, delete it$/,
    platformCode: '40002'
  })
  t.equal(held()[0]?.length, 1001)
  sandbox.failNext({ times: 1, path: '/update/', error: 'server_error' })
  t.match(await failureOf(remove(people(1, 1))), { errorClass: 'transient', platformCode: '50000' })
})

test('users who wait at TikTok for more are not lost from sight by a removal', async (t) => {
  const { context, later, upload, remove } = await start(t, FILE)
  const waiting = {
    errorClass: 'invalid',
    message:
      'users of this segment wait at TikTok for the other batches of their session: send these, then remove users again'
  }
  t.equal(await tiktok.findSegment(removal, context), undefined)
  await upload(people(1, 500), undefined, { totalBatches: 2 })
  t.match(await failureOf(tiktok.findSegment(removal, context)), waiting)
  t.equal(await tiktok.findSegment(audience, context), undefined)

  await upload(people(501, 1501), undefined, { sessionId: 2 })
  await tiktok.status(FIRST_ID, context)
  t.match(await failureOf(remove(people(1, 1))), waiting)
  later(25 * 3_600_000)
  t.same(await remove(people(501, 501)), [{ warnings: [] }], 'after a day they come no more')
})

test('a file audience that TikTok does not list yet is known by its creation', async (t) => {
  const { sandbox, context, upload } = await start(t, FILE)
  await upload(people(1, 1000))
  const data = { page_info: { total_number: 0, total_page: 0 }, list: [] }
  const answer = { status: 200, body: { code: 0, message: 'OK', request_id: 'r1', data } }
  sandbox.failNext({ times: 2, path: '/list/', answer })
  t.equal(await tiktok.findSegment(audience, context), FIRST_ID)
  t.equal(await tiktok.findSegment(removal, context), FIRST_ID)
})

test('an audience is deleted by the call of its route, and one that is gone counts as deleted', async (t) => {
  const stream = await start(t)
  await tiktok.createSegment(audience, stream.context)
  await tiktok.deleteSegment(FIRST_ID, stream.context)
  await tiktok.deleteSegment(FIRST_ID, stream.context)
  t.same(stream.held(), [])
  const segment = {
    method: 'POST',
    path: `${ROOT}/segment/audience/`,
    query: {},
    body: { advertiser_id: ADVERTISER, action: 'delete', delete_audience_id: FIRST_ID }
  }
  t.same(stream.calls().slice(1), [segment, segment])

  const file = await start(t, FILE)
  await file.upload(people(1, 1000))
  const before = file.calls().length
  await tiktok.deleteSegment(FIRST_ID, file.context)
  await tiktok.deleteSegment(FIRST_ID, file.context)
  t.same(file.held(), [])
  const customerFile = {
    method: 'POST',
    path: `${AUDIENCES}/delete/`,
    query: {},
    body: { advertiser_id: ADVERTISER, custom_audience_ids: [FIRST_ID] }
  }
  t.same(file.calls().slice(before), [customerFile, customerFile])

  file.sandbox.failNext({ times: 1, error: 'no_permission' })
  t.match(await failureOf(tiktok.deleteSegment(FIRST_ID, file.context)), {
    errorClass: 'permission'
  })
})

test("an audience's status is read from what TikTok says of it", async (t) => {
  const { sandbox, context, calls } = await start(t)
  const listed = {
    audience_id: FIRST_ID,
    name: 'blotout_VIP',
    is_valid: true,
    is_expiring: false,
    cover_num: 15_320,
    error_msg: null,
    expired_time: '2099-11-01 10:00:00'
  }
  const past = { expired_time: '2026-01-01 00:00:00' }
  const expired = {
    state: 'suspended',
    message: 'the audience has expired and can only be deleted'
  }
  const cases: readonly (readonly [object, object])[] = [
    [{}, { state: 'ready', matched: 15_320 }],
    [{ cover_num: 1_000 }, { state: 'ready', matched: 1_000 }],
    [{ cover_num: 999 }, { state: 'too_small', matched: 999 }],
    [{ cover_num: 0 }, { state: 'too_small', matched: 0 }],
    [{ is_valid: false }, { state: 'processing', matched: 15_320 }],
    [
      { is_valid: false, cover_num: 0 },
      { state: 'processing', matched: 0 }
    ],
    [{ is_valid: false, cover_num: -1 }, { state: 'processing' }],
    [{ cover_num: null }, { state: 'processing' }],
    [{ cover_num: -1, expired_time: null }, { state: 'processing' }],
    [{ ...past }, { ...expired, matched: 15_320 }],
    [{ ...past, is_valid: false, cover_num: null }, expired],
    [
      { error_msg: 'File of "ana@shop.example" is broken', is_valid: false, cover_num: 0 },
      { state: 'suspended', message: 'File of … is broken', matched: 0 }
    ],
    [
      { is_expiring: true },
      { state: 'ready', message: 'the audience expires on 2099-11-01', matched: 15_320 }
    ],
    [
      { is_expiring: true, expired_time: null },
      { state: 'ready', matched: 15_320 }
    ]
  ]
  for (const [changes, status] of cases) {
    const data = { list: [{ audience_details: { ...listed, ...changes }, audience_history: [] }] }
    const body = { code: 0, message: 'OK', request_id: 'r1', data }
    sandbox.failNext({ times: 1, answer: { status: 200, body } })
    t.same(await tiktok.status(FIRST_ID, context), status, JSON.stringify(changes))
  }
  t.same(calls()[0], {
    method: 'GET',
    path: `${AUDIENCES}/get/`,
    query: { advertiser_id: ADVERTISER, custom_audience_ids: `["${FIRST_ID}"]` },
    body: undefined
  })
})

test('the status of an audience that is gone cannot be told', async (t) => {
  const { sandbox, context } = await start(t)
  const gone = {
    errorClass: 'not_found',
    message: /^TikTok does not know the audience any more/
  }
  t.match(await failureOf(tiktok.status(FIRST_ID, context)), gone)
  sandbox.failNext({ times: 1, error: 'not_found' })
  t.match(await failureOf(tiktok.status(FIRST_ID, context)), gone)
})

test('in the sandbox an audience stands as it is set, else by what it holds', async (t) => {
  const { sandbox, context, upload } = await start(t)
  const id = await tiktok.createSegment(audience, context)
  const status = () => tiktok.status(FIRST_ID, context)
  await upload(people(1, 999), id)
  t.same(await status(), { state: 'too_small', matched: 999 })
  await upload(people(1000, 1000), id)
  t.same(await status(), { state: 'ready', matched: 1000 })
  sandbox.configure({ segments: { '*': { state: 'processing' } } })
  t.same(await status(), { state: 'processing', matched: 1000 })
  sandbox.configure({ segments: { [FIRST_ID]: { state: 'too_small' } } })
  t.same(await status(), { state: 'too_small', matched: 999 })
  sandbox.configure({ segments: { [FIRST_ID]: { state: 'suspended' } } })
  t.same(await status(), {
    state: 'suspended',
    matched: 1000,
    message: 'The audience violates our policy'
  })
})

test('a hash serves only where its form is sent; others are counted', async (t) => {
  const users: User[] = [
    { email: JANE, phone: ARMENIA },
    { email: 'local-part.123+suffix@domain.com', phone: ARMENIA },
    { email: LOCAL_PLAIN },
    {}
  ]
  const encode = (changes: Partial<TikTokVariables>) => {
    const members = createMembers(users, { phoneHashes: 'e164' })
    const { bodies, leftOut, notes } = encodeWhole(tiktok, members, audience, {
      ...settings,
      ...FILE,
      ...changes
    })
    return { rows: bodies.map(text).join().split('\n').slice(1), leftOut, notes }
  }
  const cases: readonly (readonly [Partial<TikTokVariables>, readonly string[], object])[] = [
    [
      {},
      ['email', 'phone'],
      {
        rows: [`${JANE},${ARMENIA}`, `${LOCAL_PLAIN},${ARMENIA}`, `${LOCAL_PLAIN},`],
        leftOut: { no_identifier: 1 },
        notes: {}
      }
    ],
    [
      BOTH,
      ['email', 'phone'],
      {
        rows: [
          `${JANE},,${ARMENIA},`,
          `${LOCAL_PLAIN},${LOCAL_STRIPPED},${ARMENIA},`,
          `${LOCAL_PLAIN},,,`
        ],
        leftOut: { no_identifier: 1 },
        notes: {}
      }
    ],
    [
      { emailForm: 'strip_plus_and_dots' },
      ['phone'],
      {
        rows: [`,${ARMENIA}`, `${LOCAL_STRIPPED},${ARMENIA}`],
        leftOut: { no_identifier: 1, hashed_only: 1 },
        notes: { hashed_email_not_supported: 1 }
      }
    ],
    [
      { phoneForm: 'digits' },
      ['email'],
      {
        rows: [`${JANE},`, `${LOCAL_PLAIN},`],
        leftOut: { no_identifier: 1, duplicate: 1 },
        notes: { hashed_phone_not_supported: 2 }
      }
    ],
    [
      { emailForm: 'strip_plus_and_dots', phoneForm: 'digits' },
      [],
      {
        rows: [`${LOCAL_STRIPPED},`],
        leftOut: { no_identifier: 1, hashed_only: 2 },
        notes: { hashed_phone_not_supported: 1 }
      }
    ]
  ]
  for (const [changes, identifiers, encoding] of cases) {
    t.same(tiktok.hashedIdentifiers({ ...settings, ...changes }), identifiers)
    t.same(encode(changes), encoding, JSON.stringify(changes))
  }
})
