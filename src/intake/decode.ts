import { startsWith } from './bytes.ts'
import type { TextEncoding } from './intake.ts'

type Chunks = AsyncIterable<Uint8Array<ArrayBuffer>>

/** Byte order marks, see https://encoding.spec.whatwg.org/#bom-sniff */
const BYTE_ORDER_MARKS: readonly (readonly [TextEncoding, readonly number[]])[] = [
  ['utf-8', [0xef, 0xbb, 0xbf]],
  ['utf-16le', [0xff, 0xfe]],
  ['utf-16be', [0xfe, 0xff]]
]

/** What the file itself says its encoding is. */
export function markedEncoding(head: Uint8Array): TextEncoding | undefined {
  return BYTE_ORDER_MARKS.find(([, mark]) => startsWith(head, mark))?.[0]
}

/** The bytes are not of the encoding. */
export class WrongEncodingError extends Error {
  override readonly name = 'WrongEncodingError'
}

/** The text without its byte order mark. */
export async function* decode(chunks: Chunks, encoding: TextEncoding): AsyncGenerator<string> {
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
