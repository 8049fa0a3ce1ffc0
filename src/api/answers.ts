import { type Static, Type } from 'typebox'
import { AudienceType } from '../audience/schemas.ts'
import { DELIVERY_STATES, SESSION_STATES } from '../store/store.ts'
import {
  closed,
  count,
  counts,
  nullable,
  nullableText,
  nullableTime,
  time,
  word
} from './schema.ts'

/** Every answer of the HTTP API. They document what is answered; nothing is changed by them. */

const Success = Type.Literal(true, { type: 'boolean' })

export const Done = closed(
  { success: Success },
  { title: 'Done', description: 'It was accepted, or everything of it was done.' }
)
export type Done = Static<typeof Done>

export const Pending = closed(
  {
    success: Success,
    pending: Type.Array(Type.String(), {
      minItems: 1,
      description: 'Tags that had not ended when the time was over, and of which none had failed.'
    })
  },
  { title: 'Pending', description: 'It was accepted and is still under way.' }
)
export type Pending = Static<typeof Pending>

export const Failure = closed(
  {
    success: Type.Literal(false, { type: 'boolean' }),
    errors: Type.Array(Type.String(), {
      minItems: 1,
      description: 'What is wrong, in words. They may get clearer: programs look at `x-error-code`.'
    })
  },
  { title: 'Failure', description: 'What was asked for was not done, or failed.' }
)
export type Failure = Static<typeof Failure>

export const Problem = closed(
  {
    code: Type.String({
      description:
        'A class of platform errors (`auth`, `permission`, `blocked`, `invalid`, `not_found`, `rate_limited`, `transient`), or a code of the service itself such as `cancelled`.'
    }),
    message: Type.String({ description: 'Why, and what to do about it. Holds no personal data.' })
  },
  { title: 'Problem', description: 'Why something did not work.' }
)
export type Problem = Static<typeof Problem>

const lastError = nullable(Problem, {
  description: 'The last error; `null` if there was none since the last success.'
})

export const DeliveryState = word(DELIVERY_STATES, {
  title: 'DeliveryState',
  description:
    '`queued` waits for its turn, `sending` runs, `retrying` waits for its next attempt, `held` waits until a person has put the account in order, `confirming` was taken and the platform works on it. `delivered` and `failed` are final.'
})
export type DeliveryState = Static<typeof DeliveryState>

export const SessionState = word(SESSION_STATES, {
  title: 'SessionState',
  description:
    '`sending`: deliveries are under way. `failed`: all have ended, some failed. `receiving`: all were delivered and batches are still missing. `delivered`: everything was delivered.'
})
export type SessionState = Static<typeof SessionState>

export const UploadMode = word(['add', 'remove', 'delete'], {
  title: 'UploadMode',
  description:
    'Whether users are added to the segment or taken out of it, or the segment itself is deleted.'
})
export type UploadMode = Static<typeof UploadMode>

export const StateCounts = closed(
  {
    queued: count('Wait for their turn.'),
    sending: count('Run.'),
    retrying: count('Wait for their next attempt.'),
    held: count('Wait for a person.'),
    confirming: count('Were taken, and the platform works on them.'),
    delivered: count('Were delivered.'),
    failed: count('Were given up.')
  },
  { title: 'StateCounts', description: 'How many deliveries are in each state.' }
)
export type StateCounts = Static<typeof StateCounts>

const usersSent = {
  sent: count('Users in requests that the platform acknowledged.'),
  received: count(
    'Users that the platform says it took or removed; those sent where it is silent.'
  ),
  invalid: count('Users that the platform took but could not read.'),
  leftOut: count('Users who were not sent.')
}
const sessionId = Type.Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'The number that ties all batches of one upload together.'
})
const provider = Type.String({ description: 'The platform, e.g. `facebook`.' })
const tag = Type.String({ description: 'One of its configured accounts, e.g. `default`.' })
const segment = Type.String({ description: "The segment's name as the platform stores it." })
const received = closed({
  received: count('Accepted so far.'),
  total: count('Announced by the latest batch.')
})

export const DeliveryStatus = closed(
  {
    id: Type.String({ format: 'uuid', description: 'Names the delivery.' }),
    sequence: count('The batch.'),
    provider,
    tag,
    segment,
    state: DeliveryState,
    attempts: count('Attempts so far.'),
    users: closed(usersSent),
    nextAttemptAt: nullableTime('When the next attempt starts; `null` if none is planned.'),
    lastError,
    settledAt: nullableTime('When it was delivered or given up; `null` before that.')
  },
  { title: 'DeliveryStatus', description: 'One batch at one tag of one platform.' }
)
export type DeliveryStatus = Static<typeof DeliveryStatus>

const fieldCounts = {
  given: count('Users with any value in this field.'),
  usable: count('Of those, users whose value can be matched on.'),
  repaired: count(
    'Of the usable ones, values that would not have matched had they only been trimmed and written in lower case.'
  ),
  unusable: count('Users whose value cannot be matched on.'),
  hashed: count('Of the usable ones, values that came as a SHA-256.')
}
const WHY =
  'Why values cannot be used, by reason, e.g. `not_an_address`. Reasons are stable; there may be more of them one day.'

export const Row = closed(
  { sequence: count('The batch.'), row: count('Index in its list of users, from 0.') },
  { title: 'Row', description: 'Where a user stands in the upload.' }
)
export type Row = Static<typeof Row>

const rows = Type.Array(Row, { maxItems: 20, description: 'The first of these users.' })
const unusableUsers = count('Users whose value cannot be used for this reason.')

export const FieldReport = closed(
  {
    ...fieldCounts,
    why: Type.Record(Type.String(), closed({ users: unusableUsers, rows }), { description: WHY })
  },
  { title: 'FieldReport', description: 'How good the values of one field are.' }
)
export type FieldReport = Static<typeof FieldReport>

export const FieldPreview = closed(
  {
    ...fieldCounts,
    why: Type.Record(
      Type.String(),
      closed({
        users: unusableUsers,
        rows,
        examples: Type.Array(Type.String(), {
          maxItems: 3,
          description: 'Some of the values, masked: `j***@example`.'
        })
      }),
      { description: WHY }
    )
  },
  {
    title: 'FieldPreview',
    description: 'How good the values of one field are, with masked examples.'
  }
)
export type FieldPreview = Static<typeof FieldPreview>

const ignoredFields = counts(
  'Unknown keys of users and how many had them; the names beyond 20, and odd ones, as `(other)`.'
)
const duplicates = count(
  'Users whose e-mail address and phone number are together those of a user before them in the same batch.'
)

export const Report = closed(
  {
    fields: closed({
      email: FieldReport,
      phone: FieldReport,
      firstName: FieldReport,
      lastName: FieldReport,
      country: FieldReport,
      postalCode: FieldReport
    }),
    ignoredFields
  },
  {
    title: 'Report',
    description:
      'How good the data is, all batches together. It is filled once batches are prepared for the platforms.'
  }
)
export type Report = Static<typeof Report>

const leftOutBy = counts('Users who are not sent, by reason, e.g. `no_identifier`, `duplicate`.')
const notes = counts('What is kept back of users who are sent, by reason.')
const identifiers = counts(
  'Users by how many usable identifiers of this platform they have: `{ "0": 21, "2": 9979 }`.'
)

export const DestinationStatus = closed(
  {
    provider,
    tag,
    segment,
    mode: UploadMode,
    segmentId: nullableText("The platform's id of the segment; `null` before it is known."),
    state: DeliveryState,
    deliveries: StateCounts,
    users: closed(usersSent),
    leftOutBy,
    notes,
    identifiers,
    attempts: count('Most attempts that one of its deliveries has needed.'),
    nextAttemptAt: nullableTime('When the next attempt starts; `null` if none is planned.'),
    lastError
  },
  {
    title: 'DestinationStatus',
    description:
      'All batches at one tag of one platform. `state` is the most urgent one of its deliveries.'
  }
)
export type DestinationStatus = Static<typeof DestinationStatus>

const next = nullableText('The `cursor` of the next page; `null` on the last one.')
const audience = Type.String({ description: "The audience's name as it was sent." })

export const SessionStatus = closed(
  {
    sessionId,
    audience,
    type: AudienceType,
    state: SessionState,
    batches: closed({
      received: Type.Array(count('A sequence.'), { description: 'Accepted batches.' }),
      missing: Type.Array(count('A sequence.'), {
        maxItems: 1_000,
        description: 'Batches that are still to come, the first 1,000 of them.'
      }),
      total: count('The latest `totalBatches`.')
    }),
    users: received,
    pullDate: Type.Optional(
      Type.String({ format: 'date', description: 'The latest one; left out if none was sent.' })
    ),
    warnings: Type.Array(Type.String(), {
      description: 'What looks wrong but was done all the same.'
    }),
    report: Report,
    destinations: Type.Array(DestinationStatus, {
      description: 'One entry per platform, tag, segment and mode.'
    }),
    deliveries: Type.Array(DeliveryStatus, {
      description: 'One page of single deliveries, in the order of acceptance.'
    }),
    next
  },
  { title: 'SessionStatus', description: 'What happened to an upload at every platform.' }
)
export type SessionStatus = Static<typeof SessionStatus>

export const SessionOverview = closed(
  {
    sessionId,
    audience,
    type: AudienceType,
    state: SessionState,
    batches: received,
    users: received,
    deliveries: StateCounts,
    startedAt: time('When its first batch was accepted.'),
    changedAt: time('When anything of it changed last.')
  },
  { title: 'SessionOverview', description: 'One of several sessions.' }
)
export type SessionOverview = Static<typeof SessionOverview>

export const Sessions = closed(
  { sessions: Type.Array(SessionOverview), next },
  { title: 'Sessions', description: 'One page of sessions, the latest change first.' }
)
export type Sessions = Static<typeof Sessions>

export const Retried = closed(
  {
    success: Success,
    retried: count('Deliveries that were started anew.'),
    expired: count('Deliveries that could not be, since their users are not kept any more.')
  },
  { title: 'Retried', description: 'What was started anew.' }
)
export type Retried = Static<typeof Retried>

/** `data` of the event `session`; that of the event `delivery` is a `DeliveryStatus`. */
export const SessionProgress = closed(
  {
    sessionId,
    state: SessionState,
    batches: received,
    users: received,
    revision: count('Grows with each change; the `id` of the event.')
  },
  { title: 'SessionProgress', description: 'How far a session is.' }
)
export type SessionProgress = Static<typeof SessionProgress>

export const DryRunDestination = closed(
  {
    provider,
    tag,
    segment,
    mode: word(['add', 'remove'], { description: 'Whether users would be added or taken out.' }),
    users: closed({
      matchable: count('Users who would be sent.'),
      leftOut: count('Users who would not be sent.')
    }),
    leftOutBy,
    notes,
    identifiers,
    requests: count('Request bodies that would be sent.')
  },
  { title: 'DryRunDestination', description: 'What one tag of one platform would get.' }
)
export type DryRunDestination = Static<typeof DryRunDestination>

export const DryRun = closed(
  {
    success: Success,
    dryRun: Type.Literal(true, { type: 'boolean' }),
    users: count('Users in this batch.'),
    report: closed({
      fields: closed({
        email: FieldPreview,
        phone: FieldPreview,
        firstName: FieldPreview,
        lastName: FieldPreview,
        country: FieldPreview,
        postalCode: FieldPreview
      }),
      duplicates,
      ignoredFields
    }),
    destinations: Type.Array(DryRunDestination, {
      description: 'One entry per platform and tag; none where no platform is configured.'
    })
  },
  {
    title: 'DryRun',
    description: 'What an upload would do. No platform was called and nothing was kept.'
  }
)
export type DryRun = Static<typeof DryRun>

export const SegmentStatus = closed(
  {
    provider,
    accountId: Type.String({ description: "The platform's account; never a secret." }),
    tags: Type.Array(Type.String(), { description: 'Configured tags that reach it.' }),
    name: segment,
    segmentId: nullableText("The platform's id; `null` where it is not known yet."),
    createdHere: Type.Boolean({ description: 'Whether this service created it.' }),
    createdAt: nullableTime(
      'When this service created it; `null` if it was found, or while that is not certain.'
    ),
    managedBy: nullable(
      closed({
        account: Type.String({ description: "The AdCP account's id." }),
        audienceId: Type.String({ description: "The AdCP audience's id." })
      }),
      { description: 'The AdCP audience that it belongs to; `null` for those of `POST /audience`.' }
    ),
    status: nullable(
      closed({
        state: word(['processing', 'ready', 'too_small', 'suspended'], {
          description:
            '`processing`: the platform is matching. `ready`: it can be used. `too_small`: fewer people were matched than the platform asks for. `suspended`: the platform took it out of use.'
        }),
        matched: nullable(Type.Integer({ minimum: 0 }), {
          description:
            'People that the platform says it matched, a lower bound where it tells a range; `null` where it does not say.'
        }),
        message: nullableText('What the platform says about it, cleaned.'),
        checkedAt: time('When the platform was asked.')
      }),
      { description: 'How it stands; `null` where the platform was not asked or did not say.' }
    ),
    error: nullable(Problem, { description: 'Why there is no status.' })
  },
  { title: 'SegmentStatus', description: 'A segment and how it stands at its platform.' }
)
export type SegmentStatus = Static<typeof SegmentStatus>

export const Segments = closed(
  { segments: Type.Array(SegmentStatus), next },
  { title: 'Segments', description: 'One page of the segments that the service knows.' }
)
export type Segments = Static<typeof Segments>

export const Rate = closed(
  { requests: count('Calls at the most.'), perMs: count('In any period of so many milliseconds.') },
  { title: 'Rate', description: 'How often a platform may be called.' }
)
export type Rate = Static<typeof Rate>

const hours = (description: string) => Type.Number({ minimum: 0, description })

export const ProviderStatus = closed(
  {
    provider,
    title: Type.String({ description: "The platform's name." }),
    tag,
    accountId: Type.String({
      description: "The platform's account; never a secret: for Klaviyo a fingerprint of the key."
    }),
    identifiers: Type.Array(
      word(['email', 'phone', 'firstName', 'lastName', 'country', 'postalCode', 'edgeTagId']),
      { description: 'What it matches people on.' }
    ),
    limits: closed({
      usersPerRequest: count('Users in one request.'),
      bytesPerRequest: Type.Optional(count('Bytes in one request.')),
      requestsInFlight: count('Calls under way at once.'),
      rates: Type.Array(Rate, { description: 'Of all calls.' }),
      operationRates: Type.Optional(
        Type.Record(Type.String(), Type.Array(Rate), {
          description: 'Of single operations that are allowed less often.'
        })
      )
    }),
    minimumAudienceSize: count('Fewest matched people with which an audience can be used.'),
    matchingLatencyHours: closed(
      { min: hours('At least.'), max: hours('At most.') },
      { description: 'How long matching usually takes.' }
    ),
    account: closed({
      status: word(['open', 'paused', 'broken', 'held'], {
        description:
          '`open`: the service sends to it. `paused`: the platform asked for a wait. `broken`: it failed again and again and is left alone for a while. `held`: a person has to act.'
      }),
      since: nullableTime('Since when it is not open.'),
      until: nullableTime('When that is looked at again.'),
      error: nullable(Problem, { description: 'Why it is not open.' })
    }),
    check: Type.Optional(
      closed(
        {
          ok: Type.Boolean({ description: 'Whether everything is in order.' }),
          checkedAt: time('When the platform was asked.'),
          problems: Type.Array(Problem)
        },
        { description: 'Are credentials, access and terms in order? There with `check=true`.' }
      )
    )
  },
  { title: 'ProviderStatus', description: 'A configured tag of a platform.' }
)
export type ProviderStatus = Static<typeof ProviderStatus>

export const Providers = closed(
  { providers: Type.Array(ProviderStatus) },
  { title: 'Providers', description: 'One entry per configured tag.' }
)
export type Providers = Static<typeof Providers>

export const Health = closed(
  { status: word(['ok', 'closing', 'store unavailable']) },
  { title: 'Health', description: 'Whether the service takes uploads, and if not, why.' }
)
export type Health = Static<typeof Health>
