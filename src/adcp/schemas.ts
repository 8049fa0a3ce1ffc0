import { type Static, Type } from 'typebox'
import { ADCP_MAJORS } from './versions.ts'

/**
 * The arguments of the tools, as they are checked and as agents are told of them. Objects are open:
 * what is not known is never refused ("Security", server-side tool wrapper conformance), but in
 * references of accounts (`core/account-ref.json`). What has no limit in the protocol has one here.
 */

/** Most audiences in one call, and of an account: all of them can be named. */
export const MAX_AUDIENCES = 1_000
const MAX_EXTERNAL_ID = 255
const MAX_ID = 255
const MAX_NAME = 255
const MAX_DESCRIPTION = 2_000
const MAX_TAGS = 20
const MAX_TAG = 64

/** Anchored and without nested repetition, so that each takes one pass whatever it is given. */
const HASH_PATTERN = '^[a-f0-9]{64}$'
const DOMAIN = '^[A-Za-z0-9.-]{1,253}$'
/** Lengths are told by the patterns: `maxLength` counts characters of any number of code points. */
const plainPattern = (max: number) =>
  `^(?=[^]*?[^\\s\\p{Cc}\\p{Cf}\\p{Cs}])[^\\p{Cc}\\p{Cs}]{1,${max}}$`

/** What a text of a pattern has to be, for who sent another one. */
export const PATTERN_WORDS = new Map<string, string>()

function formed(pattern: string, words: string, description: string) {
  PATTERN_WORDS.set(pattern, words)
  return Type.String({ pattern, description })
}

const { Optional } = Type
const object = (description: string) => Type.Record(Type.String(), Type.Unknown(), { description })
const plain = (max: number, description: string) =>
  formed(plainPattern(max), `must be text of 1 to ${max} characters in one line`, description)
const domain = (description: string) => formed(DOMAIN, 'must be a domain', description)
const hash = (description: string) =>
  formed(HASH_PATTERN, 'must be a SHA-256 hash of 64 lower-case hex digits', description)
const code = (characters: string, max: number, description: string) =>
  formed(`^[${characters}]{1,${max}}$`, `must be 1 to ${max} of ${characters}`, description)

export const AccountById = Type.Object(
  { account_id: plain(MAX_ID, 'Id of an account of list_accounts.') },
  { additionalProperties: false }
)
/** The natural key with what 3.2 added to it, whatever the release of the call. */
export const AccountByKey = Type.Object(
  {
    brand: Type.Object(
      {
        domain: domain('Domain of the advertiser.'),
        brand_id: Optional(code('a-z0-9_', 255, 'Brand of a house of brands.')),
        countries: Optional(
          Type.Array(formed('^[A-Z]{2}$', 'must be a country code', 'ISO 3166-1 alpha-2 code.'), {
            minItems: 1,
            maxItems: 300,
            uniqueItems: true
          })
        ),
        industries: Optional(Type.Unknown()),
        data_subject_contestation: Optional(Type.Unknown()),
        brand_kit_override: Optional(Type.Unknown())
      },
      { additionalProperties: false }
    ),
    operator: domain("Domain of who operates on the brand's behalf."),
    operator_unit: Optional(
      Type.Object(
        {
          id: code('A-Za-z0-9._:/-', 255, 'Stable id of the unit.'),
          name: Optional(Type.String())
        },
        { additionalProperties: false }
      )
    ),
    currency: Optional(formed('^[A-Z]{3}$', 'must be a currency code', 'ISO 4217 code.')),
    timezone: Optional(plain(64, 'Time zone of the account.')),
    sandbox: Optional(Type.Boolean())
  },
  { additionalProperties: false }
)

/** What may come with every call. */
const ENVELOPE = {
  adcp_version: Optional(Type.String({ description: 'Release of AdCP, e.g. "3.2".' })),
  adcp_major_version: Optional(
    Type.Integer({ minimum: 1, maximum: 99, description: `Major version, ${ADCP_MAJORS.join()}.` })
  ),
  context: Optional(object('Returned as it is.')),
  ext: Optional(object('Vendor extensions; not looked at.'))
}
export const Envelope = Type.Object(ENVELOPE)

/** Declared for those clients that send nothing which a tool does not name; not looked at. */
const CARRIED = {
  context_id: Optional(Type.Unknown()),
  governance_context: Optional(Type.Unknown()),
  idempotency_key: Optional(Type.Unknown()),
  push_notification_config: Optional(Type.Unknown())
}

const account = Optional(
  Type.Union([AccountById, AccountByKey], {
    description: 'An account: by account_id, or by brand and operator.'
  })
)

export const CapabilitiesArguments = Type.Object({
  ...CARRIED,
  ...ENVELOPE,
  protocols: Optional(Type.Array(Type.String()))
})

const LIST = {
  status: Optional(
    Type.Enum(['active', 'pending_approval', 'rejected', 'payment_required', 'suspended', 'closed'])
  ),
  sandbox: Optional(Type.Boolean()),
  pagination: Optional(
    Type.Object({
      max_results: Optional(Type.Integer({ minimum: 1, maximum: 100 })),
      cursor: Optional(Type.String({ maxLength: 1_000 }))
    })
  )
}
/** `account` is checked by itself: an error of one of two forms should name that form. */
export const ListAccounts = Type.Object({
  ...ENVELOPE,
  ...LIST,
  account: Optional(Type.Unknown())
})
export const ListAccountsArguments = Type.Object({ ...CARRIED, ...ENVELOPE, account, ...LIST })

const TASK = {
  task_id: plain(MAX_ID, 'As sync_audiences told.'),
  include_result: Optional(Type.Boolean({ description: 'Also what came of it.' })),
  include_history: Optional(Type.Boolean({ description: 'There is none.' }))
}
export const TaskStatus = Type.Object({
  ...ENVELOPE,
  ...TASK,
  account: Optional(Type.Unknown())
})
export const TaskStatusArguments = Type.Object({ ...CARRIED, ...ENVELOPE, account, ...TASK })

export const PushNotificationConfig = Type.Object({
  url: Type.String({ format: 'uri', maxLength: 4_096 }),
  operation_id: Optional(code('A-Za-z0-9_.:-', 255, 'Returned with each notification.')),
  token: Optional(Type.String({ minLength: 16, maxLength: 4_096 })),
  authentication: Optional(
    Type.Object(
      {
        schemes: Type.Array(Type.Enum(['Bearer', 'HMAC-SHA256']), { minItems: 1, maxItems: 1 }),
        credentials: Type.String({ minLength: 32, maxLength: 4_096 })
      },
      { additionalProperties: false }
    )
  )
})

export type PushNotificationConfig = Static<typeof PushNotificationConfig>

const SYNC = {
  idempotency_key: formed(
    '^[A-Za-z0-9_.:-]{16,255}$',
    'must be 16 to 255 of A-Za-z0-9_.:-',
    'A new UUID for each call; the same one to repeat a call.'
  ),
  delete_missing: Optional(
    Type.Boolean({ description: 'Deletes audiences that the call does not name.' })
  ),
  push_notification_config: Optional(PushNotificationConfig)
}
/** Without what is within `account` and `audiences`. */
export const SyncAudiences = Type.Object({
  ...ENVELOPE,
  ...SYNC,
  account: Type.Unknown(),
  audiences: Optional(Type.Unknown())
})

const AUDIENCE = {
  audience_id: plain(MAX_ID, "The caller's id of the audience."),
  name: Optional(plain(MAX_NAME, 'Shown at the platforms.')),
  description: Optional(
    formed(
      `^[^\\p{Cs}]{0,${MAX_DESCRIPTION}}$`,
      `must be text of at most ${MAX_DESCRIPTION} characters`,
      'What the audience is for.'
    )
  ),
  audience_type: Optional(Type.Enum(['crm', 'suppression', 'lookalike_seed'])),
  tags: Optional(Type.Array(plain(MAX_TAG, 'A tag.'), { maxItems: MAX_TAGS, uniqueItems: true })),
  consent_basis: Optional(
    Type.Enum(['consent', 'legitimate_interest', 'contract', 'legal_obligation'])
  ),
  delete: Optional(Type.Boolean({ description: 'Deletes the audience; nothing else counts.' }))
}
/** Without the members. */
export const Audience = Type.Object({
  ...AUDIENCE,
  add: Optional(Type.Unknown()),
  remove: Optional(Type.Unknown()),
  source: Optional(Type.Unknown())
})
export type Audience = Static<typeof Audience>

/** What it has to have besides its id cannot be told here: at least one of the others. */
export const Member = Type.Object(
  {
    external_id: plain(MAX_EXTERNAL_ID, "The caller's id of the person."),
    hashed_email: Optional(hash('SHA-256 of the e-mail address, trimmed, in lower case.')),
    hashed_phone: Optional(hash('SHA-256 of the phone number in E.164, with "+".')),
    uids: Optional(
      Type.Array(Type.Object({ type: Type.String(), value: Type.String() }), {
        minItems: 1,
        description: 'Not taken by any platform here.'
      })
    ),
    ext: Optional(object('Vendor extensions; not looked at.'))
  },
  { description: 'A person: an id and at least one hash.' }
)
export type Member = Static<typeof Member>
const members = (description: string) => Optional(Type.Array(Member, { minItems: 1, description }))

export const SyncAudiencesArguments = Type.Object({
  ...CARRIED,
  ...ENVELOPE,
  ...SYNC,
  account: Type.Union([AccountById, AccountByKey], {
    description: 'An account: by account_id, or by brand and operator.'
  }),
  audiences: Optional(
    Type.Array(
      Type.Object({
        ...AUDIENCE,
        add: members('Who is added.'),
        remove: members('Who is removed; wins over add.')
      }),
      {
        minItems: 1,
        maxItems: MAX_AUDIENCES,
        description: 'Audiences to create, change or delete. Without it all audiences are listed.'
      }
    )
  )
})

/** For whoever checks a hundred thousand of them. */
export const EXTERNAL_ID = new RegExp(plainPattern(MAX_EXTERNAL_ID), 'u')
