import { recognise } from './columns.ts'

/** What a terminal may take for a command, and what turns the direction of a text. */
const INVISIBLE = /[\p{Cc}\p{Cf}]+/gu
const DIGIT = /\d/g
/** As in `Revenue 2024`; more are rather a number of somebody's. */
const MAX_DIGITS = 4

/**
 * A column as it may be shown: by its name, or by its place where the name may be a value of a file
 * without names.
 */
export function columnLabel(columns: readonly string[], column: string): string {
  const isValue = column.includes('@') || (column.match(DIGIT)?.length ?? 0) > MAX_DIGITS
  if (isValue && Object.keys(recognise([column])).length === 0) {
    return `column ${columns.indexOf(column) + 1}`
  }
  return column.replace(INVISIBLE, ' ').trim()
}
