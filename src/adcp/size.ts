import { isFields } from './fields.ts'

/** What a value counts for besides its characters. */
const VALUE_SIZE = 4

export interface SizeLimits {
  /** Of texts and names. */
  readonly characters: number
  /** Of objects and lists within each other. */
  readonly levels: number
}

/** Whether a value of `JSON.parse` can be looked at, copied and written again by anybody. */
export function isWithin(root: unknown, { characters, levels }: SizeLimits): boolean {
  const open: { readonly value: unknown; readonly level: number }[] = [{ value: root, level: 0 }]
  let size = 0
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, level } = next
    size += VALUE_SIZE
    if (typeof value === 'string') size += value.length
    if (Array.isArray(value)) size += value.length
    if (size > characters || level > levels) return false
    if (Array.isArray(value)) {
      for (const inner of value) open.push({ value: inner, level: level + 1 })
    } else if (isFields(value)) {
      for (const name in value) {
        size += name.length
        open.push({ value: value[name], level: level + 1 })
      }
    }
  }
  return true
}

const [OPEN_BRACE, OPEN_BRACKET, COMMA] = [0x7b, 0x5b, 0x2c]
/** Whatever is in fewer bytes, there is memory for its values. */
const HARMLESS_BYTES = 24 * 1024 * 1024
/** Forty for each member of the largest call. */
const MAX_VALUES = 4_000_000

/**
 * Whether a document has more values than there is memory for: a value of three bytes takes more than
 * fifty when it is parsed. Counts what opens and separates them, also within texts.
 */
export function hasTooManyValues(bytes: Uint8Array): boolean {
  if (bytes.byteLength <= HARMLESS_BYTES) return false
  let values = 0
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index]
    if (byte === COMMA || byte === OPEN_BRACE || byte === OPEN_BRACKET) values += 1
  }
  return values > MAX_VALUES
}
