import { hash } from 'node:crypto'

const SHA256_HEX = /^[0-9a-f]{64}$/i

/** Lower-case hex SHA-256 of the text's UTF-8 bytes. */
export function sha256(text: string): string {
  return hash('sha256', text, 'hex')
}

/**
 * The value in lower case if it is a SHA-256 already, else `''`. The whole value has to be one: a
 * longer text that only contains 64 hex digits is not.
 */
export function givenHash(value: string): string {
  const trimmed = value.trim()
  return SHA256_HEX.test(trimmed) ? trimmed.toLowerCase() : ''
}
