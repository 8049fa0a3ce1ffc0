import { CursorError } from './store.ts'

/** Where the next page begins: the sort key of the last item before it. */
export function writeCursor(key: readonly number[]): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url')
}

/**
 * Reads what `writeCursor` wrote for a sort key of so many numbers.
 * @throws CursorError
 */
export function readCursor(cursor: string, length: number): readonly number[] {
  const numbers = parse(Buffer.from(cursor, 'base64url').toString())
  const isKey =
    Array.isArray(numbers) && numbers.length === length && numbers.every(Number.isSafeInteger)
  // The decoder passes over what it does not know.
  if (!isKey || writeCursor(numbers) !== cursor)
    throw new CursorError('no page begins at this cursor')
  return numbers
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
