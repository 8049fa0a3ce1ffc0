import type { Purchase } from '../../src/audience/schemas.ts'
import type { Audience, EncodedBody, Encoder } from '../provider.ts'
import { jsonText } from '../json-text.ts'
import { Utf8Writer } from '../utf8-writer.ts'
import { People, Tally } from './people.ts'
import type { KlaviyoVariables, ProfileField } from './variables.ts'

/** Bulk import jobs: at most 10,000 profiles, 5 MB, 100 KB a profile (API reference, Bulk Import Profiles). */
export const MAX_PROFILES = 10_000
/** Klaviyo does not say whether its MB is decimal; the smaller reading always holds. */
export const MAX_BODY_BYTES = 4_999_999
export const MAX_PROFILE_BYTES = 100_000
const MAX_EXTERNAL_ID_LENGTH = 255

const NONE: readonly Purchase[] = []

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

/**
 * Bodies hold the JSON array of profiles; `importJobBody` completes them with the list. A later row may
 * have more of a person, so none is written before all rows are there.
 */
export function encoder(_audience: Audience, { profileFields }: KlaviyoVariables): Encoder {
  const leftOut = new Tally()
  const notes = new Tally()
  const people = new People(profileFields, leftOut, notes)
  return {
    add: (members) => people.add(members),
    end() {
      const toProfile = profileWriter(people, new Set(profileFields), notes)
      const bodies = new Bodies()
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
 * Makes a person's profile, as JSON; in pieces, which takes a fraction of the time of an object. Nothing is
 * sent of what is not there: a bulk import does not read `null`, and `''` is no value.
 */
function profileWriter(
  { emails, phones, texts, purchases }: People,
  fields: ReadonlySet<ProfileField>,
  notes: Tally
): (person: number) => string {
  const { firstName, lastName, country, postalCode, edgeTagId } = texts
  const takenExternalIds = new Set<string>()

  /** Identifies a profile at Klaviyo as an e-mail address does, so it too must occur once. */
  function externalIdOf(id: string): string {
    if (id === '' || !fields.has('externalId')) return ''
    if (id.length > MAX_EXTERNAL_ID_LENGTH) {
      notes.add('external_id_too_long')
      return ''
    }
    if (takenExternalIds.has(id)) {
      notes.add('external_id_repeated')
      return ''
    }
    takenExternalIds.add(id)
    return id
  }

  return (person) => {
    const id = edgeTagId?.at(person) ?? ''
    const location = member('country', country?.at(person)) + member('zip', postalCode?.at(person))
    const properties =
      member('blotout_edge_tag_id', fields.has('edgeTagId') ? id : '') +
      purchaseMembers(purchases?.get(person) ?? NONE, notes)
    const attributes =
      member('email', emails.at(person)) +
      member('phone_number', phones.at(person)) +
      member('external_id', externalIdOf(id)) +
      member('first_name', firstName?.at(person)) +
      member('last_name', lastName?.at(person)) +
      (location === '' ? '' : `,"location":${object(location)}`) +
      (properties === '' ? '' : `,"properties":${object(properties)}`)
    return `{"type":"profile","attributes":${object(attributes)}}`
  }
}

/** Of an object in JSON, behind a comma; `''` where there is no text. */
function member(name: string, text: string | undefined): string {
  return text === undefined || text === '' ? '' : `,"${name}":${jsonText(text)}`
}

/** @param members one or more, each behind a comma. */
function object(members: string): string {
  return `{${members.slice(1)}}`
}

/**
 * Sums of one currency, the first that is named; purchases in another are not added to it, those
 * without a currency are.
 */
function purchaseMembers(purchases: readonly Purchase[], notes: Tally): string {
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
  return (
    member('blotout_purchase_currency', currency) +
    amountMember('blotout_purchase_profit', profit) +
    amountMember('blotout_purchase_total_7_days', total7Days)
  )
}

function currencyOf({ currency }: Purchase): string {
  return (currency ?? '').trim().toUpperCase()
}

/** `undefined` stands for no amount at all. */
function plus(sum: number | undefined, amount: number | null | undefined): number | undefined {
  return amount == null ? sum : (sum ?? 0) + amount
}

function amountMember(name: string, sum: number | undefined): string {
  if (sum === undefined) return ''
  // Without the noise of binary fractions (0.1 + 0.2).
  return `,"${name}":${JSON.stringify(Number(sum.toFixed(6)))}`
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
