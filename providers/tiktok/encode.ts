import type { MatchForm, Members } from '../../src/audience/members.ts'
import { TextMap } from '../../src/audience/text-map.ts'
import type { Audience, EncodedBody, Encoder, HashedIdentifier } from '../provider.ts'
import { Utf8Writer } from '../../src/audience/utf8-writer.ts'
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

/** The forms of which others have hashes. */
const PLAIN_FORMS = { email: 'email', phone: 'phoneE164' } as const

/** A hash serves only where its form is sent. */
export function hashedIdentifiers({
  emailForm,
  phoneForm
}: TikTokVariables): readonly HashedIdentifier[] {
  return [
    ...(EMAIL_FORMS[emailForm].includes(PLAIN_FORMS.email) ? (['email'] as const) : []),
    ...(PHONE_FORMS[phoneForm].includes(PLAIN_FORMS.phone) ? (['phone'] as const) : [])
  ]
}

/** The columns of a streamed row, in the order of its cells. */
export const ID_SCHEMA = ['EMAIL_SHA256', 'PHONE_SHA256'] as const

/** Between the users of a streamed body: one user a line, so that a body can be halved as text. */
export const USER_SEPARATOR = ',\n'

/** TikTok tells no limit for the API; a partner's documentation says 50 MB a file. */
export const MAX_FILE_BYTES = 50_000_000

/** A column for each form of an identifier, the most important form first. */
type Forms = readonly (readonly string[])[]

const ENCODERS: Readonly<
  Record<TikTokVariables['route'], (variables: TikTokVariables) => Encoder>
> = { stream: streamEncoder, file: fileEncoder }

/** Who is removed is named by every hash that adding them would have sent. */
export function encoder(_audience: Audience, variables: TikTokVariables): Encoder {
  return ENCODERS[variables.route](variables)
}

/**
 * Rows of the JSON array `batch_data`, without its brackets: `[cell,cell]`, a user a line. A cell has only
 * the hash; `inAudience` completes it.
 */
function streamEncoder(variables: TikTokVariables): Encoder {
  const { batchSize } = variables
  const bodies = new Bodies({ limit: batchSize, separator: USER_SEPARATOR })
  return encoderOf(variables, bodies, (emails, phones, row) => {
    // The first row pairs the first forms; a second one carries only those second forms that differ.
    // So every hash is sent exactly once, and no row asks for more to match than another already does.
    const first = streamRow(idOf(emails, 0, row), idOf(phones, 0, row))
    const second = streamRow(idOf(emails, 1, row), idOf(phones, 1, row))
    if (first === '' || second === '') {
      bodies.add(first + second, 1, 1)
    } else if (batchSize > 1) {
      bodies.add(`${first},${second}`, 2, 1)
    } else {
      bodies.add(first, 1, 1)
      bodies.add(second, 1, 0)
    }
  })
}

/**
 * CSV of the type `MULTIPLE_TYPES`: a header row, which may name a column up to three times, then one
 * row a user with as many fields ("Create a Customer File Audience", TikTok API for Business).
 */
function fileEncoder(variables: TikTokVariables): Encoder {
  const header = [
    ...EMAIL_FORMS[variables.emailForm].map(() => 'email_SHA256'),
    ...PHONE_FORMS[variables.phoneForm].map(() => 'phone_SHA256')
  ].join(',')
  const limit = MAX_FILE_BYTES - header.length
  const bodies = new Bodies({ limit, head: `${header}\n`, separator: '\n' })
  return encoderOf(variables, bodies, (emails, phones, row) => {
    const text = `${fileCells(emails, row)},${fileCells(phones, row)}`
    // Hex digits and commas, a byte each, and a line break.
    bodies.add(text, text.length + 1, 1)
  })
}

/**
 * Has users written who have something to match on. Repetitions are left out: TikTok's minimum is counted
 * in distinct entries.
 */
function encoderOf(
  variables: TikTokVariables,
  bodies: Bodies,
  write: (emails: Forms, phones: Forms, row: number) => void
): Encoder {
  const emailForms = EMAIL_FORMS[variables.emailForm]
  const phoneForms = PHONE_FORMS[variables.phoneForm]
  const lostHashes = new LostHashes(variables)
  const known = new TextMap()
  let users = 0
  let unusable = 0
  let duplicates = 0
  return {
    add(members) {
      const emails = emailForms.map((form) => members.hash(form))
      const phones = phoneForms.map((form) => members.hash(form))
      const ids = [...emails, ...phones]
      for (let row = 0; row < members.size; row += 1) {
        const text = idsOf(ids, row)
        if (text === NO_IDS) {
          unusable += 1
        } else if (known.getOrAdd(text, users) === users) {
          users += 1
          write(emails, phones, row)
        } else {
          duplicates += 1
        }
      }
      lostHashes.add(members, emails, phones)
    },
    end: () => ({
      bodies: bodies.close(),
      leftOut: counted({
        no_identifier: unusable - lostHashes.only,
        duplicate: duplicates,
        hashed_only: lostHashes.only
      }),
      notes: counted({
        hashed_email_not_supported: lostHashes.emails,
        hashed_phone_not_supported: lostHashes.phones
      })
    })
  }
}

const NO_IDS = ''

/** Counts values that came as hashes and that the tag's settings want in forms that hashes do not lead to. */
class LostHashes {
  readonly #taken: readonly HashedIdentifier[]
  /** Users who are sent without their address. */
  emails = 0
  /** Users who are sent without their number. */
  phones = 0
  /** Users who have nothing else. */
  only = 0

  constructor(variables: TikTokVariables) {
    this.#taken = hashedIdentifiers(variables)
  }

  add(members: Members, emails: Forms, phones: Forms): void {
    const isEmailLost = this.#lostTest(members, 'email', emails)
    const isPhoneLost = this.#lostTest(members, 'phone', phones)
    if (isEmailLost === undefined && isPhoneLost === undefined) return
    for (let row = 0; row < members.size; row += 1) {
      const hasLostEmail = isEmailLost?.(row) === true
      const hasLostPhone = isPhoneLost?.(row) === true
      if (!hasLostEmail && !hasLostPhone) continue
      if (idsOf(emails, row) === NO_IDS && idsOf(phones, row) === NO_IDS) {
        this.only += 1
        continue
      }
      if (hasLostEmail) this.emails += 1
      if (hasLostPhone) this.phones += 1
    }
  }

  /** `undefined` where none is lost. */
  #lostTest(members: Members, field: HashedIdentifier, forms: Forms) {
    if (this.#taken.includes(field)) return undefined
    const given = members.given(field)
    const isCandidate = (row: number) => given[row] === 'hash' && idsOf(forms, row) === NO_IDS
    // Only then the plain form is worth its making.
    if (!given.some((_how, row) => isCandidate(row))) return undefined
    const hashes = members.hash(PLAIN_FORMS[field])
    return (row: number) => isCandidate(row) && hashes[row] !== ''
  }
}

/** Without what did not occur. */
function counted(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0))
}

/** All hashes of a user as one text. */
function idsOf(columns: Forms, row: number): string {
  let ids = ''
  let commas = ''
  for (const column of columns) {
    const id = column[row] ?? ''
    if (id !== '') ids += commas + id
    commas += ','
  }
  return ids
}

/** A user's hash in one form; `''` where there is none or it is that of the form before. */
function idOf(forms: Forms, form: number, row: number): string {
  const id = forms[form]?.[row] ?? ''
  return form > 0 && id === forms[form - 1]?.[row] ? '' : id
}

function streamRow(email: string, phone: string): string {
  return email === '' && phone === '' ? '' : `[${streamCell(email)},${streamCell(phone)}]`
}

function streamCell(id: string): string {
  return id === '' ? '{}' : `{"id":"${id}"}`
}

/**
 * Rows with the audience, known only when a body is sent, in each cell that has a hash: it would make
 * bodies half as large again for as long as they are kept.
 */
export function inAudience(rows: string, audienceId: string): string {
  const end = `","audience_ids":[${JSON.stringify(audienceId)}]}`
  return rows.replaceAll('"}', () => end)
}

function fileCells(forms: Forms, row: number): string {
  const first = idOf(forms, 0, row)
  return forms.length === 1 ? first : `${first},${idOf(forms, 1, row)}`
}

interface BodyForm {
  /** In rows or in bytes. */
  readonly limit: number
  /** Begins each body. */
  readonly head?: string
  readonly separator: string
}

/** Fills bodies with texts in their order, each up to the limit. */
class Bodies {
  readonly #form: BodyForm
  readonly #bodies: EncodedBody[] = []
  readonly #writer = new Utf8Writer()
  #isOpen = false
  #size = 0
  #users = 0

  constructor(form: BodyForm) {
    this.#form = form
  }

  /** @param size in the unit of the limit. */
  add(text: string, size: number, users: number): void {
    const { limit, head = '', separator } = this.#form
    if (this.#size + size > limit) this.close()
    this.#writer.write(this.#isOpen ? separator + text : head + text)
    this.#isOpen = true
    this.#size += size
    this.#users += users
  }

  /** All bodies, the one that was open included. */
  close(): readonly EncodedBody[] {
    if (this.#isOpen) this.#bodies.push({ payload: this.#writer.take(), users: this.#users })
    this.#isOpen = false
    this.#size = 0
    this.#users = 0
    return this.#bodies
  }
}
