import { setPriority } from 'node:os'
import { isMainThread } from 'node:worker_threads'
import { encoders as encodersByName } from '../../providers/encoders.ts'
import type { Audience, Encoder, Encoding } from '../../providers/provider.ts'
import { createMembers, type Members } from '../audience/members.ts'
import { checkUsers, readUsers, type UsersProblem } from '../audience/parse-users.ts'
import { createFieldReport, type UploadReport } from '../audience/report.ts'
import { discard } from '../store/discard.ts'
import { type KeyRing, keyedHash, open, SealError, sealMeanwhile } from '../store/sealing.ts'
import { moving } from './moving.ts'
import type { ReadCallTask } from './read-call.ts'

/** What runs in worker threads: everything that takes time in proportion to the number of users. */

/**
 * Below the main thread, for which whoever wants an answer waits; not so low that other programs on the
 * machine keep uploads from being taken. On Linux it is the thread's own.
 */
const PRIORITY = 10
if (!isMainThread && process.platform === 'linux') setPriority(PRIORITY)

export interface ReadTask {
  /** The users as sent; the thread gets their buffer. */
  readonly users: Uint8Array
  readonly maxUsers: number
  readonly keys: KeyRing
}

export type ReadOutcome =
  | {
      readonly count: number
      /** Keyed hash of the users as sent. */
      readonly contentHash: string
      /** The users as sent, sealed under their hash. */
      readonly sealed: Uint8Array
      readonly ignoredFields: Readonly<Record<string, number>>
    }
  | UsersProblem

/** Runs `acceptUsers`, and hands over what it sealed. */
export async function read(task: ReadTask) {
  const outcome = await acceptUsers(task)
  discard(task.users)
  return 'problem' in outcome ? outcome : moving(outcome, [outcome.sealed])
}

/** Checks and counts users, and seals them for the store. */
export async function acceptUsers({ users, maxUsers, keys }: ReadTask): Promise<ReadOutcome> {
  const contentHash = keyedHash(keys).update(users).digest('hex')
  // Another core compresses while this one checks.
  const sealing = sealMeanwhile(users, contentHash, keys)
  const checked = checkUsers(users, { maxUsers })
  const sealed = await sealing
  if ('problem' in checked) return checked
  return { count: checked.count, contentHash, sealed, ignoredFields: checked.ignoredFields }
}

export interface InspectTask {
  /** The users as sent; the thread gets their buffer. */
  readonly users: Uint8Array
  readonly maxUsers: number
  readonly defaultCountry: string | undefined
  readonly targets: readonly EncodeTarget[]
}

/** What an upload would be. */
export type InspectOutcome =
  | {
      readonly count: number
      readonly ignoredFields: Readonly<Record<string, number>>
      readonly report: UploadReport
      /** One per target, in their order. */
      readonly encodings: readonly InspectedEncoding[]
    }
  | UsersProblem

export interface InspectedEncoding extends Omit<Encoding, 'bodies'> {
  /** Users in bodies. */
  readonly users: number
  /** Bodies. */
  readonly requests: number
}

/** Examples of unusable values that are shown for each reason. */
const MAX_EXAMPLES = 3

/** Checks, reports and encodes users as if they were uploaded; nothing is kept but counts and masks. */
export function inspect({ users, maxUsers, defaultCountry, targets }: InspectTask): InspectOutcome {
  const toMembers = createMembers({ defaultCountry })
  const report = createFieldReport(MAX_EXAMPLES)
  const encoders = targets.map(({ provider, audience, variables }) =>
    encoderOf(provider, audience, variables)
  )
  const checked = readUsers(users, { maxUsers }, (part) => {
    const members = toMembers(part)
    report.add(members)
    for (const encoder of encoders) encoder.add(members)
  })
  discard(users)
  if ('problem' in checked) return checked
  const { count, ignoredFields } = checked
  return { count, ignoredFields, report: report.end(), encodings: encoders.map(inspected) }
}

function inspected(encoder: Encoder): InspectedEncoding {
  const { bodies, leftOut, notes } = encoder.end()
  for (const { payload } of bodies) discard(payload)
  const users = bodies.reduce((sum, body) => sum + body.users, 0)
  return { users, requests: bodies.length, leftOut, notes }
}

/** Runs `readCall`, and hands over what it sealed. What it needs is loaded with the first one. */
export async function readLargeCall(task: ReadCallTask) {
  const { readCall, sealedIn } = await import('./read-call.ts')
  const outcome = await readCall(task)
  return moving(outcome, sealedIn(outcome))
}

/** Answers once the thread is loaded. */
export function ready(): void {}

export interface EncodeTask {
  readonly sealed: Uint8Array
  readonly contentHash: string
  readonly keys: KeyRing
  readonly defaultCountry: string | undefined
  /** See `Upload`. */
  readonly phoneHashes?: 'e164' | undefined
  readonly targets: readonly EncodeTarget[]
}

export interface EncodeTarget {
  readonly provider: string
  readonly variables: Readonly<Record<string, unknown>>
  readonly audience: Audience
}

export type EncodeOutcome =
  | {
      readonly report: UploadReport
      /** One per target, in their order. */
      readonly encodings: readonly (Encoded | EncodingFault)[]
    }
  | {
      /** Why the users cannot be opened. */
      readonly unreadable: string
    }

/** What a provider made of the users. */
export interface Encoded extends Encoding {
  /** Keyed hash of all bodies: tells whether two encodings are the same. */
  readonly hash: string
}

/** A provider failed at its own part. */
export interface EncodingFault {
  readonly stack: string
}

/** Runs `encodeUsers`, and hands over the bodies. */
export function encode(task: EncodeTask) {
  const outcome = encodeUsers(task)
  const encodings = 'encodings' in outcome ? outcome.encodings : []
  const bodies = encodings.flatMap((encoding) => ('bodies' in encoding ? encoding.bodies : []))
  return moving(
    outcome,
    bodies.map(({ payload }) => payload)
  )
}

/**
 * Brings users that were read before into each target's form, normalising and hashing once. They go
 * through part by part: of a large upload no more than its bytes and its bodies are there as a whole.
 * The sealed users' buffer is taken away.
 */
export function encodeUsers(task: EncodeTask): EncodeOutcome {
  const { keys, defaultCountry, phoneHashes, targets } = task
  const users = opened(task)
  if (users instanceof SealError) return { unreadable: users.message }
  discard(task.sealed)
  const toMembers = createMembers({ defaultCountry, phoneHashes })
  const report = createFieldReport()
  const encoders = targets.map((target) => guarded(target, keys))
  // How many there may be was decided when they were accepted.
  const checked = readUsers(users, { maxUsers: Number.MAX_SAFE_INTEGER }, (part) => {
    const members = toMembers(part)
    report.add(members)
    for (const encoder of encoders) encoder.add(members)
  })
  if ('problem' in checked) throw new Error('users changed after they were read')
  discard(users)
  return { report: report.end(), encodings: encoders.map((encoder) => encoder.end()) }
}

function opened({ sealed, contentHash, keys }: EncodeTask): Uint8Array | SealError {
  try {
    return open(sealed, contentHash, keys)
  } catch (error) {
    if (error instanceof SealError) return error
    throw error
  }
}

/** The target's encoder. One platform's fault must not be the others', so it ends with it. */
function guarded({ provider, variables, audience }: EncodeTarget, keys: KeyRing) {
  let encoder: Encoder | undefined
  let fault: EncodingFault | undefined

  function guard<T>(work: (encoder: Encoder) => T): T | EncodingFault {
    if (fault !== undefined) return fault
    try {
      return work((encoder ??= encoderOf(provider, audience, variables)))
    } catch (error) {
      fault = { stack: (error instanceof Error && error.stack) || String(error) }
      return fault
    }
  }

  return {
    add: (members: Members) => void guard((own) => own.add(members)),
    end: (): Encoded | EncodingFault =>
      guard((own) => {
        const encoding = own.end()
        return { ...encoding, hash: hashOf(encoding, keys) }
      })
  }
}

function encoderOf(
  name: string,
  audience: Audience,
  variables: Readonly<Record<string, unknown>>
): Encoder {
  const encoder = encodersByName[name]
  if (encoder === undefined) throw new Error(`no provider ${name}`)
  return encoder(audience, variables)
}

function hashOf({ bodies }: Encoding, keys: KeyRing): string {
  const sum = keyedHash(keys)
  for (const { payload } of bodies) sum.update(`${payload.byteLength} `).update(payload)
  return sum.digest('hex')
}
