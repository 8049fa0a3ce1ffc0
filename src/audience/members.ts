import { toColumn, toFlags } from './distinct.ts'
import { canonicalEmail, normalizeEmail, stripEmail } from './email.ts'
import { externalId } from './external-id.ts'
import { givenHash, sha256 } from './hash.ts'
import { parsePhone } from './phone.ts'
import { isRepairedNumber, isRepairedText } from './repair.ts'
import type { Purchase } from './schemas.ts'
import type { TextField, UserColumns } from './user-columns.ts'
import {
  clearText,
  createVocabulary,
  type Given,
  howGiven,
  type RepeatingField,
  type Vocabulary,
  type VocabularyOptions
} from './vocabulary.ts'

/**
 * A field brought into one form that a platform matches on. Platforms that take the same form share
 * it, so that each value is normalised and hashed once.
 *
 * - `email`: trimmed, NFC, lower case.
 * - `emailStripped`: the same without `+tag` and without dots in the local part (TikTok's older rule).
 * - `emailCanonical`: without `+tag`, only letters and digits in the local part (Reddit).
 * - `phoneE164`: `+4915112345678`.
 * - `phoneDigits`: E.164 without the `+` (Meta).
 * - `firstName`, `lastName`: lower case, without punctuation and white space (Meta).
 * - `country`: ISO 3166-1 alpha-2, lower case (Meta).
 * - `postalCode`: Meta's form, for the United Kingdom cut to area, district and sector.
 * - `postalCodeFull`: Meta's form with the whole British postcode.
 */
export type MatchForm =
  | 'email'
  | 'emailStripped'
  | 'emailCanonical'
  | 'phoneE164'
  | 'phoneDigits'
  | 'firstName'
  | 'lastName'
  | 'country'
  | 'postalCode'
  | 'postalCodeFull'

export interface MembersOptions extends VocabularyOptions {
  /**
   * `e164`: hashes of phone numbers are of E.164 with its `+` and hashes of e-mail addresses of the
   * trimmed lower-case address, so that they serve as `phoneE164` and `email` only. `undefined`:
   * nobody knows, and they serve as whatever is asked for.
   */
  readonly phoneHashes?: 'e164' | undefined
}

/** The fields that people are matched on. */
export type MatchField = 'email' | 'phone' | 'firstName' | 'lastName' | 'country' | 'postalCode'

/** Users as columns: row `i` of every column belongs to the same user. */
export interface Members {
  readonly size: number
  /** Normalised clear text; `''` where the value is missing, unusable or was given as a hash. */
  text(form: MatchForm): readonly string[]
  /**
   * Lower-case hex SHA-256 of the normalised text; a value given as a hash passes through in lower
   * case (that of an empty text does not), unless it is known to be of another form; `''` where there
   * is nothing usable.
   */
  hash(form: MatchForm): readonly string[]
  /** ISO 3166-1 alpha-2 region (upper case) that the user's phone number belongs to; `''` if unknown. */
  phoneRegions(): readonly string[]
  /**
   * The caller's own id of each user (`edgeTagId`), `''` where missing or unusable. An id that looks like an
   * e-mail address or a phone number is replaced by its SHA-256, so that it never leaves in the clear.
   */
  externalIds(): readonly string[]
  /** First and last name as people write them: trimmed, NFC, placeholders such as `n/a` left out. */
  plainNames(field: 'firstName' | 'lastName'): readonly string[]
  /** ISO 3166-1 alpha-2, upper case. */
  countries(): readonly string[]
  /** Postal code as people write it: trimmed, upper case, US codes with their leading zeros. */
  plainPostalCodes(): readonly string[]
  /** The purchases of each user; empty where there are none. */
  purchases(): readonly (readonly Purchase[])[]
  /** How each user's value came in. A country that is a placeholder counts as not given. */
  given(field: MatchField): readonly Given[]
  /** The values as the caller wrote them. */
  written(field: TextField): readonly string[]
  /** 1 for each usable value that had to be repaired (see repair.ts), else 0. */
  repaired(field: MatchField): Uint8Array
}

type RowForm = 'email' | 'emailStripped' | 'emailCanonical' | 'phoneE164' | 'phoneDigits'
type RepeatingForm = Exclude<MatchForm, RowForm>

/** The fields of the forms whose values are nearly all different: a look-up would not pay. */
const ROW_FIELDS: Readonly<Record<RowForm, 'email' | 'phone'>> = {
  email: 'email',
  emailStripped: 'email',
  emailCanonical: 'email',
  phoneE164: 'phone',
  phoneDigits: 'phone'
}
const REPEATING_FIELDS: Readonly<Record<RepeatingForm, RepeatingField>> = {
  firstName: 'firstName',
  lastName: 'lastName',
  country: 'country',
  postalCode: 'postalCode',
  postalCodeFull: 'postalCode'
}

function isRowForm(form: MatchForm): form is RowForm {
  return form in ROW_FIELDS
}

/** Calls a function once for each key. */
function memoize<K, T extends {}>(make: (key: K) => T): (key: K) => T {
  const known = new Map<K, T>()
  return (key) => {
    const before = known.get(key)
    if (before !== undefined) return before
    const made = make(key)
    known.set(key, made)
    return made
  }
}

function lazy<T extends {}>(make: () => T): () => T {
  let made: T | undefined
  return () => (made ??= make())
}

function parseEmails(values: readonly string[]) {
  const addresses: string[] = []
  const repaired = new Uint8Array(values.length)
  for (let row = 0; row < values.length; row += 1) {
    const value = values[row] ?? ''
    const address = normalizeEmail(clearText(value))
    addresses.push(address)
    if (address !== '' && isRepairedText(address, value)) repaired[row] = 1
  }
  return { addresses, repaired }
}

/** E.164 and region of each number. */
function parsePhones(values: readonly string[], countries: readonly string[]) {
  const e164: string[] = []
  const regions: string[] = []
  const repaired = new Uint8Array(values.length)
  for (let row = 0; row < values.length; row += 1) {
    const value = values[row] ?? ''
    const phone = parsePhone(clearText(value), countries[row] ?? '')
    e164.push(phone.e164)
    regions.push(phone.region)
    if (phone.e164 !== '' && isRepairedNumber(phone.e164, value)) repaired[row] = 1
  }
  return { e164, regions, repaired }
}

/**
 * Brings the users of one upload into every form that platforms match on, part by part. The columns of
 * a part are made when first asked for and kept with it; what was made of a value that repeats is known
 * in all further parts.
 */
export function createMembers(options: MembersOptions = {}): (users: UserColumns) => Members {
  const vocabulary = createVocabulary(options)
  const takesHashes = hashTest(options)
  return (users) => membersOf(users, vocabulary, takesHashes)
}

/** Tells the forms that a hash in the users may be of. */
function hashTest({ phoneHashes }: MembersOptions): (form: RowForm) => boolean {
  return phoneHashes === undefined ? () => true : (form) => form === 'email' || form === 'phoneE164'
}

function membersOf(
  { size, texts: given, purchases }: UserColumns,
  known: Vocabulary,
  takesHashes: (form: RowForm) => boolean
): Members {
  const codes = memoize((field: RepeatingField) =>
    known.dictionaries[field].codesOf(given[field], field === 'postalCode' ? countries() : [])
  )
  /** The dictionary has to know the part's values before anything is made of them. */
  const columnOf = <T>(field: RepeatingField, made: () => readonly T[]): readonly T[] => {
    const codesOfRows = codes(field)
    return toColumn(made(), codesOfRows)
  }
  const countries: () => readonly string[] = lazy(() => columnOf('country', known.countries))
  const emails = lazy(() => parseEmails(given.email))
  const phones = lazy(() => parsePhones(given.phone, countries()))

  const rowTexts: Readonly<Record<RowForm, () => readonly string[]>> = {
    email: () => emails().addresses,
    emailStripped: () => text('email').map((address) => stripEmail(address)),
    emailCanonical: () => text('email').map((address) => canonicalEmail(address)),
    phoneE164: () => phones().e164,
    phoneDigits: () => phones().e164.map((number) => number.slice(1))
  }
  const text = memoize((form: MatchForm) =>
    isRowForm(form) ? rowTexts[form]() : columnOf(REPEATING_FIELDS[form], known.forms[form].text)
  )
  const rowHashes = (form: RowForm) => {
    const values = given[ROW_FIELDS[form]]
    const isTaken = takesHashes(form)
    return text(form).map((clear, row) => {
      if (clear !== '') return sha256(clear)
      return isTaken ? givenHash(values[row] ?? '') : ''
    })
  }

  return {
    size,
    text,
    hash: memoize((form) =>
      isRowForm(form) ? rowHashes(form) : columnOf(REPEATING_FIELDS[form], known.forms[form].hash)
    ),
    phoneRegions: () => phones().regions,
    externalIds: lazy(() => given.edgeTagId.map((id) => externalId(id))),
    plainNames: memoize((field) => columnOf(field, known.plain[field])),
    countries,
    plainPostalCodes: lazy(() => columnOf('postalCode', known.plain.postalCode)),
    purchases: () => purchases,
    given: memoize((field) =>
      field === 'email' || field === 'phone'
        ? given[field].map((value) => howGiven(value))
        : columnOf(field, known.given[field])
    ),
    written: (field) => given[field],
    repaired(field) {
      if (field === 'email') return emails().repaired
      if (field === 'phone') return phones().repaired
      const codesOfRows = codes(field)
      return toFlags(known.repaired[field](), codesOfRows)
    }
  }
}
