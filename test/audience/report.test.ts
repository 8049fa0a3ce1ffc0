import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import examples from 'libphonenumber-js/mobile/examples'
import { getCountries, getExampleNumber } from 'libphonenumber-js/max'
import { test } from 'tap'
import { isCountryCode } from '../../src/audience/country.ts'
import { externalId, isUsableId } from '../../src/audience/external-id.ts'
import { mask } from '../../src/audience/mask.ts'
import { createMembers as createReader, type MatchField } from '../../src/audience/members.ts'
import { readUsers } from '../../src/audience/parse-users.ts'
import { isRepairedNumber, isRepairedText } from '../../src/audience/repair.ts'
import { createFieldReport, partsOf } from '../../src/audience/report.ts'
import type { User } from '../../src/audience/schemas.ts'
import { dirtyUsers } from '../support/dirty-users.ts'
import { createMembers, fieldReport, parseUsers } from '../support/members.ts'

const FIELDS = ['email', 'phone', 'firstName', 'lastName', 'country', 'postalCode'] as const
const FORMS = {
  email: 'email',
  phone: 'phoneE164',
  firstName: 'firstName',
  lastName: 'lastName',
  country: 'country',
  postalCode: 'postalCodeFull'
} as const
const HASH = 'b'.repeat(64)
const HASH_OF_NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
const NONE = { given: 0, usable: 0, repaired: 0, unusable: 0, hashed: 0, why: {} }

test('the report counts what was given, what of it can be used, and why not', async (t) => {
  const members = createMembers(
    [
      { email: 'mary@example.com', phone: 'call me', country: 'US', firstName: 'n/a' },
      { email: HASH, phone: '0151 23456789', country: 'N/A', postalCode: 10115 },
      { email: 'n/a', country: 'Narnia', postalCode: ' ', edgeTagId: 'et-1' },
      { email: null }
    ],
    { defaultCountry: 'DE' }
  )
  t.same(fieldReport(members), {
    email: {
      given: 3,
      usable: 2,
      repaired: 0,
      unusable: 1,
      hashed: 1,
      why: { placeholder: { users: 1, rows: [2] } }
    },
    phone: {
      given: 2,
      usable: 1,
      repaired: 1,
      unusable: 1,
      hashed: 0,
      why: { not_a_number: { users: 1, rows: [0] } }
    },
    firstName: {
      ...NONE,
      given: 1,
      unusable: 1,
      why: { placeholder: { users: 1, rows: [0] } }
    },
    lastName: NONE,
    country: {
      ...NONE,
      given: 2,
      usable: 1,
      unusable: 1,
      why: { unknown_country: { users: 1, rows: [2] } }
    },
    postalCode: { ...NONE, given: 1, usable: 1 },
    combinations: {
      'email+country': 1,
      'phone+country+postalCode+hashedEmail': 1,
      edgeTagId: 1,
      country: 1
    }
  })
})

test('users are repeated whose usable e-mail and phone are together those of one before', async (t) => {
  const phone = '+14155552671'
  const users = [
    { email: 'jane@example.com', phone },
    { email: ' Jane@Example.com', phone: '+1 (415) 555-2671' },
    { email: 'jane@example.com' },
    { phone },
    { email: HASH, phone },
    { email: HASH.toUpperCase(), phone },
    { firstName: 'Jane' },
    { email: 'n/a' }
  ]
  t.equal(fieldReport(createMembers(users), 1).duplicates, 2)
  t.equal(fieldReport(createMembers(users)).duplicates, undefined, 'not where users are sent')
})

test('a masked number is short, whatever stands between its digits', async (t) => {
  t.equal(mask('phone', `+1${'-'.repeat(1_000_000)}4155552671`), `+1${'-'.repeat(14)} ***`)
})

/** One value of a field, and what else its user has. */
type Case = readonly [value: unknown, rest?: User]

const REASONS: Readonly<Record<MatchField, Readonly<Record<string, readonly Case[]>>>> = {
  email: {
    not_an_address: [
      ['jane'],
      ['jane@example'],
      ['jane@@example.com'],
      ['a b@example.com'],
      ['@jane']
    ],
    placeholder: [['n/a'], ['none@none.com'], ['noemail@shop.example'], ['jane@shop.invalid']],
    too_long: [[`${'a'.repeat(65)}@example.com`], [`jane@${'example.'.repeat(40)}com`]],
    damaged: [['j\ufffdne@example.com'], ['jane\ud800@example.com']],
    hash_of_nothing: [[HASH_OF_NOTHING], [` ${HASH_OF_NOTHING.toUpperCase()}`]],
    unreadable_hash: [
      ['5d41402abc4b2a76b9719d911017c592'],
      ['aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d'],
      ['LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ='],
      [`sha256:${HASH}`]
    ]
  },
  phone: {
    no_country: [['0151 23456789'], ['(415) 555-2671'], ['12025550123'], ['Tel.: 030 1234567']],
    unknown_country: [['0151 23456789', { country: 'Narnia' }]],
    hashed_country: [['0151 23456789', { country: HASH }]],
    impossible_number: [
      ['0151', { country: 'DE' }],
      ['+1 415 555'],
      ['0049 15'],
      ['+999 12345678'],
      ['(415) 055-2671', { country: 'US' }]
    ],
    placeholder: [['n/a'], ['0000000000'], ['123456789', { country: 'US' }], ['+1 111 111 1111']],
    not_a_number: [['call me'], ['555-CALL-NOW'], ['?!1a'], ['1'.repeat(251)]],
    damaged: [[-5], [12.5], ['0151 2345\ufffd']],
    hash_of_nothing: [[HASH_OF_NOTHING]],
    unreadable_hash: [['5d41402abc4b2a76b9719d911017c592']]
  },
  firstName: {
    placeholder: [['n/a'], ['Unknown'], ['---'], ['NOT  PROVIDED']],
    no_letters: [['123'], ['4 2'], ['ʻ']],
    damaged: [['J\ufffdrgen']],
    hash_of_nothing: [[HASH_OF_NOTHING]]
  },
  lastName: { placeholder: [['null']], no_letters: [['007']], damaged: [['M\ufffdller']] },
  country: {
    unknown_country: [['Narnia'], ['Congo'], ['XX'], ['Germany (AT)']],
    damaged: [['\ufffdsterreich']],
    hash_of_nothing: [[HASH_OF_NOTHING]],
    unreadable_hash: [['5d41402abc4b2a76b9719d911017c592']]
  },
  postalCode: {
    placeholder: [['n/a'], ['00000'], [0]],
    not_a_code: [['12.5'], ['Berlin'], ['x'.repeat(200)], ['1']],
    not_of_country: [
      ['K1A 0A6', { country: 'US' }],
      ['10115', { country: 'GB' }]
    ],
    damaged: [[-5], [1e21]],
    hash_of_nothing: [[HASH_OF_NOTHING]]
  }
}

test('each unusable value has its reason', async (t) => {
  for (const field of FIELDS) {
    for (const [reason, cases] of Object.entries(REASONS[field])) {
      for (const [value, rest = {}] of cases) {
        const report = fieldReport(createMembers([{ ...rest, [field]: value }]))
        t.same(
          report[field].why,
          { [reason]: { users: 1, rows: [0] } },
          `${field} ${JSON.stringify(value)} ${JSON.stringify(rest)}`
        )
      }
    }
  }
})

test('each reason is told in the documentation', async (t) => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/matching.md'), 'utf8')
  const [, section = ''] = text.split('## Why a value cannot be used')
  const [table = ''] = section.split('\n## ')
  const told = [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, reason]) => reason)
  const reasons = Object.values(REASONS).flatMap((ofField) => Object.keys(ofField))
  t.same(new Set(told), new Set(reasons))
})

test('a national number of any country lacks nothing but the country', async (t) => {
  const countries = getCountries().filter(isCountryCode)
  const numbers = countries.flatMap((country) => getExampleNumber(country, examples) ?? [])
  const given = numbers.map((number) => ({ phone: number.formatNational() }))
  const lost = fieldReport(createMembers(given)).phone
  t.ok(numbers.length > 200)
  t.same(Object.keys(lost.why), ['no_country'])
  t.equal(lost.why.no_country?.users, numbers.length)
  const homes = given.map((user, index) => ({ ...user, country: numbers[index]?.country ?? '' }))
  t.equal(fieldReport(createMembers(homes)).phone.usable, numbers.length)
})

const DIRTY = 2_000

test('every hostile value is usable or has one reason', async (t) => {
  const bytes = dirtyUsers(DIRTY)
  for (const defaultCountry of [undefined, 'DE']) {
    const parsed = parseUsers(bytes, { maxUsers: DIRTY })
    if ('problem' in parsed) throw new Error(parsed.problem)
    const members = createReader({ defaultCountry })(parsed.users)
    const report = fieldReport(members)
    for (const field of FIELDS) {
      const { given, usable, repaired, unusable, why } = report[field]
      const [ways, hashes] = [members.given(field), members.hash(FORMS[field])]
      t.equal(given, ways.filter((way) => way !== '').length, `${field}: given`)
      t.equal(usable, ways.filter((way, row) => way !== '' && hashes[row] !== '').length)
      t.equal(usable + unusable, given, `${field}: all are told`)
      const reasons = Object.values(why)
      t.equal(
        reasons.reduce((sum, { users }) => sum + users, 0),
        unusable,
        `${field}: one reason each`
      )
      const rows = reasons.flatMap((reason) => reason.rows)
      t.equal(new Set(rows).size, rows.length, `${field}: no row has two reasons`)
      t.ok(rows.every((row) => ways[row] !== '' && hashes[row] === ''))
      for (const { users, rows: first } of reasons) t.equal(first.length, Math.min(users, 10))
      const expected = ways.filter((way, row) => way !== '' && isRepair(field, row)).length
      t.equal(repaired, expected, `${field}: repaired`)
      t.ok(repaired <= usable && repaired > 0)
    }
    const users = Object.values(report.combinations).reduce((sum, count) => sum + count, 0)
    t.equal(users, members.size)

    function isRepair(field: MatchField, row: number): boolean {
      const text = members.text(FORMS[field])[row] ?? ''
      const value = members.written(field)[row] ?? ''
      if (text === '') return false
      if (field === 'phone') return text !== `+${value.replace(/[^0-9]/g, '')}`
      return text !== value.trim().toLowerCase()
    }
  }
})

test('the report is the same into whatever parts an upload is read', async (t) => {
  const bytes = dirtyUsers(DIRTY)
  const toMembers = createReader()
  const report = createFieldReport()
  const users = JSON.parse(new TextDecoder().decode(bytes)) as User[]
  for (let start = 0; start < users.length; start += 300) {
    const part = new TextEncoder().encode(JSON.stringify(users.slice(start, start + 300)))
    readUsers(part, { maxUsers: DIRTY }, (columns) => report.add(toMembers(columns)))
  }
  const whole = parseUsers(bytes, { maxUsers: DIRTY })
  if ('problem' in whole) throw new Error(whole.problem)
  t.same(report.end(), fieldReport(createReader()(whole.users)))
})

test('a combination names the parts that are usable', async (t) => {
  t.same(partsOf('email+phone'), ['email', 'phone'])
  t.same(partsOf(''), [])
})

const anyValue = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.emailAddress(),
  fc.stringMatching(/^[a-zA-Z0-9 ._-]{0,12}@[a-zA-Z0-9 .-]{0,12}$/),
  fc.stringMatching(/^[ +(]{0,2}[0-9 ()./-]{0,20}$/),
  fc.constantFrom('\ud800', '\ufeff', 'İ', 'ß', 'É', 'n/a', '@', 'a@', '@b')
)

test('a repair is told as trimming and lower case tell it', async (t) => {
  const anyTexts = fc
    .tuple(anyValue, fc.constantFrom('', ' ', '\t', '\u00a0', '\ufeff', '\u0001'))
    .chain(([value, space]) =>
      fc.tuple(
        fc.oneof(fc.constant(value), anyValue).map((text) => text.trim().toLowerCase()),
        fc.constant(space + value + space)
      )
    )
  fc.assert(
    fc.property(anyTexts, ([made, value]) => {
      return made === '' || isRepairedText(made, value) === (made !== value.trim().toLowerCase())
    })
  )
  t.equal(isRepairedNumber('+4915123456789', ' +49 (151) 234-56789 '), false)
  t.equal(isRepairedNumber('+4915123456789', '4915123456789'), false)
  t.equal(isRepairedNumber('+4915123456789', '+49151234567890'), true)
  t.equal(isRepairedNumber('+4915123456789', '+4915123456'), true)
  t.equal(isRepairedNumber('+4915123456789', '0151 23456789'), true)
})

test('an own id counts where one is sent', async () => {
  const anyId = fc.oneof(
    anyValue,
    fc.constantFrom('0', '000', '#div/0!', '12', 'et-1', '(not set)', HASH, HASH_OF_NOTHING)
  )
  fc.assert(fc.property(anyId, (id) => isUsableId(id) === (externalId(id) !== '')))
})

test('a masked value is enough to find a mistake', async (t) => {
  const masks: readonly (readonly [field: MatchField, value: string, masked: string])[] = [
    ['email', 'jane.doe@example', 'j***@example'],
    ['email', ' jane@@gmail.com', 'j***@gmail'],
    ['email', 'jane@doe-family-of-berlin.de', 'j***@***'],
    ['email', 'jane@4155552671', 'j***@***'],
    ['email', 'j@example', 'j***'],
    ['email', '@janedoe', '@***'],
    ['email', 'Jane Doe', 'J***'],
    ['email', 'J', '***'],
    ['phone', '+1 415 555 267', '+1 415 ***'],
    ['phone', '0151/2345', '015 ***'],
    ['phone', 'Jane, 0151 23456789', 'J***'],
    ['phone', '12', '1***'],
    ['phone', '7', '***'],
    ['firstName', '123', '1***'],
    ['postalCode', '\ufffd', '***'],
    ['country', '🇩🇪🇩🇪', '🇩***']
  ]
  for (const [field, value, masked] of masks) t.equal(mask(field, value), masked, value)
})

test('a mask never holds more than a small part of a value', async () => {
  // A value may be made of asterisks itself.
  const shownOf = (masked: string) => masked.replaceAll('***', '')
  fc.assert(
    fc.property(fc.constantFrom(...FIELDS), anyValue, (field, value) => {
      const masked = mask(field, value)
      const shown = Array.from(shownOf(masked)).length
      const digits = (text: string) => text.replace(/[^0-9]/g, '').length
      if (!masked.includes('***') || shownOf(masked).includes(value.trim() || '\0')) return false
      if (field === 'phone') return digits(masked) <= 5 && digits(masked) * 2 <= digits(value) + 1
      if (field === 'email') return digits(masked) <= 1 && shown <= 1 + '@'.length + 10
      return shown <= 1
    }),
    { numRuns: 1_000 }
  )
})

test('examples are few, different and only there when asked for', async (t) => {
  const users = ['amy@x', 'amy@x', 'ann@y', 'bob@z', 'cat@z', 'dan@z'].map((email) => ({ email }))
  const members = createMembers(users)
  t.same(fieldReport(members).email.why, {
    not_an_address: { users: 6, rows: [0, 1, 2, 3, 4, 5] }
  })
  t.same(fieldReport(members, 3).email.why.not_an_address?.examples, ['a***@x', 'a***@y', 'b***@z'])
})
