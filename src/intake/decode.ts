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

/** Letters of Windows-1250 (ą Ą ł Ł ż Ż ľ Ľ ť Ť Ź) that are signs, or nothing, in Windows-1252. */
const EASTERN = [0xb9, 0xa5, 0xb3, 0xa3, 0xbf, 0xaf, 0xbe, 0xbc, 0x9d, 0x8d, 0x8f]
/** š Š ž Ž, which are the same in both, but rare in the languages of the West. */
const CARONS = [0x9a, 0x8a, 0x9e, 0x8e]
const TELLTALES: ReadonlySet<number> = new Set([...EASTERN, ...CARONS])
/** Of the bytes that are not ASCII; in Polish, Czech, Slovak, Slovenian and Croatian many more are. */
const MIN_SHARE_OF_TELLTALES = 0.05

function isLetter(byte: number | undefined): boolean {
  if (byte === undefined) return false
  const lowerCase = byte | 0x20
  return byte >= 0xc0 || (lowerCase >= 0x61 && lowerCase <= 0x7a)
}

/** Tells Windows-1250 from Windows-1252, by what would be `m³`, `£` and `¿` in the middle of words. */
class WindowsCodePage {
  #notAscii = 0
  #telltales = 0

  add(bytes: Uint8Array): void {
    for (let index = 0; index < bytes.length; index += 1) {
      const byte = bytes[index] ?? 0
      if (byte <= LAST_ASCII) continue
      this.#notAscii += 1
      if (!TELLTALES.has(byte)) continue
      if (isLetter(bytes[index - 1]) && isLetter(bytes[index + 1])) this.#telltales += 1
    }
  }

  get encoding(): TextEncoding {
    const isEastern = this.#telltales > this.#notAscii * MIN_SHARE_OF_TELLTALES
    return isEastern ? 'windows-1250' : 'windows-1252'
  }
}

async function* heard(
  chunks: Chunks,
  hear: (bytes: Uint8Array) => void
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for await (const chunk of chunks) {
    hear(chunk)
    yield chunk
  }
}

/**
 * The encoding of bytes that are not all UTF-8: Windows-1252 or 1250, unless most of what is not ASCII is UTF-8
 * all the same. Databases cut texts in the middle of a character; for a few of those not every other
 * name of the file may become unreadable.
 */
export async function encodingOfMixed(chunks: Chunks): Promise<TextEncoding> {
  let utf8 = 0
  let others = 0
  const windows = new WindowsCodePage()
  const watched = heard(chunks, (bytes) => windows.add(bytes))
  for await (const text of decode(watched, 'utf-8')) {
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index)
      if (code === REPLACEMENT) others += 1
      else if (code > LAST_ASCII) utf8 += 1
    }
  }
  return utf8 > others ? 'utf-8' : windows.encoding
}
