import { ProviderError } from '../../providers/errors.ts'
import type { Audience, ProviderContext, SegmentNotes } from '../../providers/provider.ts'
import { type Segment, segmentLock, type Store } from '../store/store.ts'
import type { Clock } from './clock.ts'
import { type Destination, targetOf } from './destination.ts'
import { NotListedError } from './retry.ts'

/** A new segment may not be visible everywhere at its platform for this long. */
const FRESH_MS = 10 * 60_000

/** So long it is only looked for what a platform was asked to create without an answer. */
const LISTED_WITHIN_MS = 10_000

/** The platform said no: it has created nothing. */
const isAnswered = (error: unknown) => error instanceof ProviderError && error.status !== undefined

/** One segment of one account: its id and what the provider notes about it. */
export interface KnownSegment {
  readonly notes: SegmentNotes
  /** Known, else found, else created. */
  resolve(context: ProviderContext): Promise<string | undefined>
  /** Whether it was created so lately that "not found" means "not visible yet". */
  isFresh(): boolean
  forget(): Promise<void>
}

const UNKNOWN: Segment = {
  id: undefined,
  createdAt: undefined,
  creatingSince: undefined,
  notes: undefined
}

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

  /** Notes it beforehand: what was asked for and not answered may be there, but not listed yet. */
  async function create(context: ProviderContext): Promise<string | undefined> {
    const { creatingSince } = known
    const listedAt = creatingSince === undefined ? 0 : creatingSince + LISTED_WITHIN_MS
    if (listedAt > clock.now()) throw new NotListedError(listedAt - clock.now())
    await change({ creatingSince: clock.now() })
    try {
      const id = await destination.provider.createSegment(audience, context)
      // Its first upload creates it.
      if (id === undefined) await change({ creatingSince: undefined })
      return id
    } catch (error) {
      if (isAnswered(error)) await change({ creatingSince: undefined })
      throw error
    }
  }

  return {
    notes: { get: () => known.notes, set: (notes) => change({ notes }) },
    async resolve(context) {
      if (known.id !== undefined) return known.id
      const found = await destination.provider.findSegment(audience, context)
      const id = found ?? (await create(context))
      if (id === undefined) return undefined
      const createdAt = found === undefined ? clock.now() : undefined
      await change({ id, createdAt, creatingSince: undefined })
      return id
    },
    isFresh: () => known.createdAt !== undefined && clock.now() - known.createdAt < FRESH_MS,
    forget: () => change({ id: undefined, createdAt: undefined })
  }
}

function segmentKey(destination: Destination, audience: Audience): string {
  const { provider, variables } = destination
  const lock = segmentLock({ ...targetOf(destination), segmentName: audience.segmentName })
  return `${lock}${provider.segmentKind?.(audience, variables) ?? ''}`
}
