import { HASH_LENGTH, isHashOfNothing, sha256 } from './hash.ts'
import { isPlaceholder } from './placeholder.ts'
import { clean } from './text.ts'

const TEL_SCHEME = /^[^\p{L}\p{N}]*tel:/iu
/** `x5`, `ext. 5`, `#5`, and `;ext=5` of RFC 3966. */
const EXTENSION = /(?:ext(?:ension)?|x|#)[\s.:=]*\p{Nd}{1,7}$/iu
const LETTER = /\p{L}/u
const NOT_A_DIGIT = /\P{Nd}+/gu

const WORD = /^[\w-]{1,63}$/
const ASCII_LETTER = /[a-z]/i
const DIGIT = /\d/
const PERHAPS_EXTENSION = /[xtn]\d{1,7}$/i

/**
 * Whether nothing more has to be looked at, as with most ids: a letter that is none of an extension
 * keeps it from being a phone number, a digit from standing for nothing.
 */
function isPlainId(id: string): boolean {
  return WORD.test(id) && ASCII_LETTER.test(id) && DIGIT.test(id) && !PERHAPS_EXTENSION.test(id)
}

/** No letters and 7 to 17 digits, whatever stands between them: E.164 has 15, and `00` two more. */
function isPhoneLike(id: string): boolean {
  const number = id.replace(TEL_SCHEME, '').replace(EXTENSION, '')
  const digits = number.replace(NOT_A_DIGIT, '').length
  return !LETTER.test(number) && digits >= 7 && digits <= 17
}

function isPersonal(id: string): boolean {
  const plain = clean(id.normalize('NFKC'))
  return plain.includes('@') || isPhoneLike(plain)
}

/**
 * The caller's own id of a user, without outer white space and invisible characters (Unicode category
 * Cf); `''` where there is none. What looks like an e-mail address or a phone number in any notation
 * is replaced by the lower-case hex SHA-256 of exactly that text in UTF-8: its case, separators and
 * form of Unicode stay. Both are decided by the value alone: platforms remove a user only by an id of
 * the very same bytes.
 */
export function externalId(value: string): string {
  if (isPlainId(value)) return value
  const id = clean(value)
  if (isPlaceholder(id) || isHashOfNothing(id)) return ''
  return isPersonal(id) ? sha256(id) : id
}

const DIGIT_ONE = 49
const DIGIT_NINE = 57

/** Whether `externalId` makes anything of a value. No placeholder has one of these digits. */
export function isUsableId(value: string): boolean {
  if (value.length < HASH_LENGTH) {
    for (let i = 0; i < value.length; i += 1) {
      const code = value.charCodeAt(i)
      if (code >= DIGIT_ONE && code <= DIGIT_NINE) return true
    }
  }
  return externalId(value) !== ''
}
