import { sha256 } from '../../src/audience/hash.ts'
import { TextMap } from '../../src/audience/text-map.ts'
import { Utf8Writer } from '../../src/audience/utf8-writer.ts'
import type { Audience, EncodedBody, Encoder } from '../provider.ts'
import type { AdcpVariables } from './variables.ts'

/** Between the members of a body: one a line, so that they can be told apart as text. */
export const MEMBER_SEPARATOR = ',\n'

/** All of a call that is not its members: names, account and ids have limits of their own. */
export const ENVELOPE_BYTES = 8_192

/** Ids that stand in JSON as they are. */
const PLAIN_ID = /^[!#-[\]-~]{1,255}$/
const SENDABLE_ID = /^[^\p{Cc}\p{Cs}]{1,255}$/u

/**
 * Bodies hold members as `core/audience-member.json` has them, without the brackets of their array. The
 * same bytes serve to add and to remove: whoever is removed is named by all that they were added with.
 */
export function encoder(
  _audience: Audience,
  { membersPerCall, bytesPerCall }: Pick<AdcpVariables, 'membersPerCall' | 'bytesPerCall'>
): Encoder {
  const bodies = new Bodies(membersPerCall, bytesPerCall - ENVELOPE_BYTES)
  const known = new TextMap()
  let members = 0
  let unusable = 0
  let duplicates = 0
  return {
    add(users) {
      const ids = users.externalIds()
      const emails = users.hash('email')
      const phones = users.hash('phoneE164')
      for (let row = 0; row < users.size; row += 1) {
        const email = emails[row] ?? ''
        const phone = phones[row] ?? ''
        if (email === '' && phone === '') {
          unusable += 1
          continue
        }
        const id = idOf(ids[row] ?? '', email, phone)
        if (known.getOrAdd(id, members) !== members) {
          duplicates += 1
          continue
        }
        members += 1
        bodies.add(memberOf(id, email, phone))
      }
    },
    end: () => ({
      bodies: bodies.close(),
      leftOut: {
        ...(unusable > 0 && { no_identifier: unusable }),
        ...(duplicates > 0 && { duplicate: duplicates })
      },
      notes: {}
    })
  }
}

/**
 * AdCP requires an id of everybody. Who has none of their own gets one that follows from their best
 * identifier, so that it is the same in every upload; it is not that identifier's hash itself.
 */
function idOf(own: string, email: string, phone: string): string {
  if (own === '') return sha256(email === '' ? phone : email)
  return PLAIN_ID.test(own) || SENDABLE_ID.test(own) ? own : sha256(own)
}

function memberOf(id: string, email: string, phone: string): string {
  let member = `{"external_id":${PLAIN_ID.test(id) ? `"${id}"` : JSON.stringify(id)}`
  if (email !== '') member += `,"hashed_email":"${email}"`
  if (phone !== '') member += `,"hashed_phone":"${phone}"`
  return `${member}}`
}

/** Fills bodies with members, each closed before the one that would break a limit. */
class Bodies {
  readonly #maxUsers: number
  readonly #maxBytes: number
  readonly #bodies: EncodedBody[] = []
  readonly #writer = new Utf8Writer()
  #users = 0

  constructor(maxUsers: number, maxBytes: number) {
    this.#maxUsers = maxUsers
    this.#maxBytes = maxBytes - MEMBER_SEPARATOR.length
  }

  add(member: string): void {
    const hasRoom = this.#writer.hasRoomFor(member, this.#maxBytes)
    if (this.#users > 0 && (!hasRoom || this.#users === this.#maxUsers)) this.close()
    this.#writer.write(this.#users === 0 ? member : MEMBER_SEPARATOR + member)
    this.#users += 1
  }

  /** All bodies, the one that was open included. */
  close(): readonly EncodedBody[] {
    if (this.#users > 0) this.#bodies.push({ payload: this.#writer.take(), users: this.#users })
    this.#users = 0
    return this.#bodies
  }
}
