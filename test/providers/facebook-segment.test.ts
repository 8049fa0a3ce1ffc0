import { test, type Test } from 'tap'
import { Value } from 'typebox/value'
import { facebook } from '../../providers/facebook/index.ts'
import type { FacebookVariables } from '../../providers/facebook/variables.ts'
import type { Audience, Encoding } from '../../providers/provider.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import type { User } from '../../src/audience/schemas.ts'
import { encodeWhole } from '../support/encode.ts'
import { createMembers } from '../support/members.ts'
import { audience, failureOf, providerContext } from '../support/provider-context.ts'

/** Made with `printf %s <text> | sha256sum`. */
const HASH = {
  'mary@example.com': 'f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79',
  '16169547888': 'bb2fa2e6d2cea4746530c99686d0c7886ab2019875dca2d7e9e171c0e6ada00d',
  '+16169547888': '0a36809ca24463df1133c40c2e2fa2b7f180038fe7d86bd1923a32a1a54dfe58',
  josé: 'd994e1d001886fe5b45b1267bd1fa2b752ac50742579bd3dad7b2a2aa0ed6866',
  müller: '2dbd218072117713f2d5996a726a9b216ed791ffd0783b6ba4ab6d61b8333192',
  us: '79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621'
}
const SCHEMA = ['EXTERN_ID', 'EMAIL', 'PHONE', 'FN', 'LN', 'COUNTRY', 'ZIP']
const TOKEN = 'sandbox-facebook-token'
const FIRST_ID = '238500001'
const AUDIENCE = `/v26.0/${FIRST_ID}`
const STATUS_FIELDS =
  'operation_status,delivery_status,approximate_count_lower_bound,approximate_count_upper_bound'

const removal: Audience = { ...audience, mode: 'remove' }

function settingsOf(more: object = {}): FacebookVariables {
  const given = { accessToken: TOKEN, adAccountId: '1234567890', ...more }
  return Value.Parse(facebook.variables, Value.Default(facebook.variables, given))
}

async function setup(t: Test, more: object = {}) {
  const sandbox = await facebook.sandbox()
  const settings = settingsOf({ ...sandbox.variables, ...more })
  const platform = providerContext(sandbox, settings)
  t.teardown(async () => {
    await platform.close()
    await sandbox.close()
  })
  const { context } = platform
  const encode = (users: readonly User[], to: Audience) =>
    encodeWhole(facebook, createMembers(users), to, settings)
  return {
    sandbox,
    context,
    upload: async (users: readonly User[]) => {
      for (const body of encode(users, audience).bodies) {
        await facebook.upload(body, audience, FIRST_ID, context)
      }
    },
    remove: async (users: readonly User[]) => {
      const results = []
      for (const body of encode(users, removal).bodies) {
        results.push(await facebook.remove(body, removal, FIRST_ID, context))
      }
      return results
    }
  }
}

const payloadsOf = ({ bodies }: Encoding) =>
  bodies.map(({ payload }): unknown => JSON.parse(new TextDecoder().decode(payload)))

/** The `EXTERN_ID` of everybody whom the sandbox holds. */
const heldIds = (sandbox: Sandbox) =>
  (sandbox.state() as { segments: { members: { EXTERN_ID: string }[] }[] }).segments.map(
    ({ members }) => members.map(({ EXTERN_ID }) => EXTERN_ID)
  )

test('who is removed is identified as when they were added, without value and processing options', async (t) => {
  const settings = settingsOf({
    valueBased: { field: 'profit', currency: 'USD' },
    dataProcessingOptions: ['LDU']
  })
  const users: User[] = [
    {
      edgeTagId: 'tag-1',
      email: ' Mary@Example.com ',
      phone: '+1 (616) 954-78 88',
      purchase: { currency: 'EUR', profit: 4 }
    },
    { firstName: 'José', lastName: 'Müller', country: 'US' },
    { firstName: 'José' }
  ]
  const encoding = encodeWhole(facebook, createMembers(users), removal, settings)
  t.strictSame(payloadsOf(encoding), [
    {
      schema: SCHEMA,
      data: [
        ['tag-1', HASH['mary@example.com'], HASH['16169547888'], '', '', '', ''],
        ['', '', '', HASH.josé, HASH.müller, HASH.us, '']
      ]
    }
  ])
  t.strictSame(encoding.leftOut, { no_identifier: 1 })
  t.strictSame(encoding.notes, {})
})

test('a phone number that came as a hash of E.164 stays away, and is counted', async (t) => {
  const phone = HASH['+16169547888']
  const users: User[] = [
    { edgeTagId: 'tag-1', email: HASH['mary@example.com'], phone },
    { edgeTagId: 'tag-2', phone: '+16169547888' },
    { phone },
    {}
  ]
  for (const to of [audience, removal]) {
    const members = createMembers(users, { phoneHashes: 'e164' })
    const encoding = encodeWhole(facebook, members, to, settingsOf())
    t.strictSame(payloadsOf(encoding), [
      {
        schema: SCHEMA,
        data: [
          ['tag-1', HASH['mary@example.com'], '', '', '', '', ''],
          ['tag-2', '', HASH['16169547888'], '', '', '', '']
        ]
      }
    ])
    t.strictSame(encoding.leftOut, { no_identifier: 1, hashed_only: 1 })
    t.strictSame(encoding.notes, { hashed_phone_not_supported: 1 })
  }
  t.strictSame(facebook.hashedIdentifiers(settingsOf()), ['email'])
})

test('users are removed by DELETE with the rows and a session of its own', async (t) => {
  const { sandbox, context, upload, remove } = await setup(t)
  await facebook.createSegment(audience, context)
  await upload([
    { edgeTagId: 'tag-1', email: 'mary@example.com' },
    { edgeTagId: 'tag-2', phone: '+16169547888' },
    { firstName: 'José', lastName: 'Müller', country: 'US' },
    { edgeTagId: 'tag-4', firstName: 'José', lastName: 'Müller', country: 'US' }
  ])
  const results = await remove([
    { email: 'mary@example.com' },
    { edgeTagId: 'tag-2' },
    { firstName: 'José', lastName: 'Müller', country: 'US' },
    { edgeTagId: 'stranger' }
  ])
  t.strictSame(results, [{ received: 4, invalid: 0 }])
  t.strictSame(heldIds(sandbox), [['tag-4']])

  const { method, path, query, headers, body } = sandbox.requests.at(-1)!
  const { session_id: sessionId } = (body as { session: { session_id: number } }).session
  t.ok(Number.isInteger(sessionId) && sessionId > 0 && sessionId < 2 ** 48)
  t.strictSame(
    { method, path, query, authorization: headers.authorization, type: headers['content-type'] },
    {
      method: 'DELETE',
      path: `${AUDIENCE}/users`,
      query: {},
      authorization: `Bearer ${TOKEN}`,
      type: 'application/json'
    }
  )
  t.strictSame(body, {
    payload: {
      schema: SCHEMA,
      data: [
        ['', HASH['mary@example.com'], '', '', '', '', ''],
        ['tag-2', '', '', '', '', '', ''],
        ['', '', '', HASH.josé, HASH.müller, HASH.us, ''],
        ['stranger', '', '', '', '', '', '']
      ]
    },
    session: { session_id: sessionId, batch_seq: 1, last_batch_flag: true, estimated_num_total: 4 }
  })
})

test('people leave an audience with values by what identifies them', async (t) => {
  const { sandbox, context, upload, remove } = await setup(t, {
    valueBased: { field: 'profit', currency: 'USD' }
  })
  await facebook.createSegment(audience, context)
  await upload([
    { edgeTagId: 'tag-1', purchase: { currency: 'USD', profit: 4 } },
    { edgeTagId: 'tag-2', purchase: { currency: 'USD', profit: 5 } }
  ])
  t.strictSame(await remove([{ edgeTagId: 'tag-1' }]), [{ received: 1, invalid: 0 }])
  t.strictSame(heldIds(sandbox), [['tag-2']])

  const changed = providerContext(sandbox, settingsOf(sandbox.variables))
  t.teardown(() => changed.close())
  t.equal(await facebook.findSegment(removal, changed.context), FIRST_ID, 'settings may change')
  t.match(await failureOf(facebook.findSegment(audience, changed.context)), {
    errorClass: 'invalid'
  })
})

test('a removal from an audience that is gone says so', async (t) => {
  const { remove } = await setup(t)
  t.match(await failureOf(remove([{ edgeTagId: 'tag-1' }])), {
    errorClass: 'not_found',
    platformCode: '100/33'
  })
})

test('an audience is deleted, and one that is gone already counts as deleted', async (t) => {
  const { sandbox, context } = await setup(t)
  await facebook.createSegment(audience, context)
  await facebook.deleteSegment(FIRST_ID, context)
  t.strictSame(sandbox.state(), { segments: [] })
  await facebook.deleteSegment(FIRST_ID, context)
  sandbox.failNext({ times: 1, error: 'audience_deleted' })
  await facebook.deleteSegment(FIRST_ID, context)

  const deletion = ['DELETE', AUDIENCE, {}]
  const account = ['GET', '/v26.0/act_1234567890', { fields: 'tos_accepted' }]
  t.strictSame(
    sandbox.requests.slice(1).map(({ method, path, query }) => [method, path, query]),
    [deletion, deletion, account, deletion, account]
  )
  t.equal(await facebook.createSegment(audience, context), '238500002', 'ids are not given twice')
})

test('an audience is not taken for deleted where it only cannot be seen or is not listed yet', async (t) => {
  const { sandbox, context } = await setup(t, { adAccountId: '42' })
  t.match(await failureOf(facebook.deleteSegment(FIRST_ID, context)), {
    errorClass: 'permission',
    platformCode: '100/33'
  })
  for (const error of ['audience_not_yet_visible', 'audience_not_shared']) {
    sandbox.failNext({ times: 1, error })
    t.match(await failureOf(facebook.deleteSegment(FIRST_ID, context)), { errorClass: 'not_found' })
  }
})

test('an audience on which lookalikes are built is not deleted', async (t) => {
  const { sandbox, context } = await setup(t)
  await facebook.createSegment(audience, context)
  sandbox.failNext({ times: 1, error: 'lookalikes_exist' })
  t.match(await failureOf(facebook.deleteSegment(FIRST_ID, context)), {
    errorClass: 'invalid',
    message: 'the audience cannot be deleted while lookalikes are built on it (fbtrace_id Axyz)',
    platformCode: '2656'
  })
  sandbox.failNext({ times: 1, answer: { status: 200, body: { success: false } } })
  t.match(await failureOf(facebook.deleteSegment(FIRST_ID, context)), { errorClass: 'transient' })
})

test("an audience's status is read from what Meta says of it", async (t) => {
  const { sandbox, context } = await setup(t)
  const at = (operation: number, delivery: number, bounds: readonly number[] = []) => ({
    id: FIRST_ID,
    operation_status: { code: operation, description: `Operation of ana@shop.example` },
    delivery_status: { code: delivery, description: 'Delivery' },
    ...(bounds[0] !== undefined && { approximate_count_lower_bound: bounds[0] }),
    ...(bounds[1] !== undefined && { approximate_count_upper_bound: bounds[1] })
  })
  const operation = (code: number) => `Operation of … (${code})`
  const cases: readonly (readonly [object, object])[] = [
    [at(200, 200, [5300, 6200]), { state: 'ready', matched: 5300 }],
    [at(200, 200, [-1, -1]), { state: 'ready' }],
    [at(200, 200), { state: 'ready' }],
    [at(200, 300, [20, 20]), { state: 'too_small', matched: 20 }],
    // The placeholder of an audience that is locked or tiny.
    [at(200, 300, [1000, 1000]), { state: 'too_small' }],
    [at(200, 200, [1000, 1200]), { state: 'ready', matched: 1000 }],
    [at(0, 200), { state: 'processing' }],
    [at(410, 300), { state: 'processing' }],
    [at(414, 200), { state: 'processing' }],
    [at(441, 200, [5300, 6200]), { state: 'processing', matched: 5300 }],
    [at(441, 400), { state: 'processing' }],
    [at(100, 200), { state: 'ready', message: operation(100) }],
    [at(400, 200), { state: 'ready', message: operation(400) }],
    [at(411, 300), { state: 'too_small', message: operation(411) }],
    [at(412, 200), { state: 'ready', message: operation(412) }],
    [at(450, 200), { state: 'ready', message: operation(450) }],
    [at(421, 200), { state: 'ready' }],
    [at(434, 200), { state: 'ready' }],
    [at(442, 300), { state: 'too_small' }],
    [at(415, 200), { state: 'suspended', message: operation(415) }],
    [at(470, 200), { state: 'suspended', message: operation(470) }],
    [at(471, 200), { state: 'suspended', message: operation(471) }],
    [at(500, 200), { state: 'suspended', message: operation(500) }],
    [at(200, 400), { state: 'suspended', message: 'Delivery (400)' }],
    [at(200, 0), { state: 'processing' }],
    [{ id: FIRST_ID }, { state: 'processing' }],
    [
      { id: FIRST_ID, operation_status: { code: 200 }, delivery_status: { code: 433 } },
      { state: 'suspended', message: 'status 433' }
    ]
  ]
  for (const [answer, status] of cases) {
    sandbox.failNext({ times: 1, answer: { status: 200, body: answer } })
    t.strictSame(await facebook.status(FIRST_ID, context), status, JSON.stringify(answer))
  }
  const { method, path, query } = sandbox.requests[0]!
  t.strictSame([method, path, query], ['GET', AUDIENCE, { fields: STATUS_FIELDS }])
})

test('the status of an audience that is gone cannot be told', async (t) => {
  const { context } = await setup(t)
  t.match(await failureOf(facebook.status(FIRST_ID, context)), {
    errorClass: 'not_found',
    platformCode: '100/33'
  })
})

test('in the sandbox an audience stands as it is set, else by what it holds', async (t) => {
  const { sandbox, context, upload, remove } = await setup(t)
  const status = () => facebook.status(FIRST_ID, context)
  const people = Array.from({ length: 100 }, (_, i) => ({ edgeTagId: `tag-${i}` }))
  await facebook.createSegment(audience, context)
  t.strictSame(await status(), { state: 'processing', matched: 0 }, 'nothing was uploaded yet')
  await upload(people.slice(0, 99))
  t.strictSame(await status(), { state: 'too_small', matched: 99 })
  await upload(people)
  t.strictSame(await status(), { state: 'ready', matched: 100 })

  sandbox.configure({ segments: { '*': { state: 'processing' } } })
  t.strictSame(await status(), { state: 'processing', matched: 100 })
  sandbox.configure({ segments: { '*': { matched: 4 }, [FIRST_ID]: { matched: 5000 } } })
  t.strictSame(await status(), { state: 'ready', matched: 5000 })
  sandbox.configure({ segments: { '*': { matched: 4 } } })
  t.strictSame(await status(), { state: 'too_small', matched: 4 })
  sandbox.configure({ segments: { '*': { state: 'suspended' } } })
  t.strictSame(await status(), {
    state: 'suspended',
    matched: 100,
    message: 'Flagged for integrity (471)'
  })
  sandbox.configure({ segments: { '*': { state: 'too_small' } } })
  t.strictSame(await status(), { state: 'too_small', matched: 99 })
  sandbox.configure({ segments: null })
  await remove(people)
  t.strictSame(await status(), { state: 'too_small', matched: 0 })
  sandbox.configure({ segments: { '*': { state: 'ready' } } })
  t.strictSame(await status(), { state: 'ready', matched: 100 })
})
