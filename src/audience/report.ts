import { isUsableId } from './external-id.ts'
import { givenHash } from './hash.ts'
import { mask } from './mask.ts'
import type { MatchField, MatchForm, Members } from './members.ts'
import { type Reason, whyUnusable } from './reasons.ts'
import { TextMap } from './text-map.ts'

/** Values that cannot be used for one reason. */
export interface Unusable {
  readonly users: number
  /** The first of them, counted from 0. */
  readonly rows: readonly number[]
  /** Masked; only where they were asked for. */
  readonly examples?: readonly string[]
}

export interface FieldCount {
  /** Users with any value in this field. */
  readonly given: number
  /** Of those: values that platforms can match on, hashes among them. */
  readonly usable: number
  /** Of the usable ones: values that trimmed and in lower case alone would have matched nobody. */
  readonly repaired: number
  readonly unusable: number
  /** Values that came as a SHA-256. */
  readonly hashed: number
  readonly why: Readonly<Partial<Record<Reason, Unusable>>>
}

/**
 * How good the data of one upload is; counts and rows, no value. What was added since the first version
 * stands beside what it had, so that either reads what the other stored.
 */
export interface UploadReport extends Readonly<Record<MatchField, FieldCount>> {
  /** Users by what of them can be used, see `combinationOf`. */
  readonly combinations: Readonly<Record<string, number>>
  /** Users whose e-mail address and phone number are together those of a user before them; only with examples. */
  readonly duplicates?: number
}

/** A report as the store has it: older versions knew less. */
export type FieldReport = Readonly<Record<MatchField, StoredCount>> &
  Partial<Pick<UploadReport, 'combinations' | 'duplicates'>>

type StoredCount = Omit<FieldCount, 'repaired' | 'why'> &
  Partial<Pick<FieldCount, 'repaired' | 'why'>>

/** The fields, and the form that shows whether a value can be used. */
const FORMS: Readonly<Record<MatchField, MatchForm>> = {
  email: 'email',
  phone: 'phoneE164',
  firstName: 'firstName',
  lastName: 'lastName',
  country: 'country',
  postalCode: 'postalCodeFull'
}

/** What may be usable of a user, each the bit of its place. */
const PARTS = [
  'email',
  'phone',
  'firstName',
  'lastName',
  'country',
  'postalCode',
  'edgeTagId',
  'hashedEmail',
  'hashedPhone'
] as const
type Part = (typeof PARTS)[number]

/** As clear text; a hash of any other field counts as the field. */
const bitOf = (part: Part) => 1 << PARTS.indexOf(part)
const EDGE_TAG_ID = bitOf('edgeTagId')
const HASHED_PARTS: Readonly<Partial<Record<MatchField, Part>>> = {
  email: 'hashedEmail',
  phone: 'hashedPhone'
}

const SEPARATOR = '+'

/** Names of what is usable, `email+firstName`; `''` for nothing. */
function combinationOf(bits: number): string {
  return PARTS.filter((part) => bits & bitOf(part)).join(SEPARATOR)
}

/** The parts of a combination. */
export function partsOf(combination: string): readonly string[] {
  return combination === '' ? [] : combination.split(SEPARATOR)
}

/** Rows that are kept for each reason. */
const MAX_ROWS = 10

class UnusableValues {
  users = 0
  readonly rows: number[] = []
  readonly examples: string[] = []

  /** @param maxExamples different ones at most. */
  add(row: number, field: MatchField, value: string, maxExamples: number): void {
    this.users += 1
    if (this.rows.length < MAX_ROWS) this.rows.push(row)
    if (this.examples.length >= maxExamples) return
    const example = mask(field, value)
    if (!this.examples.includes(example)) this.examples.push(example)
  }

  toUnusable(): Unusable {
    const { users, rows, examples } = this
    return examples.length === 0 ? { users, rows } : { users, rows, examples }
  }
}

class FieldCounter {
  readonly #field: MatchField
  readonly #textBit: number
  readonly #hashBit: number
  readonly #maxExamples: number
  #given = 0
  #usable = 0
  #repaired = 0
  #hashed = 0
  readonly #why = new Map<Reason, UnusableValues>()

  constructor(field: MatchField, maxExamples: number) {
    this.#field = field
    this.#textBit = bitOf(field)
    this.#hashBit = bitOf(HASHED_PARTS[field] ?? field)
    this.#maxExamples = maxExamples
  }

  /**
   * @param firstRow of these users within the upload.
   * @param parts gets the field's bit for each user of whom it is usable.
   */
  add(members: Members, firstRow: number, parts: Int32Array): void {
    const field = this.#field
    const ways = members.given(field)
    const texts = members.text(FORMS[field])
    const repairs = members.repaired(field)
    // Of those that have no text only a hash can be used; most uploads have none.
    const hashes = ways.includes('hash') ? members.hash(FORMS[field]) : texts
    const [textBit, hashBit] = [this.#textBit, this.#hashBit]
    let given = 0
    let usable = 0
    let repaired = 0
    let hashed = 0
    for (let row = 0; row < ways.length; row += 1) {
      const way = ways[row]
      const hasText = texts[row] !== ''
      // The default country serves as well as the user's own.
      if (hasText) parts[row] = (parts[row] ?? 0) | textBit
      if (way === '') continue
      given += 1
      if (way === 'hash') hashed += 1
      if (hasText) {
        usable += 1
        repaired += repairs[row] ?? 0
      } else if (hashes[row] !== '') {
        usable += 1
        parts[row] = (parts[row] ?? 0) | hashBit
      } else {
        this.#addUnusable(members, row, firstRow)
      }
    }
    this.#given += given
    this.#usable += usable
    this.#repaired += repaired
    this.#hashed += hashed
  }

  #addUnusable(members: Members, row: number, firstRow: number): void {
    const value = members.written(this.#field)[row] ?? ''
    const reason = whyUnusable(this.#field, value, {
      country: members.countries()[row] ?? '',
      given: members.given('country')[row] ?? ''
    })
    let values = this.#why.get(reason)
    if (values === undefined) this.#why.set(reason, (values = new UnusableValues()))
    values.add(firstRow + row, this.#field, value, this.#maxExamples)
  }

  toCount(): FieldCount {
    const [given, usable] = [this.#given, this.#usable]
    const why = [...this.#why].map(([reason, values]) => [reason, values.toUnusable()] as const)
    return {
      given,
      usable,
      repaired: this.#repaired,
      unusable: given - usable,
      hashed: this.#hashed,
      why: Object.fromEntries(why)
    }
  }
}

/** Counts users whose usable e-mail address and phone number are together those of a user before them. */
class RepeatedUsers {
  readonly #known = new TextMap()
  #size = 0
  count = 0

  add(members: Members): void {
    const emails = usableOf(members, 'email')
    const phones = usableOf(members, 'phone')
    for (let row = 0; row < emails.length; row += 1) {
      const email = emails[row] ?? ''
      const phone = phones[row] ?? ''
      if (email === '' && phone === '') continue
      // No phone number has a space.
      if (this.#known.getOrAdd(`${phone} ${email}`, this.#size) < this.#size) this.count += 1
      else this.#size += 1
    }
  }
}

/** What can be used of each user: the text, else the hash that was given. */
function usableOf(members: Members, field: 'email' | 'phone'): readonly string[] {
  const texts = members.text(FORMS[field])
  if (!members.given(field).includes('hash')) return texts
  const written = members.written(field)
  return texts.map((text, row) => text || givenHash(written[row] ?? ''))
}

/**
 * Counts, field by field, what the caller gave and what of it can be used.
 * @param maxExamples masked values that are shown for each reason: none of what is stored.
 */
export function createFieldReport(maxExamples = 0) {
  const email = new FieldCounter('email', maxExamples)
  const phone = new FieldCounter('phone', maxExamples)
  const firstName = new FieldCounter('firstName', maxExamples)
  const lastName = new FieldCounter('lastName', maxExamples)
  const country = new FieldCounter('country', maxExamples)
  const postalCode = new FieldCounter('postalCode', maxExamples)
  const counters = [email, phone, firstName, lastName, country, postalCode]
  /** Users by the bits of what is usable of them. */
  const users = new Int32Array(1 << PARTS.length)
  // It costs some percent of preparing an upload: only who looks before sending is told.
  const repeated = maxExamples > 0 ? new RepeatedUsers() : undefined
  let firstRow = 0
  return {
    add(members: Members): void {
      const { size } = members
      const parts = new Int32Array(size)
      for (const counter of counters) counter.add(members, firstRow, parts)
      repeated?.add(members)
      const ids = members.written('edgeTagId')
      for (let row = 0; row < size; row += 1) {
        const bits = (parts[row] ?? 0) | (isUsableId(ids[row] ?? '') ? EDGE_TAG_ID : 0)
        users[bits] = (users[bits] ?? 0) + 1
      }
      firstRow += size
    },
    end(): UploadReport {
      const combinations: Record<string, number> = {}
      for (const [bits, count] of users.entries()) {
        if (count > 0) combinations[combinationOf(bits)] = count
      }
      return {
        email: email.toCount(),
        phone: phone.toCount(),
        firstName: firstName.toCount(),
        lastName: lastName.toCount(),
        country: country.toCount(),
        postalCode: postalCode.toCount(),
        combinations,
        ...(repeated !== undefined && { duplicates: repeated.count })
      }
    }
  }
}
