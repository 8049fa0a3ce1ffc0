import { hash } from 'node:crypto'
import type { FastifyInstance, FastifyRequest, HTTPMethods } from 'fastify'
import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { parseJson } from '../http-client.ts'
import {
  startSandbox,
  type PlatformAnswerTemplate,
  type Sandbox,
  type SandboxOptions
} from '../sandbox.ts'

const ACCESS_TOKEN = 'sandbox-tiktok-token'
const ADVERTISER_ID = '7100000000000000001'
const FIRST_AUDIENCE_ID = 7_300_000_000_000_000_001n

const MAX_AUDIENCES = 400
const MINIMUM_ENTRIES = 1_000
const MAX_FILE_BYTES = 50_000_000
/** TikTok publishes no limit of a mapping; these are what a partner of it keeps to. */
const MAX_ROWS = 1_000
const MAX_MAPPING_BYTES = 1_000_000

/** How each kind of id looks, by its name in `id_schema`, in a file's header or as `calculate_type`. */
const SHA256 = /^[0-9a-f]{64}$/
const MD5 = /^[0-9a-f]{32}$/
const STREAM_IDS: Readonly<Record<string, RegExp>> = {
  EMAIL_SHA256: SHA256,
  PHONE_SHA256: SHA256,
  IDFA_SHA256: SHA256,
  AAID_SHA256: SHA256,
  IDFA_MD5: MD5,
  AAID_MD5: MD5
}
const FILE_COLUMNS: Readonly<Record<string, RegExp>> = {
  EMAIL_SHA256: SHA256,
  PHONE_SHA256: SHA256,
  MAID: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
  MAID_SHA256: SHA256,
  MAID_MD5: MD5
}
const SINGLE_TYPES: Readonly<Record<string, RegExp>> = {
  EMAIL_SHA256: SHA256,
  PHONE_SHA256: SHA256,
  IDFA_SHA256: SHA256,
  IDFA_MD5: MD5,
  GAID_SHA256: SHA256,
  GAID_MD5: MD5,
  FIRST_SHA256: SHA256,
  FIRST_MD5: MD5,
  MAID_SHA256: SHA256,
  MAID_MD5: MD5
}

/** A user as sent: ids by kind. */
type Member = Readonly<Record<string, readonly string[]>>

interface HeldAudience {
  readonly id: string
  readonly name: string
  readonly type: 'Partner' | 'Customer File Audience'
  readonly calculateType: string
  readonly createTime: string
  members: Map<string, Member>
  /** Times that `get` still answers "not valid yet": TikTok matches a file for hours. */
  processing: number
}

interface HeldFile {
  readonly calculateType: string
  readonly members: readonly Member[]
}

/** An answer other than success. */
class Refusal extends Error {
  readonly code: number
  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

const invalid = (message: string) => new Refusal(40002, message)

const answerOf = (code: number, message: string): PlatformAnswerTemplate => ({
  status: 200,
  body: { code, message, request_id: '2026112212000000', data: {} }
})

const TOO_MANY_REQUESTS = answerOf(40100, 'Too many requests. Please retry in some time.')

/** One a code of the return-code appendix, and what may stand in front of TikTok. */
const ERRORS: Readonly<Record<string, PlatformAnswerTemplate>> = {
  partly_successful: answerOf(20001, 'Partial success'),
  no_permission: answerOf(40001, 'No permission to operate advertiser'),
  invalid_parameter: answerOf(40002, 'batch_data: invalid value "ada@veloheim.example"'),
  not_found: answerOf(40007, 'Audience does not exist'),
  too_many_requests: TOO_MANY_REQUESTS,
  too_many_requests_40016: answerOf(40016, 'Too many requests'),
  too_many_requests_of_field: answerOf(40132, 'Too many requests for this field value'),
  too_many_requests_of_advertiser: answerOf(40133, 'Too many requests for this advertiser'),
  expired_token: answerOf(40102, 'Access token has expired'),
  missing_token: answerOf(40104, 'Access token is missing'),
  wrong_token: answerOf(40105, 'Access token is incorrect or has been revoked.'),
  busy_40200: answerOf(40200, 'Task error'),
  busy_40201: answerOf(40201, 'Task is not ready'),
  busy_40202: answerOf(40202, 'Write or update entity conflict'),
  busy_40700: answerOf(40700, 'Internal service validation error'),
  unsupported_file: answerOf(40908, 'Unsupported file type'),
  server_error: answerOf(50000, 'System error'),
  service_error: answerOf(50002, 'Service error'),
  internal_error: answerOf(51065, 'Internal service error'),
  unknown_client_error: answerOf(49999, 'Field phone "+4915112345678" is odd'),
  unknown_server_error: answerOf(59999, 'Node 10.20.30.40.50 is down'),
  http_429: { status: 429, headers: { 'retry-after': '7' }, body: 'Too Many Requests' },
  http_413: { status: 413, body: '<html><h1>413 Request Entity Too Large</h1></html>' },
  http_502: { status: 502, body: '<html><h1>502 Bad Gateway</h1></html>' }
}

const Text = Type.String({ minLength: 1 })
const Texts = Type.Array(Text, { minItems: 1 })

const SegmentRequest = Compile(
  Type.Object({
    advertiser_id: Text,
    action: Type.Optional(Type.Enum(['create', 'delete'])),
    custom_audience_name: Type.Optional(Text),
    delete_audience_id: Type.Optional(Text)
  })
)

const Mapping = Type.Object({
  advertiser_ids: Texts,
  action: Type.Optional(Type.Enum(['add', 'delete'])),
  id_schema: Texts,
  batch_data: Type.Array(
    Type.Array(
      Type.Union([
        Type.Object({ id: Text, audience_ids: Texts }),
        Type.Object({}, { additionalProperties: false })
      ])
    ),
    { minItems: 1 }
  )
})
type Mapping = Static<typeof Mapping>
const MappingRequest = Compile(Mapping)

const CreateRequest = Compile(
  Type.Object({
    advertiser_id: Text,
    custom_audience_name: Type.String({ minLength: 1, maxLength: 128 }),
    file_paths: Texts,
    calculate_type: Text,
    audience_sub_type: Type.Optional(Type.Enum(['NORMAL', 'REACH_FREQUENCY'])),
    retention_in_days: Type.Optional(Type.Integer({ minimum: 1, maximum: 365 }))
  })
)

const UpdateRequest = Compile(
  Type.Object({
    advertiser_id: Text,
    custom_audience_id: Text,
    file_paths: Texts,
    action: Type.Optional(Type.Enum(['APPEND', 'REMOVE', 'REPLACE']))
  })
)

const DeleteRequest = Compile(
  Type.Object({
    advertiser_id: Text,
    custom_audience_ids: Type.Array(Text, { minItems: 1, maxItems: 100 })
  })
)

const IdList = Compile(Type.Array(Text, { minItems: 1, maxItems: 100 }))

/** A compiled schema: mappings are big, and uncompiled checks slow. */
interface Schema<T> {
  Check(value: unknown): value is T
  Errors(value: unknown): readonly { readonly instancePath: string; readonly message: string }[]
}

/**
 * TikTok API for Business v1.3 in memory: one advertiser, its customer-file and streamed audiences.
 * Stricter than TikTok is known to be in three things: a hash must look like one, an entry that names
 * nobody is refused, and so is a file for an audience that is still being worked on.
 */
export function startTikTokSandbox(options?: SandboxOptions): Promise<Sandbox> {
  const audiences = new Map<string, HeldAudience>()
  const files = new Map<string, HeldFile>()
  let created = 0

  return startSandbox(
    {
      name: 'tiktok',
      variables: { accessToken: ACCESS_TOKEN, advertiserId: ADVERTISER_ID },
      errors: ERRORS,
      rateLimited: () => TOO_MANY_REQUESTS,
      state: () => ({
        segments: [...audiences.values()].map(({ id, name, type, processing, members }) => ({
          id,
          name,
          type,
          isValid: processing === 0,
          members: [...members.values()]
        })),
        files: [...files].map(([path, { members }]) => ({ path, entries: members.length }))
      }),
      reset() {
        audiences.clear()
        files.clear()
        created = 0
      },
      routes(app) {
        const on = (
          method: HTTPMethods,
          path: string,
          work: (request: FastifyRequest) => object | Promise<object>
        ) => addRoute(app, method, path, work)

        on('GET', '/advertiser/info/', (request) => {
          const ids = jsonQuery(request, 'advertiser_ids', IdList)
          if (ids.some((id) => id !== ADVERTISER_ID)) throw noPermission()
          return { list: [{ advertiser_id: ADVERTISER_ID, status: 'STATUS_ENABLE' }] }
        })
        on('GET', '/dmp/custom_audience/list/', listAudiences)
        on('GET', '/dmp/custom_audience/get/', (request) => {
          assertAdvertiser(queryOf(request).advertiser_id)
          const ids = jsonQuery(request, 'custom_audience_ids', IdList)
          const found = ids.flatMap((id) => audiences.get(id) ?? [])
          const list = found.map((audience) => ({
            audience_details: describe(audience),
            audience_history: []
          }))
          for (const audience of found) audience.processing = Math.max(0, audience.processing - 1)
          return { list }
        })
        on('POST', '/dmp/custom_audience/file/upload/', async (request) => {
          const file = await readFile(request)
          const path = `sandbox/${files.size + 1}`
          files.set(path, file)
          return { file_path: path }
        })
        on('POST', '/dmp/custom_audience/create/', createFromFiles)
        on('POST', '/dmp/custom_audience/update/', update)
        on('POST', '/dmp/custom_audience/delete/', (request) => {
          const body = jsonBody(request, DeleteRequest)
          assertAdvertiser(body.advertiser_id)
          for (const id of body.custom_audience_ids) held(id, 'Customer File Audience')
          for (const id of body.custom_audience_ids) audiences.delete(id)
          return {}
        })
        on('POST', '/segment/audience/', createOrDeleteSegment)
        on('POST', '/segment/mapping/', map)
      }
    },
    options
  )

  function listAudiences(request: FastifyRequest) {
    const { advertiser_id, page = '1', page_size = '10' } = queryOf(request)
    assertAdvertiser(advertiser_id)
    const [number, size] = [Number(page), Number(page_size)]
    if (!Number.isInteger(number) || number < 1) throw invalid('page: must be at least 1')
    if (!Number.isInteger(size) || size < 1 || size > 100) throw invalid('page_size: 1 to 100')
    const list = [...audiences.values()].slice((number - 1) * size, number * size).map(describe)
    return {
      page_info: {
        page: number,
        page_size: size,
        total_number: audiences.size,
        total_page: Math.ceil(audiences.size / size)
      },
      list
    }
  }

  function createOrDeleteSegment(request: FastifyRequest) {
    const body = jsonBody(request, SegmentRequest)
    assertAdvertiser(body.advertiser_id)
    if (body.action === 'delete') {
      if (body.delete_audience_id === undefined) throw invalid('delete_audience_id: required')
      audiences.delete(held(body.delete_audience_id, 'Partner').id)
      return {}
    }
    const name = body.custom_audience_name
    if (name === undefined) throw invalid('custom_audience_name: required')
    const storedName = name.length > 70 ? `${name.slice(0, 67)}...` : name
    return { audience_id: addAudience(storedName, 'Partner', '', []).id }
  }

  function map(request: FastifyRequest) {
    if (request.body instanceof Buffer && request.body.length > MAX_MAPPING_BYTES) {
      throw invalid('request body: larger than 1 MB')
    }
    const body = jsonBody(request, MappingRequest)
    for (const id of body.advertiser_ids) assertAdvertiser(id)
    const changes = readMapping(body)
    // The whole request is checked before anything changes.
    for (const { audienceId } of changes) held(audienceId, 'Partner')
    for (const { audienceId, member } of changes) {
      const audience = held(audienceId, 'Partner')
      if (body.action === 'delete') removeMembers(audience, [member])
      else addMembers(audience, [member])
    }
    return {}
  }

  function createFromFiles(request: FastifyRequest) {
    const body = jsonBody(request, CreateRequest)
    assertAdvertiser(body.advertiser_id)
    const members = membersOf(body.file_paths, body.calculate_type)
    assertMinimum(new Set(members.map(keyOf)).size)
    const { id } = addAudience(
      body.custom_audience_name,
      'Customer File Audience',
      body.calculate_type,
      members
    )
    return { custom_audience_id: id }
  }

  function update(request: FastifyRequest) {
    const body = jsonBody(request, UpdateRequest)
    assertAdvertiser(body.advertiser_id)
    const audience = held(body.custom_audience_id, 'Customer File Audience')
    if (audience.processing > 0) throw invalid('custom_audience_id: audience is being processed')
    const members = membersOf(body.file_paths, audience.calculateType)
    const { action = 'REPLACE' } = body
    const changed = { members: new Map(action === 'REPLACE' ? [] : audience.members) }
    if (action === 'REMOVE') removeMembers(changed, members)
    else addMembers(changed, members)
    assertMinimum(changed.members.size)
    audience.members = changed.members
    audience.processing = 1
    return {}
  }

  function addAudience(
    name: string,
    type: HeldAudience['type'],
    calculateType: string,
    members: readonly Member[]
  ): HeldAudience {
    if (audiences.size >= MAX_AUDIENCES) throw invalid('too many custom audiences')
    const audience: HeldAudience = {
      id: String(FIRST_AUDIENCE_ID + BigInt(created)),
      name,
      type,
      calculateType,
      createTime: new Date().toISOString().slice(0, 19).replace('T', ' '),
      members: new Map(),
      processing: type === 'Partner' ? 0 : 1
    }
    created += 1
    addMembers(audience, members)
    audiences.set(audience.id, audience)
    return audience
  }

  function held(id: string, type: HeldAudience['type']): HeldAudience {
    const audience = audiences.get(id)
    if (audience === undefined) throw new Refusal(40007, `Audience ${id} does not exist`)
    if (audience.type !== type) throw invalid(`audience ${id}: is a ${audience.type}`)
    return audience
  }

  function membersOf(paths: readonly string[], calculateType: string): Member[] {
    return paths.flatMap((path) => {
      const file = files.get(path)
      if (file === undefined) throw invalid(`file_paths: ${path} is unknown`)
      if (file.calculateType !== calculateType)
        throw invalid('calculate_type: not that of the file')
      return file.members
    })
  }
}

function addRoute(
  app: FastifyInstance,
  method: HTTPMethods,
  path: string,
  work: (request: FastifyRequest) => object | Promise<object>
): void {
  app.route({
    method,
    url: `/open_api/v1.3${path}`,
    async handler(request, reply) {
      const envelope = { code: 0, message: 'OK', request_id: `sandbox-${request.id}`, data: {} }
      reply.type('application/json')
      try {
        assertToken(request.headers['access-token'])
        return { ...envelope, data: await work(request) }
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        return { ...envelope, code: error.code, message: error.message }
      }
    }
  })
}

function assertToken(token: unknown): void {
  if (token === undefined || token === '') throw new Refusal(40104, 'Access token is missing')
  if (token !== ACCESS_TOKEN) {
    throw new Refusal(40105, 'Access token is incorrect or has been revoked.')
  }
}

const noPermission = () => new Refusal(40001, 'No permission to operate advertiser')

function assertAdvertiser(id: unknown): void {
  if (id === undefined) throw invalid('advertiser_id: required')
  if (id !== ADVERTISER_ID) throw noPermission()
}

function assertMinimum(entries: number): void {
  if (entries < MINIMUM_ENTRIES) {
    throw invalid(`audience: ${entries} of at least ${MINIMUM_ENTRIES} entries`)
  }
}

function queryOf(request: FastifyRequest): Readonly<Record<string, string>> {
  return Object.fromEntries(new URL(request.url, 'http://sandbox').searchParams)
}

/** A list in one query value, as JSON: TikTok knows no repeated parameters. */
function jsonQuery<T>(request: FastifyRequest, name: string, schema: Schema<T>): T {
  const value = parseJson(queryOf(request)[name] ?? '')
  if (!schema.Check(value)) throw invalid(`${name}: must be a JSON array of 1 to 100 ids`)
  return value
}

function jsonBody<T>(request: FastifyRequest, schema: Schema<T>): T {
  if (request.headers['content-type'] !== 'application/json') {
    throw invalid('content-type: must be application/json')
  }
  const value = parseJson(String(request.body))
  if (!schema.Check(value)) {
    const [problem] = schema.Errors(value)
    throw invalid(`${problem?.instancePath ?? ''}: ${problem?.message ?? 'is wrong'}`)
  }
  return value
}

function describe(audience: HeldAudience) {
  const isStream = audience.type === 'Partner'
  return {
    audience_id: audience.id,
    name: audience.name,
    audience_type: audience.type,
    calculate_type: isStream ? null : audience.calculateType,
    cover_num: audience.members.size,
    is_valid: audience.processing === 0,
    is_expiring: false,
    is_creator: true,
    shared: false,
    error_msg: null,
    create_time: audience.createTime,
    expired_time: isStream ? null : '2099-01-01 00:00:00'
  }
}

const keyOf = (member: Member) => JSON.stringify(member)

function addMembers(audience: { members: Map<string, Member> }, members: readonly Member[]): void {
  for (const member of members) audience.members.set(keyOf(member), member)
}

/** Whoever has one of these ids goes. */
function removeMembers(
  audience: { members: Map<string, Member> },
  members: readonly Member[]
): void {
  const gone = new Set(members.flatMap(idsOf))
  for (const [key, member] of audience.members) {
    if (idsOf(member).some((id) => gone.has(id))) audience.members.delete(key)
  }
}

const idsOf = (member: Member) =>
  Object.entries(member).flatMap(([kind, ids]) => ids.map((id) => `${kind} ${id}`))

function readMapping({ id_schema, batch_data }: Mapping) {
  const kinds = id_schema.map((kind) => kind.toUpperCase())
  if (kinds.some((kind) => STREAM_IDS[kind] === undefined)) throw invalid('id_schema: unknown type')
  if (new Set(kinds).size < kinds.length) throw invalid('id_schema: repeated type')
  if (batch_data.length > MAX_ROWS) throw invalid(`batch_data: more than ${MAX_ROWS} rows`)

  return batch_data.flatMap((row) => {
    if (row.length !== kinds.length) throw invalid('batch_data: row does not match id_schema')
    const cells = row.flatMap((cell, index) =>
      'id' in cell ? [{ ...cell, kind: kinds[index] ?? '' }] : []
    )
    if (cells.length === 0) throw invalid('batch_data: row without an id')
    for (const { kind, id } of cells) {
      if (!STREAM_IDS[kind]?.test(id)) throw invalid(`batch_data: not a ${kind}`)
    }
    const audienceIds = new Set(cells.flatMap(({ audience_ids }) => audience_ids))
    return [...audienceIds].map((audienceId) => {
      const own = cells.filter(({ audience_ids }) => audience_ids.includes(audienceId))
      const member: Member = Object.fromEntries(own.map(({ kind, id }) => [kind, [id]]))
      return { audienceId, member }
    })
  })
}

async function readFile(request: FastifyRequest): Promise<HeldFile> {
  const headers = { 'content-type': request.headers['content-type'] ?? '' }
  const body = request.body instanceof Buffer ? new Uint8Array(request.body) : null
  const form = await new Response(body, { headers }).formData().catch(() => {
    throw invalid('content-type: must be multipart/form-data')
  })
  assertAdvertiser(form.get('advertiser_id') ?? undefined)
  const file = form.get('file')
  if (!(file instanceof File)) throw invalid('file: required')
  if (!/\.(csv|txt)$/.test(file.name)) throw new Refusal(40908, 'Unsupported file type')
  if (file.size > MAX_FILE_BYTES) throw invalid('file: larger than 50 MB')
  const bytes = await file.bytes()
  if (form.get('file_signature') !== hash('md5', bytes)) throw invalid('file_signature: wrong MD5')
  const calculateType = form.get('calculate_type')
  if (typeof calculateType !== 'string') throw invalid('calculate_type: required')
  const lines = new TextDecoder().decode(bytes).split('\n')
  return { calculateType, members: readMembers(lines, calculateType) }
}

function readMembers(lines: readonly string[], calculateType: string): Member[] {
  if (calculateType === 'MULTIPLE_TYPES') return readTable(lines)
  const form = SINGLE_TYPES[calculateType]
  if (form === undefined) throw invalid('calculate_type: unknown')
  if (lines.some((line) => !form.test(line))) throw invalid(`file: not only ${calculateType}`)
  return lines.map((line) => ({ [calculateType]: [line] }))
}

function readTable([header = '', ...lines]: readonly string[]): Member[] {
  const columns = header.toUpperCase().split(',')
  if (columns.some((column) => FILE_COLUMNS[column] === undefined)) {
    throw invalid('file: unknown header')
  }
  if (columns.some((column) => columns.filter((other) => other === column).length > 3)) {
    throw invalid('file: a header may repeat three times')
  }
  return lines.map((line) => {
    const cells = line.split(',')
    if (cells.length !== columns.length) throw invalid('file: row does not match its header')
    const member: Record<string, string[]> = {}
    for (const [index, column] of columns.entries()) {
      const cell = cells[index] ?? ''
      if (cell === '') continue
      if (!FILE_COLUMNS[column]?.test(cell)) throw invalid(`file: not a ${column}`)
      member[column] = [...(member[column] ?? []), cell]
    }
    if (Object.keys(member).length === 0) throw invalid('file: row without an id')
    return member
  })
}
