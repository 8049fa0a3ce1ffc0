/**
 * Digits of phone numbers written without anything that needs to be understood. One pass over the
 * characters is much faster than the regular expressions that understand the rest.
 */

const TAB = 9
const SPACE = 32
const OPENING_BRACKET = 40
const CLOSING_BRACKET = 41
const PLUS = 43
const DASH = 45
const DOT = 46
const SLASH = 47
const DIGIT_ZERO = 48

/** Anything that the rules of phone.ts have to look at. */
const OTHER = 0
/** Unicode category Cf: stripped. */
const INVISIBLE = 1

/** Full-width forms (U+FF01-U+FF5E) stand for ASCII in this distance. */
const FULL_WIDTH = 0xfe_e0
const INVISIBLES: readonly (readonly [first: number, last: number])[] = [
  [0xad, 0xad],
  [0x20_0b, 0x20_0f],
  [0x20_2a, 0x20_2e],
  [0x20_60, 0x20_64],
  [0x20_66, 0x20_69],
  [0xfe_ff, 0xfe_ff]
]
const SPACES = [0xa0, 0x20_07, 0x20_09, 0x20_2f, 0x30_00]
/** As in libphonenumber-js, after normalisation. */
const DASHES = [0x20_10, 0x20_11, 0x20_12, 0x20_13, 0x20_14, 0x20_15, 0x22_12]
/** Stripped by `trim()`; within a number they make it none. */
const OUTER_SPACES = [TAB, 10, 11, 12, 13]

/** What each UTF-16 code unit stands for in a phone number, after Unicode normalisation (NFKC). */
export const MEANINGS = meanings()

function meanings(): Uint8Array {
  const table = new Uint8Array(0x1_00_00)
  for (const [first, last] of INVISIBLES) table.fill(INVISIBLE, first, last + 1)
  for (const code of OUTER_SPACES) table[code] = TAB
  for (const code of SPACES) table[code] = SPACE
  for (const code of DASHES) table[code] = DASH
  table[SPACE] = SPACE
  const punctuation = [OPENING_BRACKET, CLOSING_BRACKET, PLUS, DASH, DOT, SLASH]
  const digits = Array.from({ length: 10 }, (_, digit) => DIGIT_ZERO + digit)
  for (const code of [...punctuation, ...digits]) {
    table[code] = code
    table[code + FULL_WIDTH] = code
  }
  return table
}

/** A longer row of digits is no number, or one with an extension or a second number behind it. */
const MAX_DIGITS = 18
const codes = new Uint8Array(MAX_DIGITS)

/** Forms of an extension that nothing before can be mistaken for. */
const EXTENSION = /(?:ext|x)[.:]? *\d{1,9}[\s\p{Cf}]*$/iuy
const REST_IS_BLANK = /[\s\p{Cf}]*$/uy
/** As in phone.ts, of digits alone. */
const FILLER = /^(?:12345(?:6(?:7(?:8(?:90?)?)?)?)?|(\d)\1*)$/
/** As many before a slash may be a number of their own. */
const WHOLE_NUMBER = 7
/** Fewer are no number in any plan. */
const MIN_DIGITS = 3

function isAt(pattern: RegExp, text: string, index: number): boolean {
  pattern.lastIndex = index
  return pattern.test(text)
}

function textOfCodes(length: number): string {
  // The one way to make a short string of bytes that stays within compiled JavaScript.
  return String.fromCharCode(
    codes[0] ?? 0,
    codes[1] ?? 0,
    codes[2] ?? 0,
    codes[3] ?? 0,
    codes[4] ?? 0,
    codes[5] ?? 0,
    codes[6] ?? 0,
    codes[7] ?? 0,
    codes[8] ?? 0,
    codes[9] ?? 0,
    codes[10] ?? 0,
    codes[11] ?? 0,
    codes[12] ?? 0,
    codes[13] ?? 0,
    codes[14] ?? 0,
    codes[15] ?? 0,
    codes[16] ?? 0,
    codes[17] ?? 0
  ).slice(0, length)
}

function isFiller(text: string): boolean {
  // Nearly all values end here, before the pattern is tried.
  return (codes[0] === codes[1] || text.startsWith('12')) && FILLER.test(text)
}

function areZeros(from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (codes[i] !== DIGIT_ZERO) return false
  return true
}

/** Whether something that can be seen stands before this digit. */
function isSplit(value: string, index: number): boolean {
  let before = index - 1
  while (MEANINGS[value.charCodeAt(before)] === INVISIBLE) before--
  return (MEANINGS[value.charCodeAt(before)] ?? OTHER) < DIGIT_ZERO
}

/**
 * The digits of a value, with `+` in front if it has one, without a zero in brackets and without an
 * extension. `''` if it certainly is no number; `undefined` if it takes more to understand it.
 */
export function scanDigits(value: string): string | undefined {
  let length = 0
  let plus = 0
  let previous = OTHER
  let opened = -1
  let bracketedZeros = 0
  let decimalsFrom = 0
  let hasSlash = false
  let isAfterSlash = false
  let hasExtension = false

  for (let i = 0; i < value.length; i++) {
    const meaning = MEANINGS[value.charCodeAt(i)] ?? OTHER
    if (meaning >= DIGIT_ZERO) {
      // `0151 2345678/0160…`: perhaps a second number.
      if (length === MAX_DIGITS || (isAfterSlash && meaning === DIGIT_ZERO)) return undefined
      // Only side by side do two zeros stand for the `+`.
      const isSecondZero = length === plus + 1 && meaning === DIGIT_ZERO
      if (isSecondZero && codes[plus] === DIGIT_ZERO && isSplit(value, i)) return undefined
      codes[length++] = meaning
      isAfterSlash = false
    } else if (meaning === SPACE || meaning === INVISIBLE) {
      continue
    } else if (meaning === PLUS) {
      if (length > plus) return undefined
      codes[0] = PLUS
      plus = 1
      length = 1
      opened = -1
    } else if (meaning === OPENING_BRACKET) {
      opened = length
    } else if (meaning === CLOSING_BRACKET) {
      if (length === opened + 1 && codes[opened] === DIGIT_ZERO) {
        if (plus === 0 || opened === plus) return undefined
        bracketedZeros++
        length--
      }
      opened = -1
    } else if (meaning === SLASH) {
      if (!hasSlash) {
        const digits = length - plus + bracketedZeros
        if (digits === 0 || digits >= WHOLE_NUMBER) return undefined
        hasSlash = true
        isAfterSlash = true
      }
      opened = -1
    } else if (meaning === DOT) {
      if (decimalsFrom === 0 && length >= WHOLE_NUMBER) decimalsFrom = length
      opened = -1
    } else if (meaning === DASH) {
      opened = -1
    } else if (meaning === TAB) {
      if (previous === OTHER) continue
      if (isAt(REST_IS_BLANK, value, i)) break
      return undefined
    } else {
      if (length - plus < MIN_DIGITS || !isAt(EXTENSION, value, i)) return undefined
      hasExtension = true
      break
    }
    previous = meaning
  }

  if (length - plus < MIN_DIGITS) return bracketedZeros > 0 ? undefined : ''
  if (decimalsFrom > 0 && areZeros(decimalsFrom, length)) return undefined
  const text = textOfCodes(length)
  return plus === 0 && !hasExtension && isFiller(text) ? '' : text
}
