import type { Audience, ProviderContext, SegmentNotes } from '../../providers/provider.ts'
import { type Segment, segmentLock, type Store } from '../store/store.ts'
import type { Clock } from './clock.ts'
import type { Destination } from './destination.ts'

/** A new segment may not be visible everywhere at its platform for this long. */
const FRESH_MS = 10 * 60_000

/** One segment of one account: its id and what the provider notes about it. */
export interface KnownSegment {
  readonly notes: SegmentNotes
  /** Known, else found, else created. */
  resolve(context: ProviderContext): Promise<string | undefined>
  /** Whether it was created so lately that "not found" means "not visible yet". */
  isFresh(): boolean
  forget(): Promise<void>
}

const UNKNOWN: Segment = { id: undefined, createdAt: undefined, notes: undefined }

/** What the store has about a delivery's segment; the delivery is the only one that changes it. */
export async function loadSegment(
  destination: Destination,
  audience: Audience,
  { store, clock }: { readonly store: Store; readonly clock: Clock }
): Promise<KnownSegment> {
  const key = segmentKey(destination, audience)
  let known = (await store.segment(key)) ?? UNKNOWN

  async function change(changed: Partial<Segment>): Promise<void> {
    known = { ...known, ...changed }
    await store.changeSegment(key, changed, clock.now())
  }

  return {
    notes: { get: () => known.notes, set: (notes) => change({ notes }) },
    async resolve(context) {
      if (known.id !== undefined) return known.id
      const found = await destination.provider.findSegment(audience, context)
      const id = found ?? (await destination.provider.createSegment(audience, context))
      if (id === undefined) return undefined
      await change({ id, createdAt: found === undefined ? clock.now() : undefined })
      return id
    },
    isFresh: () => known.createdAt !== undefined && clock.now() - known.createdAt < FRESH_MS,
    forget: () => change({ id: undefined, createdAt: undefined })
  }
}

function segmentKey({ provider, accountId, variables }: Destination, audience: Audience): string {
  const lock = segmentLock({ provider: provider.name, accountId, ...audience })
  return `${lock}${provider.segmentKind?.(audience, variables) ?? ''}`
}
