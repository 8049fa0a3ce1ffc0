import { CsvError, parse } from 'csv-parse/sync'
import { type Block, countLineBreaks, toBlocks } from './blocks.ts'
import { columnNames } from './header.ts'
import { IntakeError } from './intake.ts'

export type CsvRow = readonly string[]

/** Rows that hold something, and the names of their columns. */
export interface CsvPart {
  readonly columns: readonly string[]
  readonly rows: readonly CsvRow[]
}

const LINE_BREAK = /\r\n|\n|\r/
const LINE_BREAKS = ['\r\n', '\n', '\r']
/** Excel's first line that names the separator. */
const SEPARATOR_LINE = /^sep=/i

/** In these words, as the parser's own quote values. */
const PROBLEMS: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: 'a quote is opened and never closed',
  CSV_INVALID_CLOSING_QUOTE: 'after a closing quote comes something else than a separator',
  INVALID_OPENING_QUOTE: 'there is a quote inside a value that is not in quotes'
}

export function isBlank(value: string): boolean {
  // Most values are not, and their first character shows it.
  return value === '' || (value.charCodeAt(0) <= 32 && value.trim() === '')
}

function hasValue(row: CsvRow): boolean {
  for (const value of row) if (!isBlank(value)) return true
  return false
}

/** Without quotes every separator separates and every line is a record: many times as fast. */
function splitPlain(text: string, separator: string): string[][] {
  const lines = text.includes('\r') ? text.split(LINE_BREAK) : text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines.map((line) => line.split(separator))
}

/**
 * By csv-parse's synchronous form, block by block: its stream brings an old polyfill of Node's streams
 * into a browser and hands out records only with the next tick.
 */
function parseQuoted(text: string, separator: string): string[][] {
  return parse(text, {
    delimiter: separator,
    record_delimiter: LINE_BREAKS,
    relax_column_count: true
  })
}

/** The line in which a record of a block begins. */
function lineOf({ text, firstLine }: Block, index: number): number {
  let line = firstLine
  let left = index
  let isQuoted = false
  for (const part of text.split(/(\r\n|\n|\r|")/)) {
    if (left === 0) return line
    if (part === '"') isQuoted = !isQuoted
    else if (countLineBreaks(part) > 0) {
      line += 1
      if (!isQuoted) left -= 1
    }
  }
  return line
}

function recordsOf(block: Block, separator: string): string[][] {
  if (!block.text.includes('"')) return splitPlain(block.text, separator)
  try {
    return parseQuoted(block.text, separator)
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    const line = lineOf(block, Number(error['records'] ?? 0))
    const problem = PROBLEMS[error.code] ?? 'the quotes are not in order'
    throw new IntakeError(`Line ${line}: ${problem}`)
  }
}

function indexOfHeader(records: readonly CsvRow[], firstLine: number): number {
  return records.findIndex(
    (record, index) =>
      hasValue(record) && !(firstLine === 1 && index === 0 && SEPARATOR_LINE.test(record[0] ?? ''))
  )
}

/** The records of a file, part by part; none for a file without a header. */
export async function* readCsv(
  texts: AsyncIterable<string>,
  separator: string
): AsyncGenerator<CsvPart> {
  let columns: readonly string[] | undefined
  for await (const block of toBlocks(texts, 'csv')) {
    const records = recordsOf(block, separator)
    let first = 0
    if (columns === undefined) {
      const header = indexOfHeader(records, block.firstLine)
      if (header < 0) continue
      columns = columnNames(records[header] ?? [])
      first = header + 1
    }
    yield { columns, rows: rowsOf(records, first, columns.length, block) }
  }
}

function rowsOf(
  records: readonly CsvRow[],
  first: number,
  columns: number,
  block: Block
): CsvRow[] {
  const rows: CsvRow[] = []
  for (let index = first; index < records.length; index += 1) {
    const record = records[index]
    if (record === undefined || !hasValue(record)) continue
    if (record.length > columns && hasValue(record.slice(columns))) {
      throw new IntakeError(
        `Line ${lineOf(block, index)} has ${record.length} values, but there are ${columns} columns; a value that holds the separator must be in quotes`
      )
    }
    rows.push(record)
  }
  return rows
}
