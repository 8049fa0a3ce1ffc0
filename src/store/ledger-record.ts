import { isDeepStrictEqual } from 'node:util'
import type {
  AudienceChange,
  AudienceDetails,
  LedgerAudience,
  LedgerKey,
  LedgerTarget,
  SyncedAudience
} from './ledger.ts'
import type { Target } from './store.ts'

/** What a call says about one audience that is there afterwards. */
export type Upsert = Extract<AudienceChange, { readonly action: 'upsert' }>

/** Enough for a small list to be delivered. */
const FIRST_LOOK_MS = 15_000

/** Everything of an audience that its document may lack. */
const ABSENT = {
  name: undefined,
  description: undefined,
  type: undefined,
  tags: undefined,
  consentBasis: undefined
} as const satisfies AudienceDetails

const ABSENT_FROM_TARGET = { matched: undefined, segmentId: undefined, error: undefined } as const

/** Puts back what JSON leaves out. */
export function completeAudience(stored: LedgerAudience): LedgerAudience {
  const targets = stored.targets.map((target) => ({ ...ABSENT_FROM_TARGET, ...target }))
  return { ...ABSENT, ...stored, targets }
}

/** Puts back what JSON leaves out. */
export function completeSynced(stored: readonly SyncedAudience[]): readonly SyncedAudience[] {
  return stored.map((one) => ({
    ...one,
    note: one.note,
    audience: one.audience && completeAudience(one.audience)
  }))
}

/** How an audience becomes what a call wants it to be. */
export interface Upserted {
  readonly action: 'created' | 'updated' | 'unchanged'
  readonly audience: LedgerAudience
  /** Where its members are to be added, and from where they are to be removed. */
  readonly addTo: readonly LedgerTarget[]
  readonly removeFrom: readonly LedgerTarget[]
}

export function upserted(
  key: LedgerKey,
  before: LedgerAudience | undefined,
  change: Upsert,
  { now, revision }: { readonly now: number; readonly revision: number }
): Upserted {
  const had = before?.targets ?? []
  const addTo = change.add === undefined ? [] : targetsToAddTo(had, change)
  // What is new holds nobody yet.
  const removeFrom = change.remove === undefined ? [] : had
  const details = merged(before ?? ABSENT, change.details)
  const hasMembers = change.add !== undefined || change.remove !== undefined
  if (before !== undefined && !hasMembers && isDeepStrictEqual(details, merged(before, {}))) {
    return { action: 'unchanged', audience: before, addTo, removeFrom }
  }
  const concerned = new Set([...removeFrom, ...addTo])
  const { lookAt, looks } = before !== undefined && concerned.size === 0 ? before : soon(now)
  const audience = {
    account: key.account,
    audienceId: key.audienceId,
    ...details,
    targets: [...new Set([...had, ...addTo])].map((target) =>
      concerned.has(target) ? inProcess(target) : target
    ),
    uploaded: (before?.uploaded ?? 0) + (change.add?.upload.users ?? 0),
    createdAt: before?.createdAt ?? now,
    syncedAt: now,
    lookAt,
    looks,
    revision
  }
  return { action: before === undefined ? 'created' : 'updated', audience, addTo, removeFrom }
}

const soon = (now: number) => ({ lookAt: now + FIRST_LOOK_MS, looks: 0 })

const inProcess = (target: LedgerTarget): LedgerTarget => ({
  ...target,
  state: 'processing',
  error: undefined
})

/** Those of the change that get something, as the audience has them already where it does. */
function targetsToAddTo(had: readonly LedgerTarget[], { targets, addTo }: Upsert): LedgerTarget[] {
  return targets
    .filter((target) => addTo.some((one) => isOfTag(one, target)))
    .map((target) => had.find((one) => isSame(one, target)) ?? fresh(target))
}

const isOfTag = (a: Pick<Target, 'provider' | 'tag'>, b: Pick<Target, 'provider' | 'tag'>) =>
  a.provider === b.provider && a.tag === b.tag

/** The name may differ: that of a segment stays as it was when it was made. */
const isSame = (a: Target, b: Target) => isOfTag(a, b) && a.accountId === b.accountId

const fresh = (target: Target): LedgerTarget => ({
  ...targetOf(target),
  ...ABSENT_FROM_TARGET,
  state: 'processing'
})

/** Where a target lies, without how it stands there. */
export function targetOf({ provider, tag, accountId, segmentName }: Target): Target {
  return { provider, tag, accountId, segmentName }
}

/** What the change leaves out stays. */
function merged(before: AudienceDetails, change: AudienceDetails): AudienceDetails {
  return {
    name: change.name ?? before.name,
    description: change.description ?? before.description,
    type: change.type ?? before.type,
    tags: change.tags ?? before.tags,
    consentBasis: change.consentBasis ?? before.consentBasis
  }
}
