/**
 * Characters that carry no meaning of their own (Unicode category Cf: zero-width spaces, direction
 * marks, byte order marks, soft hyphens). They come along with pasted text and nobody means them.
 */
const INVISIBLE = /\p{Cf}+/gu

/** Text as its author meant it: without invisible characters and outer white space. */
export function clean(value: string): string {
  return value.replace(INVISIBLE, '').trim()
}

/** Lower case in Unicode's composed form (NFC), so that `É` and `E` + accent give the same bytes. */
export function lower(value: string): string {
  return value.normalize('NFC').toLowerCase().normalize('NFC')
}

/**
 * U+FFFD or half a surrogate pair: an earlier program already lost a character here, so that what
 * is left can only give a wrong hash.
 */
export function isDamaged(value: string): boolean {
  return value.includes('\ufffd') || !value.isWellFormed()
}
