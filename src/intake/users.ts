import type { User } from '../audience/schemas.ts'
import { type CsvRow, isBlank } from './csv.ts'
import type { Mapping } from './intake.ts'

const TEXT_FIELDS = [
  'edgeTagId',
  'email',
  'phone',
  'firstName',
  'lastName',
  'country',
  'postalCode'
] as const

/** Makes users of the rows of a CSV. */
export function csvUsers(
  columns: readonly string[],
  mapping: Mapping
): (rows: readonly CsvRow[]) => User[] {
  const places = TEXT_FIELDS.map((field) => ({
    field,
    index: columns.indexOf(mapping[field] ?? '')
  })).filter(({ index }) => index >= 0)
  const toUser = (row: CsvRow): User => {
    const user: User = {}
    for (const { field, index } of places) {
      const value = row[index]
      if (value !== undefined && !isBlank(value)) user[field] = value
    }
    return user
  }
  return (rows) => rows.map(toUser)
}
