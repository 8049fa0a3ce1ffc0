import { isNamePlaceholder } from './placeholder.ts'
import { clean, isDamaged, lower } from './text.ts'

/** Everything but letters, marks and digits, and the letters used as apostrophes (ʻ and ʼ). */
const NOT_OF_A_NAME = /[\p{P}\p{S}\p{Z}\p{C}\u02bb\u02bc]+/gu
const LETTER = /\p{L}/u

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
  return lower(plainName(value)).replace(NOT_OF_A_NAME, '')
}
