import { columnLabel } from './column-label.ts'
import { recognise } from './columns.ts'
import {
  type CustomerField,
  type Format,
  IntakeError,
  type Mapping,
  UnrecognisedColumnsError
} from './intake.ts'

const ADDRESS = /^\S+@\S+\.\S+$/
const PHONE = /^\+?\(?\d[\d\s()./-]{6,}$/
/** `28001`, `1980-05-17` */
const NUMBER = /^[\d\s().,/:+-]*$/
const MANY_DIGITS = /\d\D*\d\D*\d\D*\d/
const MAX_NAMES_SHOWN = 50

/** Of Facebook's template for customer lists, which has up to three columns `email` and `phone`. */
const TEMPLATE_NAMES = ['fn', 'ln']

/** One of these sets must be known for anybody to be found at a platform. */
const IDENTIFYING: readonly (readonly CustomerField[])[] = [
  ['email'],
  ['phone'],
  ['edgeTagId'],
  ['firstName', 'lastName', 'postalCode']
]

function numberRepeated(names: readonly string[]): string[] {
  const counts = new Map<string, number>()
  return names.map((name) => {
    const count = (counts.get(name) ?? 0) + 1
    counts.set(name, count)
    return count === 1 ? name : `${name} (${count})`
  })
}

/** The names in the first line of a CSV. */
export function columnNames(record: readonly string[]): readonly string[] {
  const names = record.map((name) => name.trim())
  return TEMPLATE_NAMES.every((name) => names.includes(name)) ? numberRepeated(names) : names
}

const VALUES_AS_NAMES: Readonly<Record<Format, string>> = {
  csv: 'The first line holds values; put a line with the names of the columns above it, such as email,phone',
  ndjson: 'Objects have values as names; give their properties names, such as "email" and "phone"',
  json: 'Objects have values as names; give their properties names, such as "email" and "phone"'
}

function isNumber(name: string): boolean {
  return PHONE.test(name) || (NUMBER.test(name) && MANY_DIGITS.test(name))
}

/**
 * @param given columns given by hand: who gives them knows the names.
 * @throws {IntakeError} where values stand in the place of names; they are then not shown as such.
 */
export function refuseValuesAsNames(
  names: readonly string[],
  format: Format,
  given: Mapping = {}
): void {
  const isKnown = Object.keys({ ...recognise(names), ...given }).length > 0
  // In the first line of CSV an address is a value whatever stands beside it.
  const isValue = (name: string) =>
    ((format === 'csv' || !isKnown) && ADDRESS.test(name)) || (!isKnown && isNumber(name))
  if (names.some(isValue)) throw new IntakeError(VALUES_AS_NAMES[format])
}

function listed(columns: readonly string[]): string {
  const shown = columns.filter((name) => name !== '').slice(0, MAX_NAMES_SHOWN)
  const more = columns.length > MAX_NAMES_SHOWN ? ', …' : ''
  return `${shown.map((name) => `"${columnLabel(columns, name)}"`).join(', ')}${more}`
}

function refuseWrongMapping(columns: readonly string[], given: Mapping): void {
  const fields = new Map<string, string>()
  for (const [field, column] of Object.entries(given)) {
    if (column === '') continue
    if (!columns.includes(column)) {
      throw new IntakeError(
        `There is no column "${column}" for ${field}; the columns are ${listed(columns)}`
      )
    }
    const other = fields.get(column)
    if (other !== undefined) {
      throw new IntakeError(`The column "${column}" cannot be both ${other} and ${field}`)
    }
    fields.set(column, field)
  }
}

function refuseRepeated(columns: readonly string[], mapping: Mapping): void {
  for (const column of Object.values(mapping)) {
    const first = columns.indexOf(column) + 1
    const last = columns.lastIndexOf(column) + 1
    if (first !== last) {
      throw new IntakeError(
        `Columns ${first} and ${last} are both named "${columnLabel(columns, column)}"; give them different names`
      )
    }
  }
}

function refuseUnidentifying(columns: readonly string[], mapping: Mapping): void {
  const isThere = (field: CustomerField) => mapping[field] !== undefined
  if (IDENTIFYING.some((fields) => fields.every(isThere))) return
  throw new UnrecognisedColumnsError(
    `No column is known to hold e-mail addresses, phone numbers or customer ids; say which one does, such as email=<column>. The columns are ${listed(columns)}`,
    columns
  )
}

/**
 * The column of each field: as given, else as recognised.
 * @param given an empty name keeps a field from being recognised.
 * @throws {IntakeError} where a column is missing or not clear.
 */
export function mapColumns(columns: readonly string[], given: Mapping = {}): Mapping {
  refuseWrongMapping(columns, given)
  const recognised = recognise(columns, new Set(Object.values(given)))
  const all = Object.entries({ ...recognised, ...given })
  const mapping: Mapping = Object.fromEntries(all.filter(([, column]) => column !== ''))
  refuseRepeated(columns, mapping)
  refuseUnidentifying(columns, mapping)
  return mapping
}
