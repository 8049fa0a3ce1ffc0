/** Few enough that a block is put together in the processor's cache. */
const TEXTS_PER_BLOCK = 1_024

/** Texts that follow each other, as one. */
interface Block {
  readonly text: string
  /** Where each of them ends. */
  readonly ends: Uint32Array
}

/**
 * A column of many short texts, in a fraction of the memory that a string object for each takes, and
 * without the time that the garbage collector needs to move those.
 */
export class PackedTexts {
  readonly #blocks: Block[] = []
  /** Of the last block, which is not full. */
  #open: string[] = []
  /** Texts of places that had none, by place. */
  readonly #later = new Map<number, string>()

  get size(): number {
    return this.#blocks.length * TEXTS_PER_BLOCK + this.#open.length
  }

  /** The text at a place; `''` where there is none. */
  at(place: number): string {
    return this.#packedAt(place) || (this.#later.get(place) ?? '')
  }

  /** Puts a text at the first free place, or at one that has none so far; tells whether it is there. */
  offer(place: number, text: string): boolean {
    if (place === this.size) {
      this.#append(text)
      return true
    }
    if (text === '' || this.at(place) !== '') return false
    this.#later.set(place, text)
    return true
  }

  #append(text: string): void {
    this.#open.push(text)
    if (this.#open.length < TEXTS_PER_BLOCK) return
    this.#blocks.push(pack(this.#open))
    this.#open = []
  }

  #packedAt(place: number): string {
    const index = place % TEXTS_PER_BLOCK
    const block = this.#blocks[Math.floor(place / TEXTS_PER_BLOCK)]
    if (block === undefined) return this.#open[index] ?? ''
    return block.text.slice(block.ends[index - 1] ?? 0, block.ends[index])
  }
}

function pack(texts: readonly string[]): Block {
  const ends = new Uint32Array(texts.length)
  let end = 0
  for (let index = 0; index < texts.length; index += 1) {
    end += texts[index]?.length ?? 0
    ends[index] = end
  }
  return { text: texts.join(''), ends }
}
