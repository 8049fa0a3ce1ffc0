import type { Purchase, User } from './schemas.ts'
import { written } from './text.ts'

/** The users of one upload as the caller wrote them: row `i` of every column is the same user. */
export interface UserColumns {
  readonly size: number
  /** `''` where there is nothing; a number is its digits. */
  readonly texts: Readonly<Record<TextField, readonly string[]>>
  /** Empty where there are none. */
  readonly purchases: readonly (readonly Purchase[])[]
}

export type TextField = Exclude<keyof User, 'purchase'>

/** Columns that are still filled. */
export interface ColumnsWriter {
  /** Users whose types are those of the schema. */
  add(users: readonly User[]): void
  columns(): UserColumns
}

const NONE: readonly Purchase[] = []

function purchasesOf({ purchase }: User): readonly Purchase[] {
  if (purchase == null) return NONE
  return Array.isArray(purchase) ? purchase : [purchase]
}

export function createColumns(): ColumnsWriter {
  const edgeTagId: string[] = []
  const email: string[] = []
  const phone: string[] = []
  const firstName: string[] = []
  const lastName: string[] = []
  const country: string[] = []
  const postalCode: string[] = []
  const purchases: (readonly Purchase[])[] = []
  return {
    add(users) {
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
    },
    columns: () => ({
      size: purchases.length,
      texts: { edgeTagId, email, phone, firstName, lastName, country, postalCode },
      purchases
    })
  }
}
