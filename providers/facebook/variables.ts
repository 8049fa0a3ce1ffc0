import { Type, type Static } from 'typebox'
import { BaseUrl } from '../provider.ts'

const optional = Type.Optional

/** Matched people from whom up ads can use an audience. */
export const MINIMUM_AUDIENCE_SIZE = 100

/** Configuration of one ad account. */
export const variables = Type.Object(
  {
    accessToken: Type.String({
      pattern: '^[!-~]+$',
      form: 'text',
      secret: true,
      description:
        'Token of a system user that is assigned to the ad account, with the permission `ads_management`'
    }),
    adAccountId: Type.String({
      pattern: '^(act_)?[0-9]+$',
      form: 'digits',
      description: 'Id of the ad account, with or without `act_`'
    }),
    appSecret: optional(
      Type.String({
        minLength: 1,
        secret: true,
        description: 'Secret of the app; if given, every call carries an `appsecret_proof`'
      })
    ),
    apiVersion: Type.String({
      pattern: '^v[0-9]+\\.[0-9]+$',
      form: '`v` and a number',
      default: 'v26.0',
      description: 'Version of the Graph API'
    }),
    baseUrl: BaseUrl,
    batchSize: Type.Integer({
      minimum: 1,
      maximum: 10_000,
      default: 10_000,
      description: 'Users per request; Meta takes at most 10,000'
    }),
    customerFileSource: Type.Enum(
      ['USER_PROVIDED_ONLY', 'PARTNER_PROVIDED_ONLY', 'BOTH_USER_AND_PARTNER_PROVIDED'],
      {
        default: 'USER_PROVIDED_ONLY',
        description: 'Where the customers gave their data; written on new audiences'
      }
    ),
    primarySubtype: Type.Enum(['CUSTOM', 'PRIMARY'], {
      default: 'CUSTOM',
      description: 'Subtype of audiences of type `primary`; Meta documents lists for `CUSTOM` only'
    }),
    ukPostalCode: Type.Enum(['sector', 'full'], {
      default: 'sector',
      description: "British postcodes: area, district and sector as Meta's guide says, or whole"
    }),
    valueBased: optional(
      Type.Object(
        {
          field: Type.Enum(['profit', 'total7Days'], {
            default: 'profit',
            description: "Field of a purchase that tells a customer's value"
          }),
          currency: Type.String({
            pattern: '^[A-Z]{3}$',
            form: 'three capital letters',
            description: 'The currency of all values; purchases in another one are left out'
          })
        },
        {
          additionalProperties: false,
          description: 'Makes new audiences value-based, e.g. `{"field":"profit","currency":"EUR"}`'
        }
      )
    ),
    dataProcessingOptions: optional(
      Type.Array(Type.Enum(['LDU']), {
        minItems: 1,
        maxItems: 1,
        description: '`LDU` marks every user for Limited Data Use'
      })
    ),
    dataProcessingOptionsCountry: Type.Enum([0, 1], {
      default: 0,
      description: 'With `LDU`: 1 for the United States, 0 lets Meta find out'
    }),
    dataProcessingOptionsState: Type.Enum([0, 1000], {
      default: 0,
      description:
        'With `LDU`: 1000 for California, 0 lets Meta find out. Country and state are both set or both 0'
    })
  },
  { additionalProperties: false }
)

export type FacebookVariables = Static<typeof variables>

/** The digits of the ad account's id. */
export function accountId({ adAccountId }: FacebookVariables): string {
  return adAccountId.replace(/^act_/, '')
}

/**
 * "If you set a country, you must also set a state" (Meta, Data Processing Options for US Users);
 * else Meta ignores both.
 */
export function problems(settings: FacebookVariables): readonly string[] {
  const { dataProcessingOptionsCountry: country, dataProcessingOptionsState: state } = settings
  return (country === 0) === (state === 0)
    ? []
    : ['dataProcessingOptionsCountry and dataProcessingOptionsState must both be set or both be 0']
}
