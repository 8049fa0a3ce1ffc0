import { randomInt } from 'node:crypto'
import type { AudienceType } from '../audience/schemas.ts'
import type { FieldReport } from '../audience/report.ts'
import type { LedgerKey, LedgerStore } from './ledger.ts'
import type { Turn } from './queue.ts'

export const DELIVERY_STATES = [
  'queued',
  'sending',
  'retrying',
  'held',
  'confirming',
  'delivered',
  'failed'
] as const
export type DeliveryState = (typeof DELIVERY_STATES)[number]

/** All times here are in milliseconds since 1970. */

export interface LastError {
  /** The error's class, e.g. `rate_limited`. */
  readonly code: string
  /** Cleaned: holds no personal data. */
  readonly message: string
}

/** What an upload does with its users; `delete` has none and deletes the whole segment. */
export type UploadMode = 'add' | 'remove' | 'delete'

/** One accepted batch. */
export interface Upload {
  readonly id: string
  readonly mode: UploadMode
  /** The audience of the ledger that it changes; `undefined` where it did not come by AdCP. */
  readonly managed: LedgerKey | undefined
  /** Name of the API key that sent it. */
  readonly owner: string
  readonly sessionId: number
  readonly sequence: number
  readonly totalBatches: number
  readonly totalUsers: number
  readonly pullDate: string | undefined
  readonly audienceName: string
  /** With the prefix, before any platform's own cut. */
  readonly segmentName: string
  readonly type: AudienceType
  readonly users: number
  /** Names of user fields that the service does not know, with how many users had them. */
  readonly ignoredFields: Readonly<Record<string, number>>
  readonly defaultCountry: string | undefined
  /**
   * `e164`: phone numbers came as the SHA-256 of E.164 with its `+`, so that no other form can be had
   * of them. `undefined`: nobody knows of which form hashes are.
   */
  readonly phoneHashes: 'e164' | undefined
  /** Keyed hash of the users as sent. */
  readonly contentHash: string
  /** The trace that its deliveries belong to, as a `traceparent` header. */
  readonly traceparent: string | undefined
  readonly acceptedAt: number
  /** The same sequence was accepted before with other content. */
  readonly replacesSequence: boolean
  /** Known once the users were normalised. */
  readonly report: FieldReport | undefined
}

/** Where deliveries go: a tag of a provider. */
export interface Target {
  readonly provider: string
  readonly tag: string
  readonly accountId: string
  /** The segment's name as that platform stores it. */
  readonly segmentName: string
}

/** One upload for one target. */
export interface Delivery extends Target {
  readonly id: string
  readonly uploadId: string
  /** Its upload's sequence. */
  readonly sequence: number
  /** Deliveries to one segment run singly, in the order of their positions. */
  readonly position: number
  readonly state: DeliveryState
  readonly attempts: number
  /** Times in a row that a thread or process ended while it prepared the users. */
  readonly crashes: number
  /** The process that prepares the users, by an id of its own. */
  readonly preparingIn: string | undefined
  /** Since when nobody who looked at it had its tag configured. */
  readonly unknownSince: number | undefined
  readonly nextAttemptAt: number | undefined
  /** When it was accepted, or started anew after it had failed. */
  readonly queuedAt: number
  /** Since when it goes to this account of its tag. */
  readonly targetedAt: number
  /** When it is given up; known once something failed. */
  readonly giveUpAt: number | undefined
  readonly segmentId: string | undefined
  /** The segment was looked for again because its platform did not know it any more. */
  readonly resolvedAnew: boolean
  /** Bodies that the platform acknowledged: a retry goes on behind them. */
  readonly acknowledgedBodies: number
  /** Keyed hash of all bodies: with another one those that were acknowledged say nothing. */
  readonly encodingHash: string | undefined
  readonly sent: number
  readonly received: number
  readonly invalid: number
  /** Users not sent, by reason. */
  readonly leftOut: Readonly<Record<string, number>>
  /** What was kept back of users that were sent, by reason. */
  readonly notes: Readonly<Record<string, number>>
  readonly warnings: readonly string[]
  /** Work that the platform goes on with. */
  readonly tickets: readonly string[]
  /** Tickets that were followed to their end. */
  readonly confirmedTickets: number
  /** Since when its platform works on what it took. */
  readonly confirmingSince: number | undefined
  readonly lastError: LastError | undefined
  readonly settledAt: number | undefined
  /** Grows with each change within the session: what a reader has not seen has a higher one. */
  readonly revision: number
}

export type DeliveryChange = Partial<
  Omit<Delivery, 'id' | 'uploadId' | 'sequence' | 'position' | 'revision' | keyof Target>
>

/** A delivery of which its platform has nothing. */
export const NOTHING_SENT = {
  acknowledgedBodies: 0,
  sent: 0,
  received: 0,
  invalid: 0,
  tickets: [],
  confirmedTickets: 0,
  confirmingSince: undefined,
  warnings: []
} as const satisfies DeliveryChange

/** A delivery that starts, for the first time or anew. */
export const FRESH = {
  ...NOTHING_SENT,
  state: 'queued',
  attempts: 0,
  crashes: 0,
  preparingIn: undefined,
  unknownSince: undefined,
  encodingHash: undefined,
  nextAttemptAt: undefined,
  giveUpAt: undefined,
  segmentId: undefined,
  resolvedAnew: false,
  leftOut: {},
  notes: {},
  lastError: undefined,
  settledAt: undefined
} as const satisfies DeliveryChange

export type NewUpload = Omit<Upload, 'id' | 'replacesSequence' | 'report'>

export interface Accepted {
  readonly upload: Upload
  /** The same upload was accepted before. */
  readonly duplicate: boolean
  /** All deliveries to the given targets. */
  readonly deliveries: readonly Delivery[]
  /** What has to be done for those among them that run now. */
  readonly turns: readonly Turn[]
}

/** A delivery whose turn it is. */
export interface Work {
  readonly delivery: Delivery
  readonly upload: Upload
  /** A later delivery deletes the whole segment; never so of one that deletes it itself. */
  readonly isCancelled: boolean
}

export interface Session {
  /** In the order of acceptance. */
  readonly uploads: readonly Upload[]
  readonly deliveries: readonly Delivery[]
  /** The highest one of its deliveries and uploads. */
  readonly revision: number
}

export const SESSION_STATES = ['sending', 'failed', 'receiving', 'delivered'] as const
/** `receiving` means that everything is done but batches are still to come. */
export type SessionState = (typeof SESSION_STATES)[number]

export interface SessionSummary {
  readonly sessionId: number
  readonly audienceName: string
  readonly type: AudienceType
  readonly state: SessionState
  readonly batches: { readonly received: number; readonly total: number }
  readonly users: { readonly received: number; readonly total: number }
  readonly deliveries: Readonly<Record<DeliveryState, number>>
  readonly startedAt: number
  readonly changedAt: number
}

/** A cursor that no page ended with. */
export class CursorError extends Error {
  override readonly name = 'CursorError'
}

export interface Page<T> {
  readonly items: readonly T[]
  /** Where the next page begins; `undefined` on the last one. */
  readonly next: string | undefined
}

export interface SessionsQuery {
  readonly owner: string
  readonly state?: SessionState | undefined
  /** `next` of the page before. */
  readonly cursor?: string | undefined
  readonly limit: number
}

export interface DeliveriesQuery {
  readonly owner: string
  readonly sessionId: number
  readonly state?: DeliveryState | undefined
  readonly cursor?: string | undefined
  readonly limit: number
}

/** What changed in a session since a revision. */
export interface SessionChanges extends Pick<SessionSummary, 'state' | 'batches' | 'users'> {
  readonly revision: number
  /** As they are now, by revision. */
  readonly deliveries: readonly Delivery[]
}

export interface Restarted {
  readonly deliveries: readonly Delivery[]
  /** Failed deliveries whose users are not kept any more: they have to be uploaded again. */
  readonly expired: number
  readonly turns: readonly Turn[]
}

/** What is known of one segment of one account. */
export interface Segment {
  readonly id: string | undefined
  /**
   * When this service created it, or an upload did; `undefined` where it was found.
   * Only what the service created does it delete.
   */
  readonly createdAt: number | undefined
  /** Since when its platform was asked to create it, until that was answered. */
  readonly creatingSince: number | undefined
  /** Since when its platform does not know this id any more, until it is found or created anew. */
  readonly lostSince?: number | undefined
  /** The id that was deleted last: platforms may list it for a while. */
  readonly deletedId?: string | undefined
  /** The provider's own notes: anything that survives `JSON.stringify`. */
  readonly notes: unknown
}

export interface ListedSegment extends Segment, Omit<Target, 'tag'> {
  /** Tells segments apart that have one name at the platform, see `Provider.segmentKind`. */
  readonly kind: string
  /** The audience of the ledger that it belongs to. */
  readonly managed: LedgerKey | undefined
}

export interface SegmentsQuery {
  readonly provider?: string | undefined
  readonly accountId?: string | undefined
  /** As the platform stores it. */
  readonly segmentName?: string | undefined
  readonly cursor?: string | undefined
  readonly limit: number
}

/**
 * `paused`: the platform asked for a wait. `broken`: it failed again and again; when the time is
 * over one call finds out whether it works again. `held`: a person has to do something; when the
 * time is over a check finds out whether it was done.
 */
export type AccountStatus = 'open' | 'paused' | 'broken' | 'held'

/** How one account at one platform stands. */
export interface AccountState {
  readonly status: AccountStatus
  /** When a status other than `open` is looked at again. */
  readonly until: number
  /** Since when it is broken or held. */
  readonly since: number | undefined
  /** Failures in a row. */
  readonly failures: number
  /** Why it is broken or held. */
  readonly error: LastError | undefined
}

export const OPEN_ACCOUNT: AccountState = {
  status: 'open',
  until: 0,
  since: undefined,
  failures: 0,
  error: undefined
}

/** A message to one webhook, until it is delivered. */
export interface HookMessage {
  /** Also the message's id at the receiver: the same at each attempt. */
  readonly id: string
  /** The endpoint it goes to, see `Webhook.id`. */
  readonly endpoint: string
  readonly type: string
  readonly createdAt: number
  /** The body, as it is sent. */
  readonly body: string
  /** Times it was handed out, this one included. */
  readonly attempts: number
}

export interface Backlog {
  /** Deliveries that have not settled. */
  readonly deliveries: number
  /** When the oldest of them was accepted or started anew. */
  readonly oldestAt: number | undefined
  /** All sealed users that are kept. */
  readonly payloadBytes: number
}

/** The store cannot be reached or cannot write. What was asked for may or may not have happened. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
}

/** Somebody else changed what was to be changed. */
export class StaleError extends Error {
  override readonly name = 'StaleError'
}

/**
 * What the service remembers about uploads. Each function is one transaction: when its promise
 * resolves, its effect survives a crash.
 * @throws StoreError from every function.
 */
export interface Store extends LedgerStore {
  /**
   * Accepts an upload, its sealed users and one delivery per target. The same upload again (owner,
   * session, sequence, segment, type, default country and content; remembered for `dedupMs` after
   * it settled) only adds targets that it has not had yet and starts failed deliveries anew.
   * @param sealedUsers the store's from now on: the caller must not use them any more. `undefined`
   * in the mode `delete`.
   */
  accept(
    upload: NewUpload,
    sealedUsers: Uint8Array | undefined,
    targets: readonly Target[]
  ): Promise<Accepted>
  /** Turns of all deliveries that have not settled, in the order of their positions. */
  turns(): Promise<readonly Turn[]>
  /** Whose turn it is; `undefined` where there is nothing to do any more. */
  work(turn: Turn): Promise<Work | undefined>
  /** Whether a platform still works on what an earlier delivery brought to the same segment. */
  isUnconfirmed(delivery: Delivery): Promise<boolean>
  /** Deliveries of an upload that were never tried and are the first of their segments. */
  startable(uploadId: string): Promise<readonly Delivery[]>
  /** Deliveries of an upload that were never tried, also those behind others of their segments. */
  untried(uploadId: string): Promise<readonly Delivery[]>
  sealedUsers(uploadId: string): Promise<Uint8Array | undefined>
  /** Those of the given ids that exist. */
  deliveries(ids: readonly string[]): Promise<readonly Delivery[]>
  /**
   * Returns the delivery as it is afterwards: what has settled stays as it is until it is started
   * anew. Once an upload's deliveries are all delivered its users are deleted. What webhooks are
   * told about is noted in the same step.
   * @param revision the delivery's, as whoever changes it knows it; by default any.
   * @throws StaleError where it has another one by now.
   */
  changeDelivery(
    id: string,
    change: DeliveryChange,
    now: number,
    revision?: number
  ): Promise<Delivery>
  /**
   * Starts a delivery from its beginning at another account, which its tag stands for by now. It
   * keeps its position among all deliveries. Returns the turns that this makes.
   */
  moveDelivery(id: string, accountId: string, now: number): Promise<readonly Turn[]>
  setReport(uploadId: string, report: FieldReport): Promise<void>

  session(owner: string, sessionId: number): Promise<Session | undefined>
  /**
   * The sessions that changed last come first.
   * @throws CursorError
   */
  sessions(query: SessionsQuery): Promise<Page<SessionSummary>>
  /**
   * A session's deliveries in the order of their positions; empty where there is no session.
   * @throws CursorError
   */
  sessionDeliveries(query: DeliveriesQuery): Promise<Page<Delivery>>
  changesSince(
    owner: string,
    sessionId: number,
    revision: number
  ): Promise<SessionChanges | undefined>
  /**
   * Starts a session's failed deliveries anew, behind what was accepted for their segments since; not
   * those that delete a segment, nor those of before a deletion of their segment was accepted, nor those
   * that add users of before others were removed from it: these may be the same.
   * `channels`: only those of these providers or `provider/tag`. `undefined`: no such session.
   */
  restart(
    owner: string,
    sessionId: number,
    channels: readonly string[] | undefined,
    now: number
  ): Promise<Restarted | undefined>

  /**
   * Segments that are at their platforms as far as is known, by their keys: those that have an id, and
   * those that were created or may be on the way to it.
   * @throws CursorError
   */
  segments(query: SegmentsQuery): Promise<Page<ListedSegment>>
  segment(key: string): Promise<Segment | undefined>
  changeSegment(key: string, change: Partial<Segment>, now: number): Promise<void>

  /**
   * Whole accounts by their `accountKey`, tags by their `tagKey`. Those of which nothing was noted
   * are open.
   */
  account(key: string): Promise<AccountState>
  accounts(): Promise<Readonly<Record<string, AccountState>>>
  /**
   * Notes it for webhooks when an account becomes `held`, or open again after that.
   * @param before what stands there; by default anything. Returns `false` and changes nothing where
   * it is something else.
   */
  setAccount(key: string, state: AccountState, now: number, before?: AccountState): Promise<boolean>
  /**
   * Takes it upon the caller to find out whether an account works again: `true` for one caller once
   * its time is over, and for no other until `until`.
   */
  claimProbe(key: string, now: number, until: number): Promise<boolean>

  /**
   * Hands out an endpoint's messages that are due, the longest due first, and counts the attempt;
   * nobody else gets them for `leaseMs`. One endpoint at a time: what waits for another one must
   * not fill the limit.
   */
  takeHooks(
    endpoint: string,
    now: number,
    leaseMs: number,
    limit: number
  ): Promise<readonly HookMessage[]>
  /** `againAt`: when it is tried again; `undefined` when it is delivered or given up. */
  settleHook(id: string, againAt: number | undefined): Promise<void>
  /** Messages of all endpoints that are not delivered yet. */
  waitingHooks(): Promise<number>

  backlog(): Promise<Backlog>
  /** Deletes what is kept long enough, and gives the space back. */
  sweep(now: number): Promise<void>
  close(): Promise<void>
}

export interface StoreOptions {
  /** How long a settled upload is recognised when it is sent again. */
  readonly dedupMs: number
  /** How long users of failed deliveries and the status of settled sessions are kept. */
  readonly retentionMs: number
  /** Endpoints that are told about what happens. */
  readonly hookEndpoints: readonly string[]
}

/** Code of the `LastError` of a delivery that was not sent because its segment is being deleted. */
export const CANCELLED = 'cancelled'

const SETTLED: ReadonlySet<DeliveryState> = new Set(['delivered', 'failed'])

export function isSettled({ state }: Pick<Delivery, 'state'>): boolean {
  return SETTLED.has(state)
}

/** Names one account at one platform, over all its tags. */
export function accountKey({
  provider,
  accountId
}: Pick<Target, 'provider' | 'accountId'>): string {
  return `${provider}/${accountId}`
}

/** Names one tag of an account: what its own credentials may and may not. */
export function tagKey(target: Pick<Target, 'provider' | 'accountId' | 'tag'>): string {
  return `${accountKey(target)} ${target.tag}`
}

/**
 * A session of the service's own, for what is not uploaded by sessions: far above the numbers that
 * callers make of times.
 */
export function newSessionId(): number {
  return 2 ** 52 + randomInt(2 ** 48 - 1)
}

/** Names one segment and what the service knows of it. */
export function segmentKey(
  target: Pick<Target, 'provider' | 'accountId' | 'segmentName'>,
  kind: string
): string {
  return `${segmentLock(target)}${kind}`
}

const JSON_TEXT = String.raw`"(?:[^"\\]|\\.)*"`
const SEGMENT_KEY = new RegExp(`^\\[${JSON_TEXT},${JSON_TEXT},${JSON_TEXT}\\]`, 's')

/** Reads a `segmentKey`; `undefined` where it is none. */
export function readSegmentKey(
  key: string
): Pick<ListedSegment, 'provider' | 'accountId' | 'segmentName' | 'kind'> | undefined {
  const match = SEGMENT_KEY.exec(key)
  if (match === null) return undefined
  const [lock] = match
  const [provider, accountId, segmentName]: [string, string, string] = JSON.parse(lock)
  return { provider, accountId, segmentName, kind: key.slice(lock.length) }
}

/** Names one segment of one account: what is written to it goes one after the other. */
export function segmentLock(
  target: Pick<Target, 'provider' | 'accountId' | 'segmentName'>
): string {
  return JSON.stringify([target.provider, target.accountId, target.segmentName])
}

/** What has to be done next for a delivery; `undefined` once it has settled. */
export function turnOf(delivery: Delivery): Turn | undefined {
  if (isSettled(delivery)) return undefined
  const account = accountKey(delivery)
  return delivery.state === 'confirming'
    ? { kind: 'confirm', deliveryId: delivery.id, account }
    : { kind: 'send', lock: segmentLock(delivery), account }
}
