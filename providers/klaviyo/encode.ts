import type { Members } from '../../src/audience/members.ts'
import type { Purchase } from '../../src/audience/schemas.ts'
import type { Audience, EncodedBody, Encoding } from '../provider.ts'
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

/** All rows of one e-mail address, or the one row of a phone number without an address. */
interface Person {
  readonly email: string
  phone: string
  readonly rows: number[]
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
  const toAttributes = profileWriter(members, new Set(profileFields), notes)
  const profiles: string[] = []
  for (const person of gatherPeople(members, leftOut, notes)) {
    const profile = JSON.stringify({ type: 'profile', attributes: toAttributes(person) })
    if (Buffer.byteLength(profile) > MAX_PROFILE_BYTES) leftOut.add('profile_too_large')
    else profiles.push(profile)
  }
  return { bodies: toBodies(profiles), leftOut: leftOut.counts, notes: notes.counts }
}

/**
 * One person for each e-mail address, in the order of their first rows. Klaviyo does not say what two
 * profiles with one identifier in a job do, so an address and a number each occur once: a later row
 * of an address joins the first, a number stays with the first who has it.
 */
function gatherPeople(members: Members, leftOut: Tally, notes: Tally): Person[] {
  const emails = members.text('email')
  const phones = members.text('phoneE164')
  const regions = members.phoneRegions()
  const people: Person[] = []
  const byEmail = new Map<string, Person>()
  const byPhone = new Map<string, Person>()

  for (let row = 0; row < members.size; row += 1) {
    const email = emails[row] ?? ''
    const phone = PHONE_REGIONS.has(regions[row] ?? '') ? (phones[row] ?? '') : ''
    const owner = byPhone.get(phone)
    if (email === '' && (phone === '' || owner !== undefined)) {
      leftOut.add(owner === undefined ? whyUnidentified(members, row) : 'duplicate')
      continue
    }

    const known = byEmail.get(email)
    const person = known ?? { email, phone: '', rows: [] }
    person.rows.push(row)
    if (known === undefined) people.push(person)
    else leftOut.add('duplicate')
    if (email !== '') byEmail.set(email, person)

    if (phone === '' && phones[row] !== '') notes.add('phone_region_not_supported')
    if (phone !== '' && owner === undefined && person.phone === '') {
      person.phone = phone
      byPhone.set(phone, person)
    }
    if (owner !== undefined && owner !== person) notes.add('phone_repeated')
    if (isHashed(members, row)) notes.add('hashed_value_not_sent')
  }
  return people
}

function whyUnidentified(members: Members, row: number): string {
  if (members.text('phoneE164')[row] !== '') return 'phone_region_not_supported'
  return isHashed(members, row) ? 'hashed_only' : 'no_identifier'
}

/** Klaviyo takes clear text only, so a value given as a hash is of no use to it. */
function isHashed(members: Members, row: number): boolean {
  return members.given('email')[row] === 'hash' || members.given('phone')[row] === 'hash'
}

/** Writes a person's attributes; of a column the first row with a value counts. */
function profileWriter(members: Members, fields: ReadonlySet<ProfileField>, notes: Tally) {
  const column = (field: ProfileField, read: () => readonly string[]) =>
    fields.has(field) ? read() : []
  const firstNames = column('names', () => members.plainNames('firstName'))
  const lastNames = column('names', () => members.plainNames('lastName'))
  const countries = column('location', () => members.countries())
  const postalCodes = column('location', () => members.plainPostalCodes())
  const edgeTagIds = column('edgeTagId', () => members.externalIds())
  const externalIds = column('externalId', () => members.externalIds())
  const purchases = fields.has('purchase') ? members.purchases() : []
  const takenExternalIds = new Set<string>()

  /** Identifies a profile at Klaviyo as an e-mail address does, so it too must occur once. */
  function externalId(rows: readonly number[]): string {
    const id = firstFilled(externalIds, rows)
    if (id.length > MAX_EXTERNAL_ID_LENGTH) {
      notes.add('external_id_too_long')
      return ''
    }
    if (takenExternalIds.has(id)) {
      notes.add('external_id_repeated')
      return ''
    }
    if (id !== '') takenExternalIds.add(id)
    return id
  }

  return ({ email, phone, rows }: Person) => {
    const edgeTagId = firstFilled(edgeTagIds, rows)
    const bought = rows.map((row) => purchases[row] ?? []).find((list) => list.length > 0) ?? []
    return filled({
      email,
      phone_number: phone,
      external_id: externalId(rows),
      first_name: firstFilled(firstNames, rows),
      last_name: firstFilled(lastNames, rows),
      location: filled({
        country: firstFilled(countries, rows),
        zip: firstFilled(postalCodes, rows)
      }),
      properties: filled({
        blotout_edge_tag_id: edgeTagId,
        ...purchaseProperties(bought, notes)
      })
    })
  }
}

function firstFilled(column: readonly string[], rows: readonly number[]): string {
  for (const row of rows) {
    const value = column[row]
    if (value !== undefined && value !== '') return value
  }
  return ''
}

/**
 * Sums of one currency, the first that is named; purchases in another are not added to it, those
 * without a currency are.
 */
function purchaseProperties(purchases: readonly Purchase[], notes: Tally) {
  const currency = purchases.map(currencyOf).find((code) => code !== '') ?? ''
  const counted = purchases.filter((purchase) => ['', currency].includes(currencyOf(purchase)))
  if (counted.length < purchases.length) notes.add('purchase_in_other_currency')
  return {
    blotout_purchase_currency: currency,
    blotout_purchase_profit: sum(counted.map(({ profit }) => profit)),
    blotout_purchase_total_7_days: sum(counted.map(({ total7Days }) => total7Days))
  }
}

function currencyOf({ currency }: Purchase): string {
  return (currency ?? '').trim().toUpperCase()
}

/** Without the noise of binary fractions (0.1 + 0.2); `''` where there is no amount at all. */
function sum(amounts: readonly (number | null | undefined)[]): number | '' {
  const known = amounts.filter((amount) => amount != null)
  if (known.length === 0) return ''
  return Number(known.reduce((total, amount) => total + amount, 0).toFixed(6))
}

/** The entries that hold something: a bulk import does not read `null`, and `''` is no value. */
function filled(entries: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => !isEmpty(value)))
}

function isEmpty(value: unknown): boolean {
  return value === '' || (typeof value === 'object' && Object.keys(value ?? {}).length === 0)
}

/** Full bodies, each closed before the profile that would break a limit. */
function toBodies(profiles: readonly string[]): EncodedBody[] {
  const bodies: EncodedBody[] = []
  let chunk: string[] = []
  let chunkBytes = 0
  const close = () => {
    if (chunk.length > 0) bodies.push(toBody(chunk))
    chunk = []
    chunkBytes = 0
  }
  for (const profile of profiles) {
    // With the bracket or comma before it; the closing bracket is the one byte more.
    const bytes = Buffer.byteLength(profile) + 1
    if (chunk.length === MAX_PROFILES || chunkBytes + bytes + 1 > MAX_PAYLOAD_BYTES) close()
    chunk.push(profile)
    chunkBytes += bytes
  }
  close()
  return bodies
}

/** @param profiles each as JSON. */
function toBody(profiles: readonly string[]): EncodedBody {
  const payload = new TextEncoder().encode(`[${profiles.join(',')}]`)
  return { payload, users: profiles.length }
}
