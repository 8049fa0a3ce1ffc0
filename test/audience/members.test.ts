import { hash } from 'node:crypto'
import * as fc from 'fast-check'
import examples from 'libphonenumber-js/examples.mobile.json'
import { getCountries, getExampleNumber } from 'libphonenumber-js/max'
import { test } from 'tap'
import { type MatchField, type MatchForm } from '../../src/audience/members.ts'
import { createMembers, fieldReport } from '../support/members.ts'
import { purchaseValue } from '../../src/audience/purchase.ts'
import { segmentName } from '../../src/audience/segment-name.ts'
import { generateCustomers } from '../../src/cli/sample-customers.ts'

const FIELD_OF: Record<MatchForm, MatchField> = {
  email: 'email',
  emailStripped: 'email',
  emailCanonical: 'email',
  phoneE164: 'phone',
  phoneDigits: 'phone',
  firstName: 'firstName',
  lastName: 'lastName',
  country: 'country',
  postalCode: 'postalCode',
  postalCodeFull: 'postalCode'
}
const FORMS = Object.keys(FIELD_OF) as MatchForm[]

const GIVEN_HASH = 'F1904CF1A9D73A55FA5DE0AC823C4403DED71AFD4C3248D00BDCD0866552BB79'
const HASH_OF_NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

function sha256(text: string): string {
  return hash('sha256', text, 'hex')
}

test('a value given as a hash passes through in lower case, in every form', async (t) => {
  for (const form of FORMS) {
    const members = createMembers([{ [FIELD_OF[form]]: ` ${GIVEN_HASH} ` }])
    t.same(members.hash(form), [GIVEN_HASH.toLowerCase()], form)
    t.same(members.text(form), [''], form)
  }
})

test('a text that only contains a hash is no hash', async (t) => {
  const members = createMembers([
    { email: `${GIVEN_HASH}0`, phone: GIVEN_HASH.slice(1), lastName: `x${GIVEN_HASH}` }
  ])
  t.same(members.hash('email'), [''])
  t.same(members.hash('phoneE164'), [''])
  t.same(members.hash('lastName'), [sha256(`x${GIVEN_HASH.toLowerCase()}`)])
})

test('nothing is never hashed', async (t) => {
  const nothing = [undefined, null, '', ' ', '\u200b', '-', 'n/a']
  for (const form of FORMS) {
    const members = createMembers(nothing.map((value) => ({ [FIELD_OF[form]]: value })))
    t.same(members.hash(form), ['', '', '', '', '', '', ''], form)
  }
})

test('the hash of an empty text is no value, in no field', async (t) => {
  const value = HASH_OF_NOTHING
  const users = [value, ` ${value.toUpperCase()} `].map((text) => ({
    email: text,
    phone: text,
    firstName: text,
    lastName: text,
    country: text,
    postalCode: text
  }))
  const members = createMembers(users)
  for (const form of FORMS) {
    t.same(members.hash(form), ['', ''], form)
    t.same(members.text(form), ['', ''], form)
  }
  t.same(members.plainNames('lastName'), ['', ''])
  const why = { hash_of_nothing: { users: 2, rows: [0, 1] } }
  const count = { given: 2, usable: 0, repaired: 0, unusable: 2, hashed: 0, why }
  t.same(fieldReport(members), {
    email: count,
    phone: count,
    firstName: count,
    lastName: count,
    country: count,
    postalCode: count,
    combinations: { '': 2 }
  })
})

test('rows of all columns belong to the same users', async (t) => {
  const members = createMembers([
    { email: 'A.B+c@Example.com', firstName: 'Jürgen', lastName: "O'Connor", edgeTagId: 'et_1' },
    {},
    { phone: '0151 23456789', country: 'Deutschland', postalCode: 1067 },
    { email: 'A.B+c@Example.com', country: 'US', postalCode: '37221-3312' }
  ])
  t.equal(members.size, 4)
  const expected: Record<MatchForm, string[]> = {
    email: ['a.b+c@example.com', '', '', 'a.b+c@example.com'],
    emailStripped: ['ab@example.com', '', '', 'ab@example.com'],
    emailCanonical: ['ab@example.com', '', '', 'ab@example.com'],
    phoneE164: ['', '', '+4915123456789', ''],
    phoneDigits: ['', '', '4915123456789', ''],
    firstName: ['jürgen', '', '', ''],
    lastName: ['oconnor', '', '', ''],
    country: ['', '', 'de', 'us'],
    postalCode: ['', '', '01067', '37221'],
    postalCodeFull: ['', '', '01067', '37221']
  }
  for (const form of FORMS) {
    t.same(members.text(form), expected[form], form)
    t.same(
      members.hash(form),
      expected[form].map((text) => (text === '' ? '' : sha256(text))),
      form
    )
    t.equal(members.hash(form), members.hash(form), `${form} is made once`)
  }
  t.same(members.externalIds(), ['et_1', '', '', ''])
})

function externalIds(values: string[]): readonly string[] {
  return createMembers(values.map((edgeTagId) => ({ edgeTagId }))).externalIds()
}

test('an own id goes out as given, but never an e-mail address or a phone number', async (t) => {
  const kept = ['et_abc123', ' et_1 ', 'A1B2', '12345', '123456789012345678', '0b14-77aa', 'Ünal-7']
  const hidden = [
    'jane@example.com',
    '+49 151 23456789',
    '015123456789',
    '(616) 954-7888',
    '1234567',
    '12345678901234567',
    '(+49) 151 12345678',
    'tel:+49-151-12345678',
    'tel:+1-616-954-7888;ext=12',
    "'+4915112345678",
    '="+4915112345678"',
    '４９１５１１２３４５６７８',
    '0151–12345678',
    '0151\u201112345678',
    '0151 1234567 x5',
    '0151 1234567 ext. 5',
    '0151 1234567 #5',
    '٠١٥١١٢٣٤٥٦٧',
    'jane＠example.com',
    'jane﹫example.com'
  ]
  const placeholders = ['n/a', 'null', '-', '', HASH_OF_NOTHING]
  t.same(externalIds(kept), [
    'et_abc123',
    'et_1',
    'A1B2',
    '12345',
    '123456789012345678',
    '0b14-77aa',
    'Ünal-7'
  ])
  t.same(externalIds(hidden), hidden.map(sha256))
  t.same(externalIds(placeholders), ['', '', '', '', ''])
  // Removed later by the same value, therefore without any other change of its bytes.
  t.same(externalIds([' ０151–12345678\u200b ']), [sha256('０151–12345678')])
})

test('a number that cannot be whole leaves none of its digits', async (t) => {
  const spoilt = [12.5, 1e21, 2 ** 60, -4915123456789]
  const members = createMembers(
    spoilt.map((value) => ({ edgeTagId: value, phone: value, postalCode: value, country: 'DE' }))
  )
  for (const form of ['phoneE164', 'phoneDigits', 'postalCode', 'postalCodeFull'] as const) {
    t.same(members.hash(form), ['', '', '', ''], form)
  }
  t.same(members.plainPostalCodes(), ['', '', '', ''])
  t.same(members.externalIds(), ['', '', '', ''])
  const { phone, postalCode } = fieldReport(members)
  const why = { damaged: { users: 4, rows: [0, 1, 2, 3] } }
  const count = { given: 4, usable: 0, repaired: 0, unusable: 4, hashed: 0, why }
  t.same(phone, count)
  t.same(postalCode, count)
})

test('purchases come as a list, however they were given', async (t) => {
  const members = createMembers([
    { purchase: { currency: 'USD', profit: 10 } },
    { purchase: [{ profit: 1 }, { total7Days: 2 }] },
    { purchase: null },
    {}
  ])
  t.same(members.purchases(), [
    [{ currency: 'USD', profit: 10 }],
    [{ profit: 1 }, { total7Days: 2 }],
    [],
    []
  ])
})

test('the value of purchases is their sum in one currency, at least 0', async (t) => {
  const purchases = [
    { currency: 'usd', profit: 10.5, total7Days: 3 },
    { currency: ' USD ', profit: 4 },
    { profit: 1 },
    { currency: 'EUR', profit: 100 }
  ]
  t.same(purchaseValue(purchases, 'profit', 'USD'), { value: 15.5, otherCurrency: 1 })
  t.same(purchaseValue(purchases, 'total7Days', 'usd'), { value: 3, otherCurrency: 1 })
  t.same(purchaseValue(purchases, 'profit', 'EUR'), { value: 101, otherCurrency: 2 })
  t.same(purchaseValue([{ profit: -5 }], 'profit', 'USD'), { value: 0, otherCurrency: 0 })
  t.same(purchaseValue([{ profit: null }], 'profit', 'USD'), { value: 0, otherCurrency: 0 })
  t.same(purchaseValue([], 'profit', 'USD'), { value: 0, otherCurrency: 0 })
})

test('the segment is called as the specification says', async (t) => {
  const name = 'High Value Customers'
  const prefix = 'blotout_'
  t.equal(segmentName(name, { prefix, disablePrefix: false }), 'blotout_High_Value_Customers')
  t.equal(segmentName(name, { prefix, disablePrefix: true }), 'High Value Customers')
  t.equal(segmentName(' a \t\n b ', { prefix, disablePrefix: false }), 'blotout_a_b')
  t.equal(segmentName(' a  b ', { prefix, disablePrefix: true }), ' a  b ')
})

/** Text as lists hold it, and as nobody expects it: all of Unicode, lone surrogates, near misses. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.emailAddress(),
  fc.stringMatching(/^[+(]?[0-9 ()./-]{5,20}(?: ?x[0-9]{1,3})?$/),
  fc.stringMatching(/^[a-zA-Z]{1,2}[0-9]{1,2}[a-zA-Z]?[ -]?[0-9][a-zA-Z]{2}$/),
  fc.constantFrom('\ud800', '\ufeff', '0'.repeat(64), '__proto__', 'İ', 'ß', 'ﬁ')
)
const anyUser = fc.record(
  {
    edgeTagId: anyText,
    email: anyText,
    phone: fc.oneof(anyText, fc.integer()),
    firstName: anyText,
    lastName: anyText,
    country: fc.oneof(anyText, fc.constantFrom('US', 'GB', 'DE', 'PL', 'Deutschland', 'n/a')),
    postalCode: fc.oneof(anyText, fc.integer())
  },
  { requiredKeys: [] }
)

const PATTERNS: Record<MatchForm, RegExp> = {
  email: /^(?:[^@\s<>",;A-Z]+@[^@\s<>",;A-Z]+\.[^@\s<>",;A-Z]+)?$/,
  emailStripped: /^(?:[^@\s<>",;A-Z]+@[^@\s<>",;A-Z]+\.[^@\s<>",;A-Z]+)?$/,
  emailCanonical: /^(?:[^@\s<>",;A-Z]+@[^@\s<>",;A-Z]+\.[^@\s<>",;A-Z]+)?$/,
  phoneE164: /^(?:\+[1-9]\d{5,14})?$/,
  phoneDigits: /^(?:[1-9]\d{5,14})?$/,
  firstName: /^[^\sA-Z\p{P}\p{S}\p{C}]*$/u,
  lastName: /^[^\sA-Z\p{P}\p{S}\p{C}]*$/u,
  country: /^(?:[a-z]{2})?$/,
  postalCode: /^(?:[^\sA-Z\p{P}\p{S}]{2,10})?$/u,
  postalCodeFull: /^(?:[^\sA-Z\p{P}\p{S}]{2,10})?$/u
}

test('whatever the input: no throw, the form holds, nothing is hashed to the empty hash', async (t) => {
  fc.assert(
    fc.property(anyUser, (user) => {
      const members = createMembers([user])
      return FORMS.every((form) => {
        const [text = '?'] = members.text(form)
        const [hashed = '?'] = members.hash(form)
        return (
          PATTERNS[form].test(text) &&
          text.isWellFormed() &&
          /^(?:[0-9a-f]{64})?$/.test(hashed) &&
          hashed !== HASH_OF_NOTHING &&
          (text === '' || hashed === sha256(text))
        )
      })
    }),
    { numRuns: 3000 }
  )
  t.pass()
})

test('what is normalised stays as it is when it is normalised again', async (t) => {
  // A stripped address may look like a placeholder; a postal code of digits that was cut at its dash
  // looks like a number that lost its zeros.
  const forms = FORMS.filter((form) => form !== 'emailStripped')
  fc.assert(
    fc.property(anyUser, (user) => {
      const once = createMembers([user])
      const [country = ''] = once.countries()
      return forms.every((form) => {
        const [text = ''] = once.text(form)
        const again = { country, [FIELD_OF[form]]: form === 'phoneDigits' ? `+${text}` : text }
        const isCut = form.startsWith('postalCode') && /^\d{1,4}$/.test(text)
        return text === '' || isCut || createMembers([again]).text(form)[0] === text
      })
    }),
    { numRuns: 3000 }
  )
  t.pass()
})

test("every country's example number is read in its national and international form", async (t) => {
  // Ascension and Tristan da Cunha have no code in ISO 3166-1.
  const regions = getCountries().filter((country) => country !== 'AC' && country !== 'TA')
  const wrong = regions.flatMap((country) => {
    const example = getExampleNumber(country, examples)
    if (!example) return [`${country}: no example`]
    const international = example.formatInternational()
    const users = [
      { phone: example.formatNational(), country },
      { phone: international },
      { phone: international, country: 'US' },
      { phone: example.number },
      { phone: `00${example.number.slice(1)}`, country },
      { phone: example.number.slice(1), country }
    ]
    return createMembers(users)
      .text('phoneE164')
      .flatMap((e164, row) => (e164 === example.number ? [] : [`${country}: ${users[row]?.phone}`]))
  })
  t.same(wrong, [])
  t.ok(regions.length > 240)
})

test('of 10,000 dirty customers 99.9 % of the usable values become the right hash, no other one', async (t) => {
  const customers = generateCustomers(10_000, 20_261_122)
  const members = createMembers(customers.map(({ user }) => user))
  const forms = {
    email: 'email',
    phone: 'phoneE164',
    firstName: 'firstName',
    lastName: 'lastName',
    country: 'country',
    postalCode: 'postalCode'
  } as const
  for (const [field, form] of Object.entries(forms) as [MatchField, MatchForm][]) {
    const hashes = members.hash(form)
    const truths = customers.map(({ truth }) => truth[field])
    const usable = truths.filter((truth) => truth !== undefined).length
    const right = truths.filter((truth, row) => truth && sha256(truth) === hashes[row]).length
    const madeUp = truths.filter((truth, row) => truth === undefined && hashes[row] !== '').length
    const unusable = truths.length - usable
    t.comment(`${field}: ${right} of ${usable} right, ${madeUp} of ${unusable} unusable hashed`)
    t.ok(usable > 9_000 && unusable > 100, `${field}: the sample is worth something`)
    t.ok(right / usable >= 0.999, `${field}: right`)
    t.equal(madeUp, 0, `${field}: nothing made up`)
  }
})

test('complaint: one unusable phone number spoils nothing around it', async (t) => {
  const members = createMembers([
    { email: 'mary@example.com', phone: '+0000000000' },
    { email: 'jane@example.com', phone: 'call me' },
    { email: 'n/a', phone: '+16169547888' }
  ])
  t.same(members.text('phoneE164'), ['', '', '+16169547888'])
  t.same(members.text('email'), ['mary@example.com', 'jane@example.com', ''])
})

test('complaint: values are hashed normalised, once, and hashes and text may be mixed', async (t) => {
  const hashed = sha256('mary@example.com')
  const given = [' Mary@Example.com ', hashed, hashed.toUpperCase()]
  const members = createMembers(given.map((email) => ({ email })))
  t.same(members.hash('email'), [hashed, hashed, hashed])
})

test('complaint: names are hashed as UTF-8, so that Jürgen matches', async (t) => {
  // printf 'jürgen' | sha256sum
  const expected = '19b720a911fced55aecd96bf4ddcada1c69be5a96dc523d5be336b8efbde3109'
  t.same(createMembers([{ firstName: 'Jürgen' }]).hash('firstName'), [expected])
})

test('complaint: the rule for the local part leaves the domain alone', async (t) => {
  const members = createMembers([{ email: 'jane.doe@sub.domain.co.uk' }])
  t.same(members.text('emailStripped'), ['janedoe@sub.domain.co.uk'])
})

test("complaint: national numbers become international with the user's own country", async (t) => {
  const members = createMembers([
    { phone: '06 12 34 56 78', country: 'France' },
    { phone: '020 7946 0958', country: 'UK' },
    { phone: '(616) 954-7888', country: 'us' }
  ])
  t.same(members.text('phoneE164'), ['+33612345678', '+442079460958', '+16169547888'])
})

test('a value of any size takes no other user along', async (t) => {
  const huge = 'a.'.repeat(4_000_000)
  const members = createMembers([
    { email: `${huge}a@example.com`, firstName: huge, lastName: `${huge}b`, postalCode: huge },
    { email: 'jane@example.com', phone: huge, edgeTagId: huge, country: huge }
  ])
  t.same(members.text('email'), ['', 'jane@example.com'])
  t.same(
    members.text('firstName').map((name) => name.length),
    [4_000_000, 0]
  )
  t.same(
    members.text('lastName').map((name) => name.length),
    [4_000_001, 0]
  )
  t.same(members.text('postalCode'), ['', ''])
  t.same(members.text('phoneE164'), ['', ''])
  t.same(members.text('country'), ['', ''])
  t.same(
    members.externalIds().map((id) => id.length),
    [0, huge.length]
  )
})

test('a hash that is known to be of one form does not pass for another', async (t) => {
  const email = sha256('mary@example.com')
  const phone = sha256('+16169547888')
  const users = [
    { email, phone },
    { email: 'jane@example.com', phone: '+4915112345678' }
  ]
  const known = createMembers(users, { phoneHashes: 'e164' })
  t.same(known.hash('email'), [email, sha256('jane@example.com')])
  t.same(known.hash('emailStripped'), ['', sha256('jane@example.com')])
  t.same(known.hash('phoneE164'), [phone, sha256('+4915112345678')])
  t.same(known.hash('phoneDigits'), ['', sha256('4915112345678')])
  t.same(known.given('phone'), ['hash', 'text'])
  t.match(fieldReport(known), { phone: { given: 2, usable: 2, unusable: 0, hashed: 1 } })
  const unknown = createMembers(users)
  t.equal(unknown.hash('emailStripped')[0], email)
  t.equal(unknown.hash('phoneDigits')[0], phone)
})
