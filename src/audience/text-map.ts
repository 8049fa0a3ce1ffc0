/** A number that few texts share: FNV-1a (Fowler, Noll, Vo), over UTF-16 units in place of bytes. */
export function numberOf(text: string): number {
  let number = 0x81_1c_9d_c5 | 0
  for (let index = 0; index < text.length; index += 1) {
    number = Math.imul(number ^ text.charCodeAt(index), 0x01_00_01_93)
  }
  return number
}

/**
 * A number for each text. In a plain `Map` the first look-up of each new string object takes five
 * times as long as all else, because V8 has yet to hash it; texts of an upload are such strings, and
 * most are looked up once. Here they are known by a number instead, and the few that share one with
 * another text, by chance or by intent, are in a plain map.
 */
export class TextMap {
  readonly #slots = new Map<number, number>()
  readonly #texts: string[] = []
  readonly #values: number[] = []
  readonly #others = new Map<string, number>()

  get(text: string): number | undefined {
    const slot = this.#slots.get(numberOf(text))
    if (slot === undefined) return undefined
    return this.#texts[slot] === text ? this.#values[slot] : this.#others.get(text)
  }

  /** The value that the text has already, else this one, which it then has. */
  getOrAdd(text: string, value: number): number {
    const number = numberOf(text)
    const slot = this.#slots.get(number)
    if (slot === undefined) {
      this.#slots.set(number, this.#texts.length)
      this.#texts.push(text)
      this.#values.push(value)
      return value
    }
    if (this.#texts[slot] === text) return this.#values[slot] ?? value
    const known = this.#others.get(text)
    if (known === undefined) this.#others.set(text, value)
    return known ?? value
  }
}
