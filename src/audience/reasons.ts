import { isPlaceholderAddress, isTooLongAddress } from './email.ts'
import { givenHash, isHash } from './hash.ts'
import { isFillerNumber, unwrapPhone } from './phone-rules.ts'
import { isNamePlaceholder, isPlaceholder } from './placeholder.ts'
import { normalizePostalCodeFull } from './postal-code.ts'
import { clean, isDamaged, lower } from './text.ts'

/**
 * Why a value cannot be used: stable words, told in docs/matching.md. They are looked for only where
 * normalising came to nothing, so that usable values cost nothing.
 */
export type Reason =
  | 'damaged'
  | 'hash_of_nothing'
  | 'unreadable_hash'
  | 'placeholder'
  | 'not_an_address'
  | 'too_long'
  | 'no_country'
  | 'unknown_country'
  | 'hashed_country'
  | 'impossible_number'
  | 'not_a_number'
  | 'no_letters'
  | 'not_a_code'
  | 'not_of_country'

/** What is known of the country of the user who has the value. */
export interface Home {
  /** ISO 3166-1 alpha-2, upper case; `''` if unknown. */
  readonly country: string
  /** How the user's own country came in. */
  readonly given: '' | 'text' | 'hash'
}

/** MD5, SHA-1, SHA-224, SHA-384 and SHA-512 in hex; a letter tells them from long numbers. */
const FOREIGN_HASH =
  /^(?=\d*[a-f])(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{96}|[0-9a-f]{128})$/i
/** SHA-256 in Base64, in either alphabet. */
const BASE64_HASH = /^[\w+/-]{43}=$/
const PREFIXED_HASH = /^(?:sha-?256[:=]|0x)[0-9a-f]{64}$/i
const SHORTEST_HASH = 32
const LONGEST_HASH = 128

/** A hash of nothing, one that is no SHA-256 in hex, or one with invisible characters around it. */
function whyNoHash(text: string): Reason | undefined {
  if (text.length < SHORTEST_HASH || text.length > LONGEST_HASH) return undefined
  if (isHash(text)) return givenHash(text) === '' ? 'hash_of_nothing' : 'unreadable_hash'
  const isForeign = FOREIGN_HASH.test(text) || BASE64_HASH.test(text) || PREFIXED_HASH.test(text)
  return isForeign ? 'unreadable_hash' : undefined
}

function whyNoEmail(text: string): Reason {
  if (isPlaceholder(text)) return 'placeholder'
  if (!text.includes('@')) return 'not_an_address'
  if (isPlaceholderAddress(lower(text))) return 'placeholder'
  return isTooLongAddress(text) ? 'too_long' : 'not_an_address'
}

/** What follows the first of two numbers in a cell, as phone-rules.ts divides them. */
const SECOND_NUMBER = /(?:[;,]|\sor\s|(?<=(?:\d\D*){7})\/).*$/is
const EXTENSION = /(?:ext(?:ension)?|x|#)[\s.:=]*\d{1,9}$/iu
/** Nothing in it has to be left out. */
const PLAIN_NUMBER = /^[\d ()+.-]+$/
const DIGIT = /\p{Nd}/u
const LETTER = /\p{L}/u
const NOT_A_DIGIT = /\D/g
const INTERNATIONAL = /^[^\p{L}\d]*(?:\+|00)/u
/** Of libphonenumber. */
const LONGEST_PHONE = 250
/** Subscribers' numbers in the smallest countries (Niue, Saint Helena). */
const SHORTEST_NATIONAL = 4
/** The longest national number that libphonenumber takes. */
const LONGEST_NATIONAL = 17
const WITHOUT_COUNTRY = {
  '': 'no_country',
  text: 'unknown_country',
  hash: 'hashed_country'
} as const satisfies Record<Home['given'], Reason>

/** Without all that phone-rules.ts leaves out. */
function firstNumber(text: string): string {
  return unwrapPhone(text).replace(SECOND_NUMBER, '').replace(EXTENSION, '')
}

function whyNoPhone(text: string, { country, given }: Home): Reason {
  if (isPlaceholder(text)) return 'placeholder'
  if (text.length > LONGEST_PHONE || !DIGIT.test(text)) return 'not_a_number'
  const number = PLAIN_NUMBER.test(text) ? text : firstNumber(text)
  const digits = number.replace(NOT_A_DIGIT, '')
  if (LETTER.test(number) || digits === '') return 'not_a_number'
  if (isFillerNumber(digits)) return 'placeholder'
  if (country !== '' || INTERNATIONAL.test(number)) return 'impossible_number'
  const isLikely = digits.length >= SHORTEST_NATIONAL && digits.length <= LONGEST_NATIONAL
  return isLikely ? WITHOUT_COUNTRY[given] : 'impossible_number'
}

function whyNoName(text: string): Reason {
  return isNamePlaceholder(text.replace(/\s+/g, ' ')) ? 'placeholder' : 'no_letters'
}

const ZEROS = /^[0\s.-]+$/

function whyNoPostalCode(text: string, { country }: Home): Reason {
  if (isPlaceholder(text) || ZEROS.test(text)) return 'placeholder'
  const isCodeElsewhere = country !== '' && normalizePostalCodeFull(text, '') !== ''
  return isCodeElsewhere ? 'not_of_country' : 'not_a_code'
}

const WHY = {
  email: whyNoEmail,
  phone: whyNoPhone,
  firstName: whyNoName,
  lastName: whyNoName,
  country: (): Reason => 'unknown_country',
  postalCode: whyNoPostalCode
} as const

/** The one reason for which a value that was given cannot be used in its field. */
export function whyUnusable(field: keyof typeof WHY, value: string, home: Home): Reason {
  const text = clean(value)
  return isDamaged(text) ? 'damaged' : (whyNoHash(text) ?? WHY[field](text, home))
}
