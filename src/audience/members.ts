import type { Purchase, User } from './schemas.ts'

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

/** The users of one upload as columns: row `i` of every column belongs to the same user. */
export interface Members {
  readonly size: number
  /** Normalised clear text; `''` where the value is missing, unusable or was given as a hash. */
  text(form: MatchForm): readonly string[]
  /**
   * Lower-case hex SHA-256 of the normalised text; a value given as a hash passes through in lower
   * case; `''` where there is nothing usable.
   */
  hash(form: MatchForm): readonly string[]
  /** ISO 3166-1 alpha-2 region (upper case) that the user's phone number belongs to; `''` if unknown. */
  phoneRegions(): readonly string[]
  /**
   * The caller's own id of each user (`edgeTagId`), `''` where missing. An id that looks like an
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
}

export type { User }
