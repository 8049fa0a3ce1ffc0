import { refuseBinary } from './binary.ts'
import { isGzip, readBytes, readHead } from './bytes.ts'
import { type CsvRow, readCsv } from './csv.ts'
import {
  decode,
  decodeStrictly,
  encodingOfMixed,
  markedEncoding,
  WrongEncodingError
} from './decode.ts'
import { columnsOf, recogniseFallbacks } from './columns.ts'
import { mapColumns, refuseValuesAsNames } from './header.ts'
import { IntakeError, type Layout, type Mapping, type Source } from './intake.ts'
import { CUSTOMER_FIELDS, type Survey, type SurveyOptions, type TextEncoding } from './intake.ts'
import { NESTED_PURCHASE, type ObjectRow, readJson, readNdjson } from './objects.ts'
import { shapeOf } from './shape.ts'
import { csvUserMaker, objectUserMaker, type Plan } from './users.ts'

/** Enough to tell how a file is written. */
const HEAD_BYTES = 1 << 16
const FIRST_USERS = 5
/** Objects with more names than these have values as names. */
const MAX_COLUMNS = 1000

type Texts = AsyncIterable<string>
type Bytes = AsyncIterable<Uint8Array<ArrayBuffer>>

/** The layout as far as it is known before the columns are. */
type Writing = Omit<Layout, 'columns'>

type Found = Pick<Survey, 'users' | 'firstUsers' | 'otherTypes'>

function surveyed({ layout, mapping, fallbacks = {} }: Plan, found: Found): Survey {
  const used = new Set(CUSTOMER_FIELDS.flatMap((field) => columnsOf(field, mapping, fallbacks)))
  used.add('')
  if (layout.format !== 'csv') used.add(NESTED_PURCHASE)
  const unusedColumns = layout.columns.filter((name) => !used.has(name))
  return { layout, mapping, fallbacks, unusedColumns, ...found }
}

/** Wrong columns are told at once, however long the file is. */
function planFor(columns: readonly string[], writing: Writing, given: Mapping = {}): Plan {
  refuseValuesAsNames(columns, writing.format, given)
  return {
    layout: { ...writing, columns },
    mapping: mapColumns(columns, given),
    fallbacks: recogniseFallbacks(columns, new Set(Object.values(given)))
  }
}

/** Neither is a text nor a number. `false` is how some programs write nothing. */
function isOtherType(value: unknown): boolean {
  return value === true || (typeof value === 'object' && value !== null)
}

async function surveyCsv(texts: Texts, writing: Writing, given?: Mapping): Promise<Survey> {
  let plan: Plan | undefined
  let users = 0
  const firstRows: CsvRow[] = []
  for await (const { columns, rows } of readCsv(texts, writing.separator ?? ',')) {
    plan ??= planFor(columns, writing, given)
    users += rows.length
    firstRows.push(...rows.slice(0, FIRST_USERS - firstRows.length))
  }
  if (plan === undefined) throw new IntakeError('The file has nothing but blank lines')
  if (users === 0) throw new IntakeError('The file has names of columns, but no customers')
  const firstUsers = firstRows.map(csvUserMaker(plan))
  return surveyed(plan, { users, firstUsers, otherTypes: new Map() })
}

async function surveyObjects(
  parts: AsyncIterable<readonly ObjectRow[]>,
  writing: Writing,
  given?: Mapping
): Promise<Survey> {
  const columns = new Set<string>()
  const otherTypes = new Map<string, number>()
  let users = 0
  const firstRows: ObjectRow[] = []
  for await (const rows of parts) {
    for (const row of rows) {
      for (const name in row) {
        if (columns.size < MAX_COLUMNS) columns.add(name)
        if (isOtherType(row[name]) && columns.has(name)) {
          otherTypes.set(name, (otherTypes.get(name) ?? 0) + 1)
        }
      }
    }
    users += rows.length
    firstRows.push(...rows.slice(0, FIRST_USERS - firstRows.length))
  }
  if (users === 0) throw new IntakeError('The JSON has no customers')
  const plan = planFor([...columns], writing, given)
  return surveyed(plan, { users, firstUsers: firstRows.map(objectUserMaker(plan)), otherTypes })
}

function surveyTexts(texts: Texts, writing: Writing, given?: Mapping): Promise<Survey> {
  if (writing.format === 'csv') return surveyCsv(texts, writing, given)
  const parts = writing.format === 'json' ? readJson(texts) : readNdjson(texts)
  return surveyObjects(parts, writing, given)
}

/**
 * Most files are UTF-8 as a whole, which is known only at their end; one that turns out not to be is
 * read again.
 * @param open opens the same bytes each time.
 * @param marked the encoding that the file itself names.
 */
async function inItsEncoding(
  open: () => Bytes,
  marked: TextEncoding | undefined,
  read: (texts: Texts, encoding: TextEncoding) => Promise<Survey>
): Promise<Survey> {
  const supposed = marked ?? 'utf-8'
  try {
    return await read(decodeStrictly(open(), supposed), supposed)
  } catch (error) {
    if (!(error instanceof WrongEncodingError)) throw error
    const encoding = marked ?? (await encodingOfMixed(open()))
    return read(decode(open(), encoding), encoding)
  }
}

/**
 * Reads the whole file: how it is written, what its columns are, and how many customers it has.
 * @throws {IntakeError} where it cannot be used.
 */
export async function survey(source: Source, options: SurveyOptions = {}): Promise<Survey> {
  options.signal?.throwIfAborted()
  const isPacked = await isGzip(source)
  const head = await readHead(source, isPacked, HEAD_BYTES)
  if (head.length === 0) throw new IntakeError('The file is empty')
  refuseBinary(head)
  const marked = markedEncoding(head)
  const shape = shapeOf(new TextDecoder(marked).decode(head))
  const open = () => readBytes(source, isPacked, options)
  return inItsEncoding(open, marked, (texts, encoding) =>
    surveyTexts(texts, { ...shape, isGzip: isPacked, encoding }, options.mapping)
  )
}
