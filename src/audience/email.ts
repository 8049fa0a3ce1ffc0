import { clean, lower } from './text.ts'

/** Lengths in bytes of RFC 5321, section 4.5.3.1. */
const MAX_LOCAL_LENGTH = 64
const MAX_LENGTH = 254

/** An unquoted local part (RFC 5322 dot-atom, RFC 6531 for letters beyond ASCII). */
const LOCAL_PART =
  /^[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+(?:\.[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+)*$/u
const DOMAIN_LABEL = /^[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}-]{0,61}[\p{L}\p{M}\p{N}])?$/u
const TOP_LEVEL = /^(?:xn--[a-z0-9-]{1,59}|[\p{L}\p{M}]{2,63})$/u

/** Most addresses: ASCII, nothing around them, but for their lengths. */
const PLAIN_ADDRESS =
  /^[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/i

const NOT_ALPHANUMERIC = /[^a-z0-9]/g

/** Local parts that say that there is no address, whatever the domain. */
const NO_ADDRESS: ReadonlySet<string> = new Set([
  'noemail',
  'noemailaddress',
  'noemailprovided',
  'noemailgiven',
  'nomail',
  'noaddress',
  'donthaveemail',
  'emailnotprovided',
  'notprovided',
  'notavailable',
  'notapplicable',
  'unknownemail',
  'invalidemail'
])

/** Typed to get past a form; an address made of two of them (`none@none.com`) reaches nobody. */
const FILLERS: ReadonlySet<string> = new Set([
  ...NO_ADDRESS,
  'a',
  'aa',
  'aaa',
  'abc',
  'asd',
  'asdf',
  'b',
  'blank',
  'dummy',
  'email',
  'empty',
  'fake',
  'invalid',
  'mail',
  'na',
  'nil',
  'no',
  'nobody',
  'none',
  'nope',
  'nothing',
  'null',
  'qwerty',
  'test',
  'testing',
  'undefined',
  'unknown',
  'x',
  'xx',
  'xxx',
  'xxxx',
  'xyz'
])

/** Begins with a filler, with any dots, dashes and underscores in between. */
const PERHAPS_FILLER = new RegExp(
  `^[._-]*(?:${[...FILLERS].map((word) => word.split('').join('[._-]*')).join('|')})[._-]*@`
)

/** Whether an address in lower case only fills a form. */
export function isPlaceholderAddress(address: string): boolean {
  if (address.endsWith('.invalid')) return true
  if (!PERHAPS_FILLER.test(address)) return false
  const [local = '', domain = ''] = address.split('@')
  const [site = ''] = domain.split('.')
  return NO_ADDRESS.has(local.replace(/[._-]/g, '')) || FILLERS.has(site.replaceAll('-', ''))
}

function isDomain(domain: string): boolean {
  const labels = domain.split('.')
  return (
    labels.length > 1 &&
    labels.every((label) => DOMAIN_LABEL.test(label)) &&
    TOP_LEVEL.test(labels.at(-1) ?? '')
  )
}

/** In ASCII, so that characters are bytes. The pattern would take too much memory for a huge text. */
function isPlain(value: string): boolean {
  return value.length <= MAX_LENGTH && PLAIN_ADDRESS.test(value)
}

function normalizePlainAddress(value: string): string {
  if (value.indexOf('@') > MAX_LOCAL_LENGTH) return ''
  const address = value.toLowerCase()
  return isPlaceholderAddress(address) ? '' : address
}

/** Whether an address, or its local part, is longer than one may be. */
export function isTooLongAddress(address: string): boolean {
  const [local = ''] = address.split('@', 1)
  return Buffer.byteLength(address) > MAX_LENGTH || Buffer.byteLength(local) > MAX_LOCAL_LENGTH
}

function isAddress(address: string): boolean {
  const [local = '', domain = '', ...more] = address.split('@')
  return (
    more.length === 0 &&
    !isTooLongAddress(address) &&
    LOCAL_PART.test(local) &&
    isDomain(domain) &&
    !isPlaceholderAddress(address)
  )
}

/**
 * An e-mail address as Meta, TikTok and Klaviyo match it: trimmed, NFC, lower case, dots and `+tag`
 * kept; `''` for what is no address or only stands in for one. (Meta, "Customer information
 * parameters": trim and lower case, nothing else.)
 */
export function normalizeEmail(value: string): string {
  if (isPlain(value)) return normalizePlainAddress(value)
  const text = clean(value)
  if (isPlain(text)) return normalizePlainAddress(text)
  const address = lower(text)
  return isAddress(address) ? address : ''
}

/**
 * A normalised address without `+tag` and without the dots of its local part; the domain stays as
 * it is. (TikTok API, "Email Specific Normalization", for all domains.)
 */
export function stripEmail(address: string): string {
  const at = address.indexOf('@')
  if (at < 0) return ''
  const [local = ''] = address.slice(0, at).split('+')
  const stripped = local.replaceAll('.', '')
  return stripped === '' ? address : stripped + address.slice(at)
}

/**
 * A normalised address without `+tag` and with only the letters and digits of ASCII in its local part;
 * the domain stays as it is. (Reddit, "Manual advanced matching", for all domains.) Where nothing of
 * the local part is left the address stays too: people must not become one.
 */
export function canonicalEmail(address: string): string {
  const at = address.indexOf('@')
  if (at < 0) return ''
  const [local = ''] = address.slice(0, at).split('+')
  const letters = local.replace(NOT_ALPHANUMERIC, '')
  return letters === '' ? address : letters + address.slice(at)
}
