import type { Audience, Encoding } from '../../providers/provider.ts'
import { providers } from '../../providers/registry.ts'
import { createMembers, type Members } from '../audience/members.ts'
import { checkUsers, parseUsers, type UsersProblem } from '../audience/parse-users.ts'
import { type FieldReport, fieldReport } from '../audience/report.ts'
import { type KeyRing, keyedHash, open, seal, SealError } from '../store/sealing.ts'

/** What runs in worker threads: everything that takes time in proportion to the number of users. */

export interface ReadTask {
  /** The users as sent: bytes of shared memory, so that they are never copied between threads. */
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

/** Checks and counts users, and seals them for the store. */
export function readUsers({ users, maxUsers, keys }: ReadTask): ReadOutcome {
  const checked = checkUsers(users, { maxUsers })
  if ('problem' in checked) return checked
  const contentHash = keyedHash(keys).update(users).digest('hex')
  return {
    count: checked.count,
    contentHash,
    sealed: seal(users, contentHash, keys),
    ignoredFields: checked.ignoredFields
  }
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

/** Brings users that were read before into each target's form, normalising and hashing once. */
export function encodeUsers(task: EncodeTask): EncodeOutcome {
  const { sealed, contentHash, keys, defaultCountry, targets } = task
  const users = opened(sealed, contentHash, keys)
  if (users instanceof SealError) return { unreadable: users.message }
  // How many there may be was decided when they were accepted.
  const parsed = parseUsers(users, { maxUsers: Number.MAX_SAFE_INTEGER })
  if ('problem' in parsed) throw new Error('users changed after they were read')
  const members = createMembers(parsed.users, { defaultCountry })
  const encodings = targets.map((target) => encodeFor(target, members, keys))
  return { report: fieldReport(members), encodings }
}

function opened(sealed: Uint8Array, name: string, keys: KeyRing): Uint8Array | SealError {
  try {
    return open(sealed, name, keys)
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
