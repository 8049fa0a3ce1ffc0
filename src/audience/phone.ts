import { isSupportedCountry, parsePhoneNumberFromString } from 'libphonenumber-js/max'
import {
  beginsWith,
  type Phone,
  readE164,
  readInternational,
  readNational
} from './phone-digits.ts'
import { planOf, type Plan } from './phone-plan.ts'
import { parseCell, unwrapPhone } from './phone-rules.ts'
import { scanDigits } from './phone-scan.ts'

/** That of libphonenumber; longer texts are no number, and not worth the time to look. */
const MAX_LENGTH = 250

const NO_PHONE: Phone = { e164: '', region: '' }

const PLUS = 43
const DIGIT_ZERO = 48

/** What the rules make of a longer text may be beyond libphonenumber's bound. */
const MAX_PLAIN_LENGTH = 64
/** No digit, in whatever script or form. */
const WITHOUT_DIGITS = /^[\0-/:-\x7f]*$/
/** A zero in brackets is left out at first; where that gives no number it has to be tried. */
const PERHAPS_BRACKETED_ZERO = /\([^1-9]*\)/
/** What libphonenumber-js takes for a number, as far as punctuation goes that is in common use. */
const PLAIN = /^\+?(?:[ ./()\u2010-\u2015-]*\d){3,}[ ./()\u2010-\u2015-]*$/
const PUNCTUATION = /[ ./()\u2010-\u2015-]+/g

/** The reference: what it takes for a valid number is one. */
export function readByLibrary(text: string, home: Plan | undefined): Phone | undefined {
  const region = home?.region ?? ''
  const number = parsePhoneNumberFromString(text, {
    extract: false,
    ...(isSupportedCountry(region) && { defaultCountry: region })
  })
  return number?.isValid() ? { e164: number.number, region: number.country ?? '' } : undefined
}

/** The same, by the library only where it is not plain digits. */
function read(text: string, home: Plan | undefined): Phone | undefined {
  if (text.length > MAX_PLAIN_LENGTH || !PLAIN.test(text)) return readByLibrary(text, home)
  const digits = text.replace(PUNCTUATION, '')
  if (digits.startsWith('+')) return readInternational(digits, 1)
  return home && readNational(digits, home)
}

function beginsWithZeros(digits: string, from: number): boolean {
  return digits.charCodeAt(from) === DIGIT_ZERO && digits.charCodeAt(from + 1) === DIGIT_ZERO
}

/** The readings of phone-rules.ts, of digits alone and in the same order. */
function readDigits(digits: string, home: Plan | undefined): Phone | undefined {
  const from = digits.charCodeAt(0) === PLUS ? 1 : 0
  const behindZeros = beginsWithZeros(digits, from)
    ? readInternational(digits, from + 2)
    : undefined
  if (behindZeros) return behindZeros
  if (from === 1) return readE164(digits) ?? readInternational(digits, 1)
  if (!home) return undefined
  const isBehindCallingCode = beginsWith(digits, home.callingCode.code)
  return (isBehindCallingCode && readInternational(digits, 0)) || readNational(digits, home)
}

function mayHaveFurtherReadings(value: string, digits: string, home: Plan | undefined): boolean {
  return home?.region === 'MX' || digits.startsWith('+52') || PERHAPS_BRACKETED_ZERO.test(value)
}

/** Nearly all values; `undefined` for those that take the rules to understand them. */
export function parsePlain(value: string, home: Plan | undefined): Phone | undefined {
  if (value.length > MAX_PLAIN_LENGTH) return undefined
  const text = value.trim()
  const asItIs = text.charCodeAt(0) === PLUS ? readE164(text) : undefined
  if (asItIs) return asItIs
  const digits = scanDigits(value)
  if (digits === undefined) return WITHOUT_DIGITS.test(value) ? NO_PHONE : undefined
  if (digits === '') return NO_PHONE
  const phone = readDigits(digits, home)
  if (phone) return phone
  return mayHaveFurtherReadings(value, digits, home) ? undefined : NO_PHONE
}

function parseWrapped(value: string, home: Plan | undefined): Phone {
  const text = unwrapPhone(value)
  return parsePlain(text, home) ?? parseCell(text, home, read) ?? NO_PHONE
}

/**
 * A phone number as people write it -> E.164, if Google's libphonenumber (full metadata) holds it to
 * be a valid number, else both parts are `''`. National numbers are read in the region of `country`
 * (ISO 3166-1 alpha-2, `''` if unknown). Extensions, labels (`Tel.:`) and notes (`(mobil)`) are
 * dropped; of two numbers in one cell it is the first.
 */
export function parsePhone(value: string, country: string): Phone {
  if (value.length > MAX_LENGTH) return NO_PHONE
  const home = planOf(country)
  return parsePlain(value, home) ?? parseWrapped(value, home)
}
