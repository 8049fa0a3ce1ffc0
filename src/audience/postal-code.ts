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

const ZIP = /^(\d{3,5})(?:[ -]?\d{4})?$/
const ZIP_PLUS_4_WITHOUT_DASH = /^\d{7,9}$/
const BRITISH = /^([a-z]{1,2}\d[a-z\d]?|gir)(?:(\d)(?:[a-z]{2})?)?$/

function isUsable(code: string): boolean {
  const letters = code.replace(/[^\p{L}\p{N}]/gu, '')
  return letters.length >= 2 && letters.length <= 10 && /\d/.test(letters) && !/^0+$/.test(letters)
}

function zipCode(code: string): string {
  if (ZIP_PLUS_4_WITHOUT_DASH.test(code)) return code.padStart(9, '0').slice(0, 5)
  return ZIP.exec(code)?.[1]?.padStart(5, '0') ?? ''
}

function withLostZeros(code: string, country: string): string {
  const digits = DIGITS[country] ?? 0
  return /^\d+$/.test(code) && code.length >= digits - 2 ? code.padStart(digits, '0') : code
}

/**
 * A postal code as people write it: upper case, runs of white space as one space, leading zeros
 * regained; `''` where it can be none. `country` is ISO 3166-1 alpha-2, `''` if unknown.
 */
export function plainPostalCode(value: string, country: string): string {
  const code = clean(value).normalize('NFKC').toUpperCase().replace(/\s+/g, ' ')
  if (!isUsable(code)) return ''
  if (!ZIP_CODE_COUNTRIES.has(country)) return withLostZeros(code, country)
  const zip = zipCode(code)
  return zip === '' || code.length > 5 ? zip && code : zip
}

/**
 * A postal code as Meta matches it: lower case, no white space, five digits in the United States,
 * elsewhere cut at the first dash as Meta's own libraries do; whole in the United Kingdom.
 */
export function normalizePostalCodeFull(value: string, country: string): string {
  const code = plainPostalCode(value, country).toLowerCase()
  if (ZIP_CODE_COUNTRIES.has(country)) return zipCode(code)
  const compact = (code.split('-')[0] ?? '').replace(/[^\p{L}\p{N}]/gu, '')
  return country === 'GB' && !BRITISH.test(compact) ? '' : compact
}

/**
 * The same, but in the United Kingdom cut to area, district and sector (`SW1A 1AA` -> `sw1a1`), as
 * Meta's guide asks.
 */
export function normalizePostalCode(value: string, country: string): string {
  const code = normalizePostalCodeFull(value, country)
  if (country !== 'GB') return code
  return code.replace(BRITISH, '$1$2')
}
