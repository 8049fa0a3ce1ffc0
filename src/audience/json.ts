export type Parsed = { readonly value: unknown } | { readonly problem: string }

const BYTE_ORDER_MARK = /^\ufeff/
const POSITION = / at position \d+ \(line (\d+) column (\d+)\)$/

/**
 * V8's messages quote the text, and this text is personal data: only the place is taken from them,
 * where they tell it.
 */
function describe(error: unknown): string {
  const [, line, column] = POSITION.exec(error instanceof Error ? error.message : '') ?? []
  return line === undefined
    ? 'is not valid JSON'
    : `is not valid JSON (line ${line}, column ${column})`
}

/** `JSON.parse` with a leading byte order mark allowed and a problem that never quotes the text. */
export function parseJson(text: string): Parsed {
  try {
    return { value: JSON.parse(text.replace(BYTE_ORDER_MARK, '')) as unknown }
  } catch (error) {
    return { problem: describe(error) }
  }
}
