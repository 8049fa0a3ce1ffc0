import { test } from 'tap'
import { sha256 } from '../../src/audience/hash.ts'
import { type MatchForm } from '../../src/audience/members.ts'
import { createMembers } from '../support/members.ts'
import type { User } from '../../src/audience/schemas.ts'

function normalized(user: User, form: MatchForm, defaultCountry?: string): string | undefined {
  return createMembers([user], { defaultCountry }).text(form)[0]
}

function hashed(user: User, form: MatchForm): string | undefined {
  return createMembers([user]).hash(form)[0]
}

const META = 'Meta, "Customer information parameters"'
const PARAM_BUILDER = "Meta's capi-param-builder"
const TIKTOK = 'TikTok, "Email Specific Normalization"'
const REDDIT = 'Reddit, "Manual advanced matching"'
const TIKTOK_IDS = 'TikTok, "List of supported IDs"'
const RFC = 'RFC 5321, RFC 5322, RFC 6531'
const FILLED_IN = 'typed to get past a form'
const PASTED = 'pasted from other programs'
const PLAN = 'national numbering plan'
const E123 = 'ITU-T E.123'
const ISO = 'ISO 3166-1'
const UPU = 'Universal Postal Union, addressing systems'

const emails: [source: string, given: string, expected: string][] = [
  [META, '  John_Smith@gmail.com ', 'john_smith@gmail.com'],
  [META, 'user.name+tag@domain.co.uk', 'user.name+tag@domain.co.uk'],
  [META, 'mary@example.com', 'mary@example.com'],
  [META, 'Jane@Example.COM', 'jane@example.com'],
  [PARAM_BUILDER, 'test@example', ''],
  [TIKTOK, 'janedoe@gmail.com', 'janedoe@gmail.com'],
  [RFC, "o'brien@example.com", "o'brien@example.com"],
  [RFC, 'user/dept=x@example.com', 'user/dept=x@example.com'],
  [RFC, 'jürgen@müller.de', 'jürgen@müller.de'],
  [RFC, 'a@xn--mller-kva.xn--p1ai', 'a@xn--mller-kva.xn--p1ai'],
  [RFC, 'иван@почта.рф', 'иван@почта.рф'],
  [RFC, `${'a'.repeat(64)}@example.com`, `${'a'.repeat(64)}@example.com`],
  [RFC, `${'a'.repeat(65)}@example.com`, ''],
  [RFC, `a@${'b'.repeat(63)}.com`, `a@${'b'.repeat(63)}.com`],
  [RFC, `a@${'b'.repeat(64)}.com`, ''],
  [RFC, `a@${`${'b'.repeat(50)}.`.repeat(5)}com`, ''],
  [RFC, 'jane@@example.com', ''],
  [RFC, 'jane@a@example.com', ''],
  [RFC, '@example.com', ''],
  [RFC, 'jane@', ''],
  [RFC, 'jane', ''],
  [RFC, '.jane@example.com', ''],
  [RFC, 'jane.@example.com', ''],
  [RFC, 'ja..ne@example.com', ''],
  [RFC, 'jane@example..com', ''],
  [RFC, 'jane@.example.com', ''],
  [RFC, 'jane@-example.com', ''],
  [RFC, 'jane@example-.com', ''],
  [RFC, 'jane@example.c', ''],
  [RFC, 'jane@192.168.0.1', ''],
  [RFC, 'ja ne@example.com', ''],
  [RFC, 'jane@exam ple.com', ''],
  [RFC, 'jane@example.com\u0007', ''],
  [RFC, '"jane"@example.com', ''],
  [PASTED, 'Jane Doe <jane@example.com>', ''],
  [PASTED, 'mailto:jane@example.com', ''],
  [PASTED, 'jane@example.com, john@example.com', ''],
  [PASTED, 'jane@example.com;', ''],
  [PASTED, '\ufeffjane@example.com', 'jane@example.com'],
  [PASTED, 'jane\u200b@example.com', 'jane@example.com'],
  [PASTED, 'ja\u00adne@example.com', 'jane@example.com'],
  [PASTED, '\u00a0jane@example.com\u00a0', 'jane@example.com'],
  [PASTED, '\tjane@example.com\r\n', 'jane@example.com'],
  ['Unicode, NFC', 'ju\u0308rgen@example.com', 'jürgen@example.com'],
  [FILLED_IN, 'n/a', ''],
  [FILLED_IN, 'none@none.com', ''],
  [FILLED_IN, 'no@email.com', ''],
  [FILLED_IN, 'noemail@noemail.com', ''],
  [FILLED_IN, 'test@test.com', ''],
  [FILLED_IN, 'email@email.com', ''],
  [FILLED_IN, 'na@na.com', ''],
  [FILLED_IN, 'xxx@xxx.com', ''],
  [FILLED_IN, 'a@a.com', ''],
  [FILLED_IN, 'No-Email@gmail.com', ''],
  [FILLED_IN, 'not.provided@gmail.com', ''],
  ['RFC 2606', 'jane@shop.invalid', ''],
  ['a filler word alone is somebody', 'test@web.de', 'test@web.de'],
  ['a filler word alone is somebody', 'jane@mail.com', 'jane@mail.com'],
  ['', '', '']
]

test('an e-mail address is trimmed, composed and lower case, or nothing', async (t) => {
  for (const [source, given, expected] of emails) {
    t.equal(normalized({ email: given }, 'email'), expected, `${JSON.stringify(given)}: ${source}`)
  }
})

test('the stripped form of an address loses +tag and dots, its domain nothing', async (t) => {
  const vectors: [string, string, string][] = [
    [TIKTOK, 'local-part.123+suffix@domain.com', 'local-part123@domain.com'],
    [TIKTOK, 'Jane.Doe@mail.example.co.uk', 'janedoe@mail.example.co.uk'],
    [TIKTOK, 'janedoe@gmail.com', 'janedoe@gmail.com'],
    [TIKTOK, 'a.b+c+d@x.com', 'ab@x.com'],
    ['nothing would remain', '+tag@x.com', '+tag@x.com'],
    ['not an address', 'n/a', '']
  ]
  for (const [source, given, expected] of vectors) {
    t.equal(normalized({ email: given }, 'emailStripped'), expected, `${given}: ${source}`)
  }
})

test('the canonical form of addresses', async (t) => {
  const vectors: [source: string, given: string, expected: string][] = [
    [REDDIT, 'Al.ice$+Apple@Example.Com', 'alice@example.com'],
    [REDDIT, 'alice@example.com', 'alice@example.com'],
    [
      REDDIT,
      "mary-ann_o'neil.7+x@sub-domain.example.co.uk",
      'maryannoneil7@sub-domain.example.co.uk'
    ],
    ['only the letters of ASCII', 'jürgen@müller.de', 'jrgen@müller.de'],
    ['nothing would remain', '李明@example.com', '李明@example.com'],
    ['nothing would remain', '_+tag@example.com', '_+tag@example.com'],
    ['not an address', 'n/a', '']
  ]
  for (const [source, given, expected] of vectors) {
    t.equal(normalized({ email: given }, 'emailCanonical'), expected, `${given}: ${source}`)
  }
  t.equal(
    hashed({ email: 'Al.ice$+Apple@Example.Com' }, 'emailCanonical'),
    'ff8d9819fc0e12bf0d24892e45987e249a28dce836a85cad60e28eaaa8c6d976',
    REDDIT
  )
})

const phones: [source: string, given: string, country: string, expected: string][] = [
  [META, '+1 (616) 954-78 88', '', '+16169547888'],
  [META, '+001 (616) 954-78 88', '', '+16169547888'],
  [META, '+44 20 7946 0958', '', '+442079460958'],
  [TIKTOK_IDS, '374-93-828222', 'AM', '+37493828222'],
  ['TikTok, Customer File', '(212) 555-0100', 'US', '+12125550100'],
  ['Klaviyo, Accepted phone number formats', '2025550123', 'US', '+12025550123'],
  [E123, '+49 (0)151 23456789', '', '+4915123456789'],
  [E123, '+44 (0)20 7946 0958', '', '+442079460958'],
  [E123, '+33 (0)6 12 34 56 78', '', '+33612345678'],
  [E123, '0044 20 7946 0958', '', '+442079460958'],
  [E123, '(0044) 20 7946 0958', '', '+442079460958'],
  [E123, '(+44) 20 7946 0958', '', '+442079460958'],
  [E123, '+49.151.23456789', '', '+4915123456789'],
  [E123, '+49–151–23456789', '', '+4915123456789'],
  ['00 is not the prefix of these countries', '0044 20 7946 0958', 'US', '+442079460958'],
  ['00 is not the prefix of these countries', '00442079460958', 'AU', '+442079460958'],
  ['00 is not the prefix of these countries', '00442079460958', 'BR', '+442079460958'],
  ['00 is not the prefix of these countries', '00442079460958', 'JP', '+442079460958'],
  [PLAN, '011 44 20 7946 0958', 'US', '+442079460958'],
  [PLAN, '0011 44 20 7946 0958', 'AU', '+442079460958'],
  ['RFC 3966', 'tel:+1-616-954-7888', '', '+16169547888'],
  ['RFC 3966', 'tel:+1-616-954-7888;ext=12', '', '+16169547888'],
  [PLAN, '+1 616 954 7888 ext. 123', '', '+16169547888'],
  [PLAN, '(616) 954-7888 x12', 'US', '+16169547888'],
  [PLAN, '616.954.7888', 'US', '+16169547888'],
  [PLAN, '1-616-954-7888', 'US', '+16169547888'],
  [PLAN, '6169547888', 'CA', '+16169547888'],
  [PLAN, '020 7946 0958', 'GB', '+442079460958'],
  [PLAN, '(020) 7946 0958', 'UK', '+442079460958'],
  [PLAN, '02079460958', 'United Kingdom', '+442079460958'],
  [PLAN, '0151/23456789', 'DE', '+4915123456789'],
  [PLAN, '0151 23456789', 'Deutschland', '+4915123456789'],
  [PLAN, '0664 1234567', 'Österreich', '+436641234567'],
  [PLAN, '06 12 34 56 78', 'FR', '+33612345678'],
  [PLAN, '612 34 56 78', 'ES', '+34612345678'],
  ['Italy keeps the zero', '02 1234 5678', 'IT', '+390212345678'],
  ['Italy keeps the zero', '+39 (0)2 1234 5678', '', '+390212345678'],
  ['Italian mobiles have none', '+39 (0)347 123 4567', '', '+393471234567'],
  [PLAN, '347 123 4567', 'IT', '+393471234567'],
  [PLAN, '(11) 96123-4567', 'BR', '+5511961234567'],
  [PLAN, '011 15-2345-6789', 'AR', '+5491123456789'],
  [PLAN, '+54 9 11 2345 6789', '', '+5491123456789'],
  [PLAN, '8 (912) 345-67-89', 'RU', '+79123456789'],
  [PLAN, '098765 43210', 'IN', '+919876543210'],
  [PLAN, '090-1234-5678', 'JP', '+819012345678'],
  ['Mexico until 2019', '+52 1 55 1234 5678', '', '+525512345678'],
  ['Mexico until 2019', '044 55 1234 5678', 'MX', '+525512345678'],
  ['Mexico until 2019', '01 55 1234 5678', 'MX', '+525512345678'],
  ['Mexico', '55 1234 5678', 'MX', '+525512345678'],
  ['calling code without +', '4915123456789', 'DE', '+4915123456789'],
  ['calling code without +', '49 (0)151 23456789', 'DE', '+4915123456789'],
  ['calling code without +', '436641234567', 'AT', '+436641234567'],
  ['calling code without +', '442079460958', 'GB', '+442079460958'],
  ['calling code without +', '5511961234567', 'BR', '+5511961234567'],
  ['calling code without +', '919876543210', 'IN', '+919876543210'],
  ['number of an area that begins like the calling code', '9123456789', 'IN', '+919123456789'],
  ['number of an area that begins like the calling code', '55 3221-1234', 'BR', '+555532211234'],
  ['spreadsheet: the zero is lost', '15123456789', 'DE', '+4915123456789'],
  ['spreadsheet: the zero is lost', '2079460958', 'GB', '+442079460958'],
  ['spreadsheet: float', '4915123456789.0', 'DE', '+4915123456789'],
  ['spreadsheet: text cell', "'015123456789", 'DE', '+4915123456789'],
  ['spreadsheet: text cell', '="+4915123456789"', '', '+4915123456789'],
  ['spreadsheet: digits are lost', '4.91512E+12', 'DE', ''],
  ['full-width digits', '０９０−１２３４−５６７８', 'JP', '+819012345678'],
  ['full-width digits', '＋４９１５１２３４５６７８９', '', '+4915123456789'],
  [PASTED, '\u202a+4915123456789\u202c', '', '+4915123456789'],
  [PASTED, '+49\u00a0151\u00a023456789', '', '+4915123456789'],
  ['no country to read it in', '0151 23456789', '', ''],
  ['no country to read it in', '4915123456789', '', ''],
  ['no country to read it in', '0151 23456789', 'Narnia', ''],
  ['the number tells its own country', '+4915123456789', 'US', '+4915123456789'],
  ['no numbering plan of its own', '+4915123456789', 'Antarctica', '+4915123456789'],
  ['impossible', '+0000000000', '', ''],
  ['impossible', '0000000000', 'DE', ''],
  ['impossible', '12345', 'US', ''],
  ['valid in Austria, and yet', '12345', 'AT', ''],
  ['impossible', '+49', 'DE', ''],
  ['impossible', '+1 616 954 78881', '', ''],
  ['impossible', '110', 'DE', ''],
  [FILLED_IN, 'call me', 'US', ''],
  [FILLED_IN, '9999999999', 'IN', ''],
  [FILLED_IN, '123456789', 'FR', ''],
  [FILLED_IN, 'n/a', 'US', ''],
  ['letters', '1-800-FLOWERS', 'US', ''],
  ['letters', 'call 4915123456789', 'DE', ''],
  ['letters', '0151 x 23456789', 'DE', ''],
  ['label', 'Tel. 0151 23456789', 'DE', '+4915123456789'],
  ['label', 'Tel.: 0151/23456789', 'DE', '+4915123456789'],
  ['label', 'Telefon 0151 23456789', 'DE', '+4915123456789'],
  ['label', 'Tel.-Nr.: 0151 23456789', 'DE', '+4915123456789'],
  ['label', 'Téléphone : 06 12 34 56 78', 'FR', '+33612345678'],
  ['label', 'phone: (616) 954-7888', 'US', '+16169547888'],
  ['label', 'Mobile phone no.: +49 151 23456789', '', '+4915123456789'],
  ['label', 'mobile:0151 23456789', 'DE', '+4915123456789'],
  ['label', 'Mobil 0151 23456789', 'DE', '+4915123456789'],
  ['label', 'cell 616 954 7888', 'US', '+16169547888'],
  ['label', 'Handy 0151 23456789', 'DE', '+4915123456789'],
  ['label', 'ph. 616.954.7888', 'US', '+16169547888'],
  ['label', 'M: +44 20 7946 0958', '', '+442079460958'],
  ['no label', 'mobilis 0151 23456789', 'DE', ''],
  ['label of a filler', 'Tel. 123456789', 'FR', ''],
  ['note', '0151 23456789 (mobil)', 'DE', '+4915123456789'],
  ['note', '+16169547888 (call evenings)', '', '+16169547888'],
  ['two numbers', '+49 151 23456789 / +49 30 123456', '', '+4915123456789'],
  ['two numbers', '0151 23456789 / 030 1234567', 'DE', '+4915123456789'],
  ['two numbers', '030 12345 / 030 67890', 'DE', '+493012345'],
  ['two numbers', '0151/23456789; 030/1234567', 'DE', '+4915123456789'],
  ['two numbers', '0151 23456789; 030 1234567', 'DE', '+4915123456789'],
  ['two numbers', '0151 23456789, 030 1234567', 'DE', '+4915123456789'],
  ['two numbers', '(616) 954-7888 or (616) 954-7889', 'US', '+16169547888'],
  ['two numbers', 'Tel. 0151 23456789 / Tel. 030 1234567', 'DE', '+4915123456789'],
  ['two numbers, the first is none', '030 / 0151 23456789', 'DE', ''],
  ['two numbers, the first is none', '030 / (0151) 23456789', 'DE', ''],
  ['two numbers, the first is none', '123456789 / 06 12 34 56 78', 'FR', ''],
  ['two numbers, the first is none', 'call me / 0151 23456789', 'DE', ''],
  ['two numbers, one of them none', '0151 23456789 / unknown', 'DE', ''],
  ['two numbers side by side', '0151 23456789 0160 1234567', 'DE', ''],
  ['an extension', '(616) 954-7888, ext. 12', 'US', '+16169547888'],
  ['two numbers, the first is none', '030/0151 23456789', 'DE', ''],
  ['slashes in one number', '333/0543076', 'IT', '+393330543076'],
  ['slashes in one number', '0151 / 23456789', 'DE', '+4915123456789'],
  ['slashes in one number', '06/12/34/56/78', 'FR', '+33612345678'],
  ['slashes in one number', '40 12 34/56', 'LU', '+35240123456'],
  ['longer than any number', `+4915123456789${' '.repeat(250)}(mobil)`, '', ''],
  ['', '', 'DE', '']
]

test('a phone number becomes E.164 by the country of its user, or nothing', async (t) => {
  for (const [source, phone, country, expected] of phones) {
    const message = `${JSON.stringify(phone)} in ${country || 'no country'}: ${source}`
    t.equal(normalized({ phone, country }, 'phoneE164'), expected, message)
  }
})

test("the digits form of a phone number is Meta's: no +, no leading zeros", async (t) => {
  t.equal(normalized({ phone: '+1 (616) 954-78 88' }, 'phoneDigits'), '16169547888')
  t.equal(normalized({ phone: '+44 20 7946 0958' }, 'phoneDigits'), '442079460958')
  t.equal(normalized({ phone: 'call me' }, 'phoneDigits'), '')
})

test('the region of a phone number is that of the number', async (t) => {
  const members = createMembers([
    { phone: '+18765550123', country: 'US' },
    { phone: '+17875550123' },
    { phone: '+16135550123' },
    { phone: '+447797712345', country: 'GB' },
    { phone: '2025550123', country: 'US' },
    { phone: '+80012345678' },
    { phone: 'call me', country: 'US' },
    { phone: 'a'.repeat(64), country: 'US' }
  ])
  t.same(members.phoneRegions(), ['JM', 'PR', 'CA', 'JE', 'US', '', '', ''])
})

const countries: [source: string, given: string, expected: string][] = [
  [ISO, 'US', 'us'],
  [ISO, ' de ', 'de'],
  [ISO, 'DEU', 'de'],
  [ISO, 'gbr', 'gb'],
  [ISO, 'NA', 'na'],
  [META, 'United States', 'us'],
  [META, 'USA', 'us'],
  [META, 'United Kingdom', 'gb'],
  ['common', 'U.S.A.', 'us'],
  ['common', 'the United States of America', 'us'],
  ['common', 'America', 'us'],
  ['common', 'UK', 'gb'],
  ['common', 'U.K.', 'gb'],
  ['common', 'England', 'gb'],
  ['common', 'SCOTLAND', 'gb'],
  ['common', 'Wales', 'gb'],
  ['common', 'Northern Ireland', 'gb'],
  ['common', 'Great Britain', 'gb'],
  ['common', 'Holland', 'nl'],
  ['European Union', 'EL', 'gr'],
  ['common', 'Republic of Ireland', 'ie'],
  ['common', 'Korea (South)', 'kr'],
  ['common', 'Korea (North)', 'kp'],
  ['common', 'South Korea', 'kr'],
  ['common', 'S. Korea', 'kr'],
  ['common', 'Czech Rep.', 'cz'],
  ['common', 'Czechia', 'cz'],
  ['common', 'Slovak Republic', 'sk'],
  ['common', 'Slovak Rep.', 'sk'],
  ['common', 'Hong Kong SAR', 'hk'],
  ['common', 'Hong Kong (China)', 'hk'],
  ['common', 'Bosnia', 'ba'],
  ['common', 'DRC', 'cd'],
  ['common', 'FRG', 'de'],
  ['common', 'Inglaterra', 'gb'],
  ['common', 'Angleterre', 'gb'],
  ['common', 'Inghilterra', 'gb'],
  ['common', 'Grande-Bretagne', 'gb'],
  ['common', 'Gran Bretaña', 'gb'],
  ['common', 'アメリカ', 'us'],
  ['common', '台灣', 'tw'],
  ['common', 'Aotearoa', 'nz'],
  ['common', 'U.A.E.', 'ae'],
  ['common', 'UAE', 'ae'],
  ['common', 'P.R. China', 'cn'],
  ['common', 'Mainland China', 'cn'],
  ['code or name in brackets', 'United States (US)', 'us'],
  ['code or name in brackets', 'United Kingdom (UK)', 'gb'],
  ['code or name in brackets', 'Germany (DE)', 'de'],
  ['code or name in brackets', 'Germany（ＤＥ）', 'de'],
  ['code or name in brackets', 'Österreich (Austria)', 'at'],
  ['code or name in brackets', 'Great Britain (England)', 'gb'],
  ['code or name in brackets', 'Congo (DRC)', 'cd'],
  ['code or name in brackets', 'Bayern (Germany)', 'de'],
  ['brackets of another country', 'Germany (AT)', ''],
  ['brackets of another country', 'Georgia (US)', ''],
  ['brackets of no country', 'USA (California)', ''],
  ['brackets of no country', 'Narnia (XX)', ''],
  ['ISO code, not Northern Ireland', 'NI', 'ni'],
  ['i18n-iso-countries', 'Deutschland', 'de'],
  ['i18n-iso-countries', 'Österreich', 'at'],
  ['i18n-iso-countries', 'OSTERREICH', 'at'],
  ['i18n-iso-countries', 'España', 'es'],
  ['i18n-iso-countries', 'Espana', 'es'],
  ['i18n-iso-countries', 'Россия', 'ru'],
  ['i18n-iso-countries', '日本', 'jp'],
  ['i18n-iso-countries', 'Großbritannien', 'gb'],
  ['i18n-iso-countries', 'GROSSBRITANNIEN', 'gb'],
  ['i18n-iso-countries', "Cote d'Ivoire", 'ci'],
  ['i18n-iso-countries', 'The Netherlands', 'nl'],
  ['i18n-iso-countries', 'Netherlands (the)', 'nl'],
  ['Unicode CLDR', 'États-Unis', 'us'],
  ['Unicode CLDR', 'Trinidad & Tobago', 'tt'],
  ['Unicode CLDR', 'St. Lucia', 'lc'],
  ['not to be mistaken for another', 'Niger', 'ne'],
  ['not to be mistaken for another', 'Nigeria', 'ng'],
  ['not to be mistaken for another', 'Dominica', 'dm'],
  ['not to be mistaken for another', 'Dominican Republic', 'do'],
  ['not to be mistaken for another', 'Austria', 'at'],
  ['not to be mistaken for another', 'Ireland', 'ie'],
  ['Vietnamese for the USA, not Malaysia', 'Mỹ', 'us'],
  ['two countries', 'Congo', ''],
  ['no country', 'XX', ''],
  ['no country', 'ZZ', ''],
  ['no country', 'EU', ''],
  ['no country', 'Narnia', ''],
  [FILLED_IN, 'N/A', ''],
  ['', '', '']
]

test('a country becomes its ISO code, whatever it is called', async (t) => {
  for (const [source, country, expected] of countries) {
    t.equal(normalized({ country }, 'country'), expected, `${country}: ${source}`)
  }
})

test('the default country is for users without one, not for unreadable ones', async (t) => {
  const phone = '0151 23456789'
  const given = [undefined, null, '', ' ', 'N/A', '-', 'Narnia', 'US']
  const users = given.map((country) => (country === undefined ? { phone } : { phone, country }))
  const members = createMembers(users, { defaultCountry: 'Germany' })
  t.same(members.text('country'), ['de', 'de', 'de', 'de', 'de', 'de', '', 'us'])
  t.same(members.countries(), ['DE', 'DE', 'DE', 'DE', 'DE', 'DE', '', 'US'])
  const number = '+4915123456789'
  t.same(members.text('phoneE164'), [number, number, number, number, number, number, '', ''])
})

const names: [source: string, given: string, expected: string][] = [
  [META, "O'Connor", 'oconnor'],
  [META, 'Mary Jane', 'maryjane'],
  [META, 'José', 'josé'],
  [META, '李明', '李明'],
  [META, ' Mary ', 'mary'],
  [PARAM_BUILDER, 'Smith-Jones', 'smithjones'],
  [PARAM_BUILDER, 'O’Brien', 'obrien'],
  [PARAM_BUILDER, 'St. John', 'stjohn'],
  ['letters used as apostrophes', 'Kaʻiulani', 'kaiulani'],
  ['letters used as apostrophes', 'Oʼconnor', 'oconnor'],
  ['Unicode, NFC', 'Ju\u0308rgen', 'jürgen'],
  ['Unicode, final sigma', 'ΠΑΠΑΔΌΠΟΥΛΟΣ', 'παπαδόπουλος'],
  ['Indic vowel signs stay', 'अमित', 'अमित'],
  ['not every capital has one small letter', 'Groß', 'groß'],
  [PASTED, 'Ma\u200bry\ufeff', 'mary'],
  ['white space', 'van  der\tBerg', 'vanderberg'],
  ['a name in the world', 'Nan', 'nan'],
  ['a name in the world', 'Na', 'na'],
  ['a name in the world', 'Ng', 'ng'],
  ['a letter was lost before', 'J\ufffdrgen', ''],
  ['a letter was lost before', 'J\ud83drgen', ''],
  ['no letter', '12345', ''],
  ['no letter', '🎉', ''],
  [FILLED_IN, 'n/a', ''],
  [FILLED_IN, 'N/A', ''],
  [FILLED_IN, '#N/A', ''],
  [FILLED_IN, 'unknown', ''],
  [FILLED_IN, 'undefined', ''],
  [FILLED_IN, 'None', ''],
  [FILLED_IN, 'null', ''],
  [FILLED_IN, '(blank)', ''],
  [FILLED_IN, '-', ''],
  [FILLED_IN, '--', ''],
  [FILLED_IN, '.', ''],
  [FILLED_IN, '?', ''],
  ['', '', '']
]

test('a name is lower case, without punctuation and space, in all scripts', async (t) => {
  for (const [source, name, expected] of names) {
    t.equal(normalized({ firstName: name }, 'firstName'), expected, `${name}: ${source}`)
    t.equal(normalized({ lastName: name }, 'lastName'), expected, `${name}: ${source}`)
  }
})

test('a plain name is as people write it', async (t) => {
  const given = [" O'Connor ", 'Mary  Jane', 'Ju\u0308rgen', 'n/a', '-', 'a'.repeat(64), null]
  const members = createMembers(given.map((lastName) => ({ lastName })))
  t.same(members.plainNames('lastName'), ["O'Connor", 'Mary Jane', 'Jürgen', '', '', '', ''])
})

const postalCodes: [
  source: string,
  given: string | number,
  country: string,
  expected: string,
  plain: string
][] = [
  [META, '37221-3312', 'US', '37221', '37221-3312'],
  [META, '37221', 'US', '37221', '37221'],
  [META, 'K1A0A6', 'CA', 'k1a0a6', 'K1A0A6'],
  [META, 'SW1A 1AA', 'GB', 'sw1a1', 'SW1A 1AA'],
  [PARAM_BUILDER, '37221-3312', '', '37221', '37221-3312'],
  [PARAM_BUILDER, '01310-100', 'BR', '01310', '01310-100'],
  [PARAM_BUILDER, '100-0001', 'JP', '100', '100-0001'],
  [PARAM_BUILDER, '00-950', 'PL', '00', '00-950'],
  [PARAM_BUILDER, '1', 'DE', '', ''],
  [UPU, 'k1a 0a6', 'CA', 'k1a0a6', 'K1A 0A6'],
  [UPU, '1012  AB', 'NL', '1012ab', '1012 AB'],
  [UPU, 'D02 X285', 'IE', 'd02x285', 'D02 X285'],
  [UPU, '114 55', 'SE', '11455', '114 55'],
  [UPU, 'sw1a1aa', 'GB', 'sw1a1', 'SW1A1AA'],
  [UPU, 'SW1A-1AA', 'GB', 'sw1a1', 'SW1A-1AA'],
  [UPU, 'M1 1AA', 'GB', 'm11', 'M1 1AA'],
  [UPU, 'EH12 9DN', 'GB', 'eh129', 'EH12 9DN'],
  [UPU, 'SW1A', 'GB', 'sw1a', 'SW1A'],
  [UPU, 'GIR 0AA', 'GB', 'gir0', 'GIR 0AA'],
  [UPU, '12345', 'GB', '', ''],
  [UPU, 'D-10115', 'DE', '10115', 'D-10115'],
  [UPU, 'LV-1010', 'LV', '1010', 'LV-1010'],
  [UPU, '１０１１５', 'DE', '10115', '10115'],
  ['zeros lost as a number', 2134, 'US', '02134', '02134'],
  ['zeros lost as a number', 601, 'PR', '00601', '00601'],
  ['zeros lost as a number', '2134-1234', 'US', '02134', '02134-1234'],
  ['zeros lost as a number', 21341234, 'US', '02134', '02134-1234'],
  ['zeros lost as a number', 372213312, 'US', '37221', '37221-3312'],
  ['zeros lost as a number', 1067, 'DE', '01067', '01067'],
  ['zeros lost as a number', 800, 'AU', '0800', '0800'],
  ['spreadsheet: float', '90202.0', 'US', '90202', '90202'],
  ['spreadsheet: float', '2134.0', 'US', '02134', '02134'],
  ['spreadsheet: float', '1067.00', 'DE', '01067', '01067'],
  ['dash without more', '02134-', 'US', '02134', '02134'],
  ['dash without more', '02134 –', 'US', '02134', '02134'],
  ['its own country behind it', '90202 USA', 'US', '90202', '90202'],
  ['its own country behind it', '90202-1234, United States', 'US', '90202', '90202-1234'],
  ['its own country behind it', '90202 (US)', 'US', '90202', '90202'],
  ['its own country behind it', '10115 Deutschland', 'DE', '10115', '10115'],
  ['its own country behind it', 'SW1A 1AA UK', 'GB', 'sw1a1', 'SW1A 1AA'],
  ['its own country behind it', 'K1A 0A6 Canada', 'CA', 'k1a0a6', 'K1A 0A6'],
  ['its own country behind it', '1012 AB NL', 'NL', '1012ab', '1012 AB'],
  ['letters of the code', '1012 NL', 'NL', '1012nl', '1012 NL'],
  ['another country behind it', '90202 Germany', 'US', '', ''],
  ['no code', '12.5', 'DE', '', ''],
  ['longer than any code', `90202${' '.repeat(100)}USA`, 'US', '', ''],
  ['no code', '123456', 'US', '', ''],
  ['no code', 'K1A0A6', 'US', '', ''],
  ['no code', '00000', 'US', '', ''],
  ['no code', 'Berlin', 'DE', '', ''],
  ['no code', '10115 Berlin', 'DE', '', ''],
  [FILLED_IN, 'n/a', 'DE', '', ''],
  ['', '', 'DE', '', '']
]

test("a postal code becomes what its country's rule at Meta makes of it", async (t) => {
  for (const [source, postalCode, country, expected, plain] of postalCodes) {
    const message = `${postalCode} in ${country || 'no country'}: ${source}`
    const members = createMembers([{ postalCode, country }])
    t.same(members.text('postalCode'), [expected], message)
    t.same(members.plainPostalCodes(), [plain], message)
  }
})

test('the full form of a postal code keeps the whole British postcode', async (t) => {
  const given = { 'SW1A 1AA': 'sw1a1aa', SW1A1AA: 'sw1a1aa', 'M1 1AA': 'm11aa', SW1A: 'sw1a' }
  for (const [postalCode, expected] of Object.entries(given)) {
    t.equal(normalized({ postalCode, country: 'GB' }, 'postalCodeFull'), expected)
  }
  t.equal(normalized({ postalCode: '37221-3312', country: 'US' }, 'postalCodeFull'), '37221')
})

test('hashes are those that the platforms publish', async (t) => {
  t.equal(
    hashed({ email: ' Mary@Example.com' }, 'email'),
    'f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79',
    META
  )
  // The number itself is a made-up one (555 is no area code), so it is hashed only as digits here.
  t.equal(
    sha256('15559876543'),
    '1ef970831d7963307784fa8688e8fce101a15685d62aa765fed23f3a2c576a4e',
    META
  )
  t.equal(normalized({ phone: '+1 (555) 987-6543' }, 'phoneDigits'), '')
  t.equal(
    hashed({ email: 'janedoe@gmail.com' }, 'email'),
    'd6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69',
    'TikTok, "How to create a custom audience with a customer file"'
  )
  t.equal(
    hashed({ phone: '093 828222', country: 'Armenia' }, 'phoneDigits'),
    '65b7e6dcf6f4310f8d7cbfbd78289a753062fb054d6664fb9aaac5df66a422d4',
    'TikTok, "How to create a custom audience with a customer file"'
  )
})
