import { test, type Test } from 'tap'
import { klaviyo } from '../../providers/klaviyo/index.ts'
import type { KlaviyoVariables } from '../../providers/klaviyo/variables.ts'
import type { Audience } from '../../providers/provider.ts'
import type { Sandbox, SandboxRequest } from '../../providers/sandbox.ts'
import type { User } from '../../src/audience/schemas.ts'
import { encodeWhole } from '../support/encode.ts'
import { createMembers } from '../support/members.ts'
import { audience, failureOf, providerContext } from '../support/provider-context.ts'

const PROFILES = '/api/profiles'
const JOBS = '/api/profile-bulk-import-jobs'
const READ_HEADERS = {
  authorization: 'Klaviyo-API-Key sandbox',
  revision: '2026-07-15',
  accept: 'application/vnd.api+json',
  contentType: undefined
}
const WRITE_HEADERS = { ...READ_HEADERS, contentType: 'application/vnd.api+json' }

const removal: Audience = { ...audience, mode: 'remove' }
const variables: KlaviyoVariables = {
  apiKey: 'sandbox',
  revision: '2026-07-15',
  profileFields: ['names', 'externalId']
}

const ana: User = { email: 'Ana@shop.example', phone: '+353 85 123 4567', firstName: 'Ana' }
const ben: User = { email: 'ben@shop.example' }
const cat: User = { phone: '+353 85 123 4568' }

/** What of a request the platform acts upon. */
function essence({ method, path, query, headers, body }: SandboxRequest) {
  const { authorization, revision, accept, 'content-type': contentType } = headers
  return { method, path, query, headers: { authorization, revision, accept, contentType }, body }
}

async function start(t: Test) {
  const sandbox = await klaviyo.sandbox()
  const platform = providerContext(sandbox, variables)
  t.teardown(async () => {
    await platform.close()
    await sandbox.close()
  })
  const { context } = platform
  const id = (await klaviyo.createSegment(audience, context)) ?? ''
  const bodies = (users: readonly User[], to: Audience) =>
    encodeWhole(klaviyo, createMembers(users), to, variables).bodies
  return {
    sandbox,
    context,
    id,
    upload: async (users: readonly User[]) => {
      const tickets = []
      for (const body of bodies(users, audience)) {
        tickets.push((await klaviyo.upload(body, audience, id, context)).ticket ?? '')
      }
      return tickets
    },
    /** Looks at the jobs until they have ended. */
    settle: async (tickets: readonly string[]) => {
      for (const ticket of tickets) {
        while ((await klaviyo.confirm?.(ticket, audience, context)) === undefined);
      }
    },
    remove: async (users: readonly User[]) => {
      const results = []
      for (const body of bodies(users, removal)) {
        results.push(await klaviyo.remove(body, removal, id, context))
      }
      return results
    }
  }
}

interface State {
  segments: { members: { email?: string; phone_number?: string }[] }[]
}
const held = (sandbox: Sandbox) =>
  (sandbox.state() as State).segments.flatMap(({ members }) =>
    members.map(({ email, phone_number: phone }) => [email, phone])
  )

/** The calls since there were so many, without what is the same in all. */
const callsSince = ({ requests }: Sandbox, count: number) =>
  requests.slice(count).map(({ method, path, query, body }) => ({ method, path, query, body }))

const lookUp = (filter: string, more: object = {}) => ({
  method: 'GET',
  path: PROFILES,
  query: { filter, 'fields[profile]': 'email,phone_number', 'page[size]': '100', ...more },
  body: undefined
})
const takeOff = (list: string, ...numbers: readonly number[]) => ({
  method: 'DELETE',
  path: `/api/lists/${list}/relationships/profiles`,
  query: {},
  body: {
    data: numbers.map((number) => ({
      type: 'profile',
      id: `01SANDBOX${String(number).padStart(17, '0')}`
    }))
  }
})

test('bodies of a removal hold what people are found by, 1,000 each', async (t) => {
  const users = [
    ana,
    { email: 'ana@shop.example', phone: '+353851234569' },
    cat,
    { email: 'dora@shop.example', phone: '+4915112345678' },
    { phone: '+4915112345678' },
    { edgeTagId: 'et-71' },
    { email: 'f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79' }
  ]
  const { bodies, leftOut, notes } = encodeWhole(klaviyo, createMembers(users), removal, variables)
  t.same(
    bodies.map(({ payload, users: count }) => [count, new TextDecoder().decode(payload)]),
    [[3, '[["ana@shop.example","+353851234567"],["","+353851234568"],["dora@shop.example",""]]']]
  )
  t.same(leftOut, {
    duplicate: 1,
    phone_region_not_supported: 1,
    no_identifier: 1,
    hashed_only: 1
  })
  t.same(notes, { phone_region_not_supported: 1 })

  const many = Array.from({ length: 1_001 }, (_, i) => ({ email: `u${i}@shop.example` }))
  t.same(
    encodeWhole(klaviyo, createMembers(many), removal, variables).bodies.map((body) => body.users),
    [1_000, 1]
  )
  t.same(klaviyo.hashedIdentifiers(variables), [])
})

test('people are looked up and taken off the list by whole requests as documented', async (t) => {
  const { sandbox, id, upload, settle, remove } = await start(t)
  await settle(await upload([ana, ben, cat]))
  const before = sandbox.requests.length
  t.same(await remove([ana, cat, { email: 'stranger@shop.example' }]), [{ received: 2 }])
  t.same(held(sandbox), [['ben@shop.example', undefined]])
  const [job, byEmail, byPhone, removed, ...more] = sandbox.requests.slice(before).map(essence)
  t.same(more, [])
  t.match(job, { method: 'GET', path: `${JOBS}/am9iOjI%3D` })
  t.same(byEmail, {
    ...lookUp('any(email,["ana@shop.example","stranger@shop.example"])'),
    headers: READ_HEADERS
  })
  t.same(byPhone, { ...lookUp('any(phone_number,["+353851234568"])'), headers: READ_HEADERS })
  t.same(removed, { ...takeOff(id, 1, 3), headers: WRITE_HEADERS })
  t.match(sandbox.state(), { forbiddenCalls: [] })
})

test('who is not known to Klaviyo takes no further call', async (t) => {
  const { sandbox, remove } = await start(t)
  const before = sandbox.requests.length
  t.same(await remove([ana]), [{ received: 0 }])
  t.same(callsSince(sandbox, before), [
    lookUp('any(email,["ana@shop.example"])'),
    lookUp('any(phone_number,["+353851234567"])')
  ])
})

test('a number finds whoever has no address, and nobody with another one', async (t) => {
  const { sandbox, upload, settle, remove } = await start(t)
  const phone = '+353851234567'
  await settle(await upload([{ phone }]))
  t.same(await remove([{ email: 'ana@shop.example', phone }]), [{ received: 1 }])
  t.same(held(sandbox), [], 'added by the number alone')

  await settle(await upload([{ email: 'ben@shop.example', phone }]))
  t.same(await remove([{ email: 'ana@shop.example', phone }]), [{ received: 0 }])
  t.same(held(sandbox), [['ben@shop.example', phone]], "somebody else's number by now")
  t.same(await remove([{ phone }]), [{ received: 1 }])
  t.same(held(sandbox), [], 'known by the number alone')
})

test('an address that is known does not keep in whoever was added by the number alone', async (t) => {
  const { sandbox, upload, settle, remove } = await start(t)
  const phone = '+353851234567'
  await settle(await upload([{ phone }, { email: 'ana@shop.example' }, ben]))
  t.same(await remove([{ email: 'ana@shop.example', phone }]), [{ received: 2 }])
  t.same(held(sandbox), [['ben@shop.example', undefined]])
})

test('all pages of profiles are read, and filters stay within a request line', async (t) => {
  const { sandbox, id, upload, settle, remove } = await start(t)
  const users = Array.from({ length: 150 }, (_, i) => ({ email: `u${i}@shop.example` }))
  await settle(await upload(users))
  let before = sandbox.requests.length
  const next = `https://a.klaviyo.com${PROFILES}?page%5Bcursor%5D=bmV4dA`
  const page = (number: number, link: string | null) => ({
    data: [{ type: 'profile', id: `01SANDBOX${String(number).padStart(17, '0')}`, attributes: {} }],
    links: { self: next, next: link }
  })
  for (const body of [page(1, next), page(2, null)]) {
    sandbox.failNext({ times: 1, path: PROFILES, answer: { status: 200, body } })
  }
  t.same(await remove(users.slice(0, 1)), [{ received: 2 }])
  const first = 'any(email,["u0@shop.example"])'
  t.same(callsSince(sandbox, before).slice(1), [
    lookUp(first),
    lookUp(first, { 'page[cursor]': 'bmV4dA' }),
    takeOff(id, 1, 2)
  ])

  before = sandbox.requests.length
  t.same(await remove(users), [{ received: 150 }])
  t.same(held(sandbox), [])
  const valuesPerCall = () =>
    callsSince(sandbox, before).flatMap(({ query }) => query['filter']?.match(/@/g)?.length ?? [])
  t.same(valuesPerCall(), [100, 50])
  before = sandbox.requests.length
  const long = Array.from({ length: 60 }, (_, i) => ({
    email: `${'x'.repeat(50)}+${i}@${'long.'.repeat(30)}example`
  }))
  await remove(long)
  t.same(valuesPerCall(), [26, 26, 8])
})

test('a removal waits until earlier uploads to the list are imported', async (t) => {
  const { sandbox, context, upload, remove } = await start(t)
  for (const user of [ana, ben, cat]) await upload([user])
  const before = sandbox.requests.length
  const jobsAskedFor = () =>
    callsSince(sandbox, before).flatMap(({ path }) =>
      path.startsWith(JOBS) ? path.slice(JOBS.length) : []
    )
  // The first is not known any more, the others are at work at the first look.
  sandbox.failNext({ times: 1, error: 'not_found' })
  t.same(await failureOf(remove([ana])), {
    errorClass: 'transient',
    message: 'Klaviyo still imports users of an earlier upload',
    platformCode: undefined,
    waitMs: 5_000,
    status: undefined
  })
  const [first, second, third] = ['/am9iOjI%3D', '/am9iOjM%3D', '/am9iOjQ%3D']
  t.same(jobsAskedFor(), [first, second, third])
  t.same(await remove([ana]), [{ received: 1 }])
  t.same(context.notes.get(), { jobs: [] })
  t.same(await remove([ben]), [{ received: 1 }])
  t.same(jobsAskedFor(), [first, second, third, second, third], 'nor looked at once they ended')
  t.same(held(sandbox), [[undefined, '+353851234568']])
})

test('of the jobs of a list the latest are noted, for a day', async (t) => {
  const { context, id } = await start(t)
  const now = Date.now()
  const old = { id: 'old', at: now - 25 * 3_600_000 }
  const noted = Array.from({ length: 100 }, (_, i) => ({ id: `job${i}`, at: now }))
  const [body] = encodeWhole(klaviyo, createMembers([ben]), audience, variables).bodies
  await context.notes.set({ jobs: [old, ...noted] })
  await klaviyo.upload(body!, audience, id, { ...context, now: () => now })
  t.same(context.notes.get(), { jobs: [...noted.slice(1), { id: 'am9iOjI=', at: now }] })
})

test('faults of a removal become their classes', async (t) => {
  const { sandbox, context, id, upload, settle, remove } = await start(t)
  await settle(await upload([ana]))
  const relationships = '/relationships/profiles'
  const { data } = takeOff(id, 99).body
  const answer = await fetch(`${sandbox.url}/api/lists/${id}${relationships}`, {
    method: 'DELETE',
    headers: {
      authorization: 'Klaviyo-API-Key sandbox',
      revision: '2026-07-15',
      'content-type': 'application/vnd.api+json'
    },
    body: JSON.stringify({ data })
  })
  t.equal(answer.status, 400)
  sandbox.failNext({
    times: 1,
    path: relationships,
    answer: { status: 400, body: await answer.json() }
  })
  t.match(await failureOf(remove([ana])), {
    errorClass: 'transient',
    message: 'Klaviyo lost a profile that it had just found',
    waitMs: 5_000
  })
  const faults = [
    ['invalid_list', 'not_found'],
    ['throttled', 'rate_limited'],
    ['permission_denied', 'permission'],
    ['unavailable', 'transient']
  ] as const
  for (const [error, errorClass] of faults) {
    sandbox.failNext({ times: 1, path: relationships, error })
    t.match(await failureOf(remove([ana])), { errorClass })
  }
  await klaviyo.deleteSegment(id, context)
  t.match(await failureOf(remove([ana])), {
    errorClass: 'not_found',
    platformCode: '404/not_found'
  })
})

test('a list is deleted, and one that is gone already counts as deleted', async (t) => {
  const { sandbox, context, id } = await start(t)
  await klaviyo.deleteSegment(id, context)
  t.match(sandbox.state(), { segments: [] })
  await klaviyo.deleteSegment(id, context)
  const deletion = { method: 'DELETE', path: `/api/lists/${id}`, query: {}, body: undefined }
  t.same(
    sandbox.requests.slice(1).map(essence),
    [deletion, deletion].map((call) => ({ ...call, headers: READ_HEADERS }))
  )
  sandbox.failNext({ times: 1, error: 'permission_denied' })
  t.match(await failureOf(klaviyo.deleteSegment(id, context)), { errorClass: 'permission' })
})

test('a list is ready as soon as anybody is on it', async (t) => {
  const { sandbox, context, id, upload, settle } = await start(t)
  const status = () => klaviyo.status(id, context)
  t.same(await status(), { state: 'too_small', matched: 0 })
  await settle(await upload([ana, ben]))
  t.same(await status(), { state: 'ready', matched: 2 })
  t.same(essence(sandbox.requests[1]!), {
    method: 'GET',
    path: `/api/lists/${id}`,
    query: { 'additional-fields[list]': 'profile_count' },
    headers: READ_HEADERS,
    body: undefined
  })
  sandbox.configure({ segments: { [id]: { matched: 5_000 } } })
  t.same(await status(), { state: 'ready', matched: 5_000 })
  sandbox.configure({ segments: { [id]: { state: 'too_small' } } })
  t.same(await status(), { state: 'too_small', matched: 0 })
  sandbox.reset()
  t.match(await failureOf(status()), { errorClass: 'not_found' })
})
