import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { providers } from '../../providers/registry.ts'
import {
  BATCH,
  form,
  type FormFields,
  type Service,
  startService,
  temporaryFolder
} from '../support/service.ts'

const NAMES = ['facebook', 'klaviyo'] as const

async function withPlatforms(t: Test, env: Record<string, string> = {}) {
  const sandboxes = await Promise.all(
    NAMES.map((name) => providers.find((provider) => provider.name === name)!.sandbox())
  )
  t.teardown(() => Promise.all(sandboxes.map((sandbox) => sandbox.close())))
  const folder = temporaryFolder(t)
  const service = await startService(t, { sandboxes, env, folder })
  const calls = () => sandboxes.map(({ requests }) => requests.length)
  return { service, calls, folder }
}

const USERS = [
  { email: 'Jane@Example.com ', phone: '0151 12345678', country: 'Germany', edgeTagId: 'et-1' },
  { email: 'jane@example.com', phone: '+1 (415) 555-2671', shoeSize: 38 },
  { email: 'john.doe@example', phone: '0151 12345678' },
  { email: 'n/a', phone: '(415) 555-2671', country: 'Narnia' },
  { firstName: 'Jane', lastName: "O'Connor", country: 'US', postalCode: 2134 },
  { firstName: '---', lastName: '123', postalCode: 'SW1A 1AA', country: 'USA' },
  { email: 'b'.repeat(64) }
]

const NONE = { given: 0, usable: 0, repaired: 0, unusable: 0, hashed: 0, why: {} }
const row = (index: number) => ({ sequence: 1, row: index })

test('a dry run tells the quality of an upload, and who could be matched where', async (t) => {
  const { service } = await withPlatforms(t)
  const answer = await service.post(form({ users: USERS }), '?dryRun=true')
  t.equal(answer.status, 200)
  t.equal(answer.headers.get('location'), null)
  t.same(answer.body, {
    success: true,
    dryRun: true,
    users: 7,
    report: {
      fields: {
        email: {
          given: 5,
          usable: 3,
          repaired: 0,
          unusable: 2,
          hashed: 1,
          why: {
            not_an_address: { users: 1, rows: [row(2)], examples: ['j***@example'] },
            placeholder: { users: 1, rows: [row(3)], examples: ['n***'] }
          }
        },
        phone: {
          given: 4,
          usable: 2,
          repaired: 1,
          unusable: 2,
          hashed: 0,
          why: {
            no_country: { users: 1, rows: [row(2)], examples: ['0151 ***'] },
            unknown_country: { users: 1, rows: [row(3)], examples: ['(415) 5 ***'] }
          }
        },
        firstName: {
          ...NONE,
          given: 2,
          usable: 1,
          unusable: 1,
          why: { placeholder: { users: 1, rows: [row(5)], examples: ['-***'] } }
        },
        lastName: {
          ...NONE,
          given: 2,
          usable: 1,
          repaired: 1,
          unusable: 1,
          why: { no_letters: { users: 1, rows: [row(5)], examples: ['1***'] } }
        },
        country: {
          ...NONE,
          given: 4,
          usable: 3,
          repaired: 2,
          unusable: 1,
          why: { unknown_country: { users: 1, rows: [row(3)], examples: ['N***'] } }
        },
        postalCode: {
          ...NONE,
          given: 2,
          usable: 1,
          repaired: 1,
          unusable: 1,
          why: { not_of_country: { users: 1, rows: [row(5)], examples: ['S***'] } }
        }
      },
      duplicates: 0,
      ignoredFields: { shoeSize: 1 }
    },
    destinations: [
      {
        provider: 'facebook',
        tag: 'default',
        segment: 'blotout_High_Value_Customers',
        mode: 'add',
        users: { matchable: 4, leftOut: 3 },
        leftOutBy: { no_identifier: 3 },
        notes: {},
        identifiers: { 0: 2, 1: 2, 2: 1, 4: 2 },
        requests: 1
      },
      {
        provider: 'klaviyo',
        tag: 'default',
        segment: 'blotout_High_Value_Customers',
        mode: 'add',
        users: { matchable: 1, leftOut: 6 },
        leftOutBy: { duplicate: 1, no_identifier: 4, hashed_only: 1 },
        notes: { phone_region_not_supported: 1 },
        identifiers: { 0: 5, 2: 2 },
        requests: 1
      }
    ]
  })
})

test('a dry run touches no platform, keeps nothing and is no duplicate of the upload', async (t) => {
  const { service, calls, folder } = await withPlatforms(t)
  const before = calls()
  await service.post(form({ users: USERS }), '?dryRun&sync=true')
  await service.post(form({ users: USERS }), '?dryRun&mode=remove')
  t.same(calls(), before)
  t.equal((await service.get(`/audience/sessions/${BATCH.sessionId}`)).status, 404)
  t.same(await rowsIn(service, folder), { uploads: 0, deliveries: 0, segments: 0 })

  const next = await startService(t, { folder })
  const upload = await next.post(form({ users: USERS }))
  t.equal(upload.headers.get('x-duplicate'), null)
  const after = await next.post(form({ users: USERS }), '?dryRun=1')
  t.equal(after.headers.get('x-duplicate'), null)
  t.same(await rowsIn(next, folder), { uploads: 1, deliveries: 0, segments: 0 })
})

/** What the database has once its service has let go of it. */
async function rowsIn({ app }: Service, folder: string) {
  await app.close()
  const database = new DatabaseSync(join(folder, 'audience.db'))
  const count = (table: string) =>
    database.prepare(`SELECT COUNT(*) AS rows FROM ${table}`).get()?.['rows']
  const rows = {
    uploads: count('uploads'),
    deliveries: count('deliveries'),
    segments: count('segments')
  }
  database.close()
  return rows
}

test('what is wrong with an upload is told in a dry run as without', async (t) => {
  const { service, calls } = await withPlatforms(t, { AUDIENCE_MAX_USERS: '2' })
  const before = calls()
  const cases: readonly (readonly [fields: FormFields, query: string])[] = [
    [{ name: undefined }, ''],
    [{ type: 'other' }, ''],
    [{ batch: { ...BATCH, sequence: 2 } }, ''],
    [{ users: '[{"email":' }, ''],
    [{ users: {} }, ''],
    [{ users: [] }, ''],
    [{ users: [{}, { email: 5 }] }, ''],
    [{ users: [{}, {}, {}] }, ''],
    [{}, '&mode=replace'],
    [{}, '&channels=myspace'],
    [{}, '&defaultCountry=Germany']
  ]
  for (const [fields, query] of cases) {
    const dry = await service.post(form(fields), `?dryRun=true${query}`)
    const real = await service.post(form(fields), `?dryRun=false${query}`)
    t.ok(dry.status >= 400 && dry.status < 500)
    t.same([dry.status, dry.text], [real.status, real.text], dry.text)
    t.equal(dry.headers.get('x-error-code'), real.headers.get('x-error-code'))
  }
  const wrong = await service.post(form(), '?dryRun=perhaps')
  t.equal(wrong.status, 400)
  t.match(wrong.text, /The query parameter \\"dryRun\\" must be true, false, 1 or 0\./)
  t.same(calls(), before)
})

test('a dry run works without any platform, and for those that are named', async (t) => {
  const alone = await startService(t)
  const nowhere = await alone.post(form(), '?dryRun=true')
  t.match(nowhere.body, { users: 1, report: { fields: { email: { usable: 1 } } } })
  t.same(Object(nowhere.body).destinations, [])

  const { service } = await withPlatforms(t)
  const users = [{ email: 'jane@example.com' }, { email: 'jane@example.com' }, { phone: '0151' }]
  const answer = await service.post(form({ users }), '?dryRun=true&mode=remove&channels=klaviyo')
  t.same(Object(answer.body).destinations, [
    {
      provider: 'klaviyo',
      tag: 'default',
      segment: 'blotout_High_Value_Customers',
      mode: 'remove',
      users: { matchable: 1, leftOut: 2 },
      leftOutBy: { duplicate: 1, no_identifier: 1 },
      notes: {},
      identifiers: { 0: 1, 1: 2 },
      requests: 1
    }
  ])
})

test('the span of a dry run says so, and no log has anything of its values', async (t) => {
  const { service } = await withPlatforms(t, { LOG_LEVEL: 'trace' })
  const users = [{ email: 'marked.value@nowhere', phone: '0151 99887766', firstName: '4711-0815' }]
  const answer = await service.post(form({ users }), '?dryRun=true')
  t.match(answer.text, /m\*\*\*@nowhere/)
  t.notMatch(answer.text, /marked|99887766|0815/)
  t.notMatch(service.log(), /marked|nowhere|9988|4711|\*\*\*/)
  const [span, ...more] = service.lines().filter((line) => line['audience.dry_run'] === true)
  t.match(span, { 'http.route': '/audience', 'http.response.status_code': 200 })
  t.same(more, [])
})

test('a dry run that gets no thread in time, or takes too much memory, is refused', async (t) => {
  const faults = [
    new DOMException('over', 'TimeoutError'),
    Object.assign(new Error('full'), { code: 'ERR_WORKER_OUT_OF_MEMORY' })
  ]
  const service = await startService(t, {
    workers: (real) => ({ ...real, inspect: () => Promise.reject(faults.shift() ?? new Error()) })
  })
  const late = await service.post(form(), '?dryRun=true')
  t.same([late.status, late.headers.get('retry-after')], [503, '10'])
  t.equal((await service.post(form(), '?dryRun=true')).status, 413)
  t.equal(service.app.uploadBudget.takenBytes, 0)
})

test('a dry run that is written slightly wrong is refused and never an upload', async (t) => {
  const { service, calls } = await withPlatforms(t)
  const before = calls()
  for (const query of ['?dryrun=true', '?dry_run=1', '?DRY-RUN', '?default_country=DE']) {
    const answer = await service.post(form(), query)
    t.same([answer.status, answer.headers.get('x-error-code')], [400, 'AUD_PAYLOAD'], query)
    t.match(answer.text, /"(dryRun|defaultCountry)\\" was probably meant/)
  }
  const fields = form()
  fields.append('dryRun', 'true')
  const answer = await service.post(fields)
  t.same([answer.status, answer.headers.get('x-error-code')], [400, 'AUD_PAYLOAD'])
  t.match(answer.text, /the query parameter \\"dryRun\\" was probably meant/)
  t.same(calls(), before)
  t.equal((await service.post(form(), '?utm_source=x&dryRun=true')).status, 200)
})

test('an address below a wildcard answers another method with 405', async (t) => {
  const service = await startService(t)
  const { statusCode, headers } = await service.app.inject({ method: 'POST', url: '/docs/x' })
  t.same([statusCode, headers['allow']], [405, 'GET, HEAD'])
})
