/**
 * About as many bytes are read at a time: few enough that their objects are gone before the collector
 * has to move them, and that the memory for them does not grow with the document.
 */
const PART_BYTES = 1024 * 1024

const [QUOTE, COMMA, BACKSLASH] = [0x22, 0x2c, 0x5c]
const [OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [0x5b, 0x5d, 0x7b, 0x7d]
const BYTE_ORDER_MARK = Buffer.from('\ufeff')

function isWhiteSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

function afterWhiteSpace(bytes: Buffer, from: number): number {
  let at = from
  while (isWhiteSpace(bytes[at])) at += 1
  return at
}

function beforeWhiteSpace(bytes: Buffer, from: number): number {
  let at = from
  while (isWhiteSpace(bytes[at])) at -= 1
  return at
}

/**
 * How the first entry begins, up to the end of its first name: `{"email"`. Other entries mostly begin
 * so too, and nothing within them does. `undefined` where it is no object.
 */
function openingOf(bytes: Buffer, from: number): Buffer | undefined {
  const brace = afterWhiteSpace(bytes, from)
  const quote = afterWhiteSpace(bytes, brace + 1)
  if (bytes[brace] !== OPEN_BRACE || bytes[quote] !== QUOTE) return undefined
  return bytes.subarray(brace, afterString(bytes, quote, bytes.length) + 1)
}

/**
 * The comma before what looks like the beginning of an entry; it may stand in a text or in an entry.
 * `undefined` where there is none near: who looks on and on takes as long as there are bytes.
 */
function likelyComma(bytes: Buffer, opening: Buffer, target: number): number | undefined {
  const found = bytes.subarray(target, target + PART_BYTES).indexOf(opening)
  if (found < 0) return undefined
  const comma = beforeWhiteSpace(bytes, target + found - 1)
  return bytes[comma] === COMMA ? comma : undefined
}

function afterString(bytes: Buffer, quote: number, end: number): number {
  let at = quote + 1
  while (at < end && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1
  return at
}

/** The first comma between two entries of the array, at or behind `target`. */
function certainComma(bytes: Buffer, from: number, target: number, end: number): number {
  let depth = 0
  for (let at = from; at < end; at += 1) {
    const byte = bytes[at]
    if (byte === QUOTE) at = afterString(bytes, at, end)
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth += 1
    else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth -= 1
    else if (byte === COMMA && depth === 0 && at >= target) return at
  }
  return end
}

/** @throws SyntaxError */
function parseEntries(bytes: Buffer, from: number, to: number): readonly unknown[] {
  const entries: unknown = JSON.parse(`[${bytes.toString('utf8', from, to)}]`)
  return Array.isArray(entries) ? entries : []
}

function tryEntries(bytes: Buffer, from: number, to: number): readonly unknown[] | undefined {
  try {
    return parseEntries(bytes, from, to)
  } catch {
    return undefined
  }
}

/**
 * The entries of a JSON array in valid UTF-8, a few thousand at a time. What stands before a comma is
 * read as an array by itself: that succeeds only where the comma is one between two entries.
 * @throws SyntaxError where the bytes are not an array as a whole; parts of it were given out then.
 */
export function* entriesOf(array: Uint8Array): Generator<readonly unknown[], void> {
  const bytes = Buffer.from(array.buffer, array.byteOffset, array.byteLength)
  const hasMark = bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK)
  const open = afterWhiteSpace(bytes, hasMark ? BYTE_ORDER_MARK.length : 0)
  const end = beforeWhiteSpace(bytes, bytes.length - 1)
  if (open >= end || bytes[open] !== OPEN_BRACKET || bytes[end] !== CLOSE_BRACKET) {
    throw new SyntaxError('not an array')
  }
  const opening = openingOf(bytes, open + 1)
  let from = open + 1
  let to = 0
  while (to < end) {
    const target = from + PART_BYTES
    const likely = target < end ? opening && likelyComma(bytes, opening, target) : end
    let entries = likely && tryEntries(bytes, from, likely)
    to = likely ?? end
    if (!entries) {
      to = certainComma(bytes, from, target, end)
      entries = parseEntries(bytes, from, to)
    }
    // `[1,]`, `[,1]`
    const isCut = from > open + 1 || to < end
    if (entries.length === 0 && isCut) throw new SyntaxError('no entry beside a comma')
    yield entries
    from = to + 1
  }
}
