import type { Members } from '../../src/audience/members.ts'
import type { Purchase } from '../../src/audience/schemas.ts'
import { numberOf } from '../../src/audience/text-map.ts'
import { PackedTexts } from './packed-texts.ts'
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
  readonly emails = new PackedTexts()
  readonly phones = new PackedTexts()
  /** Those that were asked for. */
  readonly texts: Readonly<Partial<Record<ProfileText, PackedTexts>>>
  /** By person, those of one row; absent unless asked for. */
  readonly purchases: Map<number, readonly Purchase[]> | undefined
  readonly #byEmail = new Owners(this.emails)
  readonly #byPhone = new Owners(this.phones)
  readonly #leftOut: Tally
  readonly #notes: Tally

  /** @param fields what is kept beside e-mail addresses and phone numbers. */
  constructor(fields: readonly ProfileField[], leftOut: Tally, notes: Tally) {
    const texts = fields.flatMap((field) => TEXTS_OF_FIELD[field])
    this.texts = Object.fromEntries(texts.map((text) => [text, new PackedTexts()]))
    this.purchases = fields.includes('purchase') ? new Map() : undefined
    this.#leftOut = leftOut
    this.#notes = notes
  }

  get size(): number {
    return this.emails.size
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

      const next = this.size
      const person = email === '' ? next : this.#byEmail.getOrAdd(email, next)
      if (person !== next) leftOut.add('duplicate')
      this.emails.offer(person, email)
      const freePhone = owner === undefined ? phone : ''
      if (this.phones.offer(person, freePhone) && freePhone !== '') {
        this.#byPhone.getOrAdd(freePhone, person)
      }
      joinRow(person, row)

      if (phone === '' && number !== '') notes.add('phone_region_not_supported')
      if (owner !== undefined && owner !== person) notes.add('phone_repeated')
      if (isHashed(row)) notes.add('hashed_value_not_sent')
    }
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
      for (const { column, values } of columns) column.offer(person, values[row] ?? '')
      const bought = purchases?.[row]
      if (bought !== undefined && bought.length > 0 && !kept?.has(person)) kept?.set(person, bought)
    }
  }
}

/** Which person has a text, of those in a column. A `TextMap` would hold the texts themselves. */
class Owners {
  readonly #texts: PackedTexts
  readonly #byNumber = new Map<number, number>()
  /** The few whose text shares its number with another. */
  readonly #others = new Map<string, number>()

  constructor(texts: PackedTexts) {
    this.#texts = texts
  }

  get(text: string): number | undefined {
    return this.#known(text, this.#byNumber.get(numberOf(text)))
  }

  /** The person who has the text already, else this one, who is to get it. */
  getOrAdd(text: string, person: number): number {
    const number = numberOf(text)
    const first = this.#byNumber.get(number)
    const known = this.#known(text, first)
    if (known !== undefined) return known
    if (first === undefined) this.#byNumber.set(number, person)
    else this.#others.set(text, person)
    return person
  }

  #known(text: string, first: number | undefined): number | undefined {
    if (first === undefined || this.#texts.at(first) === text) return first
    return this.#others.get(text)
  }
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
