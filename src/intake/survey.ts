import { isGzip, readBytes } from './bytes.ts'
import { recognise } from './columns.ts'
import { type CsvRow, readCsv } from './csv.ts'
import { decode } from './decode.ts'
import { IntakeError, type Source, type Survey, type SurveyOptions } from './intake.ts'
import { csvUsers } from './users.ts'

const FIRST_USERS = 5

/**
 * Reads the whole file once: how it is written, what its columns are, and how many customers it has.
 * @throws {IntakeError} where it cannot be used.
 */
export async function survey(source: Source, options: SurveyOptions = {}): Promise<Survey> {
  const isPacked = await isGzip(source)
  const separator = ','
  const texts = decode(readBytes(source, isPacked, options), 'utf-8')
  let columns: readonly string[] = []
  let users = 0
  const firstRows: CsvRow[] = []
  for await (const part of readCsv(texts, separator)) {
    columns = part.columns
    users += part.rows.length
    firstRows.push(...part.rows.slice(0, FIRST_USERS - firstRows.length))
  }
  if (users === 0) throw new IntakeError('The file has no customers')
  const mapping = { ...recognise(columns), ...options.mapping }
  const used = new Set(Object.values(mapping))
  return {
    layout: { format: 'csv', isGzip: isPacked, encoding: 'utf-8', separator, columns },
    mapping,
    unusedColumns: columns.filter((name) => !used.has(name)),
    users,
    firstUsers: csvUsers(columns, mapping)(firstRows)
  }
}
