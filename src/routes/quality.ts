import type { MatchField } from '../audience/members.ts'
import { type FieldCount, type FieldReport, partsOf, type Unusable } from '../audience/report.ts'
import type { Platform } from '../dispatch/destination.ts'
import type { Upload } from '../store/store.ts'

/** How good the data of uploads is, as answers tell it. */

/** What was found in one batch. */
export interface BatchReport {
  readonly sequence: number
  readonly report: FieldReport
}

/** One row of a batch, counted from 0. */
interface RowOfBatch {
  readonly sequence: number
  readonly row: number
}

interface UnusableTold {
  readonly users: number
  readonly rows: readonly RowOfBatch[]
  readonly examples?: readonly string[]
}

interface FieldTold extends Omit<FieldCount, 'why'> {
  /** The most frequent reason first. */
  readonly why: Readonly<Record<string, UnusableTold>>
}

/** Rows that are told of each reason. */
const MAX_ROWS = 20

export function addReports(batches: readonly BatchReport[]): Record<MatchField, FieldTold> {
  return {
    email: addField('email', batches),
    phone: addField('phone', batches),
    firstName: addField('firstName', batches),
    lastName: addField('lastName', batches),
    country: addField('country', batches),
    postalCode: addField('postalCode', batches)
  }
}

/** They are counted in dry runs alone: a look-up for each user would slow every upload. */
export function addDuplicates(batches: readonly BatchReport[]): number {
  return batches.reduce((sum, { report }) => sum + (report.duplicates ?? 0), 0)
}

function addField(field: MatchField, batches: readonly BatchReport[]): FieldTold {
  const sum = { given: 0, usable: 0, repaired: 0, unusable: 0, hashed: 0 }
  const why = new Map<string, UnusableTold>()
  for (const { sequence, report } of batches) {
    const count = report[field]
    sum.given += count.given
    sum.usable += count.usable
    sum.repaired += count.repaired ?? 0
    sum.unusable += count.unusable
    sum.hashed += count.hashed
    for (const [reason, more] of Object.entries(count.why ?? {})) {
      why.set(reason, addUnusable(why.get(reason), sequence, more))
    }
  }
  const byUsers = [...why].toSorted(([, one], [, other]) => other.users - one.users)
  return { ...sum, why: Object.fromEntries(byUsers) }
}

function addUnusable(
  before: UnusableTold | undefined,
  sequence: number,
  { users, rows, examples }: Unusable
): UnusableTold {
  const all = [...(before?.rows ?? []), ...rows.map((row) => ({ sequence, row }))]
  return {
    users: (before?.users ?? 0) + users,
    rows: all.slice(0, MAX_ROWS),
    ...(examples !== undefined && { examples })
  }
}

/** Users by how many identifiers they have that the platform can match. */
export function countIdentifiers(
  { combinations = {} }: Pick<FieldReport, 'combinations'>,
  platform: Pick<Platform, 'provider' | 'variables'>,
  phoneHashes: Upload['phoneHashes']
): Record<string, number> {
  const matched = matchedParts(platform, phoneHashes)
  const counts: Record<string, number> = {}
  for (const [combination, users] of Object.entries(combinations)) {
    const identifiers = partsOf(combination).filter((part) => matched.has(part)).length
    counts[identifiers] = (counts[identifiers] ?? 0) + users
  }
  return counts
}

const HASHED_PARTS = { email: 'hashedEmail', phone: 'hashedPhone' } as const

/**
 * Parts of combinations that the platform matches on. Hashes of unknown form serve wherever hashes are
 * taken at all.
 */
function matchedParts(
  { provider, variables }: Pick<Platform, 'provider' | 'variables'>,
  phoneHashes: Upload['phoneHashes']
): ReadonlySet<string> {
  const taken = provider.hashedIdentifiers(variables)
  const isUsable = (field: 'email' | 'phone') =>
    provider.identifiers.includes(field) &&
    (phoneHashes === undefined ? taken.length > 0 : taken.includes(field))
  const hashed = (['email', 'phone'] as const).filter(isUsable).map((field) => HASHED_PARTS[field])
  return new Set<string>([...provider.identifiers, ...hashed])
}
