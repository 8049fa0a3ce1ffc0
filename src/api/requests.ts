import { Type } from 'typebox'
import { AudienceType, Batch, User } from '../audience/schemas.ts'
import { DELIVERY_STATES, SESSION_STATES } from '../store/store.ts'
import { word } from './schema.ts'

/**
 * What requests may hold, as the reference tells it. Routes read their parameters as text and check
 * them themselves, so that their refusals are the service's own.
 */

const flag = (description: string, byDefault: 'true' | 'false' = 'false') =>
  Type.Optional(
    word(['true', 'false', '1', '0', ''], {
      default: byDefault,
      description: `${description} Without a value it is true.`
    })
  )
const text = (description: string, example: string) =>
  Type.Optional(Type.String({ description: `${description} E.g. \`${example}\`.` }))
const limit = (byDefault: number, most: number) =>
  Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: most,
      default: byDefault,
      description: 'Entries on a page.'
    })
  )
const cursor = text('`next` of the page before.', 'WzE3NjM4MDU2MDUzMTAsMTcwODUzMTIwMF0')
const channels = text(
  'Platforms or tags that are meant, comma-separated; all without it.',
  'facebook,tiktok/eu-shop'
)
const sync = flag('Waits for the platforms and tells what failed.')

export const SessionPath = Type.Object({
  sessionId: Type.Integer({
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    description: '`sessionId` of the upload.',
    examples: [1708531200]
  })
})

export const UploadParameters = Type.Object({
  sync,
  dryRun: flag(
    'Tells what the upload would do: how good the data is, and whom each platform would get. No platform is called and nothing is kept; `sync` has no effect.'
  ),
  disablePrefix: flag(
    'Gives the segment exactly the name sent. Otherwise it is the prefix and the name with runs of white space turned into `_`.'
  ),
  mode: Type.Optional(
    word(['add', 'remove'], {
      default: 'add',
      description: 'Whether the users are added to the segment or taken out of it.'
    })
  ),
  channels,
  defaultCountry: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z]{2}$',
      description:
        'ISO 3166-1 alpha-2 code of the country of users who have none, e.g. `US`. `AUDIENCE_DEFAULT_COUNTRY` by default.'
    })
  )
})

export const SessionsParameters = Type.Object({
  state: Type.Optional(word(SESSION_STATES, { description: 'Only sessions in this state.' })),
  limit: limit(50, 200),
  cursor
})

export const SessionParameters = Type.Object({
  state: Type.Optional(
    word(DELIVERY_STATES, { description: 'Only single deliveries in this state.' })
  ),
  limit: limit(50, 200),
  cursor
})

export const RetryParameters = Type.Object({ channels })

export const EventsHeaders = Type.Object({
  'last-event-id': text(
    '`id` of the last event that was seen. Browsers send it by themselves when they come back.',
    '17'
  )
})

export const SegmentsParameters = Type.Object({
  provider: text('Only segments at this platform.', 'facebook'),
  tag: text('With `provider`: only segments in the account of this tag.', 'eu-shop'),
  name: text(
    'Only segments of this name, as the platform stores it.',
    'blotout_High_Value_Customers'
  ),
  status: flag('Whether platforms are asked how segments stand.', 'true'),
  limit: limit(20, 50),
  cursor
})

const needed = (description: string, example: string) =>
  Type.String({ minLength: 1, description, examples: [example] })

export const DeleteParameters = Type.Object({
  provider: needed('The platform.', 'facebook'),
  tag: needed('One of its configured tags.', 'eu-shop'),
  name: needed(
    'Exactly the name that the platform stores, as it is listed.',
    'blotout_High_Value_Customers'
  ),
  sync
})

export const ProvidersParameters = Type.Object({
  check: flag('Asks each platform whether credentials, access and terms are in order.')
})

const BATCH = {
  sessionId: 1708531200,
  sequence: 1,
  totalBatches: 3,
  totalUsers: 25000,
  pullDate: '2026-01-01'
}
const USERS = [
  {
    edgeTagId: 'et_abc123',
    email: 'jane@example.com',
    phone: '+14155552671',
    firstName: 'Jane',
    lastName: 'Doe',
    country: 'US',
    postalCode: '90202',
    purchase: [{ currency: 'USD', profit: 12.5, total7Days: 80 }]
  }
]

const UserObject = Type.Object(User.properties, {
  title: 'User',
  description:
    'A customer. All fields are optional, `null` is the same as absent, and unknown fields are ignored and counted. A value that cannot be used is no error: it is left out and counted.'
})

export const UploadForm = Type.Object(
  {
    name: Type.String({
      minLength: 1,
      maxLength: 255,
      pattern: '\\S',
      description: 'Name of the audience: not blank, without control characters.',
      examples: ['High Value Customers']
    }),
    type: Type.Optional(
      word(AudienceType.enum, {
        default: 'custom',
        description: '`primary` is the primary list of customers. Only Facebook tells them apart.'
      })
    ),
    // An object stands in a form as its JSON.
    batch: Type.Object(Batch.properties, {
      title: 'Batch',
      description: 'Which part of which upload this is, as JSON.',
      examples: [BATCH]
    }),
    // A list would stand in it as one part for each of its entries, so that this is a text.
    users: Type.String({
      description:
        'The customers as JSON, as text or as a file; up to `AUDIENCE_MAX_USERS` of them.',
      contentMediaType: 'application/json',
      contentSchema: Type.Array(UserObject, { minItems: 1 }),
      examples: [JSON.stringify(USERS)]
    })
  },
  {
    title: 'UploadForm',
    description:
      'Parts come in any order, as text or as files, in UTF-8. Each may be there once; others are skipped.'
  }
)
