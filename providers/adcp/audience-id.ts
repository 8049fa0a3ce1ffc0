import { sha256 } from '../../src/audience/hash.ts'

/** AdCP has no limits for ids and names; these are what a cautious seller may have. */
const MAX_ID = 128
const MAX_NAME = 255
const HASH_DIGITS = 16

const SAFE_ID = /^[A-Za-z0-9_.-]+$/
const UNSAFE = /[^A-Za-z0-9_.-]+/g
const NOT_PLAIN = /[\p{Cc}\p{Cs}]+/gu

const digest = (name: string) => sha256(name).slice(0, HASH_DIGITS)

/** The name as it is kept: what is cut off lives on in a hash, so that two names do not become one. */
export function storedName(name: string): string {
  const plain = name.replace(NOT_PLAIN, ' ')
  if (plain === name && name.length <= MAX_NAME) return name
  const start = plain.slice(0, MAX_NAME - HASH_DIGITS - 1).replace(NOT_PLAIN, '')
  return `${start}~${digest(name)}`
}

/**
 * The `audience_id` of a segment: its name where every seller should take that as an id, else what is
 * left of it with a hash of the whole.
 */
export function audienceIdOf(segmentName: string): string {
  if (segmentName.length <= MAX_ID && SAFE_ID.test(segmentName)) return segmentName
  const readable = segmentName.replace(UNSAFE, '_').slice(0, MAX_ID - HASH_DIGITS - 1)
  return `${readable}-${digest(segmentName)}`
}
