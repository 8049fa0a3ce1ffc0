import type { Members } from '../../src/audience/members.ts'
import type { Purchase } from '../../src/audience/schemas.ts'
import { TextMap } from '../../src/audience/text-map.ts'
import type { Audience, EncodedBody, Encoding } from '../provider.ts'
import { Utf8Writer } from '../utf8-writer.ts'
import type { KlaviyoVariables, ProfileField } from './variables.ts'

/** Bulk import jobs: at most 10,000 profiles, 5 MB, 100 KB a profile (API reference, Bulk Import Profiles). */
export const MAX_PROFILES = 10_000
/** Klaviyo does not say whether its MB is decimal; the smaller reading always holds. */
export const MAX_BODY_BYTES = 4_999_999
export const MAX_PROFILE_BYTES = 100_000
const MAX_EXTERNAL_ID_LENGTH = 255

/**
 * Regions whose numbers Klaviyo is given. Decided by region and not by calling code: Jamaica shares
 * +1 and the Isle of Man +44, and neither is served.
 */
const PHONE_REGIONS: ReadonlySet<string> = new Set(['US', 'CA', 'GB', 'IE', 'AU', 'NZ'])

/**
 * All rows of one e-mail address, or the one row of a phone number without an address, are one person,
 * who is known by the first of them.
 */
interface People {
  /** In their order. */
  readonly firstRows: readonly number[]
  /** By row: the next one of the same person, 0 after the last. */
  readonly nextRows: Uint32Array
  /** By first row. */
  readonly phones: readonly string[]
}

class Tally {
  readonly counts: Record<string, number> = {}
  add(reason: string): void {
    this.counts[reason] = (this.counts[reason] ?? 0) + 1
  }
}

/** The bytes around the profiles of a bulk import job that puts them on a list. */
export function importJobBody(
  profiles: Uint8Array<ArrayBuffer>,
  listId: string
): Uint8Array<ArrayBuffer> {
  const head = '{"data":{"type":"profile-bulk-import-job","attributes":{"profiles":{"data":'
  const middle = '}},"relationships":{"lists":{"data":[{"type":"list","id":'
  const tail = `${middle}${JSON.stringify(listId)}}]}}}}`
  return Buffer.concat([Buffer.from(head), profiles, Buffer.from(tail)])
}

/** List ids have six characters today. */
const LONGEST_LIST_ID = 'x'.repeat(64)
const MAX_PAYLOAD_BYTES =
  MAX_BODY_BYTES - importJobBody(new Uint8Array(0), LONGEST_LIST_ID).byteLength

/** Bodies hold the JSON array of profiles; `importJobBody` completes them with the list. */
export function encode(
  members: Members,
  _audience: Audience,
  { profileFields }: KlaviyoVariables
): Encoding {
  const leftOut = new Tally()
  const notes = new Tally()
  const people = gatherPeople(members, leftOut, notes)
  const toProfile = profileWriter(members, people, new Set(profileFields), notes)
  const bodies = new Bodies()
  for (const row of people.firstRows) {
    const profile = toProfile(row)
    if (isTooLarge(profile)) leftOut.add('profile_too_large')
    else bodies.add(profile)
  }
  return { bodies: bodies.close(), leftOut: leftOut.counts, notes: notes.counts }
}

/**
 * One person for each e-mail address, in the order of their first rows. Klaviyo does not say what two
 * profiles with one identifier in a job do, so an address and a number each occur once: a later row
 * of an address joins the first, a number stays with the first who has it.
 */
function gatherPeople(members: Members, leftOut: Tally, notes: Tally): People {
  const emails = members.text('email')
  const numbers = members.text('phoneE164')
  const regions = members.phoneRegions()
  const isHashed = hashedRows(members)
  const firstRows: number[] = []
  const nextRows = new Uint32Array(members.size)
  const lastRows = new Uint32Array(members.size)
  const phones = Array.from({ length: members.size }, () => '')
  const byEmail = new TextMap()
  const byPhone = new TextMap()

  for (let row = 0; row < members.size; row += 1) {
    const email = emails[row] ?? ''
    const number = numbers[row] ?? ''
    const phone = PHONE_REGIONS.has(regions[row] ?? '') ? number : ''
    const owner = phone === '' ? undefined : byPhone.get(phone)
    if (email === '' && (phone === '' || owner !== undefined)) {
      leftOut.add(owner === undefined ? whyUnidentified(number, isHashed(row)) : 'duplicate')
      continue
    }

    const person = email === '' ? row : byEmail.getOrAdd(email, row)
    if (person === row) {
      firstRows.push(row)
    } else {
      nextRows[lastRows[person] ?? person] = row
      leftOut.add('duplicate')
    }
    lastRows[person] = row

    if (phone === '' && number !== '') notes.add('phone_region_not_supported')
    if (phone !== '' && owner === undefined && phones[person] === '') {
      phones[person] = phone
      byPhone.getOrAdd(phone, person)
    }
    if (owner !== undefined && owner !== person) notes.add('phone_repeated')
    if (isHashed(row)) notes.add('hashed_value_not_sent')
  }
  return { firstRows, nextRows, phones }
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

/**
 * Makes a person's profile, as JSON; of a column the first row with a value counts. Nothing is sent
 * of what is `undefined`: a bulk import does not read `null`, and `''` is no value.
 */
function profileWriter(
  members: Members,
  { nextRows, phones }: People,
  fields: ReadonlySet<ProfileField>,
  notes: Tally
): (person: number) => string {
  const column = (field: ProfileField, read: () => readonly string[]) =>
    fields.has(field) ? read() : undefined
  const emails = members.text('email')
  const firstNames = column('names', () => members.plainNames('firstName'))
  const lastNames = column('names', () => members.plainNames('lastName'))
  const countries = column('location', () => members.countries())
  const postalCodes = column('location', () => members.plainPostalCodes())
  const edgeTagIds = column('edgeTagId', () => members.externalIds())
  const externalIds = column('externalId', () => members.externalIds())
  const purchases = fields.has('purchase') ? members.purchases() : undefined
  const takenExternalIds = new Set<string>()

  /** A text or list that is not empty. */
  function firstOf<T extends { readonly length: number }>(
    values: readonly T[] | undefined,
    person: number
  ): T | undefined {
    if (values === undefined) return undefined
    let row = person
    do {
      const value = values[row]
      if (value !== undefined && value.length > 0) return value
      row = nextRows[row] ?? 0
    } while (row !== 0)
    return undefined
  }

  /** Identifies a profile at Klaviyo as an e-mail address does, so it too must occur once. */
  function externalIdOf(person: number): string | undefined {
    const id = firstOf(externalIds, person)
    if (id === undefined) return undefined
    if (id.length > MAX_EXTERNAL_ID_LENGTH) {
      notes.add('external_id_too_long')
      return undefined
    }
    if (takenExternalIds.has(id)) {
      notes.add('external_id_repeated')
      return undefined
    }
    takenExternalIds.add(id)
    return id
  }

  function locationOf(person: number) {
    const country = firstOf(countries, person)
    const zip = firstOf(postalCodes, person)
    return country === undefined && zip === undefined ? undefined : { country, zip }
  }

  return (person) =>
    JSON.stringify({
      type: 'profile',
      attributes: {
        email: emails[person] || undefined,
        phone_number: phones[person] || undefined,
        external_id: externalIdOf(person),
        first_name: firstOf(firstNames, person),
        last_name: firstOf(lastNames, person),
        location: locationOf(person),
        properties: propertiesOf(firstOf(edgeTagIds, person), firstOf(purchases, person), notes)
      }
    })
}

/** `undefined` where there are none. */
function propertiesOf(
  edgeTagId: string | undefined,
  purchases: readonly Purchase[] | undefined,
  notes: Tally
) {
  const bought = purchases && purchaseProperties(purchases, notes)
  if (edgeTagId === undefined && bought === undefined) return undefined
  return { blotout_edge_tag_id: edgeTagId, ...bought }
}

/**
 * Sums of one currency, the first that is named; purchases in another are not added to it, those
 * without a currency are.
 */
function purchaseProperties(purchases: readonly Purchase[], notes: Tally) {
  const currency = purchases.map(currencyOf).find((code) => code !== '')
  let profit: number | undefined
  let total7Days: number | undefined
  let isAnotherNamed = false
  for (const purchase of purchases) {
    const own = currencyOf(purchase)
    if (own === '' || own === currency) {
      profit = plus(profit, purchase.profit)
      total7Days = plus(total7Days, purchase.total7Days)
    } else {
      isAnotherNamed = true
    }
  }
  if (isAnotherNamed) notes.add('purchase_in_other_currency')
  if (currency === undefined && profit === undefined && total7Days === undefined) return undefined
  return {
    blotout_purchase_currency: currency,
    blotout_purchase_profit: rounded(profit),
    blotout_purchase_total_7_days: rounded(total7Days)
  }
}

function currencyOf({ currency }: Purchase): string {
  return (currency ?? '').trim().toUpperCase()
}

/** `undefined` stands for no amount at all. */
function plus(sum: number | undefined, amount: number | null | undefined): number | undefined {
  return amount == null ? sum : (sum ?? 0) + amount
}

/** Without the noise of binary fractions (0.1 + 0.2). */
function rounded(sum: number | undefined): number | undefined {
  return sum === undefined ? undefined : Number(sum.toFixed(6))
}

function isTooLarge(profile: string): boolean {
  // A UTF-16 unit has at most three bytes in UTF-8: most profiles need no counting.
  return profile.length > MAX_PROFILE_BYTES / 3 && Buffer.byteLength(profile) > MAX_PROFILE_BYTES
}

/** Fills bodies with profiles, each closed before the one that would break a limit. */
class Bodies {
  readonly #bodies: EncodedBody[] = []
  readonly #writer = new Utf8Writer()
  #users = 0

  /** @param profile as JSON. */
  add(profile: string): void {
    // Two bytes are the bracket or comma before it and the closing bracket.
    const hasRoom = this.#writer.hasRoomFor(profile, MAX_PAYLOAD_BYTES - 2)
    if (!hasRoom || this.#users === MAX_PROFILES) this.close()
    this.#writer.write((this.#users === 0 ? '[' : ',') + profile)
    this.#users += 1
  }

  /** All bodies, the one that was open included. */
  close(): readonly EncodedBody[] {
    if (this.#users > 0) {
      this.#writer.write(']')
      this.#bodies.push({ payload: this.#writer.take(), users: this.#users })
    }
    this.#users = 0
    return this.#bodies
  }
}
