import { Type, type Static, type TSchema } from 'typebox'
import { Compile } from 'typebox/compile'

const strict = <P extends Record<string, TSchema>>(properties: P) =>
  Type.Object(properties, { additionalProperties: false })

const text = Type.Optional(Type.Union([Type.String(), Type.Null()]))
const coordinate = Type.Optional(Type.Union([Type.String(), Type.Number(), Type.Null()]))

/**
 * What the API reference documents; whether Klaviyo refuses other attributes it does not say, the
 * sandbox does.
 */
const ProfileAttributes = strict({
  email: text,
  phone_number: text,
  external_id: text,
  first_name: text,
  last_name: text,
  organization: text,
  locale: text,
  title: text,
  image: text,
  location: Type.Optional(
    strict({
      address1: text,
      address2: text,
      city: text,
      country: text,
      region: text,
      zip: text,
      timezone: text,
      ip: text,
      latitude: coordinate,
      longitude: coordinate
    })
  ),
  properties: Type.Optional(Type.Record(Type.String(), Type.Unknown()))
})
export type ProfileAttributes = Static<typeof ProfileAttributes>

/** The body of Create List. */
export const ListBody = Compile(
  strict({
    data: strict({
      type: Type.Literal('list'),
      attributes: strict({
        name: Type.String({ minLength: 1 }),
        opt_in_process: Type.Optional(Type.Enum(['single_opt_in', 'double_opt_in']))
      })
    })
  })
)

const ListReference = strict({ type: Type.Literal('list'), id: Type.String() })
const ProfileResource = strict({ type: Type.Literal('profile'), attributes: ProfileAttributes })

/** The body of Bulk Import Profiles: `profiles` is an object, the relationship is plural. */
export const JobBody = Compile(
  strict({
    data: strict({
      type: Type.Literal('profile-bulk-import-job'),
      attributes: strict({
        profiles: strict({ data: Type.Array(ProfileResource, { minItems: 1 }) })
      }),
      relationships: Type.Optional(
        strict({ lists: Type.Optional(strict({ data: Type.Array(ListReference) })) })
      )
    })
  })
)

const ProfileReference = strict({ type: Type.Literal('profile'), id: Type.String() })

/** The body of Remove Profiles from List. */
export const RemovalBody = Compile(
  strict({ data: Type.Array(ProfileReference, { minItems: 1, maxItems: 1_000 }) })
)

/** Parameters, each given once. */
export const Query = Compile(Type.Record(Type.String(), Type.String()))
export type Query = Readonly<Record<string, string>>
