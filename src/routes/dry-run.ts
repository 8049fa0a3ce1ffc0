import type { Audience } from '../../providers/provider.ts'
import { type Destination, targetOf } from '../dispatch/destination.ts'
import type { InspectOutcome } from '../dispatch/worker.ts'
import { addDuplicates, addReports, countIdentifiers } from './quality.ts'

/** A destination of a dry run, and what its platform would be told of the audience. */
export interface DryTarget {
  readonly destination: Destination
  readonly audience: Audience
}

type Inspected = Exclude<InspectOutcome, { readonly problem: string }>

/** What an upload would be: its quality, and who could be matched at each platform. */
export function dryRunAnswer(
  { count, ignoredFields, report, encodings }: Inspected,
  targets: readonly DryTarget[],
  sequence: number
) {
  const batches = [{ sequence, report }]
  return {
    success: true,
    dryRun: true,
    users: count,
    report: {
      fields: addReports(batches),
      duplicates: addDuplicates(batches),
      ignoredFields
    },
    destinations: targets.flatMap(({ destination, audience }, index) => {
      const encoding = encodings[index]
      if (encoding === undefined) return []
      const { leftOut, notes, users, requests } = encoding
      const { provider, tag } = targetOf(destination)
      return {
        provider,
        tag,
        segment: audience.segmentName,
        mode: audience.mode,
        users: { matchable: users, leftOut: sumOf(leftOut) },
        leftOutBy: leftOut,
        notes,
        identifiers: countIdentifiers(report, destination, undefined),
        requests
      }
    })
  }
}

const sumOf = (counts: Readonly<Record<string, number>>) =>
  Object.values(counts).reduce((sum, count) => sum + count, 0)
