import * as fc from 'fast-check'
import { getCountries, getCountryCallingCode } from 'libphonenumber-js/max'
import metadata from 'libphonenumber-js/max/metadata'
import { test } from 'tap'
import { parsePhone, parsePlain, readByLibrary } from '../../src/audience/phone.ts'
import { planOf } from '../../src/audience/phone-plan.ts'
import { parseCell, unwrapPhone } from '../../src/audience/phone-rules.ts'
import { MEANINGS } from '../../src/audience/phone-scan.ts'
import { Dice } from '../support/dice.ts'

/**
 * `parsePhone()` decides nearly all numbers by itself. Here the same values go through the same rules
 * with libphonenumber-js deciding every reading; no result may differ.
 */

const IS_LONG = process.env['AUDIENCE_TEST_LONG'] !== undefined
const SEED = 20_260
const NO_PHONE = { e164: '', region: '' }

function byLibrary(value: string, country: string): { e164: string; region: string } {
  return parseCell(unwrapPhone(value), planOf(country), readByLibrary) ?? NO_PHONE
}

/** Where the two may differ, with the reason. Nowhere. */
const EXPLAINED: Readonly<Record<string, string>> = {}

/** A number of a region's plan, or what a mutation has made of it. */
interface Sample {
  /** `''` for those of no country. */
  readonly region: string
  readonly callingCode: string
  readonly trunkPrefix: string
  readonly exitPrefix: string
  /** Without trunk prefix. */
  readonly national: string
}

const rows: readonly (readonly [region: string, callingCode: string, row: readonly unknown[]])[] = [
  ...getCountries().map(
    (region) => [region, getCountryCallingCode(region), metadata.countries[region] ?? []] as const
  ),
  ...Object.entries(metadata.nonGeographic).map(([code, row]) => ['', code, row] as const)
]

function typePatterns(row: readonly unknown[]): string[] {
  const types = Array.isArray(row[11]) ? row[11] : []
  return types.map((type) => (Array.isArray(type) ? type[0] : '')).filter(Boolean)
}

function typeLengths(row: readonly unknown[]): number[] {
  const types = Array.isArray(row[11]) ? row[11] : []
  return types.flatMap((type) => (Array.isArray(type) && Array.isArray(type[1]) ? type[1] : []))
}

function matching(pattern: string, count: number): string[] {
  return fc.sample(fc.stringMatching(new RegExp(`^(?:${pattern})$`)), {
    seed: SEED,
    numRuns: count
  })
}

/** Of each type that each region has. */
function samplesOfPlans(count: number): Sample[] {
  return rows.flatMap(([region, callingCode, row]) => {
    const [exitPrefix = '00'] = typeof row[1] === 'string' ? matching(row[1], 1) : []
    const trunkPrefix = typeof row[5] === 'string' ? row[5] : ''
    return typePatterns(row)
      .flatMap((pattern) => matching(pattern, count))
      .map((national) => ({ region, callingCode, trunkPrefix, exitPrefix, national }))
  })
}

const MUTATIONS: readonly ((dice: Dice, digits: string) => string)[] = [
  (_, digits) => digits,
  (_, digits) => digits,
  (dice, digits) => cut(dice, digits, ''),
  (dice, digits) => cut(dice, digits, dice.digits(1)),
  (dice, digits) => cut(dice, digits, dice.digits(2)),
  (dice, digits) => {
    const at = dice.below(digits.length - 1)
    return digits.slice(0, at) + digits.charAt(at + 1) + digits.charAt(at) + digits.slice(at + 2)
  },
  (dice, digits) => digits.slice(0, 1 + dice.below(digits.length)),
  (dice, digits) => digits + dice.digits(1 + dice.below(4))
]

function cut(dice: Dice, digits: string, replacement: string): string {
  const at = dice.below(digits.length)
  return digits.slice(0, at) + replacement + digits.slice(at + 1)
}

/** In groups of two to four digits. */
function grouped(digits: string, separator: string): string {
  return digits.replace(/\d{3}(?=\d{2})/g, `$&${separator}`)
}

function dialled({ trunkPrefix, national }: Sample): string {
  return trunkPrefix + national
}

function international({ callingCode, national }: Sample): string {
  return `+${callingCode}${national}`
}

function fullWidth(text: string): string {
  return text.replace(/[!-~]/g, (mark) => String.fromCodePoint(0xfe_e0 + mark.charCodeAt(0)))
}

/** What people write, and of how many values of a hundred the library and the rules are not asked. */
const FORMS: Readonly<Record<string, readonly [least: number, write: (sample: Sample) => string]>> =
  {
    'E.164': [90, international],
    'E.164 and outer white space': [90, (s) => `\t ${international(s)} \n`],
    'E.164 and a no-break space': [90, (s) => `\u00a0${international(s)}`],
    'E.164 and invisible characters': [
      90,
      (s) => `\ufeff+\u200b${international(s).slice(1)}\u200e`
    ],
    'international, spaces': [90, (s) => `+${s.callingCode} ${grouped(s.national, ' ')}`],
    'international, dashes': [90, (s) => `+${s.callingCode}-${grouped(s.national, '-')}`],
    'international, en dashes': [90, (s) => `+${s.callingCode}–${grouped(s.national, '–')}`],
    'international, dots': [90, (s) => `+${s.callingCode}.${grouped(s.national, '.')}`],
    'international, plus in brackets': [
      90,
      (s) => `(+${s.callingCode}) ${grouped(s.national, ' ')}`
    ],
    'international, two plus': [90, (s) => `++${s.callingCode} ${s.national}`],
    'international, trunk prefix in brackets': [
      45,
      (s) => `+${s.callingCode} (${s.trunkPrefix || '0'})${grouped(s.national, ' ')}`
    ],
    'international, trunk prefix': [90, (s) => `+${s.callingCode}${dialled(s)}`],
    'double zero': [90, (s) => `00${s.callingCode}${s.national}`],
    'double zero, spaces': [90, (s) => `00 ${s.callingCode} ${grouped(s.national, ' ')}`],
    'plus and double zero': [90, (s) => `+00${s.callingCode} ${s.national}`],
    'zeros apart': [0, (s) => `0 0 ${s.callingCode}${s.national}`],
    'exit prefix': [90, (s) => `${s.exitPrefix} ${s.callingCode} ${grouped(s.national, ' ')}`],
    'calling code alone': [90, (s) => s.callingCode + s.national],
    'calling code alone, spaces': [90, (s) => `${s.callingCode} ${grouped(s.national, ' ')}`],
    'national digits': [90, dialled],
    'national digits without trunk prefix': [90, (s) => s.national],
    'JSON number': [90, (s) => String(Number(s.national))],
    'national, spaces': [90, (s) => grouped(dialled(s), ' ')],
    'national, dashes': [90, (s) => grouped(dialled(s), '-')],
    'national, dots': [90, (s) => grouped(dialled(s), '.')],
    'national, area in brackets': [
      90,
      (s) => `(${s.trunkPrefix}${s.national.slice(0, 3)}) ${s.national.slice(3)}`
    ],
    'national, slash': [
      60,
      (s) => `${s.trunkPrefix}${s.national.slice(0, 3)}/${s.national.slice(3)}`
    ],
    'national, full width': [90, (s) => fullWidth(grouped(dialled(s), '-'))],
    'national, zero-width space': [
      90,
      (s) => `${s.national.slice(0, 1)}\u200b${s.national.slice(1)}`
    ],
    'extension, ext.': [90, (s) => `${grouped(dialled(s), ' ')} ext. 12`],
    'extension, x': [90, (s) => `${dialled(s)}x5`],
    'extension, Ext': [90, (s) => `${international(s)} Ext 12345`],
    'extension, #': [0, (s) => `${dialled(s)} #5`],
    'extension, comma': [0, (s) => `${dialled(s)}, 12`],
    'extension, RFC 3966': [0, (s) => `tel:${international(s)};ext=12`],
    'label tel:': [0, (s) => `tel:${international(s)}`],
    'label Mobil:': [0, (s) => `Mobil: ${grouped(dialled(s), ' ')}`],
    'note behind': [0, (s) => `${grouped(dialled(s), ' ')} (mobil)`],
    'empty note behind': [0, (s) => `${dialled(s)} ( - )`],
    'letter behind': [0, (s) => `${dialled(s)}e`],
    'tab within': [0, (s) => grouped(international(s), '\t')],
    'spreadsheet, apostrophe': [0, (s) => `'${dialled(s)}`],
    'spreadsheet, formula': [0, (s) => `="${international(s)}"`],
    'spreadsheet, decimals': [0, (s) => `${s.callingCode}${s.national}.0`],
    'two numbers, slash': [0, (s) => `${dialled(s)} / 0${s.national}`],
    'two numbers, slash without spaces': [0, (s) => `${international(s)}/${international(s)}`],
    'two numbers, semicolon': [0, (s) => `${dialled(s)}; ${international(s)}`],
    'two numbers, or': [0, (s) => `${international(s)} or ${dialled(s)}`],
    'digits behind a slash': [0, (s) => `${dialled(s)}/12`],
    'number behind an area and a slash': [0, (s) => `${s.national.slice(0, 4)}/${dialled(s)}`],
    'digits behind a tab': [0, (s) => `${international(s)}\t12`],
    'zero of the number in brackets': [
      0,
      (s) => `+${s.callingCode} ${s.national.replace(/^0?/, '(0)')}`
    ],
    'zero in brackets first': [0, (s) => `(0)${s.national}`],
    'zero in brackets first, calling code': [0, (s) => `(0)${s.callingCode}${s.national}`],
    'zero in brackets behind the plus': [0, (s) => `+(0)${s.callingCode}${s.national}`],
    'zero in brackets behind a zero': [0, (s) => `+0(0)${s.callingCode}${s.national}`],
    'former Mexican +52 1': [0, (s) => `+${s.callingCode} 1 ${s.national}`],
    'former Mexican 52 1': [0, (s) => `${s.callingCode}1${s.national}`],
    'former Mexican 044': [0, (s) => `044${s.national}`],
    'former Mexican 01': [0, (s) => `01 ${s.national}`],
    'two numbers, plus': [0, (s) => `${dialled(s)} ${international(s)}`]
  }

const REGIONS: readonly string[] = getCountries()
/** Where prefixes are replaced, zeros belong to the number, or regions share a calling code. */
const INTRICATE = new Set('AR BR CC DE GB IT JE JP KZ LT MX SM'.split(' '))

function countryOf(dice: Dice, region: string): string {
  const share = dice.below(10)
  if (share < 7) return region
  return share < 9 ? dice.pick(REGIONS) : ''
}

interface Count {
  values: number
  valid: number
  plain: number
}

/** Compares the two, and tells what was counted by form. */
class Comparison {
  readonly differences: string[] = []
  readonly counts = new Map<string, Count>()

  compare(form: string, value: string, country: string): void {
    const expected = byLibrary(value, country)
    const found = parsePhone(value, country)
    const shown = `${form}: ${JSON.stringify(value)} in ${country || 'no country'}`
    const isSame = found.e164 === expected.e164 && found.region === expected.region
    if (!isSame && EXPLAINED[shown] === undefined) {
      this.differences.push(`${shown}: ${JSON.stringify([found, expected])}`)
    }
    const count = this.counts.get(form) ?? { values: 0, valid: 0, plain: 0 }
    this.counts.set(form, count)
    count.values += 1
    if (expected.e164 !== '') count.valid += 1
    if (parsePlain(value, planOf(country))) count.plain += 1
  }

  get values(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count.values, 0)
  }

  share(form: string, of: 'valid' | 'plain'): number {
    const count = this.counts.get(form)
    return count ? (100 * count[of]) / count.values : 0
  }
}

test('numbers in every form that people write are those of libphonenumber-js', async (t) => {
  const dice = new Dice(SEED)
  const comparison = new Comparison()
  const forms = Object.entries(FORMS)
  // Every form of each number in the long run, one in the short run.
  const formsOfOne = IS_LONG ? forms.length : 1
  samplesOfPlans(IS_LONG ? 5 : 1).forEach((sample, index) => {
    for (let i = 0; i < formsOfOne; i++) {
      const [form, [, write]] = forms[(index * formsOfOne + i) % forms.length] ?? dice.pick(forms)
      const national = dice.pick(MUTATIONS)(dice, sample.national)
      const value = write({ ...sample, national })
      comparison.compare(form, value, countryOf(dice, sample.region))
    }
  })
  for (const sample of samplesOfPlans(1).filter(({ region }) => INTRICATE.has(region))) {
    for (const [form, [, write]] of forms) {
      comparison.compare(form, write(sample), sample.region)
      if (sample.region === 'MX') comparison.compare(form, write(sample), '')
    }
  }
  t.strictSame(comparison.differences, [])
  const few = forms.flatMap(([form, [least]]) => {
    const share = comparison.share(form, 'plain')
    return share < least ? [`${form}: ${share.toFixed(1)} %, not ${least} %`] : []
  })
  t.strictSame(few, [], 'the fast path decides by itself what it is there for')
  const withoutValid = forms.filter(([form]) => comparison.share(form, 'valid') === 0)
  t.strictSame(
    withoutValid.map(([form]) => form),
    [
      'letter behind',
      'tab within',
      'digits behind a tab',
      'zero in brackets behind a zero',
      'two numbers, plus'
    ],
    'all other forms hold valid numbers'
  )
  t.ok(comparison.values > (IS_LONG ? 200_000 : 5_000), `${comparison.values} values`)
})

test('what is typed to get past a form is in every region what it always was', async (t) => {
  const comparison = new Comparison()
  const values = [
    '12345',
    '123 456 78',
    '123-456-789',
    '(123) 456-7890',
    '1234567.0',
    '1234567 ext. 5',
    '12345678x9',
    '222 2222',
    '(999) 999-9999',
    '999/9999 9999',
    '0000000',
    '12',
    '1',
    '+1',
    '+11111111111',
    '(0) 0000000',
    '(0) 1234567890',
    '1(0)2345678',
    '+4(0)(0)(0)(0)9',
    '+49(0)(0)(0)(0)(0)',
    'n/a',
    '-',
    ''
  ]
  for (const region of ['', ...REGIONS]) {
    for (const value of values) comparison.compare(value, value, region)
  }
  t.strictSame(comparison.differences, [])
})

test('random digits in every region are those of libphonenumber-js', async (t) => {
  const dice = new Dice(SEED)
  const comparison = new Comparison()
  const beginnings = ['', '', '+', '00', '0', '(0', '1', '+0', '011 ']
  for (const [region, callingCode] of rows) {
    for (let i = 0; i < (IS_LONG ? 200 : 4); i++) {
      const digits = dice.digits(1 + dice.below(20))
      const behind = dice.chance(50) ? callingCode : ''
      comparison.compare('random', `${dice.pick(beginnings)}${behind}${digits}`, region)
    }
  }
  t.strictSame(comparison.differences, [])
  t.ok(
    comparison.share('random', 'plain') > 70,
    `${comparison.share('random', 'plain')} % decided by the fast path`
  )
})

test('any text of what numbers are made of is what libphonenumber-js makes of it', async (t) => {
  const marks = Array.from('00112345678999+ -.()/,;#xe\t\u200b\u00a0–０+~*=')
  const text = fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...marks) },
      {
        weight: 1,
        arbitrary: fc.constantFrom('ext. 1', '(0)', ' or ', 'tel:', '151', '+49', '+44 7', '555')
      }
    ),
    { maxLength: 24 }
  )
  const country = fc.constantFrom('', 'DE', 'US', 'GB', 'IT', 'MX', 'AR', 'BR', 'KZ', 'SM', 'JP')
  fc.assert(
    fc.property(text, country, (parts, where) => {
      const value = parts.join('')
      const found = parsePhone(value, where)
      const expected = byLibrary(value, where)
      return found.e164 === expected.e164 && found.region === expected.region
    }),
    { seed: SEED, numRuns: IS_LONG ? 100_000 : 2_000 }
  )
  t.pass()
})

test('characters mean in a number what normalising makes of them', async (t) => {
  const wrong: string[] = []
  MEANINGS.forEach((meaning, code) => {
    const normalized = String.fromCharCode(code).normalize('NFKC')
    const isRight =
      meaning === 0 ||
      (meaning === 1 && /^\p{Cf}$/u.test(normalized)) ||
      (meaning === 9 && /^\s$/.test(normalized)) ||
      (meaning === 45 && /^[-\u2010-\u2015\u2212]$/.test(normalized)) ||
      String.fromCharCode(meaning) === normalized
    if (!isRight) wrong.push(`U+${code.toString(16)}`)
  })
  t.strictSame(wrong, [])
})

test('the metadata is as the numbering plans take it to be', async (t) => {
  const wrong = rows.filter(([region, callingCode, row]) => {
    const lengths: readonly number[] = Array.isArray(row[3]) ? row[3] : []
    const areAscending = lengths.every((length, i) => i === 0 || length > (lengths[i - 1] ?? 0))
    const areInBounds = Math.min(...lengths, ...typeLengths(row)) > 2 && (lengths.at(-1) ?? 0) <= 17
    const isPlanned = region === '' || planOf(region)?.callingCode.code === callingCode
    return !areAscending || !areInBounds || typePatterns(row).length === 0 || !isPlanned
  })
  t.strictSame(wrong, [])
  t.equal(metadata.version, 4)
})
