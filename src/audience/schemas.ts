import { Type, type Static } from 'typebox'

/** An optional field: absent and `null` mean the same. */
const optional = <T extends Parameters<typeof Type.Union>[0][number]>(type: T) =>
  Type.Optional(Type.Union([type, Type.Null()]))

/** A value that spreadsheets and databases hand out as text or as a number. */
const textOrNumber = Type.Union([Type.String(), Type.Number()])

export const Purchase = Type.Object({
  currency: optional(Type.String({ description: 'ISO 4217 code, e.g. USD' })),
  profit: optional(Type.Number({ description: 'Profit from this customer' })),
  total7Days: optional(Type.Number({ description: 'Total spend in the last 7 days' }))
})
export type Purchase = Static<typeof Purchase>

export const User = Type.Object({
  edgeTagId: optional(textOrNumber),
  email: optional(Type.String()),
  phone: optional(textOrNumber),
  firstName: optional(Type.String()),
  lastName: optional(Type.String()),
  country: optional(Type.String()),
  postalCode: optional(textOrNumber),
  purchase: optional(Type.Union([Purchase, Type.Array(Purchase)]))
})
/** One customer as the caller sent it. Unknown fields are allowed and ignored. */
export type User = Static<typeof User>

const count = (description: string) =>
  Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description })

export const Batch = Type.Object({
  sessionId: count('Ties all batches of one upload together'),
  sequence: count('Index of this batch, counted from 0 or from 1'),
  totalBatches: count('Number of batches in the session'),
  totalUsers: count('Number of users across all batches'),
  pullDate: optional(
    Type.String({ format: 'date', description: 'Day the data was pulled, YYYY-MM-DD' })
  )
})
export type Batch = Static<typeof Batch>

export const AudienceType = Type.Enum(['custom', 'primary'])
export type AudienceType = Static<typeof AudienceType>
