import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { User } from '../../../src/audience/schemas.ts'

/**
 * Other packages that bring customers into Meta's form, used as their users use them: the same bytes
 * of JSON in, one ready body of a customer list out. Each gets a value only where it does not throw.
 */

export interface Peer {
  readonly name: string
  readonly body: (bytes: Uint8Array) => Uint8Array<ArrayBuffer>
}

const decoder = new TextDecoder()
const encoder = new TextEncoder()

const parse = (bytes: Uint8Array) => JSON.parse(decoder.decode(bytes)) as User[]

/** A number cell as text, which both of them need. */
const textOf = (value: string | number | null | undefined) =>
  typeof value === 'number' ? String(value) : (value ?? undefined)

/** The part of `@segment/action-destinations` (Twilio Segment) that writes the list of users. */
interface SegmentSync {
  readonly getData: (payloads: readonly SegmentPayload[]) => string[][]
}

interface SegmentPayload {
  readonly externalId: string | undefined
  readonly email: string | undefined
  readonly phone: string | undefined
  readonly name: { readonly first: string | undefined; readonly last: string | undefined }
  readonly zip: string | undefined
  readonly country: string | undefined
}

function segmentPayload(user: User): SegmentPayload {
  return {
    externalId: textOf(user.edgeTagId),
    email: textOf(user.email),
    phone: textOf(user.phone),
    name: { first: textOf(user.firstName), last: textOf(user.lastName) },
    zip: textOf(user.postalCode),
    country: textOf(user.country)
  }
}

/**
 * Its action "Sync Audience", from a payload to a row of 15 columns, eight of them empty here. E-mail
 * addresses are not checked; phone numbers lose all but their digits, so that national ones match
 * nobody; names of countries are hashed as they are; nothing invisible, no placeholder and no lost
 * zero is seen. A phone number without digits throws: its user goes without it.
 */
function segment({ getData }: SegmentSync, schema: readonly string[]): Peer {
  const rowOf = (payload: SegmentPayload) => {
    try {
      return getData([payload])[0]
    } catch {
      return getData([{ ...payload, phone: undefined }])[0]
    }
  }
  return {
    name: '@segment/action-destinations',
    body(bytes) {
      const data = parse(bytes).map((user) => rowOf(segmentPayload(user)))
      return encoder.encode(JSON.stringify({ payload: { schema, data } }))
    }
  }
}

/** The normaliser of `facebook-nodejs-business-sdk` (Meta). */
interface MetaSdk {
  readonly ServerSideUtils: {
    readonly normalizeAndHash: (value: string | undefined, field: string) => string | null
  }
}

/**
 * The SDK sends lists of users as it gets them (`CustomAudience.createUser`); what it has to normalise
 * and hash a field is made for the Conversions API and asks for the same form. National phone numbers
 * stay national, names keep their punctuation, countries have to be two letters; it throws for
 * addresses, phone numbers and countries that it does not take: their users go without them.
 */
function metaSdk({ ServerSideUtils }: MetaSdk): Peer {
  const schema = ['EXTERN_ID', 'EMAIL', 'PHONE', 'FN', 'LN', 'COUNTRY', 'ZIP']
  const cell = (value: string | number | null | undefined, field: string) => {
    try {
      return ServerSideUtils.normalizeAndHash(textOf(value), field) ?? ''
    } catch {
      return ''
    }
  }
  return {
    name: 'facebook-nodejs-business-sdk',
    body(bytes) {
      const data = parse(bytes).map((user) => [
        textOf(user.edgeTagId) ?? '',
        cell(user.email, 'em'),
        cell(user.phone, 'ph'),
        cell(user.firstName, 'fn'),
        cell(user.lastName, 'ln'),
        cell(user.country, 'country'),
        cell(user.postalCode, 'zp')
      ])
      return encoder.encode(JSON.stringify({ payload: { schema, data } }))
    }
  }
}

/** None where they are not installed: they are no part of the project's own dependencies. */
export function loadPeers(): Peer[] {
  if (!existsSync(join(import.meta.dirname, 'node_modules'))) return []
  const require = createRequire(import.meta.url)
  const sync = '@segment/action-destinations/dist/destinations/facebook-custom-audiences/sync'
  const sdk: MetaSdk = require('facebook-nodejs-business-sdk')
  const functions: SegmentSync = require(`${sync}/functions.js`)
  const { SCHEMA_PROPERTIES }: { SCHEMA_PROPERTIES: string[] } = require(`${sync}/constants.js`)
  return [segment(functions, SCHEMA_PROPERTIES), metaSdk(sdk)]
}
