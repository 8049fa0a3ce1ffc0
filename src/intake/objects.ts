import { JSONParser } from '@streamparser/json'
import { toBlocks } from './blocks.ts'
import { IntakeError } from './intake.ts'

/** The property that may hold purchases as the service takes them: an object or an array of them. */
export const NESTED_PURCHASE = 'purchase'

/** A customer of JSON as it stands there. */
export type ObjectRow = Readonly<Record<string, unknown>>

export function isObject(value: unknown): value is ObjectRow {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function hasValue(row: ObjectRow): boolean {
  for (const name in row) {
    const value = row[name]
    if (typeof value === 'string' ? value.trim() !== '' : value != null) return true
  }
  return false
}

/** What the parser would say quotes the value. */
function parseLine(line: string, place: number): ObjectRow {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    throw new IntakeError(`Line ${place} is no JSON`)
  }
  if (!isObject(value)) throw new IntakeError(`Line ${place} is no JSON object`)
  return value
}

/** The objects that hold something, of a file with one in each line. */
export async function* readNdjson(texts: AsyncIterable<string>): AsyncGenerator<ObjectRow[]> {
  for await (const { text, firstLine } of toBlocks(texts, 'ndjson')) {
    const rows: ObjectRow[] = []
    for (const [index, line] of text.split(/\r\n|\n|\r/).entries()) {
      if (line.trim() === '') continue
      const row = parseLine(line, firstLine + index)
      if (hasValue(row)) rows.push(row)
    }
    yield rows
  }
}

/** Takes the objects out of the one array of a JSON document, which may be a property of an object. */
class ArrayReader {
  readonly #parser: JSONParser
  #rows: ObjectRow[] = []
  #elements = 0
  #nameOfArray: string | number | undefined

  /** @param text the beginning of the document. */
  constructor(text: string) {
    const paths = [text.trimStart().startsWith('[') ? '$.*' : '$.*.*']
    this.#parser = new JSONParser({ paths, keepStack: false })
    this.#parser.onValue = ({ value, parent, stack }) => {
      if (Array.isArray(parent)) this.#take(value, stack.at(-1)?.key)
    }
  }

  #take(value: unknown, nameOfArray: string | number | undefined): void {
    if (this.#elements > 0 && nameOfArray !== this.#nameOfArray) {
      throw new IntakeError(
        'The JSON has several arrays; which of them holds the customers is not clear'
      )
    }
    this.#nameOfArray = nameOfArray
    this.#elements += 1
    if (!isObject(value))
      throw new IntakeError(`Element ${this.#elements} of the array is no object`)
    if (hasValue(value)) this.#rows.push(value)
  }

  /** The objects that end in this part of the document. */
  write(text: string): ObjectRow[] {
    this.#rows = []
    this.#parse(() => this.#parser.write(text))
    return this.#rows
  }

  end(): void {
    if (!this.#parser.isEnded) this.#parse(() => this.#parser.end())
  }

  #parse(step: () => void): void {
    try {
      step()
    } catch (error) {
      if (error instanceof IntakeError) throw error
      // The parser's own words quote what it met.
      throw new IntakeError(
        this.#elements === 0
          ? 'The JSON is broken, or cut off, before the first element of an array ends'
          : `The JSON is broken, or cut off, after element ${this.#elements} of the array`
      )
    }
  }
}

/** The objects that hold something, of an array of JSON. */
export async function* readJson(texts: AsyncIterable<string>): AsyncGenerator<ObjectRow[]> {
  let reader: ArrayReader | undefined
  for await (const text of texts) {
    if (reader === undefined && text.trim() === '') continue
    reader ??= new ArrayReader(text)
    yield reader.write(text)
  }
  reader?.end()
}
