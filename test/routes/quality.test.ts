import { test } from 'tap'
import { Value } from 'typebox/value'
import { providers } from '../../providers/registry.ts'
import type { FieldReport } from '../../src/audience/report.ts'
import { addReports, countIdentifiers } from '../../src/routes/quality.ts'
import { fieldReport, createMembers } from '../support/members.ts'

const NONE = { given: 0, usable: 0, repaired: 0, unusable: 0, hashed: 0, why: {} }

/** As the first version stored it. */
const OLD: FieldReport = JSON.parse(`{
  "email": { "given": 9730, "usable": 9451, "unusable": 279, "hashed": 6 },
  "phone": { "given": 9005, "usable": 8746, "unusable": 259, "hashed": 0 },
  "firstName": { "given": 0, "usable": 0, "unusable": 0, "hashed": 0 },
  "lastName": { "given": 0, "usable": 0, "unusable": 0, "hashed": 0 },
  "country": { "given": 0, "usable": 0, "unusable": 0, "hashed": 0 },
  "postalCode": { "given": 0, "usable": 0, "unusable": 0, "hashed": 0 }
}`)

/** A platform with its default settings. */
function platform(name: string, variables: object = {}) {
  const provider = providers.find((one) => one.name === name)
  if (provider === undefined) throw new Error(`no platform ${name}`)
  const defaults = Object(Value.Default(provider.variables, {}))
  return { provider, variables: { ...defaults, ...variables } }
}

test('reports that an older version stored read well, alone and beside new ones', async (t) => {
  const { email } = addReports([{ sequence: 1, report: OLD }])
  t.same(email, { given: 9730, usable: 9451, repaired: 0, unusable: 279, hashed: 6, why: {} })
  const report = fieldReport(createMembers([{ email: 'jane' }, { email: 'jane@example.com' }]))
  const both = addReports([
    { sequence: 1, report: OLD },
    { sequence: 2, report }
  ])
  t.same(both, {
    email: {
      given: 9732,
      usable: 9452,
      repaired: 0,
      unusable: 280,
      hashed: 6,
      why: { not_an_address: { users: 1, rows: [{ sequence: 2, row: 0 }] } }
    },
    phone: { ...NONE, given: 9005, usable: 8746, unusable: 259 },
    firstName: NONE,
    lastName: NONE,
    country: NONE,
    postalCode: NONE
  })
  t.same(countIdentifiers(OLD, platform('facebook'), undefined), {})
})

test('reasons of several batches are added, the most frequent first, with the first rows', async (t) => {
  const lost = fieldReport(createMembers(Array.from({ length: 12 }, () => ({ email: 'jane' }))))
  const empty = fieldReport(createMembers([{ email: 'n/a' }]))
  const { why } = addReports([
    { sequence: 1, report: empty },
    { sequence: 2, report: lost },
    { sequence: 3, report: lost },
    { sequence: 4, report: lost }
  ]).email
  const rows = (sequence: number) => Array.from({ length: 10 }, (_, row) => ({ sequence, row }))
  t.same(why, {
    placeholder: { users: 1, rows: [{ sequence: 1, row: 0 }] },
    not_an_address: { users: 36, rows: [...rows(2), ...rows(3)] }
  })
  t.same(Object.keys(why), ['not_an_address', 'placeholder'])
})

test('identifiers are counted by what each platform takes', async (t) => {
  const hash = 'b'.repeat(64)
  const report = fieldReport(
    createMembers([
      { email: 'jane@example.com', phone: '+14155552671', country: 'US', edgeTagId: 'et-1' },
      { email: hash, phone: '+14155552671', firstName: 'Jane', lastName: 'Doe' },
      { email: hash, phone: hash },
      {}
    ])
  )
  const counts = (name: string, hashes?: 'e164', variables = {}) =>
    countIdentifiers(report, platform(name, variables), hashes)
  t.same(counts('facebook'), { 0: 1, 2: 1, 4: 2 })
  t.same(counts('tiktok'), { 0: 1, 2: 3 })
  t.same(counts('adcp'), { 0: 1, 2: 2, 3: 1 })
  // Klaviyo takes no hashes.
  t.same(counts('klaviyo'), { 0: 2, 1: 1, 2: 1 })
  // Of E.164: not what Meta matches on.
  t.same(counts('facebook', 'e164'), { 0: 1, 1: 1, 4: 2 })
  t.same(counts('tiktok', 'e164'), { 0: 1, 2: 3 })
  t.same(counts('tiktok', 'e164', { phoneForm: 'digits' }), { 0: 1, 1: 1, 2: 2 })
})
