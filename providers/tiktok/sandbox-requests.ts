import type { FastifyRequest } from 'fastify'
import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { parseJson } from '../http-client.ts'
import { invalid } from './sandbox-errors.ts'
import { MD5, SHA256, type Member } from './sandbox-members.ts'

/** TikTok publishes no limit of a mapping; these are what a partner of it keeps to. */
const MAX_ROWS = 1_000
const MAX_MAPPING_BYTES = 1_000_000

/** How each kind of id looks, by its name in `id_schema`. */
const STREAM_IDS: Readonly<Record<string, RegExp>> = {
  EMAIL_SHA256: SHA256,
  PHONE_SHA256: SHA256,
  IDFA_SHA256: SHA256,
  AAID_SHA256: SHA256,
  IDFA_MD5: MD5,
  AAID_MD5: MD5
}

const Text = Type.String({ minLength: 1 })
const Texts = Type.Array(Text, { minItems: 1 })

export const SegmentRequest = Compile(
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
export const MappingRequest = Compile(Mapping)

export const CreateRequest = Compile(
  Type.Object({
    advertiser_id: Text,
    custom_audience_name: Type.String({ minLength: 1, maxLength: 128 }),
    file_paths: Texts,
    calculate_type: Text,
    audience_sub_type: Type.Optional(Type.Enum(['NORMAL', 'REACH_FREQUENCY'])),
    retention_in_days: Type.Optional(Type.Integer({ minimum: 1, maximum: 365 }))
  })
)

export const UpdateRequest = Compile(
  Type.Object({
    advertiser_id: Text,
    custom_audience_id: Text,
    file_paths: Texts,
    action: Type.Optional(Type.Enum(['APPEND', 'REMOVE', 'REPLACE']))
  })
)

export const DeleteRequest = Compile(
  Type.Object({
    advertiser_id: Text,
    custom_audience_ids: Type.Array(Text, { minItems: 1, maxItems: 100 })
  })
)

export const IdList = Compile(Type.Array(Text, { minItems: 1, maxItems: 100 }))

/** A compiled schema: mappings are big, and uncompiled checks slow. */
interface Schema<T> {
  Check(value: unknown): value is T
  Errors(value: unknown): readonly { readonly instancePath: string; readonly message: string }[]
}

export function queryOf(request: FastifyRequest): Readonly<Record<string, string>> {
  return Object.fromEntries(new URL(request.url, 'http://sandbox').searchParams)
}

/** A list in one query value, as JSON: TikTok knows no repeated parameters. */
export function jsonQuery<T>(request: FastifyRequest, name: string, schema: Schema<T>): T {
  const value = parseJson(queryOf(request)[name] ?? '')
  if (!schema.Check(value)) throw invalid(`${name}: must be a JSON array of 1 to 100 ids`)
  return value
}

export function jsonBody<T>(request: FastifyRequest, schema: Schema<T>): T {
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

export function isTooLarge({ body }: FastifyRequest): boolean {
  return body instanceof Buffer && body.length > MAX_MAPPING_BYTES
}

/** The members that a mapping names, each with one of its audiences. */
export function readMapping({ id_schema, batch_data }: Mapping) {
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
