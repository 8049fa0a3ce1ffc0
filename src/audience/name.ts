import { isNamePlaceholder, isPlaceholderWord } from './placeholder.ts'
import { clean, isDamaged, lower } from './text.ts'

/** Everything but letters, marks and digits, and the letters used as apostrophes (ʻ and ʼ). */
const NOT_OF_A_NAME = /[\p{P}\p{S}\p{Z}\p{C}\u02bb\u02bc]+/gu
const LETTER = /\p{L}/u
/**
 * Most names: Latin letters, with single marks between them. Of these letters each is one character in
 * NFC, in lower case too (unlike the Turkish capital I with its dot).
 */
const PLAIN_NAME = /^[A-Za-zÀ-ÖØ-öø-įı-ɏ]+(?:[ '.-][A-Za-zÀ-ÖØ-öø-įı-ɏ]+)*$/
const MARKS = /[ '.-]/g
const MAX_PLAIN_LENGTH = 200

/**
 * A first or last name as people write it: trimmed, NFC, runs of white space as one space, case
 * kept; `''` for placeholders and for what holds no letter.
 */
export function plainName(value: string): string {
  const name = clean(value).normalize('NFC').replace(/\s+/g, ' ')
  return isNamePlaceholder(name) || isDamaged(name) || !LETTER.test(name) ? '' : name
}

/**
 * A first or last name as Meta matches it: lower case, without punctuation and white space; accents
 * and letters of all scripts stay. (Meta, "Customer information parameters", and its
 * capi-param-builder.)
 */
export function normalizeName(value: string): string {
  if (isPlain(value)) return normalizePlainName(value)
  const text = clean(value)
  if (isPlain(text)) return normalizePlainName(text)
  return lower(plainName(text)).replace(NOT_OF_A_NAME, '')
}

/** The pattern would take too much memory for a huge text. */
function isPlain(value: string): boolean {
  return value.length <= MAX_PLAIN_LENGTH && PLAIN_NAME.test(value)
}

function normalizePlainName(value: string): string {
  const name = value.toLowerCase()
  return isPlaceholderWord(name) ? '' : name.replace(MARKS, '')
}
