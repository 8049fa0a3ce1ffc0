import { hash } from 'node:crypto'
import * as fc from 'fast-check'
import { test } from 'tap'
import { ENVELOPE_BYTES } from '../../providers/adcp/encode.ts'
import { adcp } from '../../providers/adcp/index.ts'
import type { AdcpVariables } from '../../providers/adcp/variables.ts'
import type { EncodedBody } from '../../providers/provider.ts'
import type { User } from '../../src/audience/schemas.ts'
import { encodeWhole } from '../support/encode.ts'
import { createMembers } from '../support/members.ts'
import { audience, providerContext } from '../support/provider-context.ts'

const sha256 = (text: string) => hash('sha256', text)
const HASHES = {
  ann: sha256('ann@shop.example'),
  phone: sha256('+353851234567')
}

const variables: AdcpVariables = {
  agentUrl: 'https://seller.example/mcp',
  token: 'sandbox',
  accountId: 'acc-118',
  membersPerCall: 100_000,
  bytesPerCall: 1_500_000
}

const encode = (users: readonly User[], changed: Partial<AdcpVariables> = {}) =>
  encodeWhole(adcp, createMembers(users), audience, { ...variables, ...changed })

const textOf = ({ payload }: EncodedBody) => new TextDecoder().decode(payload)
const membersOf = (body: EncodedBody) =>
  JSON.parse(`[${textOf(body)}]`) as { external_id: string; hashed_email?: string }[]

test('members are a line each, with the hashes that AdCP asks for', async (t) => {
  const { bodies, leftOut, notes } = encode([
    { edgeTagId: 'ann', email: ' Ann@Shop.example ', phone: '+353 85 123 4567' },
    { edgeTagId: 'ben', email: 'ben+x@shop.example' },
    { edgeTagId: 'cid', phone: '085 123 4568', country: 'IE' }
  ])
  t.same(bodies.map(textOf), [
    [
      `{"external_id":"ann","hashed_email":"${HASHES.ann}","hashed_phone":"${HASHES.phone}"}`,
      `{"external_id":"ben","hashed_email":"${sha256('ben+x@shop.example')}"}`,
      `{"external_id":"cid","hashed_phone":"${sha256('+353851234568')}"}`
    ].join(',\n')
  ])
  t.same([bodies[0]?.users, leftOut, notes], [3, {}, {}])
})

test('hashes are passed on, in lower case', async (t) => {
  const { bodies } = encode([{ edgeTagId: 'ann', email: HASHES.ann.toUpperCase() }])
  t.same(bodies.flatMap(membersOf), [{ external_id: 'ann', hashed_email: HASHES.ann }])
})

test('everybody has an id that is the same in every upload and nothing personal', async (t) => {
  const idOf = (user: User) => encode([user]).bodies.flatMap(membersOf)[0]?.external_id
  t.equal(idOf({ email: 'ann@shop.example' }), sha256(HASHES.ann))
  t.equal(idOf({ phone: '+353851234567' }), sha256(HASHES.phone))
  t.equal(idOf({ email: 'ann@shop.example', phone: '+353851234567' }), sha256(HASHES.ann))
  const email = 'ann@shop.example'
  t.equal(idOf({ email, edgeTagId: 'Ann@Shop.example' }), sha256('Ann@Shop.example'))
  t.equal(idOf({ email, edgeTagId: '+353 85 123 4567' }), sha256('+353 85 123 4567'))
  t.equal(idOf({ email, edgeTagId: 'N/A' }), sha256(HASHES.ann))
  t.equal(idOf({ email, edgeTagId: 'a "quoted" \\ ü 👍' }), 'a "quoted" \\ ü 👍')
  t.equal(idOf({ email, edgeTagId: 'x'.repeat(255) }), 'x'.repeat(255))
  t.equal(idOf({ email, edgeTagId: 'x'.repeat(256) }), sha256('x'.repeat(256)))
  t.equal(idOf({ email, edgeTagId: 'two\nlines' }), sha256('two\nlines'))
})

test('who has no hash, and who comes a second time, is left out and counted', async (t) => {
  const { bodies, leftOut } = encode([
    { edgeTagId: 'ann', email: 'ann@shop.example' },
    { edgeTagId: 'ben', firstName: 'Ben' },
    { edgeTagId: 'ann', email: 'another@shop.example' },
    { email: 'ann@shop.example' },
    { email: 'ANN@shop.example' },
    { edgeTagId: 'dan', email: 'nonsense', phone: '1' }
  ])
  t.same(
    bodies.flatMap(membersOf).map(({ external_id: id }) => id),
    ['ann', sha256(HASHES.ann)]
  )
  t.same(leftOut, { no_identifier: 2, duplicate: 2 })
  t.same(encode([{ edgeTagId: 'ben' }]).bodies, [])
})

test('who is removed is named as when they were added', async (t) => {
  const users = [{ edgeTagId: 'ann', email: 'ann@shop.example' }, { phone: '+353851234567' }]
  const removal = { ...audience, mode: 'remove' } as const
  const removed = encodeWhole(adcp, createMembers(users), removal, variables)
  t.same(removed.bodies.map(textOf), encode(users).bodies.map(textOf))
})

test('bodies are full to the member', async (t) => {
  const users = Array.from({ length: 7 }, (_, i) => ({
    edgeTagId: `u${i}`,
    email: `u${i}@a.example`
  }))
  const sizes = (membersPerCall: number) =>
    encode(users, { membersPerCall }).bodies.map((b) => b.users)
  t.same(sizes(7), [7])
  t.same(sizes(3), [3, 3, 1])
  t.same(sizes(1), [1, 1, 1, 1, 1, 1, 1])
})

test('1.5 MB hold 7,000 members with two hashes', async (t) => {
  const users = Array.from({ length: 7_000 }, (_, i) => ({
    edgeTagId: `c-${70_000 + i}`,
    email: `u${i}@a.example`,
    phone: `+3538512${10_000 + i}`
  }))
  t.same(
    encode(users).bodies.map(({ users: count }) => count),
    [7_000]
  )
})

const anyUser = fc.record(
  {
    edgeTagId: fc.oneof(
      fc.string({ maxLength: 300 }),
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.constantFrom('👍'.repeat(255), '"'.repeat(255), '\\'.repeat(255), '\ud800')
    ),
    email: fc.nat({ max: 500 }).map((n) => `u${n}@a.example`),
    phone: fc.nat({ max: 500 }).map((n) => `+35385${1_000_000 + n}`)
  },
  { requiredKeys: [] }
)

test('whatever the users are, calls keep their bounds and nobody is lost', async (t) => {
  const sandbox = await adcp.sandbox()
  t.teardown(() => sandbox.close())
  const longest = {
    segmentName: adcp.storedName('"'.repeat(300), variables),
    accountId: '"'.repeat(255),
    consentBasis: 'legitimate_interest'
  } as const

  await fc.assert(
    fc.asyncProperty(
      fc.array(anyUser, { maxLength: 120 }),
      fc.integer({ min: 1, max: 120 }),
      fc.integer({ min: 20_000, max: 30_000 }),
      async (users, membersPerCall, bytesPerCall) => {
        sandbox.reset()
        const { bodies, leftOut } = encode(users, { membersPerCall, bytesPerCall })
        const members = bodies.flatMap(membersOf)
        const left = Object.values(leftOut).reduce((sum, count) => sum + count, 0)
        t.equal(members.length + left, users.length)
        t.equal(new Set(members.map(({ external_id: id }) => id)).size, members.length)
        for (const body of bodies) {
          t.equal(membersOf(body).length, body.users)
          t.ok(body.users <= membersPerCall)
          t.ok(body.payload.byteLength <= bytesPerCall - ENVELOPE_BYTES)
        }
      }
    ),
    { numRuns: 60 }
  )

  // What is around the members, at its longest.
  const platform = providerContext(sandbox, {
    ...variables,
    accountId: longest.accountId,
    consentBasis: longest.consentBasis
  })
  const { context } = platform
  t.teardown(() => platform.close())
  const sized = { ...audience, segmentName: longest.segmentName }
  const member = { external_id: 'x', hashed_email: HASHES.ann }
  const payload = new TextEncoder().encode(JSON.stringify(member))
  await t.rejects(adcp.upload({ payload, users: 1 }, sized, 'x'.repeat(128), context))
  const { headers } = sandbox.requests.at(-1)!
  t.ok(Number(headers['content-length']) - payload.byteLength < ENVELOPE_BYTES)
})

test('parts of any size give the same bodies', async (t) => {
  const users = Array.from({ length: 50 }, (_, i) => ({
    edgeTagId: `u${i % 40}`,
    email: `u${i}@a.example`
  }))
  const whole = encode(users, { membersPerCall: 7 })
  for (const size of [1, 3, 49]) {
    const encoder = adcp.encoder(audience, { ...variables, membersPerCall: 7 })
    for (let at = 0; at < users.length; at += size) {
      encoder.add(createMembers(users.slice(at, at + size)))
    }
    const { bodies, leftOut } = encoder.end()
    t.same([bodies.map(textOf), leftOut], [whole.bodies.map(textOf), whole.leftOut])
  }
})
