import type { Purchase } from '../../src/audience/schemas.ts'
import type { Audience, EncodedBody, Encoder } from '../provider.ts'
import { Utf8Writer } from '../../src/audience/utf8-writer.ts'
import { People, Tally } from './people.ts'
import type { KlaviyoVariables, ProfileField } from './variables.ts'

/** Bulk import jobs: at most 10,000 profiles, 5 MB, 100 KB a profile (API reference, Bulk Import Profiles). */
export const MAX_PROFILES = 10_000
/** Klaviyo does not say whether its MB is decimal; the smaller reading always holds. */
export const MAX_BODY_BYTES = 4_999_999
export const MAX_PROFILE_BYTES = 100_000
const MAX_EXTERNAL_ID_LENGTH = 255

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

/** "Remove Profiles from List" takes at most 1,000 ids (API reference). */
export const MAX_REMOVED_PROFILES = 1_000

export function encoder(
  { mode }: Pick<Audience, 'mode'>,
  { profileFields }: KlaviyoVariables
): Encoder {
  return mode === 'remove' ? removalEncoder() : importEncoder(profileFields)
}

/**
 * Bodies hold a JSON array of `[email, phone]`, `''` for what is missing: people are found by what they
 * were added with.
 */
function removalEncoder(): Encoder {
  const leftOut = new Tally()
  const notes = new Tally()
  const people = new People([], leftOut, notes)
  return {
    add: (members) => people.add(members),
    end() {
      people.close()
      const bodies = new Bodies(MAX_REMOVED_PROFILES)
      for (let person = 0; person < people.size; person += 1) {
        bodies.add(JSON.stringify([people.emails[person], people.phones[person]]))
      }
      return { bodies: bodies.close(), leftOut: leftOut.counts, notes: notes.counts }
    }
  }
}

/**
 * Bodies hold the JSON array of profiles; `importJobBody` completes them with the list. A later row may
 * have more of a person, so none is written before all rows are there.
 */
function importEncoder(profileFields: readonly ProfileField[]): Encoder {
  const leftOut = new Tally()
  const notes = new Tally()
  const people = new People(profileFields, leftOut, notes)
  return {
    add: (members) => people.add(members),
    end() {
      people.close()
      const toProfile = profileWriter(people, new Set(profileFields), notes)
      const bodies = new Bodies(MAX_PROFILES)
      for (let person = 0; person < people.size; person += 1) {
        const profile = toProfile(person)
        if (isTooLarge(profile)) leftOut.add('profile_too_large')
        else bodies.add(profile)
      }
      return { bodies: bodies.close(), leftOut: leftOut.counts, notes: notes.counts }
    }
  }
}

/**
 * Makes a person's profile, as JSON. Nothing is sent of what is `undefined`: a bulk import does not read
 * `null`, and `''` is no value.
 */
function profileWriter(
  { emails, phones, texts, purchases }: People,
  fields: ReadonlySet<ProfileField>,
  notes: Tally
): (person: number) => string {
  const { firstName, lastName, country, postalCode, edgeTagId } = texts
  const takenExternalIds = new Set<string>()

  /** Identifies a profile at Klaviyo as an e-mail address does, so it too must occur once. */
  function externalIdOf(person: number): string | undefined {
    const id = edgeTagId?.[person]
    if (!id || !fields.has('externalId')) return undefined
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
    const code = country?.[person] || undefined
    const zip = postalCode?.[person] || undefined
    return code === undefined && zip === undefined ? undefined : { country: code, zip }
  }

  function sentEdgeTagId(person: number): string | undefined {
    return (fields.has('edgeTagId') && edgeTagId?.[person]) || undefined
  }

  return (person) =>
    JSON.stringify({
      type: 'profile',
      attributes: {
        email: emails[person] || undefined,
        phone_number: phones[person] || undefined,
        external_id: externalIdOf(person),
        first_name: firstName?.[person] || undefined,
        last_name: lastName?.[person] || undefined,
        location: locationOf(person),
        properties: propertiesOf(sentEdgeTagId(person), purchases?.get(person), notes)
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

/** Fills bodies with people, each closed before the one that would break a limit. */
class Bodies {
  readonly #maxUsers: number
  readonly #bodies: EncodedBody[] = []
  readonly #writer = new Utf8Writer()
  #users = 0

  constructor(maxUsers: number) {
    this.#maxUsers = maxUsers
  }

  /** @param person as JSON. */
  add(person: string): void {
    // Two bytes are the bracket or comma before it and the closing bracket.
    const hasRoom = this.#writer.hasRoomFor(person, MAX_PAYLOAD_BYTES - 2)
    if (!hasRoom || this.#users === this.#maxUsers) this.close()
    this.#writer.write((this.#users === 0 ? '[' : ',') + person)
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
