/** A number that few texts share: FNV-1a (Fowler, Noll, Vo), over UTF-16 units in place of bytes. */
export function numberOf(text: string): number {
  let number = 0x81_1c_9d_c5 | 0
  for (let index = 0; index < text.length; index += 1) {
    number = Math.imul(number ^ text.charCodeAt(index), 0x01_00_01_93)
  }
  return number
}

const FIRST_SLOTS = 1024
/** At most a quarter of the slots is taken, so that a text is nearly always in its first one. */
const SLOTS_PER_TEXT = 4
/** Slots in a row in which a text may be. */
const REACH = 16

/**
 * A number for each text. In a plain `Map` the first look-up of each new string object takes many
 * times as long as all else, because V8 has yet to hash it; texts of an upload are such strings, and
 * most are looked up once. Here they lie in slots by a number of their own; the few for which those in
 * reach are taken, by chance or by intent, are in a plain map.
 */
export class TextMap {
  /** One more than the index of the text in it, 0 where there is none. */
  #slots = new Int32Array(FIRST_SLOTS)
  readonly #texts: string[] = []
  readonly #numbers: number[] = []
  readonly #values: number[] = []
  readonly #others = new Map<string, number>()

  get(text: string): number | undefined {
    return this.#valueOf(text, this.#slotOf(text, numberOf(text)))
  }

  /** The value that the text has already, else this one, which it then has. */
  getOrAdd(text: string, value: number): number {
    const number = numberOf(text)
    const slot = this.#slotOf(text, number)
    const known = this.#valueOf(text, slot)
    if (known !== undefined) return known
    if (slot === undefined) this.#others.set(text, value)
    else this.#add(slot, text, number, value)
    return value
  }

  #valueOf(text: string, slot: number | undefined): number | undefined {
    const index = slot === undefined ? -1 : (this.#slots[slot] ?? 0) - 1
    if (index >= 0) return this.#values[index]
    return this.#others.size > 0 ? this.#others.get(text) : undefined
  }

  /** Where the text is, else where there is room for it; `undefined` if nowhere. */
  #slotOf(text: string, number: number): number | undefined {
    const last = this.#slots.length - 1
    const first = number ^ (number >>> 15)
    for (let step = 0; step < REACH; step += 1) {
      const slot = (first + step) & last
      const index = (this.#slots[slot] ?? 0) - 1
      if (index < 0 || (this.#numbers[index] === number && this.#texts[index] === text)) return slot
    }
    return undefined
  }

  #add(slot: number, text: string, number: number, value: number): void {
    this.#texts.push(text)
    this.#numbers.push(number)
    this.#values.push(value)
    this.#slots[slot] = this.#texts.length
    if (this.#texts.length * SLOTS_PER_TEXT > this.#slots.length) this.#grow()
  }

  #grow(): void {
    this.#slots = new Int32Array(this.#slots.length * 2)
    for (const [index, text] of this.#texts.entries()) {
      const slot = this.#slotOf(text, this.#numbers[index] ?? 0)
      if (slot === undefined) this.#others.set(text, this.#values[index] ?? 0)
      else this.#slots[slot] = index + 1
    }
  }
}
