import { Type, type Static } from 'typebox'
import { BaseUrl } from '../provider.ts'

/** Matched people from whom up ads can use an audience. */
export const MINIMUM_AUDIENCE_SIZE = 1_000

export const variables = Type.Object(
  {
    accessToken: Type.String({
      secret: true,
      pattern: '^[!-~]+$',
      form: 'text',
      description: 'Long-lived access token of an app with the Audience Management scope'
    }),
    advertiserId: Type.String({
      pattern: '^[0-9]+$',
      form: 'digits',
      description:
        'Id of the ad account that owns the audiences. Text in JSON: it is longer than a number holds'
    }),
    route: Type.Enum(['stream', 'file'], {
      default: 'stream',
      description:
        'How users are sent. `stream`: as JSON, into a Partner audience of any size. `file`: as CSV files, into a Customer File audience, which TikTok makes from 1,000 users up'
    }),
    phoneForm: Type.Enum(['e164', 'digits', 'both'], {
      default: 'e164',
      description:
        'Form in which phone numbers are hashed. `e164`: `+16577770000`, as the API reference says. `digits`: `16577770000`, as TikTok\'s help page "List of supported IDs" says. `both`: each user with both hashes'
    }),
    emailForm: Type.Enum(['plain', 'strip_plus_and_dots', 'both'], {
      default: 'plain',
      description:
        'Form in which e-mail addresses are hashed. `plain`: trimmed, lower case. `strip_plus_and_dots`: also without `+tag` and without dots before the `@`, as older TikTok pages say. `both`: each user with both hashes'
    }),
    batchSize: Type.Integer({
      minimum: 1,
      maximum: 1000,
      default: 1000,
      description: 'Most rows in one streamed request; a user sent in two forms takes two rows'
    }),
    baseUrl: BaseUrl
  },
  { additionalProperties: false }
)
/** Configuration of one tag, defaults applied. */
export type TikTokVariables = Static<typeof variables>
