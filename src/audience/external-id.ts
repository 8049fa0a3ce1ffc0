import { sha256 } from './hash.ts'
import { isPlaceholder } from './placeholder.ts'
import { clean } from './text.ts'

const PHONE_CHARACTERS = /^\+?[\d\s().\-/]+$/

function isPhoneLike(id: string): boolean {
  const digits = id.replace(/\D/g, '').length
  return PHONE_CHARACTERS.test(id) && digits >= 7 && digits <= 15
}

/**
 * The caller's own id of a user, trimmed; `''` where there is none. What looks like an e-mail address
 * or a phone number is replaced by its SHA-256. That is decided by the value alone: platforms remove
 * a user only by an id of the very same bytes.
 */
export function externalId(value: string): string {
  const id = clean(value)
  if (isPlaceholder(id)) return ''
  return id.includes('@') || isPhoneLike(id) ? sha256(id) : id
}
