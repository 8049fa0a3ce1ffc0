import type { Audience, ProviderContext, SegmentNotes } from '../../providers/provider.ts'
import type { Clock } from './clock.ts'
import type { Destination } from './destination.ts'

/** A new segment may not be visible everywhere at its platform for this long. */
const FRESH_MS = 10 * 60_000

const MAX_SEGMENTS = 10_000

interface Known {
  readonly id: string
  /** When this process created it; `undefined` where it was found. */
  readonly createdAt: number | undefined
}

/** Names one segment of one account: what is written to it goes one after the other. */
export function segmentLock({ provider, accountId }: Destination, segmentName: string): string {
  return JSON.stringify([provider.name, accountId, segmentName])
}

function segmentKey(destination: Destination, audience: Audience): string {
  const kind = destination.provider.segmentKind?.(audience, destination.variables) ?? ''
  return `${segmentLock(destination, audience.segmentName)}${kind}`
}

/** Remembers segment ids and what providers note about segments. */
export interface Segments {
  /** Cache, else find, else create. */
  resolve(
    destination: Destination,
    audience: Audience,
    context: ProviderContext
  ): Promise<string | undefined>
  /** Whether this process created it so lately that "not found" means "not visible yet". */
  isFresh(destination: Destination, audience: Audience): boolean
  forget(destination: Destination, audience: Audience): void
  notes(destination: Destination, audience: Audience): SegmentNotes
}

export function createSegments(clock: Clock): Segments {
  const known = new Map<string, Known>()
  const notes = new Map<string, unknown>()

  return {
    async resolve(destination, audience, context) {
      const key = segmentKey(destination, audience)
      const cached = known.get(key)
      if (cached !== undefined) return cached.id
      const found = await destination.provider.findSegment(audience, context)
      const id = found ?? (await destination.provider.createSegment(audience, context))
      if (id === undefined) return undefined
      keep(known, key, { id, createdAt: found === undefined ? clock.now() : undefined })
      return id
    },
    isFresh(destination, audience) {
      const createdAt = known.get(segmentKey(destination, audience))?.createdAt
      return createdAt !== undefined && clock.now() - createdAt < FRESH_MS
    },
    forget(destination, audience) {
      known.delete(segmentKey(destination, audience))
    },
    notes(destination, audience) {
      const key = segmentKey(destination, audience)
      return { get: () => notes.get(key), set: (value) => keep(notes, key, value) }
    }
  }
}

/** Names come from callers: what was not used for the longest time is forgotten. */
function keep<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key)
  map.set(key, value)
  const [oldest] = map.keys()
  if (map.size > MAX_SEGMENTS && oldest !== undefined) map.delete(oldest)
}
