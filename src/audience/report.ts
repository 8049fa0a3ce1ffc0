import type { MatchField, MatchForm, Members } from './members.ts'

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

function countField(members: Members, field: MatchField, form: MatchForm): FieldCount {
  const given = members.given(field)
  const texts = members.text(form)
  // Of those that have no text only a hash can be used; most uploads have none.
  const hashes = given.includes('hash') ? members.hash(form) : texts
  let [any, usable, hashed] = [0, 0, 0]
  for (const [row, how] of given.entries()) {
    if (how === '') continue
    any += 1
    if (hashes[row] !== '') usable += 1
    if (how === 'hash') hashed += 1
  }
  return { given: any, usable, unusable: any - usable, hashed }
}

/** Counts, field by field, what the caller gave and what of it can be used. */
export function fieldReport(members: Members): FieldReport {
  return {
    email: countField(members, 'email', 'email'),
    phone: countField(members, 'phone', 'phoneE164'),
    firstName: countField(members, 'firstName', 'firstName'),
    lastName: countField(members, 'lastName', 'lastName'),
    country: countField(members, 'country', 'country'),
    postalCode: countField(members, 'postalCode', 'postalCodeFull')
  }
}
