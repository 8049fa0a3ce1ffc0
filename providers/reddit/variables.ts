import { Type, type Static } from 'typebox'
import { BaseUrl } from '../provider.ts'

/** Matched people from whom up ads can use an audience ("Manage customer lists", Reddit Ads API). */
export const MINIMUM_AUDIENCE_SIZE = 1_000

const credential = (description: string) =>
  Type.Optional(Type.String({ pattern: '^[!-~]+$', form: 'text', secret: true, description }))

/** Configuration of one ad account. */
export const variables = Type.Object(
  {
    adAccountId: Type.String({
      pattern: '^[at]2_[0-9A-Za-z]+$',
      form: '`a2_` or `t2_` and more',
      description: 'Id of the ad account'
    }),
    clientId: Type.Optional(
      Type.String({
        pattern: '^[!-9;-~]+$',
        form: 'text',
        description:
          'Id of a developer application; together with `clientSecret` and `refreshToken`'
      })
    ),
    clientSecret: credential('Secret of that application'),
    refreshToken: credential(
      'What the application got with `duration=permanent` and the scopes `adsread` and `adsedit`; access tokens are fetched with it as they end'
    ),
    accessToken: credential('For trying, in place of those three: an access token, until it ends'),
    emailForm: Type.Enum(['canonical', 'strip_plus_and_dots', 'plain'], {
      default: 'canonical',
      description:
        "Form in which e-mail addresses are hashed. `canonical`: without `+tag`, only letters and digits before the `@`, as Reddit's page on matching says. `strip_plus_and_dots`: only `+tag` and dots are left out. `plain`: trimmed, lower case"
    }),
    userAgent: Type.String({
      pattern: '^[!-~]+:[!-~]+:[!-~][ -~]*$',
      form: '`platform:app:version (by /u/name)`',
      default: 'server:audience-api:v1',
      description:
        'What calls name themselves; Reddit turns away who gives no name or a generic one'
    }),
    baseUrl: BaseUrl
  },
  { additionalProperties: false }
)
export type RedditVariables = Static<typeof variables>

/** One way to an access token, and not two that could contradict each other. */
export function problems(settings: RedditVariables): readonly string[] {
  const { accessToken, clientId, clientSecret, refreshToken } = settings
  const given = [clientId, clientSecret, refreshToken].filter((value) => value !== undefined)
  return given.length === (accessToken === undefined ? 3 : 0)
    ? []
    : ['clientId, clientSecret and refreshToken must be set together, or accessToken alone']
}
