import type { Audience, Encoding } from '../../providers/provider.ts'
import { providers } from '../../providers/registry.ts'
import { createMembers, type Members } from '../audience/members.ts'
import { checkUsers, parseUsers, type UsersProblem } from '../audience/parse-users.ts'
import { type FieldReport, fieldReport } from '../audience/report.ts'
import type { UserColumns } from '../audience/user-columns.ts'
import { type KeyRing, keyedHash, open, SealError, sealMeanwhile } from '../store/sealing.ts'
import { moving } from './moving.ts'

/** What runs in worker threads: everything that takes time in proportion to the number of users. */

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

/** Runs `readUsers`, and hands over what it sealed. */
export async function read(task: ReadTask) {
  const outcome = await readUsers(task)
  return 'problem' in outcome ? outcome : moving(outcome, [outcome.sealed])
}

/** Checks and counts users, and seals them for the store. */
export async function readUsers({ users, maxUsers, keys }: ReadTask): Promise<ReadOutcome> {
  const contentHash = keyedHash(keys).update(users).digest('hex')
  // Another core compresses while this one checks.
  const sealing = sealMeanwhile(users, contentHash, keys)
  const checked = checkUsers(users, { maxUsers })
  const sealed = await sealing
  if ('problem' in checked) return checked
  return { count: checked.count, contentHash, sealed, ignoredFields: checked.ignoredFields }
}

/** Answers once the thread is loaded. */
export function ready(): void {}

export interface EncodeTask {
  readonly sealed: Uint8Array
  readonly contentHash: string
  readonly keys: KeyRing
  readonly defaultCountry: string | undefined
  readonly targets: readonly EncodeTarget[]
}

export interface EncodeTarget {
  readonly provider: string
  readonly variables: Readonly<Record<string, unknown>>
  readonly audience: Audience
}

export type EncodeOutcome =
  | {
      readonly report: FieldReport
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

/** Brings users that were read before into each target's form, normalising and hashing once. */
export function encodeUsers(task: EncodeTask): EncodeOutcome {
  const { keys, defaultCountry, targets } = task
  const parsed = opened(task)
  if (parsed instanceof SealError) return { unreadable: parsed.message }
  const members = createMembers(parsed, { defaultCountry })
  const encodings = targets.map((target) => encodeFor(target, members, keys))
  return { report: fieldReport(members), encodings }
}

/** The users in clear text are let go of as soon as they are read. */
function opened({ sealed, contentHash, keys }: EncodeTask): UserColumns | SealError {
  try {
    // How many there may be was decided when they were accepted.
    const limits = { maxUsers: Number.MAX_SAFE_INTEGER }
    const parsed = parseUsers(open(sealed, contentHash, keys), limits)
    if ('problem' in parsed) throw new Error('users changed after they were read')
    return parsed.users
  } catch (error) {
    if (error instanceof SealError) return error
    throw error
  }
}

/** One platform's fault must not be the others'. */
function encodeFor(
  { provider, variables, audience }: EncodeTarget,
  members: Members,
  keys: KeyRing
): Encoded | EncodingFault {
  try {
    const definition = providers.find(({ name }) => name === provider)
    if (definition === undefined) throw new Error(`no provider ${provider}`)
    const encoding = definition.encode(members, audience, variables)
    return { ...encoding, hash: hashOf(encoding, keys) }
  } catch (error) {
    return { stack: (error instanceof Error && error.stack) || String(error) }
  }
}

function hashOf({ bodies }: Encoding, keys: KeyRing): string {
  const sum = keyedHash(keys)
  for (const { payload } of bodies) sum.update(`${payload.byteLength} `).update(payload)
  return sum.digest('hex')
}
