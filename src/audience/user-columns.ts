import type { Purchase, User } from './schemas.ts'
import { written } from './text.ts'

/** Users as the caller wrote them: row `i` of every column is the same user. */
export interface UserColumns {
  readonly size: number
  /** `''` where there is nothing; a number is its digits. */
  readonly texts: Readonly<Record<TextField, readonly string[]>>
  /** Empty where there are none. */
  readonly purchases: readonly (readonly Purchase[])[]
}

export type TextField = Exclude<keyof User, 'purchase'>

const NONE: readonly Purchase[] = []

function purchasesOf({ purchase }: User): readonly Purchase[] {
  if (purchase == null) return NONE
  return Array.isArray(purchase) ? purchase : [purchase]
}

/** @param users of the schema: their types are not looked at again. */
export function toColumns(users: readonly User[]): UserColumns {
  const edgeTagId: string[] = []
  const email: string[] = []
  const phone: string[] = []
  const firstName: string[] = []
  const lastName: string[] = []
  const country: string[] = []
  const postalCode: string[] = []
  const purchases: (readonly Purchase[])[] = []
  for (const user of users) {
    edgeTagId.push(written(user.edgeTagId))
    email.push(user.email ?? '')
    phone.push(written(user.phone))
    firstName.push(user.firstName ?? '')
    lastName.push(user.lastName ?? '')
    country.push(user.country ?? '')
    postalCode.push(written(user.postalCode))
    purchases.push(purchasesOf(user))
  }
  const texts = { edgeTagId, email, phone, firstName, lastName, country, postalCode }
  return { size: users.length, texts, purchases }
}
