import { countryOrDefault, parseCountry } from './country.ts'
import { distinct, distinctInGroups, type Source, toRows } from './distinct.ts'
import { normalizeEmail, stripEmail } from './email.ts'
import { externalId } from './external-id.ts'
import { givenHash, HASH_LENGTH, isHash, sha256 } from './hash.ts'
import { normalizeName, plainName } from './name.ts'
import { parsePhone } from './phone.ts'
import { isPlaceholder } from './placeholder.ts'
import { cutPostalCode, normalizePostalCodeFull, plainPostalCode } from './postal-code.ts'
import type { Purchase } from './schemas.ts'
import { clean, isBlank } from './text.ts'
import type { UserColumns } from './user-columns.ts'

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

/** The values without those that are hashes already. */
function withoutHashes(values: readonly string[]): readonly string[] {
  return values.some(isHash) ? values.map((value) => (isHash(value) ? '' : value)) : values
}

function howGiven(text: string): Given {
  if (isBlank(text)) return ''
  return text.length >= HASH_LENGTH && givenHash(clean(text)) !== '' ? 'hash' : 'text'
}

function howCountryGiven(text: string): Given {
  return isPlaceholder(clean(text)) ? '' : howGiven(text)
}

function lazy<T extends {}>(make: () => T): () => T {
  let made: T | undefined
  return () => (made ??= make())
}

/** E.164 and region of each number. */
function parsePhones(values: readonly string[], countries: readonly string[]) {
  const e164: string[] = []
  const regions: string[] = []
  for (let row = 0; row < values.length; row += 1) {
    const phone = parsePhone(values[row] ?? '', countries[row] ?? '')
    e164.push(phone.e164)
    regions.push(phone.region)
  }
  return { e164, regions }
}

/**
 * The users of one upload in every form that platforms match on. Columns are made when first asked
 * for and kept. Addresses and numbers are nearly all different; in the other columns values repeat,
 * and each distinct one is made and hashed once.
 */
export function createMembers(
  { size, texts: given, purchases }: UserColumns,
  { defaultCountry = '' }: MembersOptions = {}
): Members {
  const fallback = parseCountry(defaultCountry)

  const countrySource = lazy(() => distinct(given.country))
  const countriesOfValues = lazy(() =>
    countrySource().values.map((value) => countryOrDefault(value, fallback))
  )
  const countries = lazy(() => toRows(countriesOfValues(), countrySource()))
  const postalCodeSource = lazy(() => distinctInGroups(given.postalCode, countries()))

  const makeSource: Readonly<Record<MatchField, () => Source>> = {
    email: () => ({ values: given.email }),
    phone: () => ({ values: given.phone }),
    firstName: () => distinct(given.firstName),
    lastName: () => distinct(given.lastName),
    country: countrySource,
    postalCode: postalCodeSource
  }
  const source = memoize((field: MatchField) => makeSource[field]())
  const clear = (field: MatchField) => withoutHashes(source(field).values)
  const phones = lazy(() => parsePhones(clear('phone'), countries()))
  const inCountry = (codes: readonly string[], make: (code: string, country: string) => string) => {
    const { groups } = postalCodeSource()
    return codes.map((code, index) => make(code, groups[index] ?? ''))
  }

  const makeTexts: Readonly<Record<MatchForm, () => readonly string[]>> = {
    email: () => clear('email').map((value) => normalizeEmail(value)),
    emailStripped: () => texts('email').map((address) => stripEmail(address)),
    phoneE164: () => phones().e164,
    phoneDigits: () => phones().e164.map((number) => number.slice(1)),
    firstName: () => clear('firstName').map((value) => normalizeName(value)),
    lastName: () => clear('lastName').map((value) => normalizeName(value)),
    country: () => countriesOfValues().map((country) => country.toLowerCase()),
    postalCode: () => inCountry(texts('postalCodeFull'), cutPostalCode),
    postalCodeFull: () => inCountry(clear('postalCode'), normalizePostalCodeFull)
  }
  /** Of the values of the form's source. */
  const texts = memoize((form: MatchForm) => makeTexts[form]())
  const hashes = (form: MatchForm) => {
    const { values } = source(FIELD_OF[form])
    return texts(form).map((text, index) =>
      text === '' ? givenHash(values[index] ?? '') : sha256(text)
    )
  }

  return {
    size,
    text: memoize((form) => toRows(texts(form), source(FIELD_OF[form]))),
    hash: memoize((form) => toRows(hashes(form), source(FIELD_OF[form]))),
    phoneRegions: () => phones().regions,
    externalIds: lazy(() => given.edgeTagId.map((id) => externalId(id))),
    plainNames: memoize((field) => toRows(clear(field).map(plainName), source(field))),
    countries,
    plainPostalCodes: lazy(() =>
      toRows(inCountry(clear('postalCode'), plainPostalCode), postalCodeSource())
    ),
    purchases: () => purchases,
    given: memoize((field) => {
      const how = field === 'country' ? howCountryGiven : howGiven
      return toRows(source(field).values.map(how), source(field))
    })
  }
}
