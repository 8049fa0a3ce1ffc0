import { hash } from 'node:crypto'
import * as fc from 'fast-check'
import { test } from 'tap'
import { Value } from 'typebox/value'
import { importJobBody } from '../../providers/klaviyo/encode.ts'
import { klaviyo } from '../../providers/klaviyo/index.ts'
import { KlaviyoVariables, type ProfileField } from '../../providers/klaviyo/variables.ts'
import type { EncodedBody } from '../../providers/provider.ts'
import { encodeWhole } from '../support/encode.ts'
import { createMembers } from '../support/members.ts'
import { anyParts, encodeParts } from '../support/parts.ts'
import type { User } from '../../src/audience/schemas.ts'
import { audience } from '../support/provider-context.ts'

/** The longest list id that the encoding leaves room for. */
const LONGEST_ID = 'x'.repeat(64)

function variables(...profileFields: ProfileField[]): KlaviyoVariables {
  return { apiKey: 'sandbox', revision: '2026-07-15', profileFields }
}

function encodeUsers(users: readonly User[], ...profileFields: ProfileField[]) {
  return encodeWhole(klaviyo, createMembers(users), audience, variables(...profileFields))
}

const parse = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes))

interface Profile {
  attributes: Record<string, unknown>
}
const profilesIn = (bodies: readonly EncodedBody[]) =>
  bodies.flatMap(({ payload }) => parse(payload) as Profile[])

/** The attributes of every profile, and what the encoding says of the rest. */
function written(users: readonly User[], ...profileFields: ProfileField[]) {
  const { bodies, leftOut, notes } = encodeUsers(users, ...profileFields)
  return { profiles: profilesIn(bodies).map(({ attributes }) => attributes), leftOut, notes }
}

test("a user becomes the profile of Klaviyo's documentation", async (t) => {
  const user: User = {
    email: ' Ana@Example.com',
    phone: '+353 85 123 4567',
    firstName: ' Ana',
    lastName: 'Byrne',
    country: 'Ireland',
    postalCode: 'd02 x285',
    edgeTagId: 'et-71',
    purchase: { currency: 'eur', profit: 42.5, total7Days: 3 }
  }
  const { bodies } = encodeUsers([user], 'names', 'location', 'purchase', 'edgeTagId')
  t.equal(bodies.length, 1)
  t.equal(bodies[0]?.users, 1)
  t.strictSame(parse(importJobBody(bodies[0]?.payload ?? new Uint8Array(0), 'Xk4Rt9')), {
    data: {
      type: 'profile-bulk-import-job',
      attributes: {
        profiles: {
          data: [
            {
              type: 'profile',
              attributes: {
                email: 'ana@example.com',
                phone_number: '+353851234567',
                first_name: 'Ana',
                last_name: 'Byrne',
                location: { country: 'IE', zip: 'D02 X285' },
                properties: {
                  blotout_edge_tag_id: 'et-71',
                  blotout_purchase_currency: 'EUR',
                  blotout_purchase_profit: 42.5,
                  blotout_purchase_total_7_days: 3
                }
              }
            }
          ]
        }
      },
      relationships: { lists: { data: [{ type: 'list', id: 'Xk4Rt9' }] } }
    }
  })
})

test('each profile field adds its own attributes and nothing else', async (t) => {
  const user: User = {
    email: 'jürgen@müller.example',
    firstName: 'Jürgen',
    lastName: "O'Brien-Müller",
    country: 'us',
    postalCode: 2134,
    edgeTagId: 'et-71',
    purchase: [{ profit: 1 }]
  }
  const email = 'jürgen@müller.example'
  const cases: [ProfileField[], Record<string, unknown>][] = [
    [[], {}],
    [['names'], { first_name: 'Jürgen', last_name: "O'Brien-Müller" }],
    [['location'], { location: { country: 'US', zip: '02134' } }],
    [['purchase'], { properties: { blotout_purchase_profit: 1 } }],
    [['edgeTagId'], { properties: { blotout_edge_tag_id: 'et-71' } }],
    [['externalId'], { external_id: 'et-71' }]
  ]
  for (const [fields, attributes] of cases) {
    t.strictSame(written([user], ...fields).profiles, [{ email, ...attributes }], fields.join())
  }
})

test('a field without a usable value is not sent at all', async (t) => {
  const user: User = {
    email: 'ana@shop.example',
    phone: 'call me',
    firstName: 'n/a',
    lastName: null,
    country: '',
    purchase: { currency: ' ', profit: null }
  }
  const all = ['names', 'location', 'purchase', 'edgeTagId', 'externalId'] as const
  t.strictSame(written([user], ...all).profiles, [{ email: 'ana@shop.example' }])
})

test('a phone number is kept by its region, in E.164', async (t) => {
  const cases: [phone: string, country: string | null, sent: string | undefined][] = [
    ['+12025550123', null, '+12025550123'],
    ['2025550123', 'US', '+12025550123'],
    ['+16135550123', null, '+16135550123'],
    ['07400 123456', 'UK', '+447400123456'],
    ['0044 7400 123456', 'GB', '+447400123456'],
    ['+353851234567', null, '+353851234567'],
    ['+61412345678', null, '+61412345678'],
    ['+64211234567', null, '+64211234567'],
    ['+15005550006', null, '+15005550006'],
    ['+18765550123', null, undefined],
    ['+17875550123', null, undefined],
    ['+447624123456', null, undefined],
    ['+447797123456', null, undefined],
    ['+61891641234', null, undefined],
    ['+4915112345678', null, undefined],
    ['+911234567890', null, undefined],
    ['+0000000000', null, undefined]
  ]
  for (const [phone, country, sent] of cases) {
    const { profiles } = written([{ email: 'ana@shop.example', phone, country }])
    const expected = { email: 'ana@shop.example', ...(sent && { phone_number: sent }) }
    t.strictSame(profiles, [expected], `${phone} ${country ?? ''}`)
  }
})

test('a user without usable identifier is left out with the reason', async (t) => {
  const emailHash = hash('sha256', 'ana@shop.example')
  const users: User[] = [
    {},
    { email: 'n/a', phone: '+0000000000', firstName: 'Ana' },
    { edgeTagId: 'et-71' },
    { email: emailHash },
    { phone: hash('sha256', '+12025550123') },
    { phone: '+4915112345678' },
    { phone: '+12025550123' },
    { phone: '(202) 555-0123', country: 'US' }
  ]
  t.strictSame(written(users, 'names', 'externalId'), {
    profiles: [{ phone_number: '+12025550123' }],
    leftOut: { no_identifier: 3, hashed_only: 2, phone_region_not_supported: 1, duplicate: 1 },
    notes: {}
  })
})

test('what could not be sent for a user who was sent is noted', async (t) => {
  const users: User[] = [
    { email: 'a@shop.example', phone: '+4915112345678' },
    { email: 'b@shop.example', phone: hash('sha256', '+12025550123') },
    { email: 'c@shop.example', phone: '+12025550123' },
    { email: 'd@shop.example', phone: '+12025550123' }
  ]
  t.strictSame(written(users), {
    profiles: [
      { email: 'a@shop.example' },
      { email: 'b@shop.example' },
      { email: 'c@shop.example', phone_number: '+12025550123' },
      { email: 'd@shop.example' }
    ],
    leftOut: {},
    notes: { phone_region_not_supported: 1, hashed_value_not_sent: 1, phone_repeated: 1 }
  })
})

test('rows of one e-mail address become one profile, the first value of each field counts', async (t) => {
  const users: User[] = [
    { email: 'ana@shop.example', firstName: 'Ana', edgeTagId: '' },
    { email: 'ben@shop.example', phone: '+12025550123' },
    {
      email: 'ANA@shop.example ',
      phone: '+12025550123',
      firstName: 'Anna',
      lastName: 'Byrne',
      edgeTagId: 'et-1',
      purchase: []
    },
    { email: 'ana@shop.example', phone: '+12025550124', purchase: { profit: 2 } },
    { email: 'ana@shop.example', phone: '+12025550125', purchase: { profit: 9 } },
    { email: 'ben@shop.example', phone: '+12025550123' }
  ]
  t.strictSame(written(users, 'names', 'edgeTagId', 'purchase'), {
    profiles: [
      {
        email: 'ana@shop.example',
        phone_number: '+12025550124',
        first_name: 'Ana',
        last_name: 'Byrne',
        properties: { blotout_edge_tag_id: 'et-1', blotout_purchase_profit: 2 }
      },
      { email: 'ben@shop.example', phone_number: '+12025550123' }
    ],
    leftOut: { duplicate: 4 },
    notes: { phone_repeated: 1 }
  })
})

test('a value is sent as it is, whatever has to be escaped in it', async (t) => {
  const strange = [
    'a"b\\c',
    'a\tb',
    'a</script>',
    'a\u2028b',
    'a\u007f\u0000b',
    '明 Łukasz 😀',
    '{"a":[1],}'
  ]
  const users = strange.map((text, i) => ({ email: `u${i}@shop.example`, edgeTagId: text }))
  t.strictSame(
    written(users, 'edgeTagId').profiles,
    users.map(({ email, edgeTagId }) => ({
      email,
      properties: { blotout_edge_tag_id: edgeTagId }
    }))
  )
  const [body] = encodeUsers(
    [{ email: 'ana@shop.example', edgeTagId: 'a\ud800"' }],
    'edgeTagId'
  ).bodies
  t.equal(
    new TextDecoder().decode(body?.payload),
    '[{"type":"profile","attributes":{"email":"ana@shop.example","properties":{"blotout_edge_tag_id":"a\\ud800\\""}}}]',
    'half a surrogate pair has no bytes and is escaped'
  )
})

test('every body has memory of its own, so that it can go to another thread', async (t) => {
  const users = Array.from({ length: 10_001 }, (_, i) => ({ email: `u${i}@shop.example` }))
  const memory = encodeUsers(users).bodies.map(({ payload }) => payload)
  t.strictSame(
    memory.map(({ byteOffset, buffer }) => [byteOffset, buffer.byteLength]),
    memory.map(({ byteLength }) => [0, byteLength])
  )
  t.equal(new Set(memory.map(({ buffer }) => buffer)).size, 2)
})

test('an external id occurs once and has at most 255 characters', async (t) => {
  const users: User[] = [
    { email: 'a@shop.example', edgeTagId: 'x'.repeat(255) },
    { email: 'b@shop.example', edgeTagId: 'x'.repeat(255) },
    { email: 'c@shop.example', edgeTagId: 'x'.repeat(256) },
    { email: 'd@shop.example', edgeTagId: 'dora@shop.example' }
  ]
  t.strictSame(written(users, 'externalId'), {
    profiles: [
      { email: 'a@shop.example', external_id: 'x'.repeat(255) },
      { email: 'b@shop.example' },
      { email: 'c@shop.example' },
      { email: 'd@shop.example', external_id: hash('sha256', 'dora@shop.example') }
    ],
    leftOut: {},
    notes: { external_id_repeated: 1, external_id_too_long: 1 }
  })
})

test('purchases of one currency are summed, those in another are noted', async (t) => {
  const cases: [NonNullable<User['purchase']>, Record<string, unknown>, Record<string, number>][] =
    [
      [
        [
          { currency: 'eur', profit: 0.1, total7Days: 10 },
          { currency: 'EUR', profit: 0.2 }
        ],
        {
          blotout_purchase_currency: 'EUR',
          blotout_purchase_profit: 0.3,
          blotout_purchase_total_7_days: 10
        },
        {}
      ],
      [
        [{ profit: 5 }, { currency: 'USD', profit: 1 }, { currency: 'EUR', profit: 100 }],
        { blotout_purchase_currency: 'USD', blotout_purchase_profit: 6 },
        { purchase_in_other_currency: 1 }
      ],
      [
        { currency: 'USD', profit: 0, total7Days: -3.5 },
        {
          blotout_purchase_currency: 'USD',
          blotout_purchase_profit: 0,
          blotout_purchase_total_7_days: -3.5
        },
        {}
      ]
    ]
  for (const [purchase, properties, notes] of cases) {
    const email = 'ana@shop.example'
    t.strictSame(written([{ email, purchase }], 'purchase'), {
      profiles: [{ email, properties }],
      leftOut: {},
      notes
    })
  }
})

test('10,000 profiles fit into one body and the next one starts another', async (t) => {
  const users = Array.from({ length: 10_001 }, (_, i) => ({ email: `u${i}@shop.example` }))
  t.strictSame(
    encodeUsers(users.slice(1)).bodies.map((body) => body.users),
    [10_000]
  )
  const { bodies } = encodeUsers(users)
  t.strictSame(
    bodies.map((body) => body.users),
    [10_000, 1]
  )
  t.strictSame(
    profilesIn(bodies).map(({ attributes }) => attributes['email']),
    users.map(({ email }) => email)
  )
})

/** 51 users whose profiles have about 98 kB, half of them in two-byte characters. */
const bigUsers = (lastLength: number): User[] => [
  ...Array.from({ length: 50 }, (_, i) => ({
    email: `u${i}@shop.example`,
    edgeTagId: i % 2 === 0 ? 'ü'.repeat(49_000) : 'u'.repeat(98_000)
  })),
  { email: 'last@shop.example', edgeTagId: 'u'.repeat(lastLength) }
]

/** The bytes of each completed body. */
const sizes = (lastLength: number) =>
  encodeUsers(bigUsers(lastLength), 'edgeTagId').bodies.map(
    ({ payload }) => importJobBody(payload, LONGEST_ID).byteLength
  )

test('a body stays below 5,000,000 bytes, measured in UTF-8 with its envelope', async (t) => {
  const [short = 0] = sizes(1_000)
  const fitting = 1_000 + 4_999_999 - short
  t.strictSame(sizes(fitting), [4_999_999])
  const [first = 0, second = 0] = sizes(fitting + 1)
  t.ok(first < 4_999_999 && second > 0, 'one byte more opens a second body')
})

/** A user whose profile has this many bytes. */
const userOfBytes = (bytes: number) => {
  const empty =
    '{"type":"profile","attributes":{"email":"ana@shop.example","properties":{"blotout_edge_tag_id":""}}}'
  return { email: 'ana@shop.example', edgeTagId: 'u'.repeat(bytes - empty.length) }
}

test('a profile of 100,000 bytes is sent and a larger one left out', async (t) => {
  const sent = encodeUsers([userOfBytes(100_000)], 'edgeTagId')
  t.equal(sent.bodies[0]?.payload.byteLength, 100_002, 'the profile in its brackets')
  t.strictSame(encodeUsers([userOfBytes(100_001)], 'edgeTagId'), {
    bodies: [],
    leftOut: { profile_too_large: 1 },
    notes: {}
  })
})

test('the bytes of a profile are those of its UTF-8', async (t) => {
  const { edgeTagId: room } = userOfBytes(100_000)
  for (const character of ['ü', '李', '😀']) {
    const size = Buffer.byteLength(character)
    const id = character.repeat(room.length / size) + 'u'.repeat(room.length % size)
    const leftOut = (edgeTagId: string) =>
      encodeUsers([{ email: 'ana@shop.example', edgeTagId }], 'edgeTagId').leftOut
    t.strictSame(leftOut(id), {}, character)
    t.strictSame(leftOut(`${id}u`), { profile_too_large: 1 }, character)
  }
})

const anyEmail = fc.oneof(
  fc.constantFrom('ana@shop.example', 'ANA@shop.example', 'ben@shop.example', 'n/a'),
  fc.string()
)
const anyPhone = fc.constantFrom(
  '+12025550123',
  '2025550123',
  '07400 123456',
  '+4915112345678',
  'x'
)
const anyUser = fc.record(
  {
    email: anyEmail,
    phone: anyPhone,
    firstName: fc.string({ unit: 'binary' }),
    country: fc.constantFrom('US', 'GB', 'nowhere'),
    edgeTagId: fc.constantFrom('et-1', 'et-2', ''),
    purchase: fc.record({
      currency: fc.constantFrom('USD', 'EUR'),
      profit: fc.double({ noDefaultInfinity: true, noNaN: true })
    })
  },
  { requiredKeys: [] }
)

test('whatever users come, every one is in a body or counted, identifiers occur once', async (t) => {
  const all = ['names', 'location', 'purchase', 'edgeTagId', 'externalId'] as const
  const holdsNothing = (value: unknown): boolean =>
    value === '' ||
    value === null ||
    (typeof value === 'object' && Object.values(value ?? {}).some(holdsNothing))

  fc.assert(
    fc.property(fc.array(anyUser, { maxLength: 12 }), (users) => {
      const encoding = encodeUsers(users, ...all)
      const left = Object.values(encoding.leftOut).reduce((sum, count) => sum + count, 0)
      const sent = encoding.bodies.reduce((sum, body) => sum + body.users, 0)
      const profiles = profilesIn(encoding.bodies).map(({ attributes }) => attributes)
      const values = profiles.flatMap((p) => [p['email'], p['phone_number'], p['external_id']])
      const identifiers = values.filter((value) => value !== undefined)
      return (
        sent + left === users.length &&
        sent === profiles.length &&
        new Set(identifiers).size === identifiers.length &&
        profiles.every((p) => p['email'] !== undefined || p['phone_number'] !== undefined) &&
        !profiles.some(holdsNothing) &&
        Value.Equal(encoding, encodeUsers(users, ...all))
      )
    })
  )
  t.pass()
})

test('bodies and counts are the same into whatever parts the users are divided', async (t) => {
  const all = ['names', 'location', 'purchase', 'edgeTagId', 'externalId'] as const
  const anyUsers = fc.array(anyUser, { maxLength: 20 })
  fc.assert(
    fc.property(anyUsers, fc.subarray([...all]), anyParts, (users, fields, partSizes) => {
      const encoder = klaviyo.encoder(audience, variables(...fields))
      const encoding = encodeParts(encoder, createMembers(users), partSizes)
      return Value.Equal(encoding, encodeUsers(users, ...fields))
    })
  )
  t.pass()
})

test('a later row of any part completes a person', async (t) => {
  const users = Array.from({ length: 2_500 }, (_, i) => ({ email: `u${i}@shop.example` }))
  const later = users.map(({ email }, i) => ({ email, lastName: `Name ${i}` }))
  const { profiles, leftOut } = written([...users, ...later], 'names')
  t.strictSame(
    profiles,
    later.map(({ email, lastName }) => ({ email, last_name: lastName }))
  )
  t.strictSame(leftOut, { duplicate: 2_500 })
})

test('the definition tells what the service relies on', async (t) => {
  const settings = variables('names')
  t.equal(klaviyo.name, 'klaviyo')
  t.equal(
    klaviyo.origin({ apiKey: 'k', revision: '2026-07-15', profileFields: [] }),
    'https://a.klaviyo.com'
  )
  t.strictSame(klaviyo.limits(settings), {
    usersPerRequest: 10_000,
    bytesPerRequest: 4_999_999,
    requestsInFlight: 4,
    rates: [
      { requests: 10, perMs: 1_000 },
      { requests: 150, perMs: 60_000 }
    ],
    operationRates: {
      'lists.count': [
        { requests: 1, perMs: 1_000 },
        { requests: 15, perMs: 60_000 }
      ]
    }
  })
  t.equal(klaviyo.accountId(settings), 'b7ad567477c83756', 'the start of the SHA-256 of the key')
  t.equal(klaviyo.storedName(audience.segmentName, settings), 'blotout_VIP')
})

test('defaults need an API key only, and wrong settings are refused', async (t) => {
  t.strictSame(Value.Default(KlaviyoVariables, { apiKey: 'pk_1' }), {
    apiKey: 'pk_1',
    revision: '2026-07-15',
    profileFields: ['names']
  })
  const good = variables('names')
  t.ok(Value.Check(KlaviyoVariables, { ...good, baseUrl: 'http://127.0.0.1:9000' }))
  const wrong = [
    { ...good, apiKey: '' },
    { ...good, apiKey: 'pk_1\nx' },
    { ...good, revision: 'latest' },
    { ...good, profileFields: ['email'] },
    { ...good, profileFields: ['names', 'names'] },
    { ...good, baseUrl: 'ftp://a.klaviyo.com' },
    { ...good, unknown: true }
  ]
  for (const settings of wrong) t.notOk(Value.Check(KlaviyoVariables, settings))
})
