/** So much text is cheap to put together, and few enough bytes to stay in the processor's cache. */
const PORTION = 16_384

/** A UTF-16 unit takes at most this many bytes of UTF-8. */
const MAX_BYTES_OF_UNIT = 3

/**
 * Puts bodies together out of many small texts. Text becomes bytes a portion at a time, so that a body
 * is never there as one long text.
 */
export class Utf8Writer {
  readonly #encoder = new TextEncoder()
  #portions: Uint8Array<ArrayBuffer>[] = []
  #portionBytes = 0
  #text = ''

  /** @param text well-formed: half a surrogate pair would be lost. */
  write(text: string): void {
    this.#text += text
    if (this.#text.length >= PORTION) this.#encode()
  }

  /** Whether this text may follow in a body of at most so many bytes. */
  hasRoomFor(text: string, maxBytes: number): boolean {
    const units = this.#text.length + text.length
    if (this.#portionBytes + units * MAX_BYTES_OF_UNIT <= maxBytes) return true
    this.#encode()
    return this.#portionBytes + Buffer.byteLength(text) <= maxBytes
  }

  /** The bytes written since the last call, in memory of their own: it may go to another thread. */
  take(): Uint8Array<ArrayBuffer> {
    this.#encode()
    const bytes = new Uint8Array(this.#portionBytes)
    let end = 0
    for (const portion of this.#portions) {
      bytes.set(portion, end)
      end += portion.byteLength
      // Frees it: the collector would let portions of all bodies come together.
      portion.buffer.transfer(0)
    }
    this.#portions = []
    this.#portionBytes = 0
    return bytes
  }

  #encode(): void {
    if (this.#text === '') return
    const portion = this.#encoder.encode(this.#text)
    this.#portions.push(portion)
    this.#portionBytes += portion.byteLength
    this.#text = ''
  }
}
