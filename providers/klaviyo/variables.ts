import { Type, type Static } from 'typebox'
import { BaseUrl } from '../provider.ts'

const ProfileField = Type.Enum(['names', 'location', 'purchase', 'edgeTagId', 'externalId'])
export type ProfileField = Static<typeof ProfileField>

/** One tag's configuration. */
export const KlaviyoVariables = Type.Object(
  {
    apiKey: Type.String({
      pattern: '^[!-~]+$',
      form: 'text',
      secret: true,
      description:
        'Private API key with the scopes `lists:read`, `lists:write`, `profiles:read` and `profiles:write`'
    }),
    revision: Type.String({
      pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}$',
      form: '`YYYY-MM-DD`',
      default: '2026-07-15',
      description: "Klaviyo's API revision"
    }),
    profileFields: Type.Array(ProfileField, {
      uniqueItems: true,
      default: ['names'],
      description:
        'What a profile gets besides e-mail and phone: `names`; `location` (country, postal code); ' +
        '`purchase` and `edgeTagId` (custom properties `blotout_…`); `externalId` (the edge tag id as ' +
        "Klaviyo's `external_id`, an identifier that other integrations may own)"
    }),
    baseUrl: BaseUrl
  },
  { additionalProperties: false }
)
export type KlaviyoVariables = Static<typeof KlaviyoVariables>
