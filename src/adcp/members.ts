import { Utf8Writer } from '../audience/utf8-writer.ts'
import { refuseCredentials } from './credentials.ts'
import { type Fields, isFields } from './fields.ts'
import { fieldOf, issuesOf, MAX_ISSUES } from './issues.ts'
import type { AdcpIssue } from './protocol.ts'
import { EXTERNAL_ID, Member } from './schemas.ts'
import { isWithin } from './size.ts'
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

const isId = (value: unknown): boolean =>
  typeof value === 'string' && (PLAIN_ID.test(value) || EXTERNAL_ID.test(value))
const isHash = (value: unknown): boolean =>
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

/** What a member may have in all: schema and canonical form look at each value of it. */
const LIMITS = { characters: 16 * 1024, levels: 64 }

export const noRemoved = (): Removed => ({ ids: new Set(), emails: new Set(), phones: new Set() })

/** Whether it is a member beyond doubt. */
function isMember(value: unknown): value is Member {
  if (!isFields(value)) return false
  const { external_id: id, hashed_email: email, hashed_phone: phone, uids, ext } = value
  const hasHash = email !== undefined || phone !== undefined
  const isOpen = uids === undefined && (ext === undefined || isFields(ext))
  return hasHash && isOpen && isId(id) && isHash(email) && isHash(phone)
}

/** By the schema, which takes longer by far and tells what is wrong. */
function provesMember(value: unknown, pointer: string, issues: AdcpIssue[]): value is Member {
  const found = memberIssues(value, pointer)
  issues.push(...found)
  return found.length === 0
}

/**
 * Reads one list of members, as far as `MAX_ISSUES` allows.
 * @throws AdcpError for a credential in it.
 */
export function readMembers(list: readonly unknown[], options: ReadMembersOptions): ReadMembers {
  const { pointer, issues, collect, without } = options
  const users = new UserWriter()
  let uids: string | undefined
  for (let index = 0; index < list.length && issues.length < MAX_ISSUES; index += 1) {
    const member = list[index]
    if (isFields(member) && hasMore(member)) {
      const at = `${pointer}/${index}`
      if (!isWithin(member, LIMITS)) {
        issues.push({ pointer: at, message: 'is too large', keyword: 'maxLength' })
        continue
      }
      refuseCredentials(member, fieldOf(at))
    }
    if (!isMember(member) && !provesMember(member, `${pointer}/${index}`, issues)) continue
    if (member.uids !== undefined) uids ??= fieldOf(`${pointer}/${index}/uids`)
    if (collect !== undefined) add(collect, member)
    if (without === undefined || !isAmong(without, member)) users.write(member)
  }
  return { list: users.take(), uids }
}

/** Writes members as the users of an upload, and counts what they have. */
class UserWriter {
  readonly #text = new Utf8Writer()
  #count = 0
  #emails = 0
  #phones = 0

  write({ external_id: id, hashed_email: email, hashed_phone: phone }: Member): void {
    let user = `${this.#count === 0 ? '[' : ','}{"edgeTagId":${JSON.stringify(id)}`
    if (email !== undefined) {
      user += `,"email":"${email}"`
      this.#emails += 1
    }
    if (phone !== undefined) {
      user += `,"phone":"${phone}"`
      this.#phones += 1
    }
    this.#text.write(`${user}}`)
    this.#count += 1
  }

  take(): MemberList {
    this.#text.write(this.#count === 0 ? '[]' : ']')
    const users = this.#text.take()
    return { count: this.#count, users, emails: this.#emails, phones: this.#phones }
  }
}

function add({ ids, emails, phones }: Removed, member: Member): void {
  ids.add(member.external_id)
  if (member.hashed_email !== undefined) emails.add(member.hashed_email)
  if (member.hashed_phone !== undefined) phones.add(member.hashed_phone)
}

function isAmong({ ids, emails, phones }: Removed, member: Member): boolean {
  return (
    ids.has(member.external_id) ||
    (member.hashed_email !== undefined && emails.has(member.hashed_email)) ||
    (member.hashed_phone !== undefined && phones.has(member.hashed_phone))
  )
}
