import { isUtf8 } from 'node:buffer'
import { parseJson } from './json.ts'
import { entriesOf } from './json-array.ts'
import type { User } from './schemas.ts'
import { isUser, KNOWN_FIELDS, userProblem } from './user-check.ts'
import { toColumns, type UserColumns } from './user-columns.ts'

export interface CheckedUsers {
  readonly count: number
  /** How many users have each field that the service does not know. */
  readonly ignoredFields: Readonly<Record<string, number>>
}

export interface UsersLimits {
  readonly maxUsers: number
}

export interface UsersProblem {
  readonly kind: 'payload' | 'empty' | 'too_many'
  /** What is wrong and where; never quotes a value. */
  readonly problem: string
}

const MAX_IGNORED_NAMES = 20
/** Names outside this are counted together: a file with its columns mixed up has values as names. */
const PLAIN_NAME = /^[\w .-]{1,64}$/
const OTHER_NAMES = '(other)'

function payloadProblem(problem: string): UsersProblem {
  return { kind: 'payload', problem }
}

/** Counts the fields that the service does not know, by name. */
class IgnoredFields {
  readonly #counts = new Map<string, number>()
  #others = 0

  count(users: readonly User[]): void {
    for (const user of users) {
      for (const name in user) if (!KNOWN_FIELDS.has(name)) this.#add(name)
    }
  }

  #add(name: string): void {
    const before = this.#counts.get(name)
    if (before !== undefined) this.#counts.set(name, before + 1)
    else if (this.#counts.size < MAX_IGNORED_NAMES && PLAIN_NAME.test(name))
      this.#counts.set(name, 1)
    else this.#others += 1
  }

  toRecord(): Record<string, number> {
    const counts = new Map(this.#counts)
    if (this.#others > 0) counts.set(OTHER_NAMES, this.#others)
    return Object.fromEntries(counts)
  }
}

function areUsers(entries: readonly unknown[]): entries is readonly User[] {
  for (const entry of entries) if (!isUser(entry)) return false
  return true
}

function firstProblem(entries: readonly unknown[], firstIndex: number): UsersProblem {
  const wrong = entries.findIndex((entry) => !isUser(entry))
  return payloadProblem(`users[${firstIndex + wrong}]${userProblem(entries[wrong])}`)
}

/**
 * Checks the entries part by part, and reads on where a user is wrong: the first thing to tell is
 * that the array is none, or too long.
 * @param take is given what is in order.
 */
function checkParts(
  parts: Iterable<readonly unknown[]>,
  { maxUsers }: UsersLimits,
  take: (users: readonly User[]) => void
): CheckedUsers | UsersProblem {
  const ignored = new IgnoredFields()
  let count = 0
  let problem: UsersProblem | undefined
  for (const entries of parts) {
    const index = count
    count += entries.length
    if (problem !== undefined || count > maxUsers) continue
    if (areUsers(entries)) {
      ignored.count(entries)
      take(entries)
    } else {
      problem = firstProblem(entries, index)
    }
  }
  if (count === 0) return { kind: 'empty', problem: 'users is empty' }
  if (count > maxUsers) {
    const tooMany = `users has ${count} entries; at most ${maxUsers} are allowed`
    return { kind: 'too_many', problem: tooMany }
  }
  return problem ?? { count, ignoredFields: ignored.toRecord() }
}

/** In the words of the parser, which has to see the whole for that. */
function whyNoArray(bytes: Uint8Array): UsersProblem {
  const parsed = parseJson(new TextDecoder().decode(bytes))
  if ('problem' in parsed) return payloadProblem(`users ${parsed.problem}`)
  return payloadProblem('users must be an array')
}

function checkEach(
  bytes: Uint8Array,
  limits: UsersLimits,
  take: (users: readonly User[]) => void
): CheckedUsers | UsersProblem {
  if (!isUtf8(bytes)) return payloadProblem('users is not valid UTF-8')
  try {
    return checkParts(entriesOf(bytes), limits, take)
  } catch (error) {
    if (error instanceof SyntaxError) return whyNoArray(bytes)
    throw error
  }
}

/**
 * Checks the users of one upload: UTF-8 JSON (a byte order mark is allowed), an array of 1 to
 * `maxUsers` objects whose known fields have the types of the schema. Says what is wrong first.
 */
export function checkUsers(bytes: Uint8Array, limits: UsersLimits): CheckedUsers | UsersProblem {
  return checkEach(bytes, limits, () => undefined)
}

/**
 * Reads the users of one upload a part after the other; for what they have to be see `checkUsers`.
 * @param take gets up to some thousand users at a time. Where something is wrong with the upload, it
 * may have got users before that is known.
 */
export function readUsers(
  bytes: Uint8Array,
  limits: UsersLimits,
  take: (users: UserColumns) => void
): CheckedUsers | UsersProblem {
  return checkEach(bytes, limits, (users) => take(toColumns(users)))
}
