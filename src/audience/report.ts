import type { Given, MatchField, MatchForm, Members } from './members.ts'

export interface FieldCount {
  /** Users with any value in this field. */
  readonly given: number
  /** Of those: values that platforms can match on, hashes among them. */
  readonly usable: number
  readonly unusable: number
  /** Of the usable ones: values that came as a SHA-256. */
  readonly hashed: number
}

/** How good the data of one upload is; counts only, no value. */
export type FieldReport = Readonly<Record<MatchField, FieldCount>>

function countField(given: readonly Given[], hashes: readonly string[]): FieldCount {
  let [any, usable, hashed] = [0, 0, 0]
  given.forEach((how, row) => {
    if (how === '') return
    any += 1
    if (hashes[row] !== '') usable += 1
    if (how === 'hash') hashed += 1
  })
  return { given: any, usable, unusable: any - usable, hashed }
}

/** Counts, field by field, what the caller gave and what of it can be used. */
export function fieldReport(members: Members): FieldReport {
  const count = (field: MatchField, form: MatchForm) =>
    countField(members.given(field), members.hash(form))
  return {
    email: count('email', 'email'),
    phone: count('phone', 'phoneE164'),
    firstName: count('firstName', 'firstName'),
    lastName: count('lastName', 'lastName'),
    country: count('country', 'country'),
    postalCode: count('postalCode', 'postalCodeFull')
  }
}
