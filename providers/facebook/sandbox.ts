import { createHmac } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type, type Static, type TSchema } from 'typebox'
import { Value } from 'typebox/value'
import {
  readable,
  type Sandbox,
  type SandboxOptions,
  type SandboxSettings,
  standingOf,
  startSandbox
} from '../sandbox.ts'
import {
  ACCOUNT_ID,
  ERRORS,
  graphError,
  invalidParameter,
  missingObject,
  RATE_LIMITED,
  Refusal,
  usageHeader
} from './sandbox-errors.ts'
import { MINIMUM_AUDIENCE_SIZE } from './variables.ts'

const ACCESS_TOKEN = 'sandbox-facebook-token'
const APP_SECRET = 'sandbox-facebook-secret'
/** Marketing API v24.0 ended on 2026-10-06. */
const OLDEST_VERSION = 25
const MAX_AUDIENCES = 500
const DEFAULT_PAGE_SIZE = 25
const FIRST_AUDIENCE_ID = 238_500_001
const FIRST_UPDATE_SECONDS = 1_767_225_600

const isText = (value: unknown): value is string => typeof value === 'string'
/** Lower-case hex SHA-256, or the empty string for an unknown value. */
const isHashed = (value: unknown) => isText(value) && /^([0-9a-f]{64})?$/.test(value)
/** What a cell of each column may hold; another value counts as an invalid entry. */
const COLUMNS: Readonly<Record<string, (value: unknown) => boolean>> = {
  EXTERN_ID: isText,
  EMAIL: isHashed,
  PHONE: isHashed,
  GEN: isHashed,
  DOBY: isHashed,
  DOBM: isHashed,
  DOBD: isHashed,
  LN: isHashed,
  FN: isHashed,
  FI: isHashed,
  CT: isHashed,
  ST: isHashed,
  ZIP: isHashed,
  COUNTRY: isHashed,
  MADID: isText,
  PAGEUID: isText,
  LOOKALIKE_VALUE: (value) => typeof value === 'number' && value >= 0,
  DATA_PROCESSING_OPTIONS: (value) =>
    Array.isArray(value) && value.every((option) => option === 'LDU'),
  DATA_PROCESSING_OPTIONS_COUNTRY: (value) => value === 0 || value === 1,
  DATA_PROCESSING_OPTIONS_STATE: (value) => value === 0 || value === 1000
}

const NewAudience = Type.Object({
  name: Type.String({ minLength: 1 }),
  subtype: Type.Enum([
    'APP',
    'BAG_OF_ACCOUNTS',
    'BIDDING',
    'CLAIM',
    'CUSTOM',
    'ENGAGEMENT',
    'EXCLUSION',
    'FOX',
    'LOOKALIKE',
    'MANAGED',
    'MEASUREMENT',
    'MESSENGER_SUBSCRIBER_LIST',
    'OFFLINE_CONVERSION',
    'PARTNER',
    'PRIMARY',
    'REGULATED_CATEGORIES_AUDIENCE',
    'STUDY_RULE_AUDIENCE',
    'VIDEO',
    'WEBSITE'
  ]),
  customer_file_source: Type.Enum([
    'USER_PROVIDED_ONLY',
    'PARTNER_PROVIDED_ONLY',
    'BOTH_USER_AND_PARTNER_PROVIDED'
  ]),
  description: Type.Optional(Type.String()),
  is_value_based: Type.Optional(Type.Boolean())
})

const positive = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })
const Upload = Type.Object({
  payload: Type.Object({
    schema: Type.Array(Type.Enum(Object.keys(COLUMNS)), { minItems: 1, uniqueItems: true }),
    data: Type.Array(Type.Array(Type.Unknown()), { minItems: 1, maxItems: 10_000 })
  }),
  session: Type.Object({
    session_id: positive,
    batch_seq: positive,
    last_batch_flag: Type.Boolean(),
    estimated_num_total: Type.Optional(positive)
  })
})
type Upload = Static<typeof Upload>

interface GraphRoute {
  Params: { version: string; node: string }
  Querystring: Record<string, string>
}
type GraphRequest = FastifyRequest<GraphRoute>

interface Segment {
  readonly id: string
  readonly name: string
  readonly subtype: string
  readonly description: string
  readonly customerFileSource: string
  readonly isValueBased: boolean
  updatedAtSeconds: number
  /** Whether its rows have several keys: an audience takes one style for its lifetime. */
  isMultiKey?: boolean
  /** Rows as they arrived, by their text: the same row again changes nothing. */
  readonly members: Map<string, Member>
}
type Member = Readonly<Record<string, unknown>>

interface Session {
  readonly segmentId: string
  readonly schema: string
  batches: number
  received: number
  isClosed: boolean
}

/**
 * A stand-in of Meta's Custom Audiences for one ad account, as the Marketing API documents them:
 * list (newest first; pages may be short or empty, as they are filtered after paging), create, read,
 * delete, add and remove users with sessions, and the account's accepted terms. `state()` gives the
 * segments with their members as they arrived.
 */
export function startFacebookSandbox(options?: SandboxOptions): Promise<Sandbox> {
  const segments = new Map<string, Segment>()
  const sessions = new Map<string, Session>()
  let settings: SandboxSettings = {}
  let created = 0
  let updates = 0
  const nextUpdate = () => FIRST_UPDATE_SECONDS + updates++

  function listAudiences({ params, query }: GraphRequest) {
    assertAccount(params.node)
    const limit = Number(query.limit ?? DEFAULT_PAGE_SIZE)
    if (!Number.isInteger(limit) || limit < 1) throw new Refusal(invalidParameter('limit'))
    const newestFirst = [...segments.values()].toReversed()
    const start = query.after === undefined ? 0 : offsetOf(query.after)
    const end = Math.min(start + limit, newestFirst.length)
    const isListed = ({ subtype }: Segment) =>
      subtype !== 'PRIMARY' || query.fetch_primary_audience === 'true'
    return {
      data: newestFirst
        .slice(start, end)
        .filter(isListed)
        .map((segment) => pick(described(segment, settings), fieldsOf(query))),
      paging: {
        cursors: { before: cursorOf(start), after: cursorOf(end) },
        // The real link repeats the access token; this one leads nowhere.
        ...(end < newestFirst.length && { next: 'https://graph.facebook.invalid/next' })
      }
    }
  }

  function createAudience(request: GraphRequest) {
    assertAccount(request.params.node)
    const audience = bodyOf(request, NewAudience)
    if (segments.size >= MAX_AUDIENCES) throw new Refusal(ERRORS.creation_failed)
    const id = String(FIRST_AUDIENCE_ID + created)
    created += 1
    segments.set(id, {
      id,
      name: audience.name,
      subtype: audience.subtype,
      description: audience.description ?? '',
      customerFileSource: audience.customer_file_source,
      isValueBased: audience.is_value_based ?? false,
      updatedAtSeconds: nextUpdate(),
      members: new Map()
    })
    return { id }
  }

  /** The ad account or an audience: both are nodes of the graph. */
  function readNode(request: GraphRequest) {
    const { params, query } = request
    const segment = segments.get(params.node)
    if (segment === undefined) return readAccount(request)
    return pick(described(segment, settings), fieldsOf(query))
  }

  function deleteAudience({ params }: GraphRequest) {
    if (!segments.delete(params.node)) throw new Refusal(missingObject(params.node))
    return { success: true }
  }

  function addUsers(request: GraphRequest) {
    return changeUsers(request, ({ payload: { schema, data } }, { members }) => {
      for (const row of data) members.set(JSON.stringify(row), toMember(schema, row))
    })
  }

  function removeUsers(request: GraphRequest) {
    return changeUsers(request, ({ payload: { schema, data } }, { members }) => {
      const gone = new Set(data.flatMap((row) => identitiesOf(toMember(schema, row))))
      for (const [row, member] of members) {
        if (identitiesOf(member).some((identity) => gone.has(identity))) members.delete(row)
      }
    })
  }

  function changeUsers(request: GraphRequest, change: (upload: Upload, segment: Segment) => void) {
    const segment = segments.get(request.params.node)
    if (segment === undefined) throw new Refusal(missingObject(request.params.node))
    const upload = bodyOf(request, Upload)
    assertFits(upload.payload, segment)
    if (request.method === 'POST') assertValues(upload.payload, segment)
    const session = continueSession(upload, segment)
    change(upload, segment)
    const { schema, data } = upload.payload
    segment.isMultiKey = schema.length > 1
    segment.updatedAtSeconds = nextUpdate()
    session.received += data.length
    return {
      audience_id: segment.id,
      session_id: String(upload.session.session_id),
      num_received: session.received,
      num_invalid_entries: data
        .map((row) => schema.filter((key, i) => COLUMNS[key]?.(row[i]) === false).length)
        .reduce((left, right) => left + right),
      invalid_entry_samples: {}
    }
  }

  /** Ids of sessions are unique in the ad account; batches come in order and with one schema. */
  function continueSession({ payload, session: sent }: Upload, { id }: Segment): Session {
    const schema = payload.schema.join()
    const session = sessions.get(String(sent.session_id)) ?? {
      segmentId: id,
      schema,
      batches: 0,
      received: 0,
      isClosed: false
    }
    if (session.isClosed) throw new Refusal(ERRORS.session_closed)
    if (session.segmentId !== id) throw new Refusal(invalidParameter('session_id is in use'))
    if (session.schema !== schema) throw new Refusal(invalidParameter('schema changed'))
    if (sent.batch_seq !== session.batches + 1) throw new Refusal(invalidParameter('batch_seq'))
    session.batches += 1
    session.isClosed = sent.last_batch_flag
    sessions.set(String(sent.session_id), session)
    return session
  }

  return startSandbox(
    {
      name: 'facebook',
      variables: { accessToken: ACCESS_TOKEN, adAccountId: ACCOUNT_ID },
      routes(app: FastifyInstance, current) {
        settings = current
        void app.register(async (graph) => {
          graph.addHook<GraphRoute>('preHandler', authorize)
          graph.setErrorHandler(refuse)
          graph.get<GraphRoute>('/:version/:node', readNode)
          graph.delete<GraphRoute>('/:version/:node', deleteAudience)
          graph.get<GraphRoute>('/:version/:node/customaudiences', listAudiences)
          graph.post<GraphRoute>('/:version/:node/customaudiences', createAudience)
          graph.post<GraphRoute>('/:version/:node/users', addUsers)
          graph.delete<GraphRoute>('/:version/:node/users', removeUsers)
        })
      },
      state: () => ({ segments: [...segments.values()].map(stateOf) }),
      reset() {
        segments.clear()
        sessions.clear()
        created = 0
        updates = 0
      },
      rateLimited: () => RATE_LIMITED,
      errors: ERRORS
    },
    options
  )
}

/** Version, token and, where one is sent, the proof that the caller knows the app's secret. */
async function authorize({ params, headers, query }: GraphRequest, reply: FastifyReply) {
  const major = /^v(\d+)\.0$/.exec(params.version)?.[1]
  if (major === undefined) throw new Refusal(ERRORS.bad_query)
  if (Number(major) < OLDEST_VERSION) throw new Refusal(ERRORS.version_too_old)
  if (headers.authorization !== `Bearer ${ACCESS_TOKEN}`) throw new Refusal(ERRORS.invalid_token)
  const proof = createHmac('sha256', APP_SECRET).update(ACCESS_TOKEN).digest('hex')
  if ((query.appsecret_proof ?? proof) !== proof) throw new Refusal(ERRORS.invalid_proof)
  reply.headers(usageHeader(1, 0))
}

function refuse(error: unknown, _request: FastifyRequest, reply: FastifyReply) {
  if (!(error instanceof Refusal)) throw error
  return reply.code(error.answer.status).send(error.answer.body)
}

function readAccount({ params, query }: GraphRequest) {
  assertAccount(params.node)
  const tos_accepted = { custom_audience_tos: 1, value_based_custom_audience_tos: 1 }
  return pick({ tos_accepted, id: params.node }, fieldsOf(query))
}

function assertAccount(node: string): void {
  if (node !== `act_${ACCOUNT_ID}`) throw new Refusal(missingObject(node))
}

function assertFits({ schema, data }: Upload['payload'], segment: Segment): void {
  if (data.some((row) => row.length !== schema.length)) {
    throw new Refusal(invalidParameter('rows of data do not fit schema'))
  }
  const isMultiKey = schema.length > 1
  if ((segment.isMultiKey ?? isMultiKey) !== isMultiKey) {
    throw new Refusal(graphError(2650, 'Data source mismatch'))
  }
}

/** The value is needed where people are added (RudderStack's transformer), and there alone. */
function assertValues({ schema }: Upload['payload'], { isValueBased }: Segment): void {
  if (schema.includes('LOOKALIKE_VALUE') === isValueBased) return
  throw new Refusal(invalidParameter('LOOKALIKE_VALUE is for value-based audiences'))
}

function toMember(schema: readonly string[], row: readonly unknown[]): Member {
  return Object.fromEntries(schema.map((key, i) => [key, row[i]]))
}

/** What a person is known by: each of these alone is enough, without them the name and place. */
function identitiesOf(member: Member): string[] {
  const identities = ['EXTERN_ID', 'EMAIL', 'PHONE', 'MADID']
    .filter((key) => (member[key] ?? '') !== '')
    .map((key) => `${key} ${String(member[key])}`)
  if (identities.length > 0) return identities
  return [JSON.stringify([member['FN'], member['LN'], member['ZIP'], member['COUNTRY']])]
}

function bodyOf<S extends TSchema>({ body }: GraphRequest, schema: S): Static<S> {
  const value = readable(body)
  if (Value.Check(schema, value)) return value
  const problem = Value.Errors(schema, value)[0]
  throw new Refusal(invalidParameter(`${problem?.instancePath} ${problem?.message}`))
}

const NORMAL = { code: 200, description: 'Normal' }
/** `operation_status` for each state, where people were uploaded. */
const OPERATIONS = {
  processing: { code: 441, description: 'The audience is being populated' },
  ready: NORMAL,
  too_small: NORMAL,
  suspended: { code: 471, description: 'Flagged for integrity' }
}

function described(segment: Segment, settings: SandboxSettings) {
  const { id, members } = segment
  const { state, matched } = standingOf(
    settings,
    { id, members: members.size },
    MINIMUM_AUDIENCE_SIZE
  )
  const isEmpty = segment.isMultiKey === undefined
  return {
    id,
    name: segment.name,
    subtype: segment.subtype,
    description: segment.description,
    time_updated: segment.updatedAtSeconds,
    is_value_based: segment.isValueBased,
    operation_status: isEmpty ? { code: 410, description: 'No upload' } : OPERATIONS[state],
    delivery_status:
      matched < MINIMUM_AUDIENCE_SIZE
        ? { code: 300, description: 'Too small' }
        : { code: 200, description: 'Ready' },
    approximate_count_lower_bound: matched,
    approximate_count_upper_bound: Math.ceil(matched * 1.2)
  }
}

function stateOf({ id, name, subtype, description, ...segment }: Segment) {
  const { customerFileSource, isValueBased, members } = segment
  return {
    id,
    name,
    subtype,
    description,
    customerFileSource,
    isValueBased,
    members: [...members.values()]
  }
}

/** Ids alone, unless fields are asked for. */
function fieldsOf({ fields = '' }: GraphRoute['Querystring']): string[] {
  return ['id', ...fields.split(',')]
}

function pick(object: Readonly<Record<string, unknown>>, fields: readonly string[]) {
  return Object.fromEntries(Object.entries(object).filter(([field]) => fields.includes(field)))
}

function cursorOf(offset: number): string {
  return Buffer.from(`QVFI${offset}`).toString('base64url')
}

function offsetOf(cursor: string): number {
  const offset = /^QVFI(\d+)$/.exec(Buffer.from(cursor, 'base64url').toString('utf8'))?.[1]
  if (offset === undefined) throw new Refusal(invalidParameter('after'))
  return Number(offset)
}
