import { CursorError, type Page } from './store.ts'

type SortKey = readonly (number | string)[]

/** Where the next page begins: the sort key of the last item before it. */
export function writeCursor(key: SortKey): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url')
}

/**
 * Reads what `writeCursor` wrote for a sort key of so many numbers.
 * @throws CursorError
 */
export function readCursor(cursor: string, length: number): readonly number[] {
  const key = readKey(cursor)
  const numbers = key.filter((part) => Number.isSafeInteger(part)).map(Number)
  if (numbers.length !== length || key.length !== length) throw noPage()
  return numbers
}

/**
 * Reads what `writeCursor` wrote for one text.
 * @throws CursorError
 */
export function readTextCursor(cursor: string): string {
  const [text, ...more] = readKey(cursor)
  if (typeof text !== 'string' || more.length > 0) throw noPage()
  return text
}

function readKey(cursor: string): readonly unknown[] {
  const key = parse(Buffer.from(cursor, 'base64url').toString())
  // The decoder passes over what it does not know.
  if (!Array.isArray(key) || writeCursor(key) !== cursor) throw noPage()
  return key
}

const noPage = () => new CursorError('no page begins at this cursor')

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** @param found one more than the page takes, if there is one. */
export function pageOf<T>(
  found: readonly T[],
  limit: number,
  keyOf: (item: T) => SortKey
): Page<T> {
  const items = found.slice(0, limit)
  const last = items.at(-1)
  const hasNext = found.length > limit && last !== undefined
  return { items, next: hasNext ? writeCursor(keyOf(last)) : undefined }
}
