import type { MatchForm } from '../../src/audience/members.ts'
import { Utf8Writer } from '../../src/audience/utf8-writer.ts'
import type { Audience, EncodedBody, Encoder, HashedIdentifier } from '../provider.ts'
import type { RedditVariables } from './variables.ts'

/** Rows in one request ("Update Custom Audience Users", Reddit Ads API). */
export const MAX_ROWS = 2_500

/**
 * Sources differ. `canonical` is what Reddit prints, with a hash, for its pixel and Conversions API
 * ("Manual advanced matching"), and what RudderStack's `reddit_audience` sends; Segment's
 * `reddit-audiences`, which Reddit maintains, only takes out dots and `+tag`.
 */
const EMAIL_FORMS: Readonly<Record<RedditVariables['emailForm'], MatchForm>> = {
  canonical: 'emailCanonical',
  strip_plus_and_dots: 'emailStripped',
  plain: 'email'
}

/** Others hash the trimmed lower-case address: their hashes serve where that form is sent. */
export function hashedIdentifiers({ emailForm }: RedditVariables): readonly HashedIdentifier[] {
  return EMAIL_FORMS[emailForm] === 'email' ? ['email'] : []
}

const ACTIONS: Readonly<Record<Audience['mode'], 'ADD' | 'REMOVE'>> = {
  add: 'ADD',
  remove: 'REMOVE'
}

/**
 * Bodies of `PATCH /custom_audiences/{id}/users`, one row of one hash a user. Left out:
 * `no_identifier`, users without a usable address, and `hashed_only`, those whose address came as a
 * hash of another form.
 */
export function encoder(
  { mode }: Pick<Audience, 'mode'>,
  { emailForm }: Pick<RedditVariables, 'emailForm'>
): Encoder {
  const head = `{"data":{"action_type":"${ACTIONS[mode]}","column_order":["EMAIL_SHA256"],"user_data":[`
  const writer = new Utf8Writer()
  const bodies: EncodedBody[] = []
  let users = 0
  let hashedOnly = 0
  let unusable = 0

  function close(): void {
    writer.write(']}}')
    bodies.push({ payload: writer.take(), users })
    users = 0
  }

  return {
    add(members) {
      const emails = members.hash(EMAIL_FORMS[emailForm])
      const given = members.given('email')
      for (let row = 0; row < members.size; row += 1) {
        const email = emails[row] ?? ''
        if (email === '') {
          if (given[row] === 'hash') hashedOnly += 1
          else unusable += 1
          continue
        }
        writer.write(`${users === 0 ? head : ','}["${email}"]`)
        users += 1
        if (users === MAX_ROWS) close()
      }
    },
    end() {
      if (users > 0) close()
      return {
        bodies,
        leftOut: {
          ...(unusable > 0 && { no_identifier: unusable }),
          ...(hashedOnly > 0 && { hashed_only: hashedOnly })
        },
        notes: {}
      }
    }
  }
}
