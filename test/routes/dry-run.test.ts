import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { providers } from '../../providers/registry.ts'
import { BATCH, form, type Service, startService, temporaryFolder } from '../support/service.ts'

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
