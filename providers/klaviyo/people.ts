import type { Members } from '../../src/audience/members.ts'
import type { Purchase } from '../../src/audience/schemas.ts'
import { TextMap } from '../../src/audience/text-map.ts'
import type { ProfileField } from './variables.ts'

/**
 * Regions whose numbers Klaviyo is given. Decided by region and not by calling code: Jamaica shares
 * +1 and the Isle of Man +44, and neither is served.
 */
const PHONE_REGIONS: ReadonlySet<string> = new Set(['US', 'CA', 'GB', 'IE', 'AU', 'NZ'])

/** Counts by reason. */
export class Tally {
  readonly counts: Record<string, number> = {}
  add(reason: string): void {
    this.counts[reason] = (this.counts[reason] ?? 0) + 1
  }
}

/** The texts of a profile beside its identifiers. */
type ProfileText = 'firstName' | 'lastName' | 'country' | 'postalCode' | 'edgeTagId'

const TEXTS_OF_FIELD: Readonly<Record<ProfileField, readonly ProfileText[]>> = {
  names: ['firstName', 'lastName'],
  location: ['country', 'postalCode'],
  purchase: [],
  edgeTagId: ['edgeTagId'],
  externalId: ['edgeTagId']
}

const READERS: readonly (readonly [ProfileText, (members: Members) => readonly string[]])[] = [
  ['firstName', (members) => members.plainNames('firstName')],
  ['lastName', (members) => members.plainNames('lastName')],
  ['country', (members) => members.countries()],
  ['postalCode', (members) => members.plainPostalCodes()],
  ['edgeTagId', (members) => members.externalIds()]
]

/**
 * The people of an upload, numbered in the order of their first rows. All rows of one e-mail address, or
 * the one row of a phone number without an address, are one person. Klaviyo does not say what two
 * profiles with one identifier in a job do, so an address and a number each occur once: a later row of
 * an address joins the first, a number stays with the first who has it. Of whatever else belongs to a
 * person the first row with a value counts.
 */
export class People {
  readonly emails: string[] = []
  readonly phones: string[] = []
  /** Those that were asked for. */
  readonly texts: Readonly<Partial<Record<ProfileText, string[]>>>
  /** By person, those of one row; absent unless asked for. */
  readonly purchases: Map<number, readonly Purchase[]> | undefined
  #byEmail = new TextMap()
  #byPhone = new TextMap()
  readonly #leftOut: Tally
  readonly #notes: Tally

  /** @param fields what is kept beside e-mail addresses and phone numbers. */
  constructor(fields: readonly ProfileField[], leftOut: Tally, notes: Tally) {
    const texts = fields.flatMap((field) => TEXTS_OF_FIELD[field])
    this.texts = Object.fromEntries(texts.map((text) => [text, []]))
    this.purchases = fields.includes('purchase') ? new Map() : undefined
    this.#leftOut = leftOut
    this.#notes = notes
  }

  get size(): number {
    return this.emails.length
  }

  add(members: Members): void {
    const emails = members.text('email')
    const numbers = members.text('phoneE164')
    const regions = members.phoneRegions()
    const isHashed = hashedRows(members)
    const joinRow = this.#joining(members)
    const leftOut = this.#leftOut
    const notes = this.#notes

    for (let row = 0; row < members.size; row += 1) {
      const email = emails[row] ?? ''
      const number = numbers[row] ?? ''
      const phone = PHONE_REGIONS.has(regions[row] ?? '') ? number : ''
      const owner = phone === '' ? undefined : this.#byPhone.get(phone)
      if (email === '' && (phone === '' || owner !== undefined)) {
        leftOut.add(owner === undefined ? whyUnidentified(number, isHashed(row)) : 'duplicate')
        continue
      }

      const next = this.emails.length
      const person = email === '' ? next : this.#byEmail.getOrAdd(email, next)
      if (person !== next) leftOut.add('duplicate')
      offer(this.emails, person, email)
      const freePhone = owner === undefined ? phone : ''
      offer(this.phones, person, freePhone)
      if (freePhone !== '' && this.phones[person] === freePhone) {
        this.#byPhone.getOrAdd(freePhone, person)
      }
      joinRow(person, row)

      if (phone === '' && number !== '') notes.add('phone_region_not_supported')
      if (owner !== undefined && owner !== person) notes.add('phone_repeated')
      if (isHashed(row)) notes.add('hashed_value_not_sent')
    }
  }

  /** After the last rows: lets go of what only they are looked up in. */
  close(): void {
    this.#byEmail = new TextMap()
    this.#byPhone = new TextMap()
  }

  /** Gives a person what a row has beside its identifiers. */
  #joining(members: Members): (person: number, row: number) => void {
    const { texts, purchases: kept } = this
    const columns = READERS.flatMap(([text, read]) => {
      const column = texts[text]
      return column === undefined ? [] : [{ column, values: read(members) }]
    })
    const purchases = kept && members.purchases()
    return (person, row) => {
      for (const { column, values } of columns) offer(column, person, values[row] ?? '')
      const bought = purchases?.[row]
      if (bought !== undefined && bought.length > 0 && !kept?.has(person)) kept?.set(person, bought)
    }
  }
}

/** Gives a text to a person who has none; persons get their first one in their order. */
function offer(texts: string[], person: number, text: string): void {
  if (person === texts.length) texts.push(text)
  else if (texts[person] === '') texts[person] = text
}

function whyUnidentified(number: string, isHashed: boolean): string {
  if (number !== '') return 'phone_region_not_supported'
  return isHashed ? 'hashed_only' : 'no_identifier'
}

/** Klaviyo takes clear text only, so a value given as a hash is of no use to it. */
function hashedRows(members: Members): (row: number) => boolean {
  const emails = members.given('email')
  const phones = members.given('phone')
  return (row) => emails[row] === 'hash' || phones[row] === 'hash'
}
