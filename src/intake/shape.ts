import { recognise } from './columns.ts'
import { type Format, IntakeError } from './intake.ts'

/** How the customers stand in a text. */
export interface Shape {
  readonly format: Format
  /** Of CSV. */
  readonly separator: string | undefined
}

const SEPARATORS = [',', ';', '\t', '|']
/** Records looked at to tell the separator. */
const MAX_RECORDS = 100

/** What else begins with a bracket: SQL Server's headers, `[Email],[Phone]`. */
const JSON_ARRAY = /^\[\s*(?:[[\]{"\d-]|$)/
const JSON_OBJECT = /^\{\s*(?:["}]|$)/
const MARKUP = /^<[!?a-z]/i
const SEPARATOR_LINE = /^"?sep=(?<separator>[,;\t|])/i
const LINE_BREAK = /\r\n|\n|\r/
/** Quoted text, a line break, plain text, a separator or what else there is. */
const CSV_PARTS = /"[^"]*(?:"|$)|\r\n|[^",;\t|\r\n]+|./gs

/** Records as they would be, were this the separator; quotes stay in the values. */
function firstRecords(text: string, separator: string): string[][] {
  const records: string[][] = []
  let record: string[] = []
  let value = ''
  for (const [part] of text.matchAll(CSV_PARTS)) {
    if (part === separator) {
      record.push(value)
      value = ''
    } else if (part === '\n' || part === '\r' || part === '\r\n') {
      if (value !== '' || record.length > 0) records.push([...record, value])
      if (records.length === MAX_RECORDS) return records
      record = []
      value = ''
    } else {
      value += part
    }
  }
  // What comes after the last line break may be cut off, and counts where it is all there is.
  return records.length > 0 ? records : [[...record, value]]
}

/**
 * How well a separator fits, the more telling first: names of columns that are known, whether it is in
 * the first line at all, the share of lines with as many values as that one, how many these are.
 */
function fitness(text: string, separator: string): readonly number[] {
  const records = firstRecords(text, separator)
  const header = records[0] ?? []
  const even = records.filter(({ length }) => length === header.length)
  return [
    Object.keys(recognise(header)).length,
    Number(header.length > 1),
    even.length / records.length,
    header.length
  ]
}

function isFitter(one: readonly number[], other: readonly number[]): boolean {
  const index = one.findIndex((value, place) => value !== other[place])
  return index >= 0 && (one[index] ?? 0) > (other[index] ?? 0)
}

function separatorOf(text: string): string {
  const named = SEPARATOR_LINE.exec(text)?.groups?.['separator']
  if (named !== undefined) return named
  let best = { separator: ',', fitness: fitness(text, ',') }
  for (const separator of SEPARATORS) {
    const candidate = { separator, fitness: fitness(text, separator) }
    if (isFitter(candidate.fitness, best.fitness)) best = candidate
  }
  return best.separator
}

function parseObject(line: string): object | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

/** `{"email":"…"}` has none, and neither has a customer whose purchases are a list. */
function isWrapper(object: object): boolean {
  const hasList = Object.values(object).some((value) => Array.isArray(value))
  return hasList && Object.keys(recognise(Object.keys(object))).length === 0
}

/** Whether an object begins a file of one object a line, and not one over several lines or around an array. */
function isNdjson(text: string): boolean {
  const [first = '', ...others] = text.split(LINE_BREAK, 100).filter((line) => line.trim() !== '')
  const [second] = others
  if (second?.trimStart().startsWith('{') === true && first.trimEnd().endsWith('}')) return true
  const object = parseObject(first)
  return object !== undefined && (second !== undefined || !isWrapper(object))
}

/** @param head the beginning of the text. */
export function shapeOf(head: string): Shape {
  const text = head.trimStart()
  if (MARKUP.test(text)) {
    throw new IntakeError('The file is HTML or XML: export the customers as CSV, NDJSON or JSON')
  }
  if (JSON_ARRAY.test(text)) return { format: 'json', separator: undefined }
  if (!JSON_OBJECT.test(text)) return { format: 'csv', separator: separatorOf(head) }
  return { format: isNdjson(text) ? 'ndjson' : 'json', separator: undefined }
}
