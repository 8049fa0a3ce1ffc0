import { ProviderError } from '../../providers/errors.ts'
import type { ProviderContext, SegmentNotes, UploadResult } from '../../providers/provider.ts'
import { AudienceType } from '../audience/schemas.ts'
import { type Segment, segmentKey, type Store } from '../store/store.ts'
import type { Clock } from './clock.ts'
import { targetOf } from './destination.ts'
import type { Job } from './job.ts'
import { NotListedError } from './retry.ts'

/** A new segment may not be visible everywhere at its platform for this long. */
const FRESH_MS = 10 * 60_000

/** So long it is only looked for what a platform was asked to create without an answer. */
const LISTED_WITHIN_MS = 10_000

/** The platform said no: it has created nothing. */
const isAnswered = (error: unknown) => error instanceof ProviderError && error.status !== undefined

/** The platform, or its provider, said no to an upload: it has created nothing. */
const isRefused = (error: unknown) =>
  error instanceof ProviderError && error.errorClass !== 'transient'

/** One segment of one account: its id and what the provider notes about it. */
export interface KnownSegment {
  readonly notes: SegmentNotes
  /** Known, else found, else created. */
  resolve(context: ProviderContext): Promise<string | undefined>
  /**
   * Known, else found.
   * @throws NotListedError where it may be there unseen.
   */
  find(context: ProviderContext): Promise<string | undefined>
  /** Runs an upload to a segment without an id, which may create it, and notes whether it did. */
  makeBy(sending: () => Promise<UploadResult>): Promise<UploadResult>
  /**
   * Deletes it at its platform and forgets it. Without effect where nothing was ever asked of it.
   * @throws ProviderError `invalid` where the service did not create it.
   */
  delete(context: ProviderContext): Promise<void>
  /** Whether it was created so lately that "not found" means "not visible yet". */
  isFresh(): boolean
  /** Its platform does not know it any more: it is looked for again. */
  lost(): Promise<void>
}

export interface SegmentsOptions {
  readonly store: Store
  readonly clock: Clock
}

/** Whether the service created a segment, or is about to. */
export function isCreatedHere({
  createdAt,
  creatingSince
}: Pick<Segment, 'createdAt' | 'creatingSince'>): boolean {
  return (createdAt ?? creatingSince) !== undefined
}

const UNKNOWN: Segment = {
  id: undefined,
  createdAt: undefined,
  creatingSince: undefined,
  lostSince: undefined,
  deletedId: undefined,
  notes: undefined
}

/** What the store has about a delivery's segment; the delivery is the only one that changes it. */
export async function loadSegment(
  { destination, audience, upload }: Pick<Job, 'destination' | 'audience' | 'upload'>,
  { store, clock }: SegmentsOptions
): Promise<KnownSegment> {
  const { provider } = destination
  const isManaged = upload.managed !== undefined
  const target = { ...targetOf(destination), segmentName: audience.segmentName }
  const key = segmentKey(target, kindOf(destination, audience.type))
  let known = (await store.segment(key)) ?? UNKNOWN

  async function change(changed: Partial<Segment>): Promise<void> {
    known = { ...known, ...changed }
    await store.changeSegment(key, changed, clock.now())
  }

  /** When the service created what was found; `undefined` where somebody else did. */
  function createdAtOf(id: string): number | undefined {
    if (id === known.id) return known.createdAt
    // What it was about to create, by a call that was not answered or by a first upload.
    return known.creatingSince ?? (known.id === undefined ? known.createdAt : undefined)
  }

  function assertOwn(createdAt: number | undefined): void {
    if (isManaged && createdAt === undefined) throw new ProviderError('invalid', FOREIGN)
  }

  async function look(context: ProviderContext): Promise<string | undefined> {
    if (known.id !== undefined && known.lostSince === undefined) {
      assertOwn(known.createdAt)
      return known.id
    }
    const found = await provider.findSegment(audience, context)
    // Platforms may list for a while what was deleted.
    if (found === undefined || found === known.deletedId) return undefined
    const createdAt = createdAtOf(found)
    assertOwn(createdAt)
    await change({ id: found, createdAt, creatingSince: undefined, lostSince: undefined })
    return found
  }

  /** Until when it may be there without being listed. */
  function listedAt(): number {
    const { id, createdAt, creatingSince } = known
    if (creatingSince !== undefined) return creatingSince + LISTED_WITHIN_MS
    return id === undefined && createdAt !== undefined ? createdAt + FRESH_MS : 0
  }

  async function find(context: ProviderContext): Promise<string | undefined> {
    const found = await look(context)
    const waitMs = listedAt() - clock.now()
    if (found === undefined && waitMs > 0) throw new NotListedError(waitMs)
    return found
  }

  /** Notes it beforehand: what was asked for and not answered may be there, but not listed yet. */
  async function create(context: ProviderContext): Promise<string | undefined> {
    const now = clock.now()
    const { creatingSince } = known
    if (creatingSince !== undefined && listedAt() > now) throw new NotListedError(listedAt() - now)
    await change({ creatingSince: now })
    try {
      const id = await provider.createSegment(audience, context)
      // Without an id an upload creates it, or does not.
      const createdAt = id === undefined ? undefined : clock.now()
      await change({ id, createdAt, creatingSince: undefined, lostSince: undefined })
      return id
    } catch (error) {
      if (isAnswered(error)) await change({ creatingSince: undefined })
      throw error
    }
  }

  /** Only what it has made is the service's own, not what somebody else makes of this name later. */
  async function makeBy(sending: () => Promise<UploadResult>): Promise<UploadResult> {
    if (known.createdAt !== undefined) return sending()
    await change({ creatingSince: clock.now() })
    try {
      const result = await sending()
      const isMade = result.ticket === undefined
      await change({ createdAt: isMade ? clock.now() : undefined, creatingSince: undefined })
      return result
    } catch (error) {
      if (isRefused(error)) await change({ creatingSince: undefined })
      throw error
    }
  }

  return {
    makeBy,
    notes: { get: () => known.notes, set: (notes) => change({ notes }) },
    resolve: async (context) => (await look(context)) ?? create(context),
    find,
    async delete(context) {
      if (known.id === undefined && !isCreatedHere(known)) return
      const id = (known.createdAt !== undefined ? known.id : undefined) ?? (await find(context))
      if (id !== undefined && !isCreatedHere(known)) throw new ProviderError('invalid', NOT_DELETED)
      if (id !== undefined) await provider.deleteSegment(id, context)
      await change({ ...UNKNOWN, deletedId: id ?? known.deletedId })
    },
    isFresh: () => known.createdAt !== undefined && clock.now() - known.createdAt < FRESH_MS,
    lost: () => change({ lostSince: clock.now() })
  }
}

const FOREIGN = 'a segment of this name exists already and was not created by this service'
const NOT_DELETED = 'the segment was not created by this service: it is not deleted'

/** See `Provider.segmentKind`. */
function kindOf({ provider, variables }: Job['destination'], type: AudienceType): string {
  return provider.segmentKind?.({ type }, variables) ?? ''
}

/** One type for each segment that may have the same name at this platform. */
export function typesOfKinds(destination: Job['destination']): readonly AudienceType[] {
  const byKind = new Map(AudienceType.enum.map((type) => [kindOf(destination, type), type]))
  return [...byKind.values()]
}
