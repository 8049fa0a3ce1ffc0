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
/** What spreadsheets make of a number: `4915112345678.0`. */
const DECIMALS_OF_A_NUMBER = /^(\d{7,})\.0+$/
const DOUBLE_ZERO = /^\+?\s*00/
/** Trunk zero shown in brackets: `+44 (0)20 7946 0958`. */
const BRACKETED_ZERO = /\(\s*0\s*\)/g

function supportedRegion(country: string): CountryCode | undefined {
  return isSupportedCountry(country) ? country : undefined
}

/**
 * Every way to read a number, the likeliest first. `00` is the international prefix of most of the
 * world and is written by people in countries where it is another (`011`, `0011`, `010`), too. Bare
 * digits that begin with the calling code of the user's country are taken as international before
 * national: the reverse would turn the German mobile `4915112345678` into a landline of area 04915.
 */
function* readings(value: string, region: CountryCode | undefined): Generator<string> {
  if (DOUBLE_ZERO.test(value)) yield value.replace(DOUBLE_ZERO, '+')
  if (region && value.replace(/\D/g, '').startsWith(getCountryCallingCode(region))) {
    yield `+${value.replace(/^\D+/, '')}`
  }
  yield value
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
 * be a valid number, else both parts are `''`. National numbers are read in the region of `country` (ISO 3166-1 alpha-2,
 * `''` if unknown). Extensions are dropped.
 */
export function parsePhone(value: string, country: string): Phone {
  const text = clean(value.normalize('NFKC'))
    .replace(TEL_SCHEME, '')
    .replace(DECIMALS_OF_A_NUMBER, '$1')
  const region = supportedRegion(country)
  for (const reading of readings(text, region)) {
    const phone = parse(reading, region) ?? parse(reading.replace(BRACKETED_ZERO, ''), region)
    if (phone) return phone
  }
  return NO_PHONE
}
