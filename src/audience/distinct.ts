import { TextMap } from './text-map.ts'

/** The values of a column from which forms are made. */
export interface Source {
  /** One for each row or, where values repeat, each distinct one once. */
  readonly values: readonly string[]
  /** Which of the values a row has; absent where there is one for each row. */
  readonly codes?: Int32Array
}

/** Each distinct value once (dictionary encoding). */
export function distinct(column: readonly string[]): Source {
  const values: string[] = []
  const codes = new Int32Array(column.length)
  const known = new TextMap()
  for (let row = 0; row < column.length; row += 1) {
    const value = column[row] ?? ''
    const code = known.getOrAdd(value, values.length)
    if (code === values.length) values.push(value)
    codes[row] = code
  }
  return { values, codes }
}

/** Each distinct value of each group once, with its group beside it. */
export function distinctInGroups(
  column: readonly string[],
  groups: readonly string[]
): Source & { readonly groups: readonly string[] } {
  const values: string[] = []
  const groupOfValue: string[] = []
  const codes = new Int32Array(column.length)
  const knownInGroup = new Map<string, TextMap>()
  for (let row = 0; row < column.length; row += 1) {
    const value = column[row] ?? ''
    const group = groups[row] ?? ''
    let known = knownInGroup.get(group)
    if (known === undefined) knownInGroup.set(group, (known = new TextMap()))
    const code = known.getOrAdd(value, values.length)
    if (code === values.length) {
      values.push(value)
      groupOfValue.push(group)
    }
    codes[row] = code
  }
  return { values, codes, groups: groupOfValue }
}

/** What was made of each value, row by row. */
export function toRows<T>(made: readonly T[], { codes }: Source): readonly T[] {
  if (codes === undefined) return made
  const rows: T[] = []
  for (const code of codes) {
    const value = made[code]
    if (value !== undefined) rows.push(value)
  }
  return rows
}
