import type { FieldPreview } from '../api/answers.ts'
import { count, table } from './table.ts'

type Quality = Pick<FieldPreview, 'given' | 'usable' | 'repaired' | 'unusable' | 'hashed'> & {
  readonly why: Readonly<
    Record<string, { readonly users: number; readonly examples?: readonly string[] }>
  >
}

const HEADINGS = ['Field', 'Given', 'Usable', 'Repaired', 'Unusable', 'Why']
const NUMBERS = new Set(['Given', 'Usable', 'Repaired', 'Unusable'])

/** Lines of a table of the fields that anybody has; nothing where nothing was prepared yet. */
export function reportLines({
  fields,
  duplicates = 0,
  ignoredFields
}: {
  readonly fields: Readonly<Record<string, Quality>>
  /** Counted in dry runs. */
  readonly duplicates?: number
  readonly ignoredFields: Readonly<Record<string, number>>
}): string[] {
  const given = Object.entries(fields).filter(([, field]) => field.given > 0)
  const ignored = Object.entries(ignoredFields).map(([name, users]) => `${name} (${count(users)})`)
  return [
    ...(given.length === 0 ? [] : table(HEADINGS, given.map(cellsOf), NUMBERS)),
    ...(duplicates === 0
      ? []
      : [
          `Customers who repeat e-mail and phone of one before, in the same batch: ${count(duplicates)}`
        ]),
    ...(ignored.length === 0 ? [] : [`Unknown fields, not used: ${ignored.join(', ')}`])
  ]
}

function cellsOf([name, { given, usable, repaired, unusable, why }]: [string, Quality]): string[] {
  const reasons = Object.entries(why).map(
    ([reason, { users }]) => `${count(users)} ${reason.replaceAll('_', ' ')}`
  )
  return [name, count(given), count(usable), count(repaired), count(unusable), reasons.join(', ')]
}
