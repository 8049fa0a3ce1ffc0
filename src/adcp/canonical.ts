import { createHash, type Hash } from 'node:crypto'
import canonicalize from 'canonicalize'
import { type Fields, isFields } from './fields.ts'
import { hasMore } from './members.ts'
import { AdcpError } from './protocol.ts'

/** So much text is hashed at a time. */
const PORTION = 16_384
/** Arguments, `audiences`, an audience, `add`: what they hold is canonical text of its own. */
const LEVELS = 4

/** Hashes text in portions: the canonical form of a large call is never there as a whole. */
class TextHash {
  readonly #hash: Hash = createHash('sha256')
  #text = ''

  write(text: string): void {
    this.#text += text
    if (this.#text.length < PORTION) return
    this.#hash.update(this.#text)
    this.#text = ''
  }

  digest(): string {
    return this.#hash.update(this.#text).digest('hex')
  }
}

const isText = (value: unknown): value is string =>
  typeof value === 'string' && value.isWellFormed()

/** The same in a fifth of the time for what nearly all members are; any other gives `undefined`. */
function textOfMember(value: unknown): string | undefined {
  if (!isFields(value) || hasMore(value)) return undefined
  const { external_id: id, hashed_email: email, hashed_phone: phone } = value
  if (!isText(id)) return undefined
  let text = `{"external_id":${JSON.stringify(id)}`
  if (isText(email)) text += `,"hashed_email":${JSON.stringify(email)}`
  else if (email !== undefined) return undefined
  if (isText(phone)) text += `,"hashed_phone":${JSON.stringify(phone)}`
  else if (phone !== undefined) return undefined
  return `${text}}`
}

/** RFC 8785: no white space, properties in the order of their UTF-16 units. */
function writeCanonical(value: unknown, levels: number, hash: TextHash): void {
  if (levels === 0) {
    hash.write(textOfMember(value) ?? canonicalize(value) ?? '')
  } else if (Array.isArray(value)) {
    let before = '['
    for (const entry of value) {
      hash.write(before)
      writeCanonical(entry, levels - 1, hash)
      before = ','
    }
    hash.write(value.length === 0 ? '[]' : ']')
  } else if (isFields(value)) {
    let before = '{'
    // Code units are what is compared where nothing else is asked for.
    for (const name of Object.keys(value).toSorted()) {
      hash.write(`${before}${canonicalize(name)}:`)
      writeCanonical(value[name], levels - 1, hash)
      before = ','
    }
    hash.write(before === '{' ? '{}' : '}')
  } else {
    hash.write(canonicalize(value) ?? '')
  }
}

/** The arguments without what may differ in a call that is sent again: a closed list. */
function withoutExcluded(args: Fields): Fields {
  const {
    idempotency_key: _key,
    context: _context,
    governance_context: _governance,
    ...rest
  } = args
  const { push_notification_config: push } = rest
  if (!isFields(push) || !isFields(push['authentication'])) return rest
  const { credentials: _credentials, ...authentication } = push['authentication']
  return { ...rest, push_notification_config: { ...push, authentication } }
}

/**
 * SHA-256 of what makes two calls the same, in hex ("Payload equivalence",
 * https://docs.adcontextprotocol.org/docs/building/by-layer/L1/security).
 * @param args values of `JSON.parse`
 * @throws AdcpError for what has no canonical form: half a surrogate pair, a number out of range.
 */
export function requestHash(args: Fields): string {
  const hash = new TextHash()
  try {
    writeCanonical(withoutExcluded(args), LEVELS, hash)
  } catch {
    throw new AdcpError(
      'INVALID_REQUEST',
      'The arguments hold text that is not valid Unicode, or a number that is out of range.'
    )
  }
  return hash.digest()
}
