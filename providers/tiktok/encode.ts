import type { MatchForm, Members } from '../../src/audience/members.ts'
import type { EncodedBody, Encoding } from '../provider.ts'
import type { TikTokVariables } from './variables.ts'

/**
 * TikTok's own pages contradict each other on the form of an address: "Email Specific Normalization"
 * of the API notes removes `+tag` and the dots before the `@`, the help page "How to create a custom
 * audience with a customer file" (2025-09) only spaces and case. The newer one is the default.
 */
const EMAIL_FORMS: Readonly<Record<TikTokVariables['emailForm'], readonly MatchForm[]>> = {
  plain: ['email'],
  strip_plus_and_dots: ['emailStripped'],
  both: ['email', 'emailStripped']
}

/**
 * The reference of `segment/mapping` wants E.164 with its `+`, the help page "List of supported IDs"
 * (2025-08) digits alone. The API reference is the default.
 */
const PHONE_FORMS: Readonly<Record<TikTokVariables['phoneForm'], readonly MatchForm[]>> = {
  e164: ['phoneE164'],
  digits: ['phoneDigits'],
  both: ['phoneE164', 'phoneDigits']
}

/** Stands for the audience's id, known only when a body is sent. The rest is hex digits and keys. */
export const AUDIENCE_ID_PLACEHOLDER = '@AUDIENCE_ID@'

/** The columns of a streamed row, in the order of its cells. */
export const ID_SCHEMA = ['EMAIL_SHA256', 'PHONE_SHA256'] as const

/** Between the users of a streamed body: one user a line, so that a body can be halved as text. */
export const USER_SEPARATOR = ',\n'

/** TikTok tells no limit for the API; a partner's documentation says 50 MB a file. */
export const MAX_FILE_BYTES = 50_000_000

type Columns = readonly (readonly string[])[]

/** The users to send: rows of columns that hold each of a user's hashes once. */
interface People {
  readonly rows: readonly number[]
  readonly emails: Columns
  readonly phones: Columns
  readonly leftOut: Readonly<Record<string, number>>
}

/** Rows of the JSON array `batch_data`, without its brackets: `[cell,cell]`, a user a line. */
export function encodeStream(members: Members, variables: TikTokVariables): Encoding {
  const { rows, emails, phones, leftOut } = matchablePeople(members, variables)
  const { batchSize } = variables
  const pieces = rows.flatMap((row) => {
    const own = streamRows(cellsOf(emails, row), cellsOf(phones, row))
    return own.length <= batchSize
      ? [{ text: own.join(','), size: own.length, users: 1 }]
      : own.map((text, index) => ({ text, size: 1, users: index === 0 ? 1 : 0 }))
  })
  return { bodies: pack(pieces, batchSize, toUserLines), leftOut, notes: {} }
}

/**
 * CSV of the type `MULTIPLE_TYPES`: a header row, which may name a column up to three times, then one
 * row a user with as many fields ("Create a Customer File Audience", TikTok API for Business).
 */
export function encodeFiles(members: Members, variables: TikTokVariables): Encoding {
  const { rows, emails, phones, leftOut } = matchablePeople(members, variables)
  const header = [...emails.map(() => 'email_SHA256'), ...phones.map(() => 'phone_SHA256')].join(
    ','
  )
  const columns = [...emails, ...phones]
  const pieces = rows.map((row) => {
    const text = cellsOf(columns, row).join(',')
    return { text, size: text.length + 1, users: 1 }
  })
  const toCsv = (texts: readonly string[]) => [header, ...texts].join('\n')
  return { bodies: pack(pieces, MAX_FILE_BYTES - header.length, toCsv), leftOut, notes: {} }
}

/** Users with something to match on. Repetitions go: TikTok's minimum is counted in distinct entries. */
function matchablePeople(members: Members, { emailForm, phoneForm }: TikTokVariables): People {
  const emails = distinctColumns(EMAIL_FORMS[emailForm].map((form) => members.hash(form)))
  const phones = distinctColumns(PHONE_FORMS[phoneForm].map((form) => members.hash(form)))
  const rows: number[] = []
  const seen = new Map<string, Set<string>>()
  let unusable = 0
  for (let row = 0; row < members.size; row += 1) {
    const email = cellsOf(emails, row).join('')
    const phone = cellsOf(phones, row).join('')
    if (email === '' && phone === '') {
      unusable += 1
      continue
    }
    const phonesSeen = seen.get(email) ?? new Set()
    if (phonesSeen.has(phone)) continue
    seen.set(email, phonesSeen.add(phone))
    rows.push(row)
  }
  const duplicates = members.size - unusable - rows.length
  return {
    rows,
    emails,
    phones,
    leftOut: {
      ...(unusable > 0 && { no_identifier: unusable }),
      ...(duplicates > 0 && { duplicate: duplicates })
    }
  }
}

/** Empties the cells that say the same as the column before. */
function distinctColumns(columns: Columns): Columns {
  return columns.map((column, index) => {
    const before = columns[index - 1]
    return before === undefined
      ? column
      : column.map((cell, row) => (cell === before[row] ? '' : cell))
  })
}

function cellsOf(columns: Columns, row: number): string[] {
  return columns.map((column) => column[row] ?? '')
}

/**
 * The first row pairs the first forms; a second one carries only those second forms that differ. So
 * every hash is sent exactly once, and no row asks for more to match than another one already does.
 */
function streamRows(emails: readonly string[], phones: readonly string[]): string[] {
  return [0, 1]
    .map((variant) => [emails[variant] ?? '', phones[variant] ?? ''])
    .filter(([email, phone]) => email !== '' || phone !== '')
    .map((cells) => `[${cells.map(streamCell).join(',')}]`)
}

function toUserLines(texts: readonly string[]): string {
  return texts.join(USER_SEPARATOR)
}

function streamCell(id: string): string {
  return id === '' ? '{}' : `{"id":"${id}","audience_ids":["${AUDIENCE_ID_PLACEHOLDER}"]}`
}

interface Piece {
  readonly text: string
  /** In the unit of the limit: rows or bytes. */
  readonly size: number
  readonly users: number
}

/** Fills bodies with pieces in their order, each up to the limit. */
function pack(
  pieces: readonly Piece[],
  limit: number,
  assemble: (texts: readonly string[]) => string
): EncodedBody[] {
  const encoder = new TextEncoder()
  const groups: Piece[][] = []
  let room = 0
  for (const piece of pieces) {
    if (piece.size > room) {
      groups.push([])
      room = limit
    }
    groups.at(-1)?.push(piece)
    room -= piece.size
  }
  return groups.map((group) => ({
    payload: encoder.encode(assemble(group.map(({ text }) => text))),
    users: group.reduce((sum, { users }) => sum + users, 0)
  }))
}
