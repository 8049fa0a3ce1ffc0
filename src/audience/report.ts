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

/** The fields, and the form that shows whether a value can be used. */
const FORMS: Readonly<Record<MatchField, MatchForm>> = {
  email: 'email',
  phone: 'phoneE164',
  firstName: 'firstName',
  lastName: 'lastName',
  country: 'country',
  postalCode: 'postalCodeFull'
}

class FieldCounter {
  readonly #field: MatchField
  #given = 0
  #usable = 0
  #hashed = 0

  constructor(field: MatchField) {
    this.#field = field
  }

  add(members: Members): void {
    const given = members.given(this.#field)
    const form = FORMS[this.#field]
    // Of those that have no text only a hash can be used; most uploads have none.
    const usable = given.includes('hash') ? members.hash(form) : members.text(form)
    for (let row = 0; row < given.length; row += 1) {
      if (given[row] === '') continue
      this.#given += 1
      if (usable[row] !== '') this.#usable += 1
      if (given[row] === 'hash') this.#hashed += 1
    }
  }

  toCount(): FieldCount {
    const [given, usable] = [this.#given, this.#usable]
    return { given, usable, unusable: given - usable, hashed: this.#hashed }
  }
}

/** Counts, field by field, what the caller gave and what of it can be used. */
export function createFieldReport() {
  const email = new FieldCounter('email')
  const phone = new FieldCounter('phone')
  const firstName = new FieldCounter('firstName')
  const lastName = new FieldCounter('lastName')
  const country = new FieldCounter('country')
  const postalCode = new FieldCounter('postalCode')
  const counters = [email, phone, firstName, lastName, country, postalCode]
  return {
    add(members: Members): void {
      for (const counter of counters) counter.add(members)
    },
    end: (): FieldReport => ({
      email: email.toCount(),
      phone: phone.toCount(),
      firstName: firstName.toCount(),
      lastName: lastName.toCount(),
      country: country.toCount(),
      postalCode: postalCode.toCount()
    })
  }
}
