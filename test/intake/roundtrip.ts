import assert from 'node:assert/strict'
import { gzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { isUser } from '../../src/audience/user-check.ts'
import type { User } from '../../src/audience/schemas.ts'
import { IS_LONG } from '../support/long.ts'
import { batchesOf, type Intake, sourceOf } from './sources.ts'

/** What a table has to come through as it was, whichever build of the parser reads it. */

const NUMBER_OF_RUNS = IS_LONG ? 2000 : 40

const COLUMNS = [
  'Customer ID',
  'E-Mail',
  'Phone',
  'First name',
  'Last name',
  'Country',
  'Zip',
  'Note'
]
const FIELDS = [
  'edgeTagId',
  'email',
  'phone',
  'firstName',
  'lastName',
  'country',
  'postalCode'
] as const

const TRICKY = [
  ',',
  ';',
  '\t',
  '|',
  '"',
  '""',
  '\n',
  '\r',
  '\r\n',
  ' ',
  '.',
  '=',
  "'",
  'a',
  'B',
  '0',
  '@'
]
/** Bytes of Windows-1252 that are no UTF-8 in any order. */
const LATIN = ['é', 'ü', 'ß']
const WIDE = [...LATIN, '€', '中', '😀', '\u00a0', '\u2028', '\ufeff']

const ENCODERS = {
  'utf-8': (text: string) => Buffer.from(text),
  'utf-8 with a mark': (text: string) => Buffer.from(`\ufeff${text}`),
  'utf-16le': (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le'),
  'utf-16be': (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le').swap16(),
  'windows-1252': (text: string) => Buffer.from(text, 'latin1')
}
type Encoding = keyof typeof ENCODERS

/** Chunks that a file comes in. */
const partCounts = fc.integer({ min: 1, max: 40 })

interface Table {
  readonly encoding: Encoding
  readonly rows: readonly (readonly string[])[]
  readonly separator: string
  readonly lineEnd: string
  readonly isAllQuoted: boolean
  readonly isGzip: boolean
  readonly hasLastLineEnd: boolean
  readonly parts: number
  readonly batchUsers: number
}

const valueOf = (letters: readonly string[]) =>
  fc
    .array(fc.constantFrom(...letters), { maxLength: 6 })
    .map((parts) => parts.join(''))
    // These mark a text in spreadsheets, and are taken off.
    .filter((value) => !/^(?:="|'[\d+=@-])/.test(value))

const tables: fc.Arbitrary<Table> = fc
  .constantFrom(...(Object.keys(ENCODERS) as Encoding[]))
  .chain((encoding) => {
    const letters = [...TRICKY, ...(encoding === 'windows-1252' ? LATIN : WIDE)]
    const row = fc.array(valueOf(letters), { maxLength: COLUMNS.length })
    return fc.record({
      encoding: fc.constant(encoding),
      rows: fc.array(row, { maxLength: 12 }),
      separator: fc.constantFrom(',', ';', '\t', '|'),
      lineEnd: fc.constantFrom('\n', '\r\n', '\r'),
      isAllQuoted: fc.boolean(),
      isGzip: fc.boolean(),
      hasLastLineEnd: fc.boolean(),
      parts: partCounts,
      batchUsers: fc.integer({ min: 1, max: 5 })
    })
  })

function write(table: Table): Uint8Array {
  const { separator, lineEnd, isAllQuoted, encoding, isGzip, hasLastLineEnd } = table
  const needsQuotes = (value: string) =>
    isAllQuoted || /["\r\n]/.test(value) || value.includes(separator)
  const quoted = (value: string) =>
    needsQuotes(value) ? `"${value.replaceAll('"', '""')}"` : value
  const lines = [COLUMNS, ...table.rows].map((row) => row.map(quoted).join(separator))
  const text = lines.join(lineEnd) + (hasLastLineEnd ? lineEnd : '')
  const bytes = ENCODERS[encoding](text)
  return isGzip ? gzipSync(bytes) : bytes
}

function userOf(row: readonly string[]): User {
  return Object.fromEntries(
    FIELDS.map((field, index) => [field, row[index] ?? '']).filter(
      ([, value]) => value?.trim() !== ''
    )
  )
}

export async function holdsTables(intake: Intake): Promise<void> {
  const holds = fc.asyncProperty(tables, async (given) => {
    const rows = [['', 'a@b.example'], ...given.rows]
    const users = rows.filter((row) => row.some((value) => value.trim() !== '')).map(userOf)
    const bytes = write({ ...given, rows })
    const source = sourceOf(bytes, Math.ceil(bytes.length / given.parts))
    const survey = await intake.survey(source)
    const batches = await batchesOf(intake, source, survey, given.batchUsers)
    assert.deepEqual(batches.flat(), users)
    assert.deepEqual(survey.firstUsers, users.slice(0, 5))
    assert.equal(survey.users, users.length)
    assert.equal(survey.layout.separator, given.separator)
    assert.deepEqual(survey.layout.columns, COLUMNS)
    const sizes = batches.map(({ length }) => length)
    assert.ok(sizes.slice(0, -1).every((size) => size === given.batchUsers))
    assert.ok((sizes.at(-1) ?? 0) <= given.batchUsers)
  })
  await fc.assert(holds, { numRuns: NUMBER_OF_RUNS })
}

const json = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom('', ' ', '1,5', 'n/a', 12, 1.5, true, {}, [])
)
const purchase = fc.record({ currency: json, profit: json, total7Days: json }, { requiredKeys: [] })
const object = fc.record(
  {
    ...Object.fromEntries(FIELDS.map((field) => [field, json])),
    purchase: fc.oneof(json, purchase, fc.array(purchase, { maxLength: 2 })),
    further: json
  },
  { requiredKeys: [] }
)

/** Whatever the objects hold: the same in every form of JSON, and nothing that a service refuses. */
export async function holdsObjects(intake: Intake): Promise<void> {
  const holds = fc.asyncProperty(
    fc.array(object, { maxLength: 4 }),
    partCounts,
    async (others, partCount) => {
      const objects = [{ email: 'a@b.example' }, ...others]
      const files = [
        objects.map((one) => JSON.stringify(one)).join('\n'),
        JSON.stringify(objects),
        JSON.stringify({ count: objects.length, users: objects }, null, 2)
      ]
      const read: (readonly User[])[] = []
      for (const file of files) {
        const source = sourceOf(file, Math.ceil(file.length / partCount))
        const survey = await intake.survey(source)
        const users = (await batchesOf(intake, source, survey, 3)).flat()
        assert.equal(users.length, survey.users)
        assert.ok(users.every(isUser))
        read.push(users)
      }
      assert.deepEqual(read[0], read[1])
      assert.deepEqual(read[0], read[2])
    }
  )
  await fc.assert(holds, { numRuns: NUMBER_OF_RUNS })
}
