import { hash } from 'node:crypto'
import type { Audience, Encoding } from '../../providers/provider.ts'
import { providers } from '../../providers/registry.ts'
import { createMembers, type Members } from '../audience/members.ts'
import { parseUsers, type UsersProblem } from '../audience/parse-users.ts'
import { type FieldReport, fieldReport } from '../audience/report.ts'

/** What runs in worker threads: everything that takes time in proportion to the number of users. */

export interface ReadTask {
  /** The users as sent: bytes of shared memory, so that they are never copied between threads. */
  readonly users: Uint8Array
  readonly maxUsers: number
}

export type ReadOutcome =
  | {
      readonly count: number
      readonly contentHash: string
      readonly ignoredFields: Readonly<Record<string, number>>
    }
  | UsersProblem

/** Checks users and counts them; keeps nothing. */
export function readUsers({ users, maxUsers }: ReadTask): ReadOutcome {
  const parsed = parseUsers(users, { maxUsers })
  if ('problem' in parsed) return parsed
  return {
    count: parsed.users.length,
    contentHash: hash('sha256', users),
    ignoredFields: parsed.ignoredFields
  }
}

export interface EncodeTask {
  readonly users: Uint8Array
  readonly maxUsers: number
  readonly defaultCountry: string | undefined
  readonly targets: readonly EncodeTarget[]
}

export interface EncodeTarget {
  readonly provider: string
  readonly variables: Readonly<Record<string, unknown>>
  readonly audience: Audience
}

export interface EncodeOutcome {
  readonly report: FieldReport
  /** One per target, in their order. */
  readonly encodings: readonly (Encoding | EncodingFault)[]
}

/** A provider failed at its own part. */
export interface EncodingFault {
  readonly stack: string
}

/** Brings users that were read before into each target's form, normalising and hashing once. */
export function encodeUsers({
  users,
  maxUsers,
  defaultCountry,
  targets
}: EncodeTask): EncodeOutcome {
  const parsed = parseUsers(users, { maxUsers })
  if ('problem' in parsed) throw new Error('users changed after they were read')
  const members = createMembers(parsed.users, { defaultCountry })
  const encodings = targets.map((target) => encodeFor(target, members))
  return { report: fieldReport(members), encodings }
}

/** One platform's fault must not be the others'. */
function encodeFor(
  { provider, variables, audience }: EncodeTarget,
  members: Members
): Encoding | EncodingFault {
  try {
    const definition = providers.find(({ name }) => name === provider)
    if (definition === undefined) throw new Error(`no provider ${provider}`)
    return definition.encode(members, audience, variables)
  } catch (error) {
    return { stack: (error instanceof Error && error.stack) || String(error) }
  }
}
