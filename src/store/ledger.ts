import type { Turn } from './queue.ts'
import type { KeyRing } from './sealing.ts'
import type { LastError, NewUpload, Target } from './store.ts'

/**
 * The ledger of audiences that agents manage by AdCP: what each one is called, where it is and how it
 * stands. It knows no members. All times are in milliseconds since 1970.
 */

/** Names an audience: the AdCP account and the buyer's own id of the audience. */
export interface LedgerKey {
  readonly account: string
  readonly audienceId: string
}

/** From the least advanced to the most. */
export const AUDIENCE_STATES = ['suspended', 'processing', 'too_small', 'ready'] as const
export type AudienceState = (typeof AUDIENCE_STATES)[number]

/** Where an audience lies, and how it stands there. */
export interface LedgerTarget extends Target {
  readonly state: AudienceState
  /** People that the platform says it matched. */
  readonly matched: number | undefined
  /** The platform's own id of the segment. */
  readonly segmentId: string | undefined
  /** Why it is suspended, or why it goes on so slowly. */
  readonly error: LastError | undefined
}

export interface LedgerAudience extends LedgerKey, AudienceDetails {
  readonly targets: readonly LedgerTarget[]
  /** Members of all calls that added some. */
  readonly uploaded: number
  readonly createdAt: number
  /** When a call that changed it was accepted last. */
  readonly syncedAt: number
  /** When its platforms are asked next how it stands. */
  readonly lookAt: number
  /** How often they were asked since it was synced last. */
  readonly looks: number
  /** Grows with each change. */
  readonly revision: number
}

/** What the buyer says about an audience; what is absent from a change stays as it is. */
export interface AudienceDetails {
  readonly name?: string | undefined
  readonly description?: string | undefined
  readonly type?: 'crm' | 'suppression' | 'lookalike_seed' | undefined
  readonly tags?: readonly string[] | undefined
  readonly consentBasis?:
    | 'consent'
    | 'legitimate_interest'
    | 'contract'
    | 'legal_obligation'
    | undefined
}

/** Members on their way, in the form of an upload. */
export interface MemberUpload {
  readonly upload: NewUpload
  readonly sealedUsers: Uint8Array
}

/** What a call does with one audience. */
export type AudienceChange = {
  readonly audienceId: string
  /** The seller's own, kept with the outcome: `undefined` or anything that survives `JSON.stringify`. */
  readonly note: unknown
} & (
  | {
      readonly action: 'upsert'
      readonly details: AudienceDetails
      /** Members to add, and how many. */
      readonly add: MemberUpload | undefined
      readonly remove: MemberUpload | undefined
      /** Where it goes; where the audience is at one of these tags already, it stays as it is. */
      readonly targets: readonly Target[]
      /** Tags of these that cannot match anything of what is added get nothing. */
      readonly addTo: readonly Pick<Target, 'provider' | 'tag'>[]
    }
  | { readonly action: 'delete' }
  /** Refused before: nothing is done, and it counts as named for `deleteMissing`. */
  | { readonly action: 'refuse' }
)

/** One call of `sync_audiences`. */
export interface SyncRequest {
  /** Name of the API key that called. */
  readonly principal: string
  readonly account: string
  /** The caller's idempotency key. Only a keyed hash of it is kept. */
  readonly idempotencyKey: string
  /** SHA-256 of what makes two calls the same, in hex. */
  readonly requestHash: string
  /** How long the outcome is repeated. */
  readonly replayForMs: number
  /** `undefined`: the audiences are only listed. */
  readonly changes: readonly AudienceChange[] | undefined
  /** Deletes what is in the ledger and not named. */
  readonly deleteMissing: boolean
  /** Most audiences that the account has: none beyond them is created. */
  readonly maxAudiences: number
  /** What uploads that delete segments have in common; the rest is in the ledger. */
  readonly deletion: Omit<NewUpload, 'sessionId' | 'audienceName' | 'segmentName' | 'managed'>
  /** Most calls that only list, of one principal and account, in a minute. */
  readonly listsPerMinute: number
  /** Where the caller wants to hear of the end of a task, as anything that survives `JSON.stringify`. */
  readonly push: unknown
  readonly keys: KeyRing
  readonly now: number
}

/** What became of one audience. */
export interface SyncedAudience {
  readonly audienceId: string
  /** That of its change; `undefined` where the call did not name it. */
  readonly note: unknown
  readonly action:
    | 'created'
    | 'updated'
    | 'unchanged'
    | 'deleted'
    | 'not_found'
    | 'refused'
    /** It would have been one more than the account may have. */
    | 'too_many'
  /** Members that this call added. */
  readonly uploaded: number
  /** As it is afterwards; `undefined` where there is none. */
  readonly audience: LedgerAudience | undefined
}

export type SyncOutcome =
  | {
      readonly kind: 'done'
      /** The named audiences in their order, then those deleted as missing, then all others. */
      readonly audiences: readonly SyncedAudience[]
      /** Matching goes on, and the caller wants to hear of its end. */
      readonly taskId: string | undefined
      readonly at: number
      /** The same call was done before: this is what became of it then. */
      readonly isReplay: boolean
      readonly turns: readonly Turn[]
    }
  /** The key came with another call before. */
  | { readonly kind: 'conflict' }
  /** The key came so long ago that the outcome is not known any more. */
  | { readonly kind: 'expired' }
  | { readonly kind: 'too_many_lists'; readonly againInMs: number }

/** A call whose end somebody wants to hear of. */
export interface SyncTask {
  readonly id: string
  readonly principal: string
  readonly account: string
  /** What the call did, as its answer would have told. */
  readonly audiences: readonly SyncedAudience[]
  /**
   * `undefined` while matching goes on; then with the audiences as they were at the end: those that
   * were deleted meanwhile are `undefined`.
   */
  readonly completedAt: number | undefined
  readonly createdAt: number
  readonly updatedAt: number
  readonly hasPush: boolean
}

/** An audience whose platforms are to be asked, with what the store knows of each target. */
export interface DueAudience {
  readonly audience: LedgerAudience
  /** In the order of its targets. */
  readonly targets: readonly DueTarget[]
}

export interface DueTarget {
  /** A delivery to it has not settled. */
  readonly isUnsettled: boolean
  /** Why a delivery of the last call failed, or else the one that settled last. */
  readonly lastError: LastError | undefined
  readonly segmentId: string | undefined
}

/** The part of the store that keeps the ledger. See `Store`. */
export interface LedgerStore {
  /**
   * Does a call, or tells what became of it when it was done before: all in one transaction, with its
   * uploads and its idempotency record. Two calls with one key: the second waits for the first.
   */
  syncAudiences(request: SyncRequest): Promise<SyncOutcome>
  /** All audiences of an account, by their ids. */
  audiences(account: string): Promise<readonly LedgerAudience[]>
  /**
   * Audiences whose time to look has come, the longest due first; nobody else gets them for `leaseMs`.
   */
  takeDueAudiences(now: number, leaseMs: number, limit: number): Promise<readonly DueAudience[]>
  /**
   * Notes how an audience stands, and completes tasks whose audiences all left `processing`; a message
   * for each push goes to the hooks, under the endpoint `PUSH_ENDPOINT` with the task's id as its body.
   * Changes nothing and returns `false` where the audience has another revision by now.
   */
  noteStatus(
    key: LedgerKey,
    revision: number,
    change: Pick<LedgerAudience, 'targets' | 'lookAt' | 'looks'>,
    now: number
  ): Promise<boolean>
  /** A task of this principal. */
  task(principal: string, id: string): Promise<SyncTask | undefined>
  /** A task with what its caller gave for pushes; for whoever sends them. */
  pushOf(taskId: string, keys: KeyRing): Promise<{ task: SyncTask; push: unknown } | undefined>
}

/** Endpoint of messages whose address is their task's own. */
export const PUSH_ENDPOINT = 'adcp'

/** The least advanced state of all its targets; one that is nowhere yet has nobody. */
export function stateOf({ targets }: Pick<LedgerAudience, 'targets'>): AudienceState {
  const states = targets.map(({ state }) => AUDIENCE_STATES.indexOf(state))
  return states.length === 0 ? 'too_small' : (AUDIENCE_STATES[Math.min(...states)] ?? 'processing')
}
