import { Compile } from 'typebox/compile'
import { parseJson } from './json.ts'
import { User } from './schemas.ts'
import { decodeUtf8 } from './text.ts'

export interface ParsedUsers {
  readonly users: User[]
  /** How many users have each field that the service does not know. */
  readonly ignoredFields: Readonly<Record<string, number>>
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

const KNOWN_FIELDS: ReadonlySet<string> = new Set(Object.keys(User.properties))

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  object: 'an object',
  array: 'an array'
}

const validator = Compile(User)

/** `/purchase/0/profit` -> `.purchase[0].profit` */
function toFieldName(instancePath: string): string {
  return instancePath.replace(/\/(\d+)/g, '[$1]').replaceAll('/', '.')
}

function depth(instancePath: string): number {
  return instancePath.split('/').length
}

/** `.email must be a string`: the innermost place at which a user misses the schema. */
function schemaProblem(user: unknown): string {
  const errors = validator
    .Errors(user)
    .filter(({ keyword }) => keyword === 'type')
    .toSorted((a, b) => depth(b.instancePath) - depth(a.instancePath))
  const place = errors[0]?.instancePath ?? ''
  const types = errors
    .filter(({ instancePath }) => instancePath === place)
    .flatMap(({ params }) => ('type' in params ? (TYPE_NAMES[String(params.type)] ?? []) : []))
  return `${toFieldName(place)} must be ${types.join(' or ')}`
}

function countIgnoredFields(users: readonly User[]): Record<string, number> {
  const counts = new Map<string, number>()
  let others = 0
  for (const name of users.flatMap((user) => Object.keys(user))) {
    if (KNOWN_FIELDS.has(name)) continue
    const hasRoom = counts.has(name) || counts.size < MAX_IGNORED_NAMES
    if (hasRoom && PLAIN_NAME.test(name)) counts.set(name, (counts.get(name) ?? 0) + 1)
    else others += 1
  }
  if (others > 0) counts.set(OTHER_NAMES, others)
  return Object.fromEntries(counts)
}

function payloadProblem(problem: string): UsersProblem {
  return { kind: 'payload', problem }
}

/**
 * Reads the users of one upload: UTF-8 JSON (a byte order mark is allowed), an array of 1 to
 * `maxUsers` objects whose known fields have the types of the schema. Says what is wrong first.
 */
export function parseUsers(
  bytes: Uint8Array,
  { maxUsers }: { readonly maxUsers: number }
): ParsedUsers | UsersProblem {
  const text = decodeUtf8(bytes)
  if (text === undefined) return payloadProblem('users is not valid UTF-8')
  const parsed = parseJson(text)
  if ('problem' in parsed) return payloadProblem(`users ${parsed.problem}`)
  if (!Array.isArray(parsed.value)) return payloadProblem('users must be an array')
  const users: unknown[] = parsed.value
  if (users.length === 0) return { kind: 'empty', problem: 'users is empty' }
  if (users.length > maxUsers) {
    return {
      kind: 'too_many',
      problem: `users has ${users.length} entries; at most ${maxUsers} are allowed`
    }
  }
  return checkUsers(users)
}

function checkUsers(values: readonly unknown[]): ParsedUsers | UsersProblem {
  const users: User[] = []
  for (const [index, value] of values.entries()) {
    if (!validator.Check(value)) return payloadProblem(`users[${index}]${schemaProblem(value)}`)
    users.push(value)
  }
  return { users, ignoredFields: countIgnoredFields(users) }
}
