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

const CR = 13
const LONE_CR = /\r(?!\n)/
const LINE_BREAKS = ['\r\n', '\n', '\r']
/** Excel's first line that names the separator. */
const SEPARATOR_LINE = /^sep=/i

/** In these words, as the parser's own quote values. */
const PROBLEMS: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: 'a quote is opened and never closed',
  CSV_INVALID_CLOSING_QUOTE: 'after a closing quote comes something else than a separator',
  INVALID_OPENING_QUOTE: 'there is a quote inside a value that is not in quotes'
}

/** Spaces are of ASCII up to U+0020, and from the one that does not break on. */
const LAST_SPACE_OF_ASCII = 0x20
const FIRST_SPACE_BEYOND = 0xa0

export function isBlank(value: string): boolean {
  const first = value.charCodeAt(0)
  // Most values are not, and their first character shows it.
  if (first > LAST_SPACE_OF_ASCII && first < FIRST_SPACE_BEYOND) return false
  return value.trim() === ''
}

function hasValue(row: CsvRow): boolean {
  for (const value of row) if (!isBlank(value)) return true
  return false
}

const SPACE = 32

function afterSpaces(line: string, start: number): number {
  let index = start
  while (line.charCodeAt(index) === SPACE) index += 1
  return index
}

/** The quote that closes what is opened before `start`, or -1; doubled quotes are none. */
function closingQuote(line: string, start: number): number {
  let quote = line.indexOf('"', start)
  while (quote >= 0 && line.startsWith('"', quote + 1)) quote = line.indexOf('"', quote + 2)
  return quote
}

/**
 * The values of a line that is a record by itself, as nearly all are; they are read many times as fast
 * as by the parser. More than it takes: spaces around values in quotes, and quotes in a value that does
 * not begin with one, `Robert "Bob" Smith`, as long as they are pairs: a single one may be the beginning
 * or the end of a value that holds the separator, and its columns would be others.
 */
function recordIn(line: string, separator: string): string[] | undefined {
  if (!line.includes('"')) return line.split(separator)
  const record: string[] = []
  let start = 0
  for (;;) {
    const first = afterSpaces(line, start)
    let end: number
    if (line.startsWith('"', first)) {
      const quote = closingQuote(line, first + 1)
      if (quote < 0) return undefined
      record.push(line.slice(first + 1, quote).replaceAll('""', '"'))
      end = afterSpaces(line, quote + 1)
    } else {
      const mark = line.indexOf(separator, start)
      end = mark < 0 ? line.length : mark
      const value = line.slice(start, end)
      if (hasOddQuotes(value)) return undefined
      record.push(value)
    }
    if (end === line.length) return record
    if (!line.startsWith(separator, end)) return undefined
    start = end + separator.length
  }
}

function hasOddQuotes(line: string): boolean {
  let isOdd = false
  for (let at = line.indexOf('"'); at >= 0; at = line.indexOf('"', at + 1)) isOdd = !isOdd
  return isOdd
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

/**
 * By csv-parse's synchronous form: its stream brings an old polyfill of Node's streams into a browser,
 * and hands out no record before the next tick.
 * @param before records of the block before this text.
 */
function parseRecords(text: string, separator: string, block: Block, before: number): string[][] {
  try {
    return parse(text, {
      delimiter: separator,
      record_delimiter: LINE_BREAKS,
      relax_column_count: true
    })
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    const line = lineOf(block, before + Number(error['records']))
    throw new IntakeError(`Line ${line}: ${PROBLEMS[error.code] ?? 'the quotes are not in order'}`)
  }
}

/** The records of whole lines that end by LF or CRLF, those of several lines by the parser. */
function recordsOf(block: Block, separator: string): string[][] {
  const { text } = block
  if (LONE_CR.test(text)) return parseRecords(text, separator, block, 0)
  const records: string[][] = []
  let isInQuotes = false
  /** Where the lines begin that are left to the parser. */
  let left: number | undefined
  const parseLeft = (end: number) => {
    if (left === undefined) return
    const parsed = parseRecords(text.slice(left, end), separator, block, records.length)
    for (const record of parsed) records.push(record)
    left = undefined
  }
  let next = 0
  for (let start = 0; start < text.length; start = next) {
    const lineFeed = text.indexOf('\n', start)
    next = lineFeed < 0 ? text.length : lineFeed + 1
    const line = text.slice(start, endOfLine(text, lineFeed))
    const record = isInQuotes ? undefined : recordIn(line, separator)
    if (record === undefined) {
      left ??= start
      isInQuotes = isInQuotes !== hasOddQuotes(line)
    } else {
      parseLeft(start)
      records.push(record)
    }
  }
  parseLeft(text.length)
  return records
}

/** Before the line break, which may be CRLF. */
function endOfLine(text: string, lineFeed: number): number {
  if (lineFeed < 0) return text.length
  return text.charCodeAt(lineFeed - 1) === CR ? lineFeed - 1 : lineFeed
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
