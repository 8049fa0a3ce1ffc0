import { Type, type Static } from 'typebox'
import { ProviderError } from '../errors.ts'
import type {
  Audience,
  CheckProblem,
  EncodedBody,
  SegmentStatus,
  UploadResult
} from '../provider.ts'
import { readAs, send, unreadable } from './api.ts'
import { type Context, tokenFor } from './token.ts'

const CUSTOMER_LIST = 'CUSTOMER_LIST'
const SCOPES = ['adsread', 'adsedit'] as const

const Listed = Type.Object({
  id: Type.String(),
  name: Type.String(),
  type: Type.Optional(Type.String())
})
const Page = Type.Object({
  data: Type.Array(Listed),
  pagination: Type.Optional(
    Type.Object({ next_url: Type.Optional(Type.Union([Type.String(), Type.Null()])) })
  )
})
const Created = Type.Object({ data: Type.Object({ id: Type.String() }) })
const Count = Type.Optional(Type.Union([Type.Number(), Type.Null()]))
const Described = Type.Object({
  data: Type.Object({ status: Type.Optional(Type.String()), size_range_lower: Count })
})

/**
 * The customer list with exactly this name. All pages are read and names are compared here: a filter
 * on names is known from one public client only, and one that misses would create list after list.
 */
export async function findAudience(
  { segmentName }: Audience,
  context: Context
): Promise<string | undefined> {
  const isWanted = ({ name, type = CUSTOMER_LIST }: Static<typeof Listed>) =>
    name === segmentName && type === CUSTOMER_LIST
  const seen = new Set<string>()
  let token: string | undefined
  do {
    const { data, pagination } = await listAudiences(token, context)
    const found = data.find(isWanted)
    if (found !== undefined) return found.id
    token = pageTokenOf(pagination?.next_url)
    // A token that comes again would page for ever.
    if (token !== undefined && seen.has(token)) throw unreadable(200)
    if (token !== undefined) seen.add(token)
  } while (token !== undefined)
  return undefined
}

async function listAudiences(token: string | undefined, context: Context) {
  const answer = await send(context, {
    method: 'GET',
    operation: 'custom_audiences.list',
    target: 'account',
    path: audiencesOf(context),
    ...(token !== undefined && { query: { 'page.token': token } })
  })
  return readAs(Page, answer)
}

const audiencesOf = ({ variables }: Context) =>
  `/ad_accounts/${encodeURIComponent(variables.adAccountId)}/custom_audiences`

/** The link's token alone: its host is Reddit's and not the tag's `baseUrl`. */
function pageTokenOf(link: string | null | undefined): string | undefined {
  if (link == null) return undefined
  return URL.parse(link, 'https://ads-api.reddit.com')?.searchParams.get('page.token') ?? undefined
}

export async function createAudience({ segmentName }: Audience, context: Context): Promise<string> {
  const answer = await send(context, {
    method: 'POST',
    operation: 'custom_audiences.create',
    target: 'account',
    path: audiencesOf(context),
    body: JSON.stringify({ data: { name: segmentName, type: CUSTOMER_LIST } })
  })
  return readAs(Created, answer).data.id
}

/** Adds or removes the users of a body, as it says itself. Reddit answers 204 and tells no counts. */
export async function updateUsers(
  { payload }: EncodedBody,
  audienceId: string,
  context: Context
): Promise<UploadResult> {
  await send(context, {
    method: 'PATCH',
    operation: 'custom_audiences.users.update',
    target: 'audience',
    path: `${audience(audienceId)}/users`,
    body: payload
  })
  return {}
}

const audience = (id: string) => `/custom_audiences/${encodeURIComponent(id)}`

/**
 * Deletes the audience. Reddit answers 404 for what is gone as well as for a method that it does not
 * know, and this one is known from one public client only: reading tells which it was.
 */
export async function deleteAudience(audienceId: string, context: Context): Promise<void> {
  const call = { operation: 'custom_audiences.delete', target: 'audience' } as const
  const path = audience(audienceId)
  if (!(await isMissing(send(context, { ...call, method: 'DELETE', path })))) return
  if (await isMissing(describe(audienceId, context))) return
  throw new ProviderError(
    'invalid',
    'Reddit has the audience but does not let it be deleted by its API: delete it in Reddit Ads Manager'
  )
}

async function isMissing(work: Promise<unknown>): Promise<boolean> {
  try {
    await work
    return false
  } catch (error) {
    if (error instanceof ProviderError && error.errorClass === 'not_found') return true
    throw error
  }
}

/** Its words for a list, as Reddit's own guide for Adobe's Experience Platform explains them. */
const STATES: Readonly<Record<string, SegmentStatus['state']>> = {
  PENDING: 'processing',
  VALID: 'ready',
  INVALID: 'too_small'
}

export async function audienceStatus(audienceId: string, context: Context): Promise<SegmentStatus> {
  const { status = '', size_range_lower: matched } = await describe(audienceId, context)
  const state = STATES[status.toUpperCase()]
  return {
    state: state ?? 'processing',
    ...(matched != null && matched >= 0 && { matched }),
    ...(state === undefined && { message: 'Reddit tells no status that is known here' })
  }
}

async function describe(audienceId: string, context: Context) {
  const answer = await send(context, {
    method: 'GET',
    operation: 'custom_audiences.read',
    target: 'audience',
    path: audience(audienceId)
  })
  return readAs(Described, answer).data
}

/** Lists audiences, which proves token and access; whether it may write, only its scopes tell. */
export async function checkAccount(context: Context): Promise<readonly CheckProblem[]> {
  await listAudiences(undefined, context)
  const { scopes } = await tokenFor(context)
  return SCOPES.filter((scope) => scopes?.includes(scope) === false).map((scope) => ({
    code: 'missing_scope',
    message: `the application lacks the scope ${scope}: authorise it again with adsread and adsedit`
  }))
}
