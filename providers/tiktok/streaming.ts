import { Type } from 'typebox'
import { ProviderError } from '../errors.ts'
import type { Audience, EncodedBody, UploadResult } from '../provider.ts'
import { post, type Context } from './api.ts'
import { ID_SCHEMA, inAudience, USER_SEPARATOR } from './encode.ts'
import { INVALID_PARAMETER } from './errors.ts'

/** Parts of one body refused at once; more of them mean that TikTok minds the request, not a user. */
const MAX_REFUSED_PARTS = 4

const Created = Type.Object({ audience_id: Type.Union([Type.String(), Type.Integer()]) })

/** Creates the empty audience that users are streamed into (`segment/audience`). */
export async function createStreamAudience(
  { segmentName }: Audience,
  context: Context
): Promise<string> {
  const body = JSON.stringify({
    advertiser_id: context.variables.advertiserId,
    action: 'create',
    custom_audience_name: segmentName
  })
  const { data } = await post(context, '/segment/audience/', body, Created)
  return String(data.audience_id)
}

export type MappingAction = 'add' | 'delete'

/**
 * Adds or deletes users by `segment/mapping`. TikTok answers for the whole request and tells no counts.
 * Where it refuses a parameter (40002), one entry may be to blame: the body is then sent in parts.
 */
export async function streamUsers(
  { payload }: EncodedBody,
  audienceId: string,
  action: MappingAction,
  context: Context
): Promise<UploadResult> {
  const users = inAudience(new TextDecoder().decode(payload), audienceId)
  try {
    return { warnings: await sendMapping(users, action, context) }
  } catch (error) {
    if (!isRefusal(error)) throw error
    return sendByHalves(users.split(USER_SEPARATOR), error, action, context)
  }
}

/**
 * Halves what was refused, level by level, until single users are left; those are dropped. Ends with
 * the first refusal where more than MAX_REFUSED_PARTS parts of a level are refused, or nobody was
 * taken at all: a request refused for another reason costs at most 14 further calls, and each of up
 * to four refused users of a thousand about 20. Adding or deleting a user twice changes nothing, so a
 * retry may begin anew.
 */
async function sendByHalves(
  users: readonly string[],
  refusal: ProviderError,
  action: MappingAction,
  context: Context
): Promise<UploadResult> {
  const warnings: string[] = []
  let isAnyoneTaken = false
  let invalid = 0
  let refused = [users]
  while (refused.length > 0) {
    const parts = refused.filter(({ length }) => length > 1).flatMap(halve)
    invalid += refused.filter(({ length }) => length === 1).length
    refused = []
    for (const part of parts) {
      try {
        warnings.push(...(await sendMapping(part.join(USER_SEPARATOR), action, context)))
        isAnyoneTaken = true
      } catch (error) {
        if (!isRefusal(error)) throw error
        refused.push(part)
      }
    }
    if (refused.filter(({ length }) => length > 1).length > MAX_REFUSED_PARTS) throw refusal
  }
  if (!isAnyoneTaken) throw refusal
  return {
    invalid,
    warnings: [...warnings, `TikTok refused ${invalid} of ${users.length} users (40002)`]
  }
}

function halve<T>(items: readonly T[]): (readonly T[])[] {
  const middle = Math.ceil(items.length / 2)
  return [items.slice(0, middle), items.slice(middle)]
}

function isRefusal(error: unknown): error is ProviderError {
  return error instanceof ProviderError && error.platformCode === INVALID_PARAMETER
}

/** @param users as rows of the JSON array `batch_data`. */
async function sendMapping(users: string, action: MappingAction, context: Context) {
  const envelope = JSON.stringify({
    advertiser_ids: [context.variables.advertiserId],
    action,
    id_schema: ID_SCHEMA
  })
  const body = `${envelope.slice(0, -1)},"batch_data":[${users}]}`
  const { warnings } = await post(context, '/segment/mapping/', body, Type.Unknown())
  return warnings
}
