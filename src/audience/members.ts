import { countryOrDefault, parseCountry } from './country.ts'
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

/** For columns whose values repeat: each distinct one is made once. */
function mapDistinct<T extends string>(
  texts: readonly string[],
  make: (text: string) => T
): readonly T[] {
  const toMade = memoize(make)
  return texts.map((text) => toMade(text))
}

/** The same where a text means something else in each country. */
function mapDistinctByCountry(
  texts: readonly string[],
  countries: readonly string[],
  make: (text: string, country: string) => string
): readonly string[] {
  const inCountry = memoize((country: string) => memoize((text: string) => make(text, country)))
  return texts.map((text, row) => inCountry(countries[row] ?? '')(text))
}

/** The texts without those that are hashes already. */
function withoutHashes(texts: readonly string[]): readonly string[] {
  return texts.some(isHash) ? texts.map((text) => (isHash(text) ? '' : text)) : texts
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
function parsePhones(texts: readonly string[], countries: readonly string[]) {
  const e164: string[] = []
  const regions: string[] = []
  for (const [row, text] of texts.entries()) {
    const phone = parsePhone(text, countries[row] ?? '')
    e164.push(phone.e164)
    regions.push(phone.region)
  }
  return { e164, regions }
}

/**
 * The users of one upload in every form that platforms match on. Columns are made when first asked
 * for and kept; each distinct form is hashed once, and made once where values repeat.
 */
export function createMembers(
  { size, texts, purchases }: UserColumns,
  { defaultCountry = '' }: MembersOptions = {}
): Members {
  const fallback = parseCountry(defaultCountry)
  const toHash = memoize(sha256)
  const clear = memoize((field: MatchField) => withoutHashes(texts[field]))

  const countries = lazy(() =>
    mapDistinct(texts.country, (country) => countryOrDefault(country, fallback))
  )
  const phones = lazy(() => parsePhones(clear('phone'), countries()))
  const inCountry = (make: (code: string, country: string) => string) =>
    mapDistinctByCountry(clear('postalCode'), countries(), make)

  const makeText: Readonly<Record<MatchForm, () => readonly string[]>> = {
    email: () => clear('email').map((value) => normalizeEmail(value)),
    emailStripped: () => text('email').map((address) => stripEmail(address)),
    phoneE164: () => phones().e164,
    phoneDigits: () => phones().e164.map((number) => number.slice(1)),
    firstName: () => mapDistinct(clear('firstName'), normalizeName),
    lastName: () => mapDistinct(clear('lastName'), normalizeName),
    country: () => countries().map((country) => country.toLowerCase()),
    postalCode: () =>
      text('postalCodeFull').map((code, row) => cutPostalCode(code, countries()[row] ?? '')),
    postalCodeFull: () => inCountry(normalizePostalCodeFull)
  }
  const text = memoize((form: MatchForm) => makeText[form]())
  const hash = memoize((form: MatchForm) => {
    const given = texts[FIELD_OF[form]]
    return text(form).map((clearText, row) =>
      clearText === '' ? givenHash(given[row] ?? '') : toHash(clearText)
    )
  })

  return {
    size,
    text,
    hash,
    phoneRegions: () => phones().regions,
    externalIds: lazy(() => texts.edgeTagId.map((id) => externalId(id))),
    plainNames: memoize((field) => mapDistinct(clear(field), plainName)),
    countries,
    plainPostalCodes: lazy(() => inCountry(plainPostalCode)),
    purchases: () => purchases,
    given: memoize((field) =>
      field === 'country'
        ? mapDistinct(texts.country, howCountryGiven)
        : texts[field].map((value) => howGiven(value))
    )
  }
}
