import { test, type Test } from 'tap'
import { Value } from 'typebox/value'
import { facebook } from '../../providers/facebook/index.ts'
import type { FacebookVariables } from '../../providers/facebook/variables.ts'
import type { Audience } from '../../providers/provider.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import { encodeWhole } from '../support/encode.ts'
import { createMembers } from '../support/members.ts'
import type { User } from '../../src/audience/schemas.ts'
import { audience, failureOf, providerContext } from '../support/provider-context.ts'

/** Made with `printf %s <text> | sha256sum`; the first and the last are Meta's own examples. */
const HASH = {
  'mary@example.com': 'f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79',
  '16169547888': 'bb2fa2e6d2cea4746530c99686d0c7886ab2019875dca2d7e9e171c0e6ada00d',
  josé: 'd994e1d001886fe5b45b1267bd1fa2b752ac50742579bd3dad7b2a2aa0ed6866',
  müller: '2dbd218072117713f2d5996a726a9b216ed791ffd0783b6ba4ab6d61b8333192',
  us: '79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621',
  gb: '0b407281768f0e833afef47ed464b6571d01ca4d53c12ce5c51d1462f4ad6677',
  '37221': '4c8aef49c98ac36122e884c4bb76b30384118053921db0ffd3ec31c4f1d93a40',
  sw1a1: '949af780a19e6f6d4b99d7044743348dbbb7ab2245fe146863573b23d02c5890',
  sw1a1aa: '830e1d4b9838bab1f5c2acdb23e0b502ff13a9832c4632e8d67a1d43d3b7f614',
  '15559876543': '1ef970831d7963307784fa8688e8fce101a15685d62aa765fed23f3a2c576a4e'
}
const SCHEMA = ['EXTERN_ID', 'EMAIL', 'PHONE', 'FN', 'LN', 'COUNTRY', 'ZIP']
const TOKEN = 'sandbox-facebook-token'
const LIST_FIELDS = 'id,name,subtype,time_updated,is_value_based'
/** HMAC-SHA256 of the token above, by `openssl dgst -sha256 -hmac sandbox-facebook-secret`. */
const PROOF = '26dc65a59bdfadf17d29dba2d556a5df9931ecf6c0dd2cd16185b6a660202e60'

const primary: Audience = { ...audience, type: 'primary' }

function settingsOf(more: Readonly<Record<string, unknown>> = {}): FacebookVariables {
  const given = { accessToken: TOKEN, adAccountId: '1234567890', ...more }
  return Value.Parse(facebook.variables, Value.Default(facebook.variables, given))
}

function encode(users: readonly User[], more: Readonly<Record<string, unknown>> = {}) {
  const { bodies, ...rest } = encodeWhole(
    facebook,
    createMembers(users),
    audience,
    settingsOf(more)
  )
  const payloads = bodies.map(({ payload, users: count }) => ({
    users: count,
    payload: JSON.parse(Buffer.from(payload).toString('utf8')) as { data: unknown[][] }
  }))
  return { payloads, ...rest }
}

async function setup(t: Test, more: Readonly<Record<string, unknown>> = {}) {
  const sandbox = await facebook.sandbox()
  const settings = settingsOf({ ...sandbox.variables, ...more })
  const platform = providerContext(sandbox, settings)
  t.teardown(async () => {
    await platform.close()
    await sandbox.close()
  })
  return { sandbox, context: platform.context }
}

async function addAudience(sandbox: Sandbox, audienceToAdd: object) {
  const response = await fetch(`${sandbox.url}/v26.0/act_1234567890/customaudiences`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}` },
    body: JSON.stringify({
      name: 'blotout_VIP',
      subtype: 'CUSTOM',
      customer_file_source: 'USER_PROVIDED_ONLY',
      ...audienceToAdd
    })
  })
  const { id } = (await response.json()) as { id: string }
  return id
}

const bodyOf = (users: readonly User[], more = {}) =>
  encodeWhole(facebook, createMembers(users), audience, settingsOf(more)).bodies[0]!

test('a user becomes one row of hashes in the order of the schema, unknown values empty', async (t) => {
  const users = [
    {
      edgeTagId: 'tag-1',
      email: ' Mary@Example.com ',
      phone: '+1 (616) 954-78 88',
      firstName: 'José',
      lastName: 'Müller',
      country: 'United States',
      postalCode: '37221-3312'
    },
    { email: HASH['mary@example.com'].toUpperCase(), phone: HASH['15559876543'] },
    { phone: '616 954 7888', country: 'US', email: 'n/a' }
  ]
  t.strictSame(encode(users), {
    payloads: [
      {
        users: 3,
        payload: {
          schema: SCHEMA,
          data: [
            [
              'tag-1',
              HASH['mary@example.com'],
              HASH['16169547888'],
              HASH.josé,
              HASH.müller,
              HASH.us,
              HASH['37221']
            ],
            ['', HASH['mary@example.com'], HASH['15559876543'], '', '', '', ''],
            ['', '', HASH['16169547888'], '', '', HASH.us, '']
          ]
        }
      }
    ],
    leftOut: {},
    notes: {}
  })
})

test('users that Meta cannot match on are left out and counted', async (t) => {
  const name = { firstName: 'José', lastName: 'Müller' }
  const usable: User[] = [
    { edgeTagId: 'tag-1' },
    { ...name, country: 'US' },
    { ...name, postalCode: '37221' }
  ]
  const unusable: User[] = [
    {},
    name,
    { email: 'n/a', phone: 'call me' },
    { firstName: 'José', country: 'US', postalCode: '37221' },
    { country: 'US', postalCode: '37221' }
  ]
  const { payloads, leftOut } = encode([...unusable, ...usable])
  t.strictSame(leftOut, { no_identifier: 5 })
  t.strictSame(
    payloads.map(({ payload }) => payload.data),
    [
      [
        ['tag-1', '', '', '', '', '', ''],
        ['', '', '', HASH.josé, HASH.müller, HASH.us, ''],
        ['', '', '', HASH.josé, HASH.müller, '', HASH['37221']]
      ]
    ]
  )
  t.strictSame(encode(unusable), { payloads: [], leftOut: { no_identifier: 5 }, notes: {} })
})

test('a request holds at most batchSize users, 10,000 by default', async (t) => {
  const users = Array.from({ length: 10_001 }, (_, i) => ({ edgeTagId: `tag-${i}` }))
  const sizes = (count: number, more = {}) =>
    encode(users.slice(0, count), more).payloads.map((body) => [
      body.users,
      body.payload.data.length
    ])
  t.strictSame(sizes(10_000), [[10_000, 10_000]])
  t.strictSame(sizes(10_001), [
    [10_000, 10_000],
    [1, 1]
  ])
  t.strictSame(sizes(5, { batchSize: 2 }), [
    [2, 2],
    [2, 2],
    [1, 1]
  ])
  const rows = encode(users.slice(0, 5), { batchSize: 2 }).payloads.flatMap(
    ({ payload }) => payload.data
  )
  t.strictSame(
    rows.map(([id]) => id),
    ['tag-0', 'tag-1', 'tag-2', 'tag-3', 'tag-4']
  )
})

test('the same members give the same bytes', async (t) => {
  const users = [{ edgeTagId: 'tag-1', email: 'mary@example.com', firstName: '李明' }]
  t.ok(Buffer.from(bodyOf(users).payload).equals(bodyOf(users).payload))
})

test('British postcodes are cut to the sector unless the tag wants them whole', async (t) => {
  const users = [{ edgeTagId: 'tag-1', country: 'UK', postalCode: 'SW1A 1AA' }]
  const data = (more = {}) => encode(users, more).payloads[0]?.payload.data
  t.strictSame(data(), [['tag-1', '', '', '', '', HASH.gb, HASH.sw1a1]])
  t.strictSame(data({ ukPostalCode: 'full' }), [['tag-1', '', '', '', '', HASH.gb, HASH.sw1a1aa]])
})

test('valueBased adds the summed value in its currency and reports purchases in others', async (t) => {
  const users: User[] = [
    {
      edgeTagId: 'sum',
      purchase: [
        { currency: 'USD', profit: 40.5, total7Days: 100 },
        { currency: 'usd', profit: 4 },
        { currency: 'EUR', profit: 1000 }
      ]
    },
    { edgeTagId: 'loss', purchase: { currency: 'USD', profit: -3 } },
    { edgeTagId: 'foreign', purchase: { currency: 'EUR', profit: 7 } },
    { edgeTagId: 'nothing-bought' },
    {
      edgeTagId: 'huge',
      purchase: [
        { currency: 'USD', profit: Number.MAX_VALUE },
        { currency: 'USD', profit: Number.MAX_VALUE }
      ]
    }
  ]
  t.strictSame(encode(users, { valueBased: { field: 'profit', currency: 'USD' } }), {
    payloads: [
      {
        users: 5,
        payload: {
          schema: [...SCHEMA, 'LOOKALIKE_VALUE'],
          data: [
            ['sum', '', '', '', '', '', '', 44.5],
            ['loss', '', '', '', '', '', '', 0],
            ['foreign', '', '', '', '', '', '', 0],
            ['nothing-bought', '', '', '', '', '', '', 0],
            ['huge', '', '', '', '', '', '', Number.MAX_VALUE]
          ]
        }
      }
    ],
    leftOut: {},
    notes: { purchase_in_other_currency: 2 }
  })
  const { payloads, notes } = encode(users.slice(0, 1), {
    valueBased: { field: 'total7Days', currency: 'USD' }
  })
  t.strictSame(payloads[0]?.payload.data, [['sum', '', '', '', '', '', '', 100]])
  t.strictSame(notes, { purchase_in_other_currency: 1 })
})

test('dataProcessingOptions adds the columns of Limited Data Use to every row', async (t) => {
  const users = [{ edgeTagId: 'tag-1' }, { edgeTagId: 'tag-2' }]
  const payload = (more: object) =>
    encode(users, { dataProcessingOptions: ['LDU'], ...more }).payloads[0]?.payload
  const columns = [
    'DATA_PROCESSING_OPTIONS',
    'DATA_PROCESSING_OPTIONS_COUNTRY',
    'DATA_PROCESSING_OPTIONS_STATE'
  ]
  t.strictSame(payload({ dataProcessingOptionsCountry: 1, dataProcessingOptionsState: 1000 }), {
    schema: [...SCHEMA, ...columns],
    data: [
      ['tag-1', '', '', '', '', '', '', ['LDU'], 1, 1000],
      ['tag-2', '', '', '', '', '', '', ['LDU'], 1, 1000]
    ]
  })
  t.strictSame(payload({ valueBased: { field: 'profit', currency: 'USD' } }), {
    schema: [...SCHEMA, 'LOOKALIKE_VALUE', ...columns],
    data: [
      ['tag-1', '', '', '', '', '', '', 0, ['LDU'], 0, 0],
      ['tag-2', '', '', '', '', '', '', 0, ['LDU'], 0, 0]
    ]
  })
})

test('the configuration has defaults, refuses what Meta would, and marks its secrets', async (t) => {
  t.strictSame(settingsOf(), {
    accessToken: TOKEN,
    adAccountId: '1234567890',
    apiVersion: 'v26.0',
    batchSize: 10_000,
    customerFileSource: 'USER_PROVIDED_ONLY',
    primarySubtype: 'CUSTOM',
    ukPostalCode: 'sector',
    dataProcessingOptionsCountry: 0,
    dataProcessingOptionsState: 0
  })
  const refused = [
    { accessToken: '' },
    { adAccountId: 'act_' },
    { adAccountId: '12/../34' },
    { apiVersion: '26' },
    { baseUrl: 'graph.facebook.com' },
    { batchSize: 10_001 },
    { batchSize: 0 },
    { customerFileSource: 'MINE' },
    { primarySubtype: 'LOOKALIKE' },
    { valueBased: { field: 'profit' } },
    { valueBased: { field: 'profit', currency: 'dollars' } },
    { dataProcessingOptions: ['ldu'] },
    { dataProcessingOptionsState: 1001 },
    { acessToken: 'misspelt' }
  ]
  for (const more of refused) {
    t.notOk(Value.Check(facebook.variables, { ...settingsOf(), ...more }), JSON.stringify(more))
  }
  const secrets = Object.entries(facebook.variables.properties)
    .filter(([, schema]) => 'secret' in schema && schema.secret === true)
    .map(([name]) => name)
  t.strictSame(secrets, ['accessToken', 'appSecret'])
})

test('a country for Limited Data Use needs a state, and a state a country', async (t) => {
  const message =
    'dataProcessingOptionsCountry and dataProcessingOptionsState must both be set or both be 0'
  const cases = [
    { country: 0, state: 0, problems: [] },
    { country: 1, state: 1000, problems: [] },
    { country: 1, state: 0, problems: [message] },
    { country: 0, state: 1000, problems: [message] }
  ]
  for (const { country, state, problems } of cases) {
    const settings = settingsOf({
      dataProcessingOptionsCountry: country,
      dataProcessingOptionsState: state
    })
    t.strictSame(facebook.problems?.(settings), problems)
  }
})

test('an account is known by its digits, a segment by its whole name', async (t) => {
  t.equal(facebook.accountId(settingsOf({ adAccountId: 'act_77' })), '77')
  t.equal(facebook.accountId(settingsOf({ adAccountId: '77' })), '77')
  t.equal(facebook.storedName('blotout_Übergröße 😀', settingsOf()), 'blotout_Übergröße 😀')
  t.strictSame(facebook.limits(settingsOf({ batchSize: 500 })), {
    usersPerRequest: 500,
    requestsInFlight: 4,
    rates: [{ requests: 5000, perMs: 3_600_000 }]
  })
})

test('find pages through all audiences and takes only the exact name', async (t) => {
  const { sandbox, context } = await setup(t, { adAccountId: 'act_1234567890' })
  const id = await addAudience(sandbox, {})
  const decoys = [
    { name: 'blotout_vip' },
    { name: 'blotout_VIP ' },
    { name: 'blotout_VIP_2' },
    { name: 'VIP' },
    { subtype: 'LOOKALIKE' },
    { subtype: 'WEBSITE' },
    { subtype: 'PRIMARY' }
  ]
  const fillers = Array.from({ length: 200 }, (_, i) => ({ name: `filler ${i}` }))
  for (const decoy of [...decoys, ...fillers]) await addAudience(sandbox, decoy)
  const before = sandbox.requests.length

  t.equal(await facebook.findSegment(audience, context), id)
  const calls = sandbox.requests.slice(before)
  t.strictSame(
    calls.map(({ method, path, query, headers, body }) => ({
      method,
      path,
      query,
      authorization: headers.authorization,
      body
    })),
    ['', 'UVZGSTEwMA', 'UVZGSTIwMA'].map((after) => ({
      method: 'GET',
      path: '/v26.0/act_1234567890/customaudiences',
      query: { fields: LIST_FIELDS, limit: '100', ...(after !== '' && { after }) },
      authorization: `Bearer ${TOKEN}`,
      body: undefined
    }))
  )
})

test('find gives nothing where there are only look-alikes of the name, or nothing at all', async (t) => {
  const { sandbox, context } = await setup(t)
  t.equal(await facebook.findSegment(audience, context), undefined)
  await addAudience(sandbox, { name: 'blotout_vip' })
  await addAudience(sandbox, { subtype: 'LOOKALIKE' })
  t.equal(await facebook.findSegment(audience, context), undefined)
})

test('of several audiences of one name the one updated last is found', async (t) => {
  const { sandbox, context } = await setup(t)
  const older = await addAudience(sandbox, {})
  const newer = await addAudience(sandbox, {})
  t.equal(await facebook.findSegment(audience, context), newer)
  await facebook.upload(bodyOf([{ edgeTagId: 'tag-1' }]), audience, older, context)
  t.equal(await facebook.findSegment(audience, context), older)
})

test('find asks for smaller pages where Meta wants less data, and gives up at the smallest', async (t) => {
  const { sandbox, context } = await setup(t)
  const id = await addAudience(sandbox, {})
  sandbox.failNext({ error: 'too_much_data', times: 2 })
  t.equal(await facebook.findSegment(audience, context), id)
  t.strictSame(
    sandbox.requests.slice(1).map(({ query }) => query.limit),
    ['100', '20', '5']
  )
  sandbox.failNext({ error: 'too_much_data', times: 3 })
  t.match(await failureOf(facebook.findSegment(audience, context)), {
    errorClass: 'transient',
    platformCode: '1'
  })
})

test('find does not loop where a cursor leads to itself or is missing', async (t) => {
  const { sandbox, context } = await setup(t)
  for (const cursors of [{ after: 'same' }, {}]) {
    const body = { data: [], paging: { cursors, next: 'https://graph.facebook.com/next' } }
    sandbox.failNext({ times: 2, answer: { status: 200, body } })
    t.match(await failureOf(facebook.findSegment(audience, context)), {
      errorClass: 'transient',
      message: 'Meta gave an answer of an unknown form'
    })
    sandbox.reset()
  }
})

test('primarySubtype PRIMARY finds and creates primary audiences, else they are custom ones', async (t) => {
  const { sandbox, context } = await setup(t, { primarySubtype: 'PRIMARY' })
  await addAudience(sandbox, {})
  t.equal(await facebook.findSegment(primary, context), undefined)
  t.equal(sandbox.requests.at(-1)?.query.fetch_primary_audience, 'true')
  const id = await facebook.createSegment(primary, context)
  t.equal(await facebook.findSegment(primary, context), id)
  t.equal(await facebook.findSegment(audience, context), '238500001')
  t.notOk('fetch_primary_audience' in sandbox.requests.at(-1)!.query)

  const asCustom = await setup(t)
  await facebook.createSegment(primary, asCustom.context)
  t.strictSame(asCustom.sandbox.requests.at(-1)?.body, {
    name: 'blotout_VIP',
    subtype: 'CUSTOM',
    customer_file_source: 'USER_PROVIDED_ONLY',
    description: 'Primary customer list synced by Audience API'
  })
})

test('create sends what Meta requires of a customer list', async (t) => {
  const { sandbox, context } = await setup(t, {
    customerFileSource: 'BOTH_USER_AND_PARTNER_PROVIDED',
    valueBased: { field: 'profit', currency: 'USD' }
  })
  t.equal(await facebook.createSegment(audience, context), '238500001')
  const { method, path, query, headers, body } = sandbox.requests[0]!
  t.strictSame(
    { method, path, query, authorization: headers.authorization, type: headers['content-type'] },
    {
      method: 'POST',
      path: '/v26.0/act_1234567890/customaudiences',
      query: {},
      authorization: `Bearer ${TOKEN}`,
      type: 'application/json'
    }
  )
  t.strictSame(body, {
    name: 'blotout_VIP',
    subtype: 'CUSTOM',
    customer_file_source: 'BOTH_USER_AND_PARTNER_PROVIDED',
    description: 'Customer list synced by Audience API',
    is_value_based: true
  })
})

test('upload sends the rows in a session of its own and reports what was taken', async (t) => {
  const { sandbox, context } = await setup(t)
  const id = await facebook.createSegment(audience, context)
  const body = bodyOf([
    { edgeTagId: 'tag-1', email: 'mary@example.com' },
    { email: 'mary@example.com' }
  ])
  t.strictSame(await facebook.upload(body, audience, id, context), { received: 2, invalid: 0 })
  t.strictSame(await facebook.upload(body, audience, id, context), { received: 2, invalid: 0 })

  const sessionIds = sandbox.requests
    .slice(1)
    .map(({ method, path, query, headers, body: sent }) => {
      const { session_id: sessionId } = (sent as { session: { session_id: number } }).session
      t.ok(Number.isInteger(sessionId) && sessionId > 0 && sessionId < 2 ** 48)
      t.strictSame(
        {
          method,
          path,
          query,
          authorization: headers.authorization,
          type: headers['content-type']
        },
        {
          method: 'POST',
          path: '/v26.0/238500001/users',
          query: {},
          authorization: `Bearer ${TOKEN}`,
          type: 'application/json'
        }
      )
      t.strictSame(sent, {
        payload: {
          schema: SCHEMA,
          data: [
            ['tag-1', HASH['mary@example.com'], '', '', '', '', ''],
            ['', HASH['mary@example.com'], '', '', '', '', '']
          ]
        },
        session: {
          session_id: sessionId,
          batch_seq: 1,
          last_batch_flag: true,
          estimated_num_total: 2
        }
      })
      return sessionId
    })
  t.equal(new Set(sessionIds).size, 2)
  const member = { PHONE: '', FN: '', LN: '', COUNTRY: '', ZIP: '' }
  t.strictSame(sandbox.state(), {
    segments: [
      {
        id: '238500001',
        name: 'blotout_VIP',
        subtype: 'CUSTOM',
        description: 'Customer list synced by Audience API',
        customerFileSource: 'USER_PROVIDED_ONLY',
        isValueBased: false,
        members: [
          { EXTERN_ID: 'tag-1', EMAIL: HASH['mary@example.com'], ...member },
          { EXTERN_ID: '', EMAIL: HASH['mary@example.com'], ...member }
        ]
      }
    ]
  })
})

test('upload reads counts as numbers or text, and does without them', async (t) => {
  const { sandbox, context } = await setup(t)
  const body = bodyOf([{ edgeTagId: 'tag-1' }])
  const answers = [
    [
      { num_received: 2, num_invalid_entries: 1, invalid_entry_samples: [] },
      { received: 2, invalid: 1 }
    ],
    [
      { session_id: 7, num_received: '2', num_invalid_entries: '0' },
      { received: 2, invalid: 0 }
    ],
    [{}, {}]
  ]
  for (const [answer, result] of answers) {
    sandbox.failNext({ times: 1, answer: { status: 200, body: answer } })
    t.strictSame(await facebook.upload(body, audience, '238500001', context), result)
  }
})

test('upload warns of the end of the API version', async (t) => {
  const { sandbox, context } = await setup(t)
  const headers = { 'x-ad-api-version-warning': 'The call has been auto-upgraded to v27.0' }
  const body = { num_received: 1, num_invalid_entries: 0 }
  sandbox.failNext({ times: 1, answer: { status: 200, headers, body } })
  t.strictSame(await facebook.upload(bodyOf([{ edgeTagId: 'x' }]), audience, '1', context), {
    received: 1,
    invalid: 0,
    warnings: ['Meta is about to end API version v26.0; set apiVersion to a newer one']
  })
})

test('rows of value never reach an audience of the other kind', async (t) => {
  const { sandbox, context } = await setup(t)
  const valueBased = { field: 'profit' as const, currency: 'USD' }
  const withValues = { ...context, variables: { ...context.variables, valueBased } }
  const body = bodyOf([{ edgeTagId: 'tag-1' }])
  const id = await facebook.createSegment(audience, context)

  t.match(await failureOf(facebook.findSegment(audience, withValues)), {
    errorClass: 'invalid',
    message: 'the audience of this name is not value-based, but valueBased is set; use another name'
  })
  t.match(
    await failureOf(facebook.upload(body, audience, id, withValues)),
    {
      errorClass: 'not_found',
      message: 'the audience is to be looked up again: valueBased changed'
    },
    'an id found under another setting is not used'
  )
  const other = { ...audience, segmentName: 'blotout_Value' }
  await facebook.createSegment(other, withValues)
  t.match(await failureOf(facebook.findSegment(other, context)), {
    errorClass: 'invalid',
    message:
      'the audience of this name is value-based, but valueBased is not set; set it or use another name'
  })
  t.notOk(sandbox.requests.some(({ path }) => path.endsWith('/users')))
})

test('a value-based audience takes rows with values', async (t) => {
  const valueBased = { field: 'profit', currency: 'USD' }
  const { sandbox, context } = await setup(t, { valueBased })
  const id = await facebook.createSegment(audience, context)
  const body = bodyOf([{ edgeTagId: 'tag-1', purchase: { currency: 'USD', profit: 44.5 } }], {
    valueBased
  })
  t.strictSame(await facebook.upload(body, audience, id, context), { received: 1, invalid: 0 })
  t.equal(await facebook.findSegment(audience, context), id)
  t.match(sandbox.state(), {
    segments: [{ isValueBased: true, members: [{ LOOKALIKE_VALUE: 44.5 }] }]
  })
})

test('rows of Limited Data Use are valid entries', async (t) => {
  const ldu = {
    dataProcessingOptions: ['LDU'],
    dataProcessingOptionsCountry: 1,
    dataProcessingOptionsState: 1000
  }
  const { context } = await setup(t, ldu)
  const id = await facebook.createSegment(audience, context)
  const body = bodyOf([{ edgeTagId: 'tag-1' }], ldu)
  t.strictSame(await facebook.upload(body, audience, id, context), { received: 1, invalid: 0 })
})

test('with an app secret every call proves it; the token stays in the header', async (t) => {
  const { sandbox, context } = await setup(t, { appSecret: 'sandbox-facebook-secret' })
  await facebook.check(context)
  const id = await facebook.createSegment(audience, context)
  await facebook.findSegment(audience, context)
  await facebook.upload(bodyOf([{ edgeTagId: 'tag-1' }]), audience, id, context)
  t.strictSame(
    sandbox.requests.map(({ method, path, query }) => [method, path, query]),
    [
      ['GET', '/v26.0/act_1234567890', { fields: 'tos_accepted', appsecret_proof: PROOF }],
      ['POST', '/v26.0/act_1234567890/customaudiences', { appsecret_proof: PROOF }],
      [
        'GET',
        '/v26.0/act_1234567890/customaudiences',
        { fields: LIST_FIELDS, limit: '100', appsecret_proof: PROOF }
      ],
      ['POST', '/v26.0/238500001/users', { appsecret_proof: PROOF }]
    ]
  )
  const wrong = await setup(t, { appSecret: 'another' })
  t.match(await failureOf(facebook.check(wrong.context)), {
    errorClass: 'invalid',
    platformCode: '100'
  })
})

test('check is content with an account whose terms are accepted', async (t) => {
  const { sandbox, context } = await setup(t, { valueBased: { field: 'profit', currency: 'EUR' } })
  t.strictSame(await facebook.check(context), [])
  const { method, path, query } = sandbox.requests[0]!
  t.strictSame([method, path, query], ['GET', '/v26.0/act_1234567890', { fields: 'tos_accepted' }])
})

test('check tells which terms a person has to accept, and where', async (t) => {
  const plain = await setup(t)
  const valueBased = await setup(t, { valueBased: { field: 'profit', currency: 'EUR' } })
  const link = 'https://business.facebook.com/ads/manage/customaudiences/tos/?act=1234567890'
  const terms = {
    code: 'terms_not_accepted',
    message: `the Custom Audience terms are not accepted for ad account 1234567890; a person (not the system user) has to accept them at ${link}`
  }
  const valueTerms = {
    code: 'value_based_terms_not_accepted',
    message: `the value-based Custom Audience terms are not accepted for ad account 1234567890; a person (not the system user) has to accept them at ${link}`
  }
  const cases = [
    { answer: { tos_accepted: { custom_audience_tos: 1 } }, plain: [], value: [valueTerms] },
    {
      answer: { tos_accepted: { custom_audience_tos: 0 } },
      plain: [terms],
      value: [terms, valueTerms]
    },
    { answer: { tos_accepted: [] }, plain: [terms], value: [terms, valueTerms] },
    { answer: { id: 'act_1' }, plain: [terms], value: [terms, valueTerms] }
  ]
  for (const { answer, ...expected } of cases) {
    for (const { sandbox } of [plain, valueBased]) {
      sandbox.failNext({ times: 1, answer: { status: 200, body: answer } })
    }
    t.strictSame(await facebook.check(plain.context), expected.plain)
    t.strictSame(await facebook.check(valueBased.context), expected.value)
  }
})

test('check throws where token or access are wrong', async (t) => {
  const wrongToken = await setup(t, { accessToken: 'expired' })
  t.match(await failureOf(facebook.check(wrongToken.context)), {
    errorClass: 'auth',
    platformCode: '190'
  })
  const wrongAccount = await setup(t, { adAccountId: '42' })
  const noAccess = {
    errorClass: 'permission',
    message:
      'ad account 42 does not exist or the token has no access to it; assign its user to the account (fbtrace_id Axyz)',
    platformCode: '100/33',
    waitMs: undefined,
    status: 400
  }
  t.match(await failureOf(facebook.check(wrongAccount.context)), noAccess)
  t.match(await failureOf(facebook.findSegment(audience, wrongAccount.context)), noAccess)
  t.match(await failureOf(facebook.createSegment(audience, wrongAccount.context)), noAccess)
})
