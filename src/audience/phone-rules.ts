import type { Phone } from './phone-digits.ts'
import type { Plan } from './phone-plan.ts'
import { clean } from './text.ts'

/** One way to read a text as one number: valid, or `undefined`. National numbers are those of `home`. */
export type Reader = (text: string, home: Plan | undefined) => Phone | undefined

/** Written before a number in its cell: `Tel.: 0151 …`, `Mobile phone 0151 …`. */
const LABELS = [
  'tel',
  'telephone',
  'téléphone',
  'telefon',
  'teléfono',
  'telefono',
  'telefone',
  'telefoon',
  'phone',
  'ph',
  'fon',
  'mobile',
  'mobil',
  'mobiltelefon',
  'móvil',
  'movil',
  'mob',
  'cell',
  'cellphone',
  'cellular',
  'celular',
  'cellulare',
  'handy',
  'portable',
  'whatsapp',
  'home',
  'work',
  'office',
  'm',
  'p',
  't'
]
/** Also the scheme of RFC 3966, `tel:`. */
const LEADING_LABELS = new RegExp(
  `^(?:(?:${LABELS.join('|')})(?!\\p{L})[\\s.:/-]*)+(?:(?:no|nr|number|nummer)(?!\\p{L})[\\s.:]*)?`,
  'iu'
)
/** A note without digits behind a number: `0151 … (mobil)`. */
const TRAILING_NOTE = /\([^()\d]*\)$/
/** What stands between two numbers in one cell; a slash also stands within one: `0151/2345678`. */
const BETWEEN_NUMBERS = /[;,]|\sor\s/i
const SLASH = /\//
/** Fewer digits before a slash are an area code, even where they are a valid number as well. */
const SEVEN_DIGITS = /^(?:\D*\d){7}/
/**
 * After a slash, what is no second half of one number: a plus; a zero after a space; a zero and more
 * digits than subscriber numbers have (`030/0151 23456789`, unlike Italy's `333/0543076`).
 */
const WHOLE_NUMBER = /^(?:\s*\(?\+|\s+\(?0|\(?0(?:\D*\d){8})/
const LETTER = /\p{L}/u
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
const BRACKETED_ZEROS = /\(\s*0\s*\)/g
/**
 * Prefixes before the ten digits of a Mexican number until August 2019 (Instituto Federal de
 * Telecomunicaciones, dialling plan): `+52 1` and `044`, `045` for mobiles, `01` for the rest.
 */
const FORMER_MEXICAN_PREFIX = /^(?:\+?52\D*1|01|04[45])(?=(?:\D*\d){10}$)/

/** Without labels, notes and the marks of spreadsheets. */
export function unwrapPhone(value: string): string {
  return clean(value.normalize('NFKC'))
    .replace(SPREADSHEET_QUOTES, '')
    .replace(LEADING_LABELS, '')
    .replace(TRAILING_NOTE, '')
    .trim()
    .replace(DECIMALS_OF_A_NUMBER, '$1')
    .replace(PLUS, '+')
}

/** Whether digits were typed only to get past a form. */
export function isFillerNumber(digits: string): boolean {
  return FILLER.test(digits)
}

function beginsWithCallingCode(value: string, home: Plan): boolean {
  return value.replace(SEPARATORS, '').startsWith(home.callingCode.code)
}

/** `00` in place of `+`, and bare digits that begin with the calling code of the user's country. */
function* internationalReadings(value: string, home: Plan | undefined): Generator<string> {
  if (DOUBLE_ZERO.test(value)) yield value.replace(DOUBLE_ZERO, '+')
  if (home && beginsWithCallingCode(value, home)) {
    yield `+${value.replace(LEADING_PUNCTUATION, '')}`
  }
}

/**
 * Every way to read a number, the likeliest first. `00` is the international prefix of most of the
 * world, and people write it in countries where it is another (`011`, `0011`, `010`). Bare digits
 * with the calling code come before the national reading, which would make a landline of area 04915
 * of the German mobile `4915112345678`.
 */
function* readings(value: string, home: Plan | undefined): Generator<string> {
  yield* internationalReadings(value, home)
  yield value
  if (home?.region === 'MX' || value.startsWith('+52'))
    yield value.replace(FORMER_MEXICAN_PREFIX, '+52')
}

/** A zero in brackets is no part of a number, but in Italy, where only it gives a valid landline. */
function* allReadings(value: string, home: Plan | undefined): Generator<string> {
  const without = value.replace(BRACKETED_ZEROS, '')
  if (without !== value) yield* readings(without, home)
  yield* readings(value, home)
}

function parseOne(text: string, home: Plan | undefined, read: Reader): Phone | undefined {
  if (isFillerNumber(text.replace(SEPARATORS, ''))) return undefined
  for (const reading of allReadings(text, home)) {
    const phone = read(reading, home)
    if (phone) return phone
  }
  return undefined
}

/**
 * The first of two numbers in one cell. Without it the cell is one number, unless what follows the
 * separator is a number of its own: their digits together may make a valid third one.
 */
export function parseCell(text: string, home: Plan | undefined, read: Reader): Phone | undefined {
  const separator = BETWEEN_NUMBERS.exec(text) ?? SLASH.exec(text)
  if (!separator) return parseOne(text, home, read)
  const rest = text.slice(separator.index + separator[0].length)
  const second = unwrapPhone(rest)
  // With letters it is an extension: `, ext. 12`.
  if (LETTER.test(second)) return parseOne(text, home, read)
  const before = text.slice(0, separator.index).trim()
  const first = SEVEN_DIGITS.test(before) ? parseOne(before, home, read) : undefined
  if (first) return first
  const areTwo = WHOLE_NUMBER.test(rest) && parseOne(second, home, read) !== undefined
  return areTwo ? undefined : parseOne(text, home, read)
}
