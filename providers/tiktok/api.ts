import { Type, type Static, type TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { ProviderError } from '../errors.ts'
import type { PlatformCall } from '../http-client.ts'
import type { Audience, CheckProblem, ProviderContext } from '../provider.ts'
import { errorOfCode, errorOfStatus } from './errors.ts'
import type { TikTokVariables } from './variables.ts'

export type Context = ProviderContext<TikTokVariables>

/** https://business-api.tiktok.com/portal/docs; 1.3 is the current version. */
const API_ROOT = '/open_api/v1.3'

/** Partly successful: the work is done, but not for all of it. */
const PARTLY_SUCCESSFUL = 20001

const PAGE_SIZE = 100

/** "At most 400 custom audiences per advertiser" (Treasure Data's connector documentation). */
const MAX_AUDIENCES = 400

const Envelope = Type.Object({
  code: Type.Integer(),
  message: Type.Optional(Type.String()),
  request_id: Type.Optional(Type.String()),
  data: Type.Optional(Type.Unknown())
})

/** 64-bit, sent as text. */
const Id = Type.Union([Type.String(), Type.Integer()])
const OptionalText = Type.Optional(Type.Union([Type.String(), Type.Null()]))

/** An audience as `dmp/custom_audience/list` and `get` describe it; times are GMT. */
export const AudienceDetails = Type.Object({
  audience_id: Id,
  name: Type.String(),
  audience_type: OptionalText,
  calculate_type: OptionalText,
  is_creator: Type.Optional(Type.Unknown()),
  is_valid: Type.Optional(Type.Unknown()),
  is_expiring: Type.Optional(Type.Unknown()),
  /** Matched users of TikTok. */
  cover_num: Type.Optional(Type.Union([Type.Integer(), Type.Null()])),
  error_msg: OptionalText,
  create_time: OptionalText,
  expired_time: OptionalText
})
export type AudienceDetails = Static<typeof AudienceDetails>

const AudiencePage = Type.Object({
  page_info: Type.Object({ total_number: Type.Integer(), total_page: Type.Integer() }),
  list: Type.Array(AudienceDetails)
})

const AudienceList = Type.Object({
  list: Type.Array(Type.Object({ audience_details: AudienceDetails }))
})

const AdvertiserList = Type.Object({
  list: Type.Array(Type.Object({ advertiser_id: Id, status: OptionalText }))
})

/** `audience_type` of the audiences that each route makes; they cannot stand in for each other. */
const AUDIENCE_TYPES: Readonly<Record<TikTokVariables['route'], string>> = {
  stream: 'Partner',
  file: 'Customer File Audience'
}

export interface Answer<Data> {
  readonly data: Data
  readonly warnings: readonly string[]
}

/** @throws ProviderError for every answer but success. */
export function get<S extends TSchema>(
  context: Context,
  path: string,
  query: Readonly<Record<string, string>>,
  data: S
): Promise<Answer<Static<S>>> {
  return call(context, { method: 'GET', path, query }, data)
}

/** @throws ProviderError for every answer but success. */
export function post<S extends TSchema>(
  context: Context,
  path: string,
  body: NonNullable<PlatformCall['body']>,
  data: S
): Promise<Answer<Static<S>>> {
  // A form brings its own content type, which names its boundary.
  const headers = typeof body === 'string' ? { 'content-type': 'application/json' } : {}
  return call(context, { method: 'POST', path, headers, body }, data)
}

async function call<S extends TSchema>(
  context: Context,
  { path, headers, ...request }: Omit<PlatformCall, 'operation'>,
  data: S
): Promise<Answer<Static<S>>> {
  const answer = await context.send({
    ...request,
    operation: path.slice(1, -1).replaceAll('/', '.'),
    path: `${API_ROOT}${path}`,
    headers: { ...headers, 'access-token': context.variables.accessToken }
  })
  // TikTok answers failures with HTTP 200: the code alone decides.
  const envelope = answer.json()
  if (!Value.Check(Envelope, envelope)) {
    throw errorOfStatus(answer)
  }
  const isPartly = envelope.code === PARTLY_SUCCESSFUL
  if (envelope.code !== 0 && !isPartly) throw errorOfCode(envelope)
  if (!Value.Check(data, envelope.data)) {
    throw new ProviderError('transient', 'TikTok answered in an unknown form')
  }
  return {
    data: envelope.data,
    warnings: isPartly ? [`TikTok took the request only in part (${PARTLY_SUCCESSFUL})`] : []
  }
}

/**
 * The audience of exactly this name that this advertiser made on the tag's route and that has not
 * expired (an expired one can only be deleted). TikTok has no filter by name and allows several
 * audiences of one name: the oldest is taken, so that the choice stays the same.
 */
export async function findAudience(
  { segmentName }: Audience,
  context: Context
): Promise<string | undefined> {
  const found = []
  for (let page = 1, pages = 1; page <= pages; page += 1) {
    const { list, page_info } = await listAudiences(page, context)
    found.push(
      ...list.filter(
        (audience) =>
          audience.name === segmentName &&
          audience.is_creator === true &&
          audience.audience_type === AUDIENCE_TYPES[context.variables.route] &&
          !isExpired(audience, context.now())
      )
    )
    // An empty page ends the search whatever the count says.
    pages = list.length === 0 ? 0 : page_info.total_page
  }
  const [oldest] = found.toSorted((a, b) => compareText(a.create_time ?? '', b.create_time ?? ''))
  return oldest && String(oldest.audience_id)
}

async function listAudiences(page: number, context: Context) {
  const query = {
    advertiser_id: context.variables.advertiserId,
    page: String(page),
    page_size: String(PAGE_SIZE)
  }
  const { data } = await get(context, '/dmp/custom_audience/list/', query, AudiencePage)
  return data
}

function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

export function isExpired({ expired_time: expiredTime }: AudienceDetails, now: number): boolean {
  return expiredTime != null && Date.parse(`${expiredTime.replace(' ', 'T')}Z`) <= now
}

/** `undefined` where TikTok no longer has the audience. */
export async function describeAudience(
  id: string,
  context: Context
): Promise<AudienceDetails | undefined> {
  const query = {
    advertiser_id: context.variables.advertiserId,
    custom_audience_ids: JSON.stringify([id])
  }
  try {
    const { data } = await get(context, '/dmp/custom_audience/get/', query, AudienceList)
    return data.list
      .map(({ audience_details }) => audience_details)
      .find((details) => String(details.audience_id) === id)
  } catch (error) {
    if (error instanceof ProviderError && error.errorClass === 'not_found') return undefined
    throw error
  }
}

/**
 * Is the token good, may it use the advertiser, is the advertiser active, and may audiences be read?
 * Whether TikTok has accepted the Customer File terms or allowed the app to stream cannot be asked.
 */
export async function checkAccount(context: Context): Promise<readonly CheckProblem[]> {
  const { advertiserId } = context.variables
  const query = {
    advertiser_ids: JSON.stringify([advertiserId]),
    fields: JSON.stringify(['advertiser_id', 'status'])
  }
  const { data } = await get(context, '/advertiser/info/', query, AdvertiserList)
  const advertiser = data.list.find(({ advertiser_id: id }) => String(id) === advertiserId)
  if (advertiser === undefined) {
    return [
      {
        code: 'advertiser_unknown',
        message: `The access token does not reach advertiser ${advertiserId}: authorise the app for this ad account or correct advertiserId`
      }
    ]
  }
  const { page_info } = await listAudiences(1, context)
  const problems: CheckProblem[] = []
  if (advertiser.status !== 'STATUS_ENABLE') {
    problems.push({
      code: 'advertiser_not_active',
      message: `Advertiser ${advertiserId} is not active (${advertiser.status ?? 'no status'}): see the account's review or limits in TikTok Ads Manager`
    })
  }
  if (page_info.total_number >= MAX_AUDIENCES) {
    problems.push({
      code: 'audience_limit',
      message: `Advertiser ${advertiserId} has ${page_info.total_number} of at most ${MAX_AUDIENCES} audiences: delete some, or no new one can be created`
    })
  }
  return problems
}
