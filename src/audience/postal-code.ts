import { parseCountry } from './country.ts'
import { clean } from './text.ts'

/** Countries and territories with ZIP codes of the United States. */
const ZIP_CODE_COUNTRIES: ReadonlySet<string> = new Set(['US', 'PR', 'VI', 'GU', 'AS', 'MP'])

/**
 * Digits of a postal code where it is digits only and may begin with a zero, which spreadsheets
 * and JSON numbers lose (Universal Postal Union, addressing systems).
 */
const DIGITS: Readonly<Record<string, number>> = {
  AU: 4,
  BR: 8,
  CN: 6,
  DE: 5,
  EE: 5,
  ES: 5,
  FI: 5,
  FR: 5,
  IT: 5,
  JP: 7,
  KR: 5,
  MX: 5,
  MY: 5,
  NO: 4,
  NZ: 4,
  PL: 5,
  RO: 6,
  SG: 6,
  SK: 5,
  TR: 5,
  UA: 5
}

/** ZIP and, if given, the four digits more. */
const ZIP = /^(\d{5}|[1-9]\d{2,3})(?:[ -]?(\d{4}))?$/
const ZIP_PLUS_4_WITHOUT_DASH = /^(?:\d{9}|[1-9]\d{6,7})$/
/** Outward code and sector, then what follows in a full postcode; `GIR 0AA` is a bank's own. */
const BRITISH = /^([a-z]{1,2}\d[a-z\d]?|gir)(?:(\d)(?:[a-z]{2})?)?$/i
/** The country before the code, as in `D-10115` and `LV-1010`. */
const COUNTRY_PREFIX = /^[A-Z]{1,2}-(?=\d)/
/** Of a code and a country in their longest spelling. */
const MAX_LENGTH = 100
/** What spreadsheets make of a code of digits: `90202.0`. */
const DECIMALS_OF_A_NUMBER = /^(\d{3,})\.0{1,2}$/
/** A number that is no code, though its digits could be one: `12.5`. */
const DECIMAL_NUMBER = /^\d+[.,]\d{1,2}$/
const TRAILING_DASH = /[\s\p{Pd}]+$/u
/** A whole code, whose letters may be those of the country: `1012 NL`. */
const DUTCH = /^\d{4} ?[A-Z]{2}$/
/** Most codes: nothing around them, and what stands behind a space or dash has a digit, so is no country. */
const BARE = /^[0-9A-Z]+(?:[ -][0-9A-Z]*[0-9][0-9A-Z]*)?$/i
const DIGITS_ONLY = /^\d+$/
const FIVE_DIGITS = /^\d{5}$/
const ZEROS = /^0+$/
const WITHOUT_DIGITS_FROM_A_SPACE = /[\s,]+(?=\D+$)/g
const NOT_OF_A_CODE = /[^\p{L}\p{N}]+/gu

function isUsable(code: string): boolean {
  return code.length >= 2 && code.length <= 10 && /\d/.test(code)
}

/** `90202 USA` -> `90202`, if that is the country the code is read in. */
function withoutCountry(code: string, country: string): string {
  if (country === '' || (country === 'NL' && DUTCH.test(code))) return code
  const gap = [...code.matchAll(WITHOUT_DIGITS_FROM_A_SPACE)].find(
    ({ index }) => parseCountry(code.slice(index)) === country
  )
  return gap ? code.slice(0, gap.index) : code
}

/** One line in upper case, without what spreadsheets and people write behind a code. */
function unwrap(value: string, country: string): string {
  if (BARE.test(value)) return value.toUpperCase()
  const text = clean(value)
  if (BARE.test(text)) return text.toUpperCase()
  const code = text.normalize('NFKC').toUpperCase().replace(/\s+/g, ' ')
  return withoutCountry(code, country)
    .replace(DECIMALS_OF_A_NUMBER, '$1')
    .replace(TRAILING_DASH, '')
}

function withLostZeros(code: string, country: string): string {
  const digits = DIGITS[country] ?? 0
  const mayLackZeros = code.length < digits && code.length >= digits - 2
  return mayLackZeros && /^[1-9]\d*$/.test(code) ? code.padStart(digits, '0') : code
}

/** `37221-3312`; digits lost in front are zeros (`2134` is Boston's `02134`). */
function plainZip(code: string): string {
  if (FIVE_DIGITS.test(code)) return code
  const digits = ZIP_PLUS_4_WITHOUT_DASH.test(code) ? code.padStart(9, '0') : code
  const [, zip, plus4] = ZIP.exec(digits) ?? []
  if (zip === undefined) return ''
  return zip.padStart(5, '0') + (plus4 === undefined ? '' : `-${plus4}`)
}

function plainDigits(code: string, country: string): string {
  if (code.length < 2 || code.length > 10 || country === 'GB' || ZEROS.test(code)) return ''
  return ZIP_CODE_COUNTRIES.has(country) ? plainZip(code) : withLostZeros(code, country)
}

/**
 * A postal code as people write it: upper case, runs of white space as one space, leading zeros
 * regained; `''` where it can be none. `country` is ISO 3166-1 alpha-2, `''` if unknown.
 */
export function plainPostalCode(value: string, country: string): string {
  if (value.length > MAX_LENGTH) return ''
  if (DIGITS_ONLY.test(value)) return plainDigits(value, country)
  const code = unwrap(value, country)
  if (DECIMAL_NUMBER.test(code)) return ''
  const compact = code.replace(NOT_OF_A_CODE, '')
  if (!isUsable(compact) || ZEROS.test(compact)) return ''
  if (country === 'GB') return BRITISH.test(compact) ? code : ''
  return ZIP_CODE_COUNTRIES.has(country) ? plainZip(code) : withLostZeros(code, country)
}

/**
 * A postal code as Meta matches it: lower case, without white space, cut at the first dash (five
 * digits in the United States), whole in the United Kingdom. (Meta, "Customer information
 * parameters"; the cut in all countries is that of its capi-param-builder.)
 */
export function normalizePostalCodeFull(value: string, country: string): string {
  const plain = plainPostalCode(value, country)
  if (DIGITS_ONLY.test(plain)) return plain
  if (ZIP_CODE_COUNTRIES.has(country)) return plain.slice(0, 5)
  const code = country === 'GB' ? plain : plain.replace(COUNTRY_PREFIX, '').replace(/-.*/, '')
  const compact = code.replace(NOT_OF_A_CODE, '').toLowerCase()
  return isUsable(compact) ? compact : ''
}

/**
 * Meta's form of a postal code, in the United Kingdom cut to area, district and sector (`sw1a1aa` ->
 * `sw1a1`), as Meta's guide asks.
 */
export function cutPostalCode(code: string, country: string): string {
  return country === 'GB' ? code.replace(BRITISH, '$1$2') : code
}
