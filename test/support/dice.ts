/** Draws that are the same for the same seed on every machine. */
export class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  /** From 0 up to, but not including, 1 (mulberry32). */
  random(): number {
    this.#state = (this.#state + 0x6d_2b_79_f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from 0 up to, but not including, `limit`. */
  below(limit: number): number {
    return Math.floor(this.random() * limit)
  }

  chance(percent: number): boolean {
    return this.random() * 100 < percent
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)]
    if (item === undefined) throw new RangeError('nothing to pick from')
    return item
  }

  digits(count: number): string {
    let text = ''
    for (let left = count; left > 0; left -= 1) text += String(this.below(10))
    return text
  }

  hex(count: number): string {
    let text = ''
    for (let left = count; left > 0; left -= 1) text += this.below(16).toString(16)
    return text
  }

  /** Fills a pattern: `#` any digit, `%` one from 1 to 9, `@` a letter from A to Z. */
  fill(pattern: string): string {
    return pattern.replace(/[#%@]/g, (place) => {
      if (place === '#') return String(this.below(10))
      return place === '%' ? String(1 + this.below(9)) : String.fromCodePoint(65 + this.below(26))
    })
  }
}
