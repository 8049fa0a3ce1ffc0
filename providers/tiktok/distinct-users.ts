/**
 * Of each hash the first 128 of its 256 bits are compared: before two different people share those, a list
 * would need some 2^64 of them.
 */
const COMPARED_DIGITS = 32
const COMPARED_WORDS = COMPARED_DIGITS / Int32Array.BYTES_PER_ELEMENT

/** Stands for a hash that is missing: the start of that of an empty text, which no column holds. */
const NO_HASH = 'e3b0c44298fc1c149afbf4c8996fb924'

/** Users in one block of memory; blocks never grow, so that nothing is copied. */
const USERS_PER_BLOCK = 1_024

interface Block {
  readonly bytes: Buffer
  /** The same memory. */
  readonly words: Int32Array
}

/**
 * Tells of one user after the other whether all hashes are those of a user before. Kept is a copy of
 * what is compared and no text, as each would bring an object and its whole column along; users are
 * looked up by a number, as V8 would have to hash each new text first.
 */
export class DistinctUsers {
  readonly #wordsPerUser: number
  readonly #blocks: Block[] = []
  #size = 0
  readonly #firstWithKey = new Map<number, number>()
  /** The few users whose key another user had before. */
  readonly #others = new Set<string>()

  constructor(hashesPerUser: number) {
    this.#wordsPerUser = hashesPerUser * COMPARED_WORDS
  }

  /**
   * Whether the user is new.
   * @param columns of hashes, in hex or `''`.
   */
  add(columns: readonly (readonly string[])[], row: number): boolean {
    const user = this.#size
    const block = this.#blockOf(user)
    const start = this.#startOf(user)
    // The next user is written over one who is not new.
    copyHashes(columns, row, block.bytes, start * Int32Array.BYTES_PER_ELEMENT)
    const key = this.#keyOf(block.words, start)
    const first = this.#firstWithKey.get(key)
    if (first === undefined) {
      this.#firstWithKey.set(key, user)
    } else {
      if (this.#isSame(block.words, start, first)) return false
      const text = this.#textOf(block.bytes, start)
      if (this.#others.has(text)) return false
      this.#others.add(text)
    }
    this.#size += 1
    return true
  }

  /** FNV-1a (Fowler, Noll, Vo), over words in place of bytes. */
  #keyOf(words: Int32Array, start: number): number {
    let key = 0x81_1c_9d_c5 | 0
    for (let word = start; word < start + this.#wordsPerUser; word += 1) {
      key = Math.imul(key ^ (words[word] ?? 0), 0x01_00_01_93)
    }
    return key
  }

  #isSame(words: Int32Array, start: number, other: number): boolean {
    const others = this.#blockOf(other).words
    const otherStart = this.#startOf(other)
    for (let word = 0; word < this.#wordsPerUser; word += 1) {
      if (words[start + word] !== others[otherStart + word]) return false
    }
    return true
  }

  #textOf(bytes: Buffer, start: number): string {
    const end = start + this.#wordsPerUser
    const { BYTES_PER_ELEMENT } = Int32Array
    return bytes.toString('latin1', start * BYTES_PER_ELEMENT, end * BYTES_PER_ELEMENT)
  }

  #blockOf(user: number): Block {
    const index = Math.floor(user / USERS_PER_BLOCK)
    const block = this.#blocks[index] ?? createBlock(USERS_PER_BLOCK * this.#wordsPerUser)
    if (index === this.#blocks.length) this.#blocks.push(block)
    return block
  }

  /** The user's first word in its block. */
  #startOf(user: number): number {
    return (user % USERS_PER_BLOCK) * this.#wordsPerUser
  }
}

function copyHashes(
  columns: readonly (readonly string[])[],
  row: number,
  bytes: Buffer,
  start: number
): void {
  let end = start
  for (const column of columns) {
    end += bytes.write(column[row] || NO_HASH, end, COMPARED_DIGITS, 'latin1')
  }
}

function createBlock(words: number): Block {
  const memory = new Int32Array(words)
  return { words: memory, bytes: Buffer.from(memory.buffer) }
}
