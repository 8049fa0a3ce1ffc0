import type { HashedIdentifier } from '../../providers/provider.ts'
import type { Destination } from '../dispatch/destination.ts'

/** `supported_identifier_types` of the capabilities. */
export type IdentifierType = 'hashed_email' | 'hashed_phone'

const TYPES: Readonly<Record<HashedIdentifier, IdentifierType>> = {
  email: 'hashed_email',
  phone: 'hashed_phone'
}

/** What of an agent's members a tag can match; nothing where its platform takes no hashes. */
export function identifierTypes({ provider, variables }: Destination): readonly IdentifierType[] {
  return provider.hashedIdentifiers(variables).map((identifier) => TYPES[identifier])
}

/** What some tags together can do with an agent's members. */
export interface Targeting {
  readonly identifiers: readonly IdentifierType[]
  /** With as many people matched an audience can be used at each of them. */
  readonly minimumSize: number
  readonly latencyHours: { readonly min: number; readonly max: number }
}

/** As the definitions of their platforms have it; `undefined` where none of them takes hashes. */
export function targetingOf(destinations: readonly Destination[]): Targeting | undefined {
  const able = destinations.filter((destination) => identifierTypes(destination).length > 0)
  if (able.length === 0) return undefined
  const latencies = able.map(({ provider }) => provider.matchingLatencyHours)
  return {
    identifiers: [...new Set(able.flatMap(identifierTypes))].toSorted(),
    minimumSize: Math.max(...able.map(({ provider }) => provider.minimumAudienceSize)),
    latencyHours: {
      min: Math.min(...latencies.map(({ min }) => min)),
      max: Math.max(...latencies.map(({ max }) => max))
    }
  }
}

/** As `media_buy.audience_targeting` of the capabilities has it. */
export function targetingFields({ identifiers, minimumSize, latencyHours }: Targeting) {
  return {
    supported_identifier_types: identifiers,
    minimum_audience_size: minimumSize,
    matching_latency_hours: latencyHours
  }
}
