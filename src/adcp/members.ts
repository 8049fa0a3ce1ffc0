import { Utf8Writer } from '../audience/utf8-writer.ts'
import { refuseCredentials } from './credentials.ts'
import { type Fields, isFields } from './fields.ts'
import { fieldOf, issuesOf, MAX_ISSUES } from './issues.ts'
import type { AdcpIssue } from './protocol.ts'
import { EXTERNAL_ID, Member } from './schemas.ts'
import type { MemberList } from './sync-call.ts'

/**
 * Members of a call (`core/audience-member.json`), a hundred thousand of them: checked by hand, and
 * written at once in the form of an upload's users. A test holds the check and the schema together.
 */

/** Who is removed by a call: whoever has one of these. */
export interface Removed {
  readonly ids: Set<string>
  readonly emails: Set<string>
  readonly phones: Set<string>
}

export interface ReadMembers {
  readonly list: MemberList
  /** Where the first `uids` stand, as `field` of an error has it. */
  readonly uids: string | undefined
}

export interface ReadMembersOptions {
  /** Where the list stands in the arguments (RFC 6901). */
  readonly pointer: string
  /** Gets what is wrong. */
  readonly issues: AdcpIssue[]
  /** Gets who is on the list. */
  readonly collect?: Removed | undefined
  /** These are left out. */
  readonly without?: Removed | undefined
}

/** Most ids: nothing else has to be looked at. */
const PLAIN_ID = /^[!-~]{1,255}$/
const KNOWN: ReadonlySet<string> = new Set(['external_id', 'hashed_email', 'hashed_phone'])

const isId = (value: unknown): value is string =>
  typeof value === 'string' && (PLAIN_ID.test(value) || EXTERNAL_ID.test(value))
const isHash = (value: unknown): value is string | undefined =>
  value === undefined || (typeof value === 'string' && value.length === HASH_LENGTH && isHex(value))

const HASH_LENGTH = 64
/** By code unit; a table takes half the time of a regular expression. */
const HEX = new Uint8Array(128)
for (const digit of '0123456789abcdef') HEX[digit.charCodeAt(0)] = 1

function isHex(text: string): boolean {
  let found = 1
  for (let index = 0; index < text.length; index += 1) {
    found &= HEX[text.charCodeAt(index)] ?? 0
  }
  return found === 1
}

/** @param pointer where the member stands. */
export function memberIssues(member: unknown, pointer: string): AdcpIssue[] {
  const issues = issuesOf(Member, member, pointer)
  if (issues.length > 0 || !isFields(member)) return issues
  const { hashed_email: email, hashed_phone: phone, uids } = member
  if (email !== undefined || phone !== undefined || uids !== undefined) return []
  return [{ pointer, message: 'must have hashed_email or hashed_phone', keyword: 'anyOf' }]
}

/** Whether there is more than those fields that nearly all members have alone. */
export function hasMore(member: Fields): boolean {
  for (const name in member) if (!KNOWN.has(name)) return true
  return false
}

export const noRemoved = (): Removed => ({ ids: new Set(), emails: new Set(), phones: new Set() })

/**
 * Reads one list of members, as far as `MAX_ISSUES` allows.
 * @throws AdcpError for a credential in it.
 */
export function readMembers(list: readonly unknown[], options: ReadMembersOptions): ReadMembers {
  const { pointer, issues, collect, without } = options
  const users = new Utf8Writer()
  let count = 0
  let emails = 0
  let phones = 0
  let uids: string | undefined
  for (let index = 0; index < list.length && issues.length < MAX_ISSUES; index += 1) {
    const member = list[index]
    if (!isFields(member)) {
      issues.push(...memberIssues(member, `${pointer}/${index}`))
      continue
    }
    const { external_id: id, hashed_email: email, hashed_phone: phone } = member
    const isPlain = isId(id) && isHash(email) && isHash(phone) && !hasMore(member)
    if (!isPlain || (email === undefined && phone === undefined)) {
      const at = `${pointer}/${index}`
      refuseCredentials(member, fieldOf(at))
      const found = memberIssues(member, at)
      issues.push(...found)
      if (found.length === 0 && member['uids'] !== undefined) uids ??= `${fieldOf(at)}.uids`
    }
    if (!isId(id) || !isHash(email) || !isHash(phone)) continue

    if (collect !== undefined) {
      collect.ids.add(id)
      if (email !== undefined) collect.emails.add(email)
      if (phone !== undefined) collect.phones.add(phone)
    }
    if (without !== undefined && isAmong(without, id, email, phone)) continue
    let user = `${count === 0 ? '[' : ','}{"edgeTagId":${JSON.stringify(id)}`
    if (email !== undefined) {
      user += `,"email":"${email}"`
      emails += 1
    }
    if (phone !== undefined) {
      user += `,"phone":"${phone}"`
      phones += 1
    }
    users.write(`${user}}`)
    count += 1
  }
  users.write(count === 0 ? '[]' : ']')
  return { list: { count, users: users.take(), emails, phones }, uids }
}

function isAmong(
  { ids, emails, phones }: Removed,
  id: string,
  email: string | undefined,
  phone: string | undefined
): boolean {
  return (
    ids.has(id) ||
    (email !== undefined && emails.has(email)) ||
    (phone !== undefined && phones.has(phone))
  )
}
