import { columnLabel } from '../intake/column-label.ts'
import { columnsOf } from '../intake/columns.ts'
import { CUSTOMER_FIELDS, type Layout, type Survey } from '../intake/intake.ts'
import { count } from './table.ts'
import { withoutControls } from './terminal.ts'

/** What of a file is used for what, before anything is sent. */
export function describeFile(
  name: string,
  { layout, mapping, fallbacks, otherTypes, unusedColumns, users }: Survey
): string[] {
  const unused = shownNames({ layout, unusedColumns }).unusedColumns
  const used = CUSTOMER_FIELDS.flatMap((field) => {
    const columns = columnsOf(field, mapping, fallbacks)
    if (columns.length === 0) return []
    const left = columns.reduce((sum, column) => sum + (otherTypes.get(column) ?? 0), 0)
    const warning = left === 0 ? '' : ` (left out, as neither text nor number: ${count(left)})`
    return [`  ${field.padEnd(FIELD_WIDTH)} ${columns.join(', else ')}${warning}`]
  })
  const ignored = unused.length === 0 ? [] : [`  not used: ${unused.join(', ')}`]
  const lines = [
    `${name}: ${count(users)} customers, ${describeLayout(layout)}`,
    ...used,
    ...ignored
  ]
  return lines.map(withoutControls)
}

/** Names of columns as they may be shown, those that may be values by their places. */
export function shownNames({ layout, unusedColumns }: Pick<Survey, 'layout' | 'unusedColumns'>) {
  const shown = (name: string) => columnLabel(layout.columns, name)
  return { columns: layout.columns.map(shown), unusedColumns: unusedColumns.map(shown) }
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
