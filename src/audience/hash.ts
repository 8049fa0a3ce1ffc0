import { hash } from 'node:crypto'

/** Characters of a hash in hex. */
export const HASH_LENGTH = 64
const SHA256_HEX = /^[0-9a-f]{64}$/i
/** What programs send that hash absent values too (Meta, "Customer information parameters"). */
const HASH_OF_NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

/** Lower-case hex SHA-256 of the text's UTF-8 bytes. */
export function sha256(text: string): string {
  return hash('sha256', text, 'hex')
}

/** Whether the whole value is the hash of an empty text, which stands for no value at all. */
export function isHashOfNothing(value: string): boolean {
  return value.length >= HASH_LENGTH && value.trim().toLowerCase() === HASH_OF_NOTHING
}

/**
 * Whether a value is a SHA-256 already. The whole value has to be one: a longer text that only
 * contains 64 hex digits is not.
 */
export function isHash(value: string): boolean {
  return value.length >= HASH_LENGTH && SHA256_HEX.test(value.trim())
}

/** The value in lower case if it is the SHA-256 of something, else `''`. */
export function givenHash(value: string): string {
  return isHash(value) && !isHashOfNothing(value) ? value.trim().toLowerCase() : ''
}
