import type { DryRun, DryRunDestination, FieldPreview } from '../api/answers.ts'

/** Dry runs of single batches, as one of the whole file. */

type Counts = Readonly<Record<string, number>>
type Why = FieldPreview['why']

/** As many as the service tells of one batch. */
const MOST_ROWS = 20
const MOST_EXAMPLES = 3

/** Adds what was found in one more batch. */
export function addDryRun(sum: DryRun | undefined, more: DryRun): DryRun {
  if (sum === undefined) return more
  const add = (field: keyof DryRun['report']['fields']) =>
    addField(sum.report.fields[field], more.report.fields[field])
  return {
    ...sum,
    users: sum.users + more.users,
    report: {
      fields: {
        email: add('email'),
        phone: add('phone'),
        firstName: add('firstName'),
        lastName: add('lastName'),
        country: add('country'),
        postalCode: add('postalCode')
      },
      duplicates: sum.report.duplicates + more.report.duplicates,
      ignoredFields: addCounts(sum.report.ignoredFields, more.report.ignoredFields)
    },
    // The configuration is that of the service: the same entries in the same order.
    destinations: sum.destinations.map((one, index) =>
      addDestination(one, more.destinations[index])
    )
  }
}

function addField(sum: FieldPreview, more: FieldPreview): FieldPreview {
  return {
    given: sum.given + more.given,
    usable: sum.usable + more.usable,
    repaired: sum.repaired + more.repaired,
    unusable: sum.unusable + more.unusable,
    hashed: sum.hashed + more.hashed,
    why: addWhy(sum.why, more.why)
  }
}

const NOBODY: Why[string] = { users: 0, rows: [], examples: [] }

function addWhy(sum: Why, more: Why): Why {
  const reasons = new Set([...Object.keys(sum), ...Object.keys(more)])
  const added = [...reasons].map((reason) => {
    const [one, other] = [sum[reason] ?? NOBODY, more[reason] ?? NOBODY]
    const rows = [...one.rows, ...other.rows].toSorted(
      (a, b) => a.sequence - b.sequence || a.row - b.row
    )
    const examples = new Set([...one.examples, ...other.examples])
    return [
      reason,
      {
        users: one.users + other.users,
        rows: rows.slice(0, MOST_ROWS),
        examples: [...examples].slice(0, MOST_EXAMPLES)
      }
    ] as const
  })
  return Object.fromEntries(added.toSorted(([, a], [, b]) => b.users - a.users))
}

function addDestination(
  sum: DryRunDestination,
  more: DryRunDestination | undefined
): DryRunDestination {
  if (more === undefined) return sum
  return {
    ...sum,
    users: {
      matchable: sum.users.matchable + more.users.matchable,
      leftOut: sum.users.leftOut + more.users.leftOut
    },
    leftOutBy: addCounts(sum.leftOutBy, more.leftOutBy),
    notes: addCounts(sum.notes, more.notes),
    identifiers: addCounts(sum.identifiers, more.identifiers),
    requests: sum.requests + more.requests
  }
}

function addCounts(sum: Counts, more: Counts): Record<string, number> {
  const added = new Map(Object.entries(sum))
  for (const [name, value] of Object.entries(more)) added.set(name, (added.get(name) ?? 0) + value)
  return Object.fromEntries(added)
}
