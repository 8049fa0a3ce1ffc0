/** Lines of a table, the headings first. Columns that are named in `numbers` are aligned to the right. */
export function table(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  numbers: ReadonlySet<string> = new Set()
): string[] {
  const all = [headings, ...rows]
  const widths = headings.map((_heading, column) =>
    Math.max(...all.map((cells) => cells[column]?.length ?? 0))
  )
  return all.map((cells) =>
    cells
      .map((cell, column) => {
        const width = widths[column] ?? 0
        return numbers.has(headings[column] ?? '') ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd()
  )
}

/** A number as people read it: `25,000`. */
export function count(value: number): string {
  return value.toLocaleString('en-US')
}

/** `60 no identifier, 40 duplicate`; reasons that hit nobody are left out. */
export function reasons(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .filter(([, users]) => users > 0)
    .map(([reason, users]) => `${count(users)} ${reason.replaceAll('_', ' ')}`)
    .join(', ')
}
