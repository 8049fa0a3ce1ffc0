import {
  getCountryCallingCode,
  isSupportedCountry,
  parsePhoneNumberFromString,
  type CountryCode
} from 'libphonenumber-js/max'
import { clean } from './text.ts'

export interface Phone {
  /** `+4915112345678` */
  readonly e164: string
  /** ISO 3166-1 alpha-2 region that the number belongs to; `''` for those of no country (+800). */
  readonly region: string
}

const NO_PHONE: Phone = { e164: '', region: '' }

const TEL_SCHEME = /^tel:\s*/i
/** Marks of a text cell: `'0151…`, `="+49…"`. */
const SPREADSHEET_QUOTES = /^[='"]+|["']+$/g
/** What spreadsheets make of a long number: `4915112345678.0`. */
const DECIMALS_OF_A_NUMBER = /^(\d{7,})\.0+$/
/**
 * Typed to get past a form: `12345678`, `123456789`, `9999999999`. In some countries they are valid
 * numbers, even so nearly everybody who gives them makes them up.
 */
const FILLER = /^(?:12345(?:6(?:7(?:8(?:90?)?)?)?)?|(\d)\1*)$/
const SEPARATORS = /[^\p{L}\d+]/gu

const PLUS = /^[^\p{L}\d]*\+/u
const LEADING_PUNCTUATION = /^[^\p{L}\d]+/u
const DOUBLE_ZERO = /^[^\p{L}\d]*00/u
/** Trunk zero shown in brackets: `+44 (0)20 7946 0958`. */
const BRACKETED_ZERO = /\(\s*0\s*\)/
/**
 * Prefixes before the ten digits of a Mexican number until August 2019 (Instituto Federal de
 * Telecomunicaciones, dialling plan): `+52 1` and `044`, `045` for mobiles, `01` for the rest.
 */
const FORMER_MEXICAN_PREFIX = /^(?:\+?52\D*1|01|04[45])(?=(?:\D*\d){10}$)/

function supportedRegion(country: string): CountryCode | undefined {
  return isSupportedCountry(country) ? country : undefined
}

function unwrap(value: string): string {
  return clean(value.normalize('NFKC'))
    .replace(SPREADSHEET_QUOTES, '')
    .replace(TEL_SCHEME, '')
    .trim()
    .replace(DECIMALS_OF_A_NUMBER, '$1')
    .replace(PLUS, '+')
}

function beginsWithCallingCode(value: string, region: CountryCode): boolean {
  return value.replace(SEPARATORS, '').startsWith(getCountryCallingCode(region))
}

/** `00` in place of `+`, and bare digits that begin with the calling code of the user's country. */
function* internationalReadings(value: string, region: CountryCode | undefined): Generator<string> {
  if (DOUBLE_ZERO.test(value)) yield value.replace(DOUBLE_ZERO, '+')
  if (region && beginsWithCallingCode(value, region)) {
    yield `+${value.replace(LEADING_PUNCTUATION, '')}`
  }
}

/**
 * Every way to read a number, the likeliest first. `00` is the international prefix of most of the
 * world, and people write it in countries where it is another (`011`, `0011`, `010`). Bare digits
 * with the calling code come before the national reading, which would make a landline of area 04915
 * of the German mobile `4915112345678`.
 */
function* readings(value: string, region: CountryCode | undefined): Generator<string> {
  // A zero in brackets is no part of the number, but in Italy, where only it gives a valid landline.
  if (BRACKETED_ZERO.test(value)) yield* readings(value.replace(BRACKETED_ZERO, ''), region)
  yield* internationalReadings(value, region)
  yield value
  if (region === 'MX' || value.startsWith('+52')) yield value.replace(FORMER_MEXICAN_PREFIX, '+52')
}

function parse(value: string, region: CountryCode | undefined): Phone | undefined {
  const number = parsePhoneNumberFromString(value, {
    extract: false,
    ...(region && { defaultCountry: region })
  })
  return number?.isValid() ? { e164: number.number, region: number.country ?? '' } : undefined
}

/**
 * A phone number as people write it -> E.164, if Google's libphonenumber (full metadata) holds it to
 * be a valid number, else both parts are `''`. National numbers are read in the region of `country`
 * (ISO 3166-1 alpha-2, `''` if unknown). Extensions are dropped.
 */
export function parsePhone(value: string, country: string): Phone {
  const text = unwrap(value)
  if (FILLER.test(text.replace(SEPARATORS, ''))) return NO_PHONE
  const region = supportedRegion(country)
  for (const reading of readings(text, region)) {
    const phone = parse(reading, region)
    if (phone) return phone
  }
  return NO_PHONE
}
