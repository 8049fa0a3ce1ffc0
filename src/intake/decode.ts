import { startsWith } from './bytes.ts'
import type { TextEncoding } from './intake.ts'

type Chunks = AsyncIterable<Uint8Array<ArrayBuffer>>

/** Byte order marks, see https://encoding.spec.whatwg.org/#bom-sniff */
const BYTE_ORDER_MARKS: readonly (readonly [TextEncoding, readonly number[]])[] = [
  ['utf-8', [0xef, 0xbb, 0xbf]],
  ['utf-16le', [0xff, 0xfe]],
  ['utf-16be', [0xfe, 0xff]]
]

const LAST_ASCII = 0x7f
const REPLACEMENT = 0xfffd

/** What the file itself says its encoding is. */
export function markedEncoding(head: Uint8Array): TextEncoding | undefined {
  return BYTE_ORDER_MARKS.find(([, mark]) => startsWith(head, mark))?.[0]
}

/** The bytes are not of the encoding. */
export class WrongEncodingError extends Error {
  override readonly name = 'WrongEncodingError'
}

/** The text without its byte order mark; what is not of the encoding becomes U+FFFD. */
export async function* decode(chunks: Chunks, encoding: TextEncoding): AsyncGenerator<string> {
  const decoder = new TextDecoder(encoding)
  for await (const chunk of chunks) yield decoder.decode(chunk, { stream: true })
  yield decoder.decode()
}

/** @throws {WrongEncodingError} where something is not of the encoding. */
export async function* decodeStrictly(
  chunks: Chunks,
  encoding: TextEncoding
): AsyncGenerator<string> {
  const decoder = new TextDecoder(encoding, { fatal: true })
  for await (const chunk of chunks) yield decodePart(decoder, chunk)
  yield decodePart(decoder)
}

function decodePart(decoder: TextDecoder, chunk?: Uint8Array<ArrayBuffer>): string {
  try {
    return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true })
  } catch (error) {
    throw new WrongEncodingError(decoder.encoding, { cause: error })
  }
}

/**
 * The encoding of bytes that are not all UTF-8: Windows-1252, unless most of what is not ASCII is UTF-8
 * all the same. Databases cut texts in the middle of a character; for a few of those not every other
 * name of the file may become unreadable.
 */
export async function encodingOfMixed(chunks: Chunks): Promise<TextEncoding> {
  let utf8 = 0
  let others = 0
  for await (const text of decode(chunks, 'utf-8')) {
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index)
      if (code === REPLACEMENT) others += 1
      else if (code > LAST_ASCII) utf8 += 1
    }
  }
  return utf8 > others ? 'utf-8' : 'windows-1252'
}
