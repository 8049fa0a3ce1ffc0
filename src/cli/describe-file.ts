import { columnsOf } from '../intake/columns.ts'
import { CUSTOMER_FIELDS, type Layout, type Survey } from '../intake/intake.ts'
import { count } from './table.ts'

/** What of a file is used for what, before anything is sent. */
export function describeFile(
  name: string,
  { layout, mapping, fallbacks, otherTypes, unusedColumns, users }: Survey
): string[] {
  const used = CUSTOMER_FIELDS.flatMap((field) => {
    const columns = columnsOf(field, mapping, fallbacks)
    if (columns.length === 0) return []
    const left = columns.reduce((sum, column) => sum + (otherTypes.get(column) ?? 0), 0)
    const warning = left === 0 ? '' : ` (left out, as neither text nor number: ${count(left)})`
    return [`  ${field.padEnd(FIELD_WIDTH)} ${columns.join(', else ')}${warning}`]
  })
  const ignored = unusedColumns.length === 0 ? [] : [`  not used: ${unusedColumns.join(', ')}`]
  return [`${name}: ${count(users)} customers, ${describeLayout(layout)}`, ...used, ...ignored]
}

const FIELD_WIDTH = Math.max(...CUSTOMER_FIELDS.map(({ length }) => length))

const SEPARATORS: ReadonlyMap<string | undefined, string> = new Map([
  [',', 'CSV with commas'],
  [';', 'CSV with semicolons'],
  ['\t', 'CSV with tabs'],
  ['|', 'CSV with |']
])

function describeLayout({ format, isGzip, encoding, separator }: Layout): string {
  return [
    SEPARATORS.get(separator) ?? format.toUpperCase(),
    encoding,
    ...(isGzip ? ['gzip'] : [])
  ].join(', ')
}
