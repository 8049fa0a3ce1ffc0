import { TextMap } from './text-map.ts'

/**
 * The distinct values of a column over all parts of an upload (dictionary encoding), so that what is
 * made of a value is made once. A value that means something else in each country is one for each.
 */
export class Dictionary {
  /** In the order in which they first occurred. */
  readonly values: string[] = []
  /** Beside each value its country, `''` where none was told. */
  readonly countries: string[] = []
  readonly #knownIn = new Map<string, TextMap>()

  /** Which value each row of a part has: its index. */
  codesOf(column: readonly string[], countries: readonly string[] = []): Int32Array {
    const codes = new Int32Array(column.length)
    for (let row = 0; row < column.length; row += 1) {
      codes[row] = this.#codeOf(column[row] ?? '', countries[row] ?? '')
    }
    return codes
  }

  #codeOf(value: string, country: string): number {
    let known = this.#knownIn.get(country)
    if (known === undefined) this.#knownIn.set(country, (known = new TextMap()))
    const code = known.getOrAdd(value, this.values.length)
    if (code === this.values.length) {
      this.values.push(value)
      this.countries.push(country)
    }
    return code
  }
}

/** What is made of each value of a dictionary: made when it is asked for, and kept. */
export function derived<T>(
  { values, countries }: Dictionary,
  make: (value: string, country: string, index: number) => T
): () => readonly T[] {
  const made: T[] = []
  return () => {
    for (let index = made.length; index < values.length; index += 1) {
      made.push(make(values[index] ?? '', countries[index] ?? '', index))
    }
    return made
  }
}

/** A column of what was made of each value. */
export function toColumn<T>(made: readonly T[], codes: Int32Array): readonly T[] {
  const column: T[] = []
  for (const code of codes) {
    const value = made[code]
    if (value !== undefined) column.push(value)
  }
  return column
}

/** A column of what is true of each value or not: 1 or 0. */
export function toFlags(made: readonly boolean[], codes: Int32Array): Uint8Array {
  const flags = new Uint8Array(codes.length)
  for (let row = 0; row < codes.length; row += 1) if (made[codes[row] ?? 0] === true) flags[row] = 1
  return flags
}
