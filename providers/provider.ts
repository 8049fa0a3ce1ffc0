import { Type, type Static, type TObject } from 'typebox'
import type { Members } from '../src/audience/members.ts'
import type { AudienceType } from '../src/audience/schemas.ts'
import type { PlatformAnswer, PlatformCall } from './http-client.ts'
import type { Sandbox, SandboxOptions } from './sandbox.ts'

/** Our fields that a platform can match people on. */
export type Identifier =
  | 'email'
  | 'phone'
  | 'firstName'
  | 'lastName'
  | 'country'
  | 'postalCode'
  | 'edgeTagId'

/** At most `requests` calls in any period of `perMs` milliseconds. */
export interface Rate {
  readonly requests: number
  readonly perMs: number
}

export interface ProviderLimits {
  readonly usersPerRequest: number
  readonly bytesPerRequest?: number
  /** Calls under way at once for one account. */
  readonly requestsInFlight: number
  /** All calls of one account, reads and polls included. */
  readonly rates: readonly Rate[]
  /** Calls that the platform allows less often than that, by their `operation`. */
  readonly operationRates?: Readonly<Record<string, readonly Rate[]>>
}

/** One upload as a provider sees it: everything but the users. */
export interface Audience {
  /** The segment's name as the platform stores it. */
  readonly segmentName: string
  readonly type: AudienceType
  /** Whether its users are to be added to the segment or taken out of it. */
  readonly mode: 'add' | 'remove'
  readonly sessionId: number
  readonly sequence: number
  readonly totalBatches: number
  readonly totalUsers: number
}

/** A request body without the parts known only when it is sent (segment id, upload session). */
export interface EncodedBody {
  /** UTF-8 text (JSON, CSV); what it holds is between a provider's `encode` and its `upload`. */
  readonly payload: Uint8Array<ArrayBuffer>
  /** Users in this body: distinct people, however many rows they take. */
  readonly users: number
}

export interface Encoding {
  readonly bodies: readonly EncodedBody[]
  /** Users in no body, by reason, e.g. `{ no_identifier: 12, duplicate: 3 }`. */
  readonly leftOut: Readonly<Record<string, number>>
  /** Things worth telling that left nobody out, e.g. `{ phone_region_not_supported: 7 }`. */
  readonly notes: Readonly<Record<string, number>>
}

/** Makes the bodies of one upload, whose users come in parts. */
export interface Encoder {
  /** The next users; the columns are gone afterwards, so what is needed of them later is copied. */
  add(members: Members): void
  /** All bodies, after the last users. */
  end(): Encoding
}

export interface UploadResult {
  /** Users that the platform says it took; left out where it does not say. */
  readonly received?: number
  /** Users that the platform took but could not read. */
  readonly invalid?: number
  /** Names work that the platform goes on with; `confirm` follows it to its end. */
  readonly ticket?: string
  readonly warnings?: readonly string[]
}

/** How a platform says that a segment stands. */
export interface SegmentStatus {
  /**
   * `processing`: it is being matched. `ready`: it can be used. `too_small`: fewer people were matched
   * than the platform asks for. `suspended`: the platform took it out of use; `message` says why.
   */
  readonly state: 'processing' | 'ready' | 'too_small' | 'suspended'
  /** People that the platform says it matched, a lower bound where it gives a range; never estimated. */
  readonly matched?: number
  /** What the platform says about it, cleaned. */
  readonly message?: string
}

/** Identifiers that some callers have only as their SHA-256. */
export type HashedIdentifier = 'email' | 'phone'

export interface CheckProblem {
  readonly code: string
  /** What is wrong and what to do about it. */
  readonly message: string
}

/** The variable `baseUrl` of every provider. Paths are appended to it, so it has none of its own. */
export const BaseUrl = Type.Optional(
  Type.String({
    pattern: '^https?://[^/?#\\\\@\\s]+/?$',
    form: 'origin',
    description: "Origin called in place of the platform's own, without a path"
  })
)

/** What a provider needs for one piece of work on one account. */
export interface ProviderContext<Variables = Static<TObject>> {
  readonly variables: Variables
  /** Calls the platform: within the account's limits, with timeouts, traced. */
  send(call: PlatformCall): Promise<PlatformAnswer>
  /** All further calls of this account wait this long, in milliseconds. */
  pauseAccount(forMs: number): void
  /** Notes kept per account and segment between deliveries; must survive `JSON.stringify`. */
  readonly notes: SegmentNotes
  /**
   * The same in all attempts of one delivery, another one once it is started anew: what a platform
   * that knows keys for idempotency can derive them from. `''` outside of deliveries.
   */
  readonly runId: string
  /** Rejects when the delivery is aborted. */
  sleep(forMs: number): Promise<void>
  /** Milliseconds since 1970. */
  now(): number
  readonly signal: AbortSignal
}

export interface SegmentNotes {
  get(): unknown
  /** Resolves once the note survives a crash. */
  set(value: unknown): Promise<void>
}

/**
 * A platform: data and a few small functions. Its encoder is pure and runs in a worker thread; the
 * others do thin I/O through their context and throw `ProviderError`.
 */
export interface Provider<S extends TObject = TObject> {
  /** One word, lower case: used in configuration, status, logs and for the folder. */
  readonly name: string
  readonly title: string
  /**
   * Configuration of one tag. Secrets carry `secret: true`; defaults are written in the schema. Each
   * has a `description`, and one with a pattern tells it in words as `form`: docs/configuration.md is
   * made of them by `npm run docs`.
   */
  readonly variables: S
  /** Origin used unless the tag sets `baseUrl`. May depend on the tag's settings. */
  origin(variables: Static<S>): string
  readonly identifiers: readonly Identifier[]
  /**
   * Identifiers that it can match where only their SHA-256 is known: of the trimmed lower-case address,
   * of the number in E.164 with its `+`. May depend on the tag's settings.
   */
  hashedIdentifiers(variables: Static<S>): readonly HashedIdentifier[]
  /** May depend on the tag's settings. */
  limits(variables: Static<S>): ProviderLimits
  /** Fewest matched people with which the platform lets an audience be used. */
  readonly minimumAudienceSize: number
  readonly matchingLatencyHours: { readonly min: number; readonly max: number }
  /** Identifies the account: tags of one account share limits, order and segments. Holds no secret. */
  accountId(variables: Static<S>): string
  /** Problems of a configuration that the schema cannot express. */
  problems?(variables: Static<S>): readonly string[]
  /** The name as the platform will store it (some cut long names). */
  storedName(name: string, variables: Static<S>): string
  /**
   * Tells segments apart that may have one name, where a platform knows several kinds; absent where
   * every upload of a name goes to the same segment.
   */
  segmentKind?(audience: Pick<Audience, 'type'>, variables: Static<S>): string
  /**
   * Deterministic: the same users and settings give the same bodies, byte for byte, into whatever parts
   * the users are divided.
   */
  encoder(audience: Audience, variables: Static<S>): Encoder
  /** The id of the segment with exactly this stored name, or `undefined`. */
  findSegment(audience: Audience, context: ProviderContext<Static<S>>): Promise<string | undefined>
  /**
   * Creates the segment and returns its id. Called only after `findSegment` found none. Absent where
   * the platform creates a segment by the first upload; `upload` then gets `undefined`.
   */
  createSegment(
    audience: Audience,
    context: ProviderContext<Static<S>>
  ): Promise<string | undefined>
  upload(
    body: EncodedBody,
    audience: Audience,
    segmentId: string | undefined,
    context: ProviderContext<Static<S>>
  ): Promise<UploadResult>
  /**
   * Takes the users of a body out of the segment; those who are not in it change nothing. The body is
   * what `encoder` made for an audience of the mode `remove`.
   */
  remove(
    body: EncodedBody,
    audience: Audience,
    segmentId: string,
    context: ProviderContext<Static<S>>
  ): Promise<UploadResult>
  /** Deletes the segment itself. One that is gone already counts as deleted. */
  deleteSegment(segmentId: string, context: ProviderContext<Static<S>>): Promise<void>
  /** @throws ProviderError `not_found` where the platform does not know the segment any more. */
  status(segmentId: string, context: ProviderContext<Static<S>>): Promise<SegmentStatus>
  /**
   * Whether uploads with a ticket may wait for the other batches of their session. A removal does not
   * wait for them, as these come behind it: `findSegment` and `remove` mind them.
   */
  collectsBatches?(variables: Static<S>): boolean
  /** Follows a ticket: `undefined` while the platform is still at work. */
  confirm?(
    ticket: string,
    audience: Audience,
    context: ProviderContext<Static<S>>
  ): Promise<UploadResult | undefined>
  /** Are credentials, access and terms in order? Throws or returns problems. */
  check(context: ProviderContext<Static<S>>): Promise<readonly CheckProblem[]>
  /** Loads the stand-in used locally and in tests. */
  sandbox(options?: SandboxOptions): Promise<Sandbox>
}

export function defineProvider<S extends TObject>(provider: Provider<S>): Provider<S> {
  return provider
}
