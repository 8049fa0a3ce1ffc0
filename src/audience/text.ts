/**
 * Characters that carry no meaning of their own (Unicode category Cf: zero-width spaces, direction
 * marks, byte order marks, soft hyphens). They come along with pasted text and nobody means them.
 */
const INVISIBLE = /\p{Cf}+/gu

/** Most values: nothing in them is invisible or has several encodings. */
const PRINTABLE_ASCII = /^[ -~]*$/

/**
 * What a user's field says, as text. A number that is negative, has decimals or more digits than
 * JavaScript can hold was no phone, code or id: it leaves U+FFFD, which is given but unusable in every
 * field, and none of its digits.
 */
export function written(value: string | number | null | undefined): string {
  if (typeof value !== 'number') return value ?? ''
  return Number.isSafeInteger(value) && value >= 0 ? String(value) : '\ufffd'
}

/** Text as its author meant it: without invisible characters and outer white space. */
export function clean(value: string): string {
  const text = value.trim()
  return PRINTABLE_ASCII.test(text) ? text : text.replace(INVISIBLE, '').trim()
}

/** Whether nothing is left of a text once it is cleaned. */
export function isBlank(value: string): boolean {
  const first = value.charCodeAt(0)
  const isVisible = first > 0x20 && first < 0x7f
  return !isVisible && clean(value) === ''
}

/** Lower case in Unicode's composed form (NFC), so that `É` and `E` + accent give the same bytes. */
export function lower(value: string): string {
  if (PRINTABLE_ASCII.test(value)) return value.toLowerCase()
  return value.normalize('NFC').toLowerCase().normalize('NFC')
}

/**
 * U+FFFD or half a surrogate pair: an earlier program already lost a character here, so that what
 * is left can only give a wrong hash.
 */
export function isDamaged(value: string): boolean {
  return value.includes('\ufffd') || !value.isWellFormed()
}

/** The bytes as text, or `undefined` where they are not UTF-8: nothing is replaced silently. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}
