import { countryOrDefault, parseCountry } from './country.ts'
import { normalizeEmail, stripEmail } from './email.ts'
import { externalId } from './external-id.ts'
import { givenHash, isHash, sha256 } from './hash.ts'
import { normalizeName, plainName } from './name.ts'
import { parsePhone } from './phone.ts'
import { isPlaceholder } from './placeholder.ts'
import { normalizePostalCode, normalizePostalCodeFull, plainPostalCode } from './postal-code.ts'
import type { Purchase, User } from './schemas.ts'
import { clean, written } from './text.ts'

/**
 * A field brought into one form that a platform matches on. Platforms that take the same form share
 * it, so that each value is normalised and hashed once.
 *
 * - `email`: trimmed, NFC, lower case.
 * - `emailStripped`: the same without `+tag` and without dots in the local part (TikTok's older rule).
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
  | 'phoneE164'
  | 'phoneDigits'
  | 'firstName'
  | 'lastName'
  | 'country'
  | 'postalCode'
  | 'postalCodeFull'

/** The fields that people are matched on. */
export type MatchField = 'email' | 'phone' | 'firstName' | 'lastName' | 'country' | 'postalCode'

/** How a value came in: not at all, as text (of whatever quality) or as the SHA-256 of something. */
export type Given = '' | 'text' | 'hash'

/** The users of one upload as columns: row `i` of every column belongs to the same user. */
export interface Members {
  readonly size: number
  /** Normalised clear text; `''` where the value is missing, unusable or was given as a hash. */
  text(form: MatchForm): readonly string[]
  /**
   * Lower-case hex SHA-256 of the normalised text; a value given as a hash passes through in lower
   * case (that of an empty text does not); `''` where there is nothing usable.
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
}

export interface MembersOptions {
  /** ISO 3166-1 code or name of the country of users without one. */
  readonly defaultCountry?: string | undefined
}

type Column<T> = () => readonly T[]

const FIELD_OF: Readonly<Record<MatchForm, MatchField>> = {
  email: 'email',
  emailStripped: 'email',
  phoneE164: 'phone',
  phoneDigits: 'phone',
  firstName: 'firstName',
  lastName: 'lastName',
  country: 'country',
  postalCode: 'postalCode',
  postalCodeFull: 'postalCode'
}

/** Remembers what a function made of each key, because the values of a column repeat. */
function memoize<K extends string, T extends {}>(make: (key: K) => T): (key: K) => T {
  const known = new Map<K, T>()
  return (key) => {
    const before = known.get(key)
    if (before !== undefined) return before
    const made = make(key)
    known.set(key, made)
    return made
  }
}

/** Remembers what a function made of each text in each country. */
function memoizeByCountry<T extends {}>(
  make: (text: string, country: string) => T
): (text: string, country: string) => T {
  const ofCountry = memoize((country: string) => memoize((text: string) => make(text, country)))
  return (text, country) => ofCountry(country)(text)
}

function lazy<T>(make: Column<T>): Column<T> {
  let column: readonly T[] | undefined
  return () => (column ??= make())
}

function valueOf(user: User, field: MatchField): string {
  return written(user[field])
}

/** The text of a user's field, `''` if absent or given as a hash. */
function textOf(user: User, field: MatchField): string {
  const value = valueOf(user, field)
  return isHash(value) ? '' : value
}

function howGiven(user: User, field: MatchField): Given {
  const value = clean(valueOf(user, field))
  if (value === '' || (field === 'country' && isPlaceholder(value))) return ''
  return givenHash(value) ? 'hash' : 'text'
}

/**
 * The users of one upload in every form that platforms match on. Columns are made when first asked
 * for and kept; each distinct value is normalised and hashed once.
 */
export function createMembers(
  users: readonly User[],
  { defaultCountry = '' }: MembersOptions = {}
): Members {
  const fallback = parseCountry(defaultCountry)
  const toHash = memoize((text: string) => (text === '' ? '' : sha256(text)))

  const column = <T extends {}>(field: MatchField, make: (text: string) => T): Column<T> => {
    const made = memoize(make)
    return lazy(() => users.map((user) => made(textOf(user, field))))
  }
  const columnByCountry = <T extends {}>(
    field: MatchField,
    make: (text: string, country: string) => T
  ): Column<T> => {
    const made = memoizeByCountry(make)
    return lazy(() => users.map((user, i) => made(textOf(user, field), countries()[i] ?? '')))
  }

  const countries = lazy(() => {
    const toCountry = memoize((text) => countryOrDefault(text, fallback))
    return users.map((user) => toCountry(valueOf(user, 'country')))
  })
  const emails = column('email', normalizeEmail)
  const phones = columnByCountry('phone', parsePhone)

  const texts: Readonly<Record<MatchForm, Column<string>>> = {
    email: emails,
    emailStripped: lazy(() => emails().map(stripEmail)),
    phoneE164: lazy(() => phones().map((phone) => phone.e164)),
    phoneDigits: lazy(() => phones().map((phone) => phone.e164.slice(1))),
    firstName: column('firstName', normalizeName),
    lastName: column('lastName', normalizeName),
    country: lazy(() => countries().map((country) => country.toLowerCase())),
    postalCode: columnByCountry('postalCode', normalizePostalCode),
    postalCodeFull: columnByCountry('postalCode', normalizePostalCodeFull)
  }
  const hashes = memoize((form: MatchForm) => {
    const normalized = texts[form]()
    return users.map(
      (user, i) => toHash(normalized[i] || '') || givenHash(valueOf(user, FIELD_OF[form]))
    )
  })

  const given = memoize((field: MatchField) => users.map((user) => howGiven(user, field)))
  const plainNames = memoize((field: 'firstName' | 'lastName') => column(field, plainName)())
  const externalIds = lazy(() => users.map((user) => externalId(written(user.edgeTagId))))
  const purchases = lazy(() => users.map((user) => [user.purchase ?? []].flat()))

  return {
    size: users.length,
    text: (form) => texts[form](),
    hash: hashes,
    phoneRegions: lazy(() => phones().map((phone) => phone.region)),
    externalIds,
    plainNames,
    countries,
    plainPostalCodes: columnByCountry('postalCode', plainPostalCode),
    purchases,
    given
  }
}
