import { Type } from 'typebox'
import { ProviderError } from '../errors.ts'
import type { PlatformCall } from '../http-client.ts'
import type { CheckProblem, SegmentStatus } from '../provider.ts'
import { type KlaviyoContext, pageOf, readAnswer, readPages, request, send } from './api.ts'

const List = Type.Object({
  id: Type.String(),
  attributes: Type.Object({ name: Type.Union([Type.String(), Type.Null()]) })
})

/**
 * The oldest list with exactly this name (names are not unique; Lists API overview). Klaviyo's
 * segments are computed from a definition and cannot be written to, so an audience is a list.
 */
export async function findList(name: string, context: KlaviyoContext): Promise<string | undefined> {
  const query = { ...nameFilter(name), 'fields[list]': 'name,created', sort: 'created' }
  const search = { method: 'GET', operation: 'lists.list', path: '/api/lists', query } as const
  for await (const lists of readPages(List, search, context)) {
    const found = lists.find((list) => list.attributes.name === name)
    if (found !== undefined) return found.id
  }
  return undefined
}

/**
 * How a quotation mark or backslash is written within a filter is not documented, and a filter that
 * misses would create the list again and again: such a name is looked for among all lists.
 */
function nameFilter(name: string): { filter?: string } {
  const literal = JSON.stringify(name)
  return literal === `"${name}"` ? { filter: `any(name,[${literal}])` } : {}
}

/** Without `opt_in_process`: the account's own default holds, and it matters to sign-ups only. */
export async function createList(name: string, context: KlaviyoContext): Promise<string> {
  const created = await request(
    Type.Object({ data: Type.Object({ id: Type.String() }) }),
    {
      method: 'POST',
      operation: 'lists.create',
      path: '/api/lists',
      body: JSON.stringify({ data: { type: 'list', attributes: { name } } })
    },
    context
  )
  return created.data.id
}

export async function deleteList(listId: string, context: KlaviyoContext): Promise<void> {
  const path = `/api/lists/${encodeURIComponent(listId)}`
  const answer = await send({ method: 'DELETE', operation: 'lists.delete', path }, context)
  if (answer.status !== 404) readAnswer(Type.Unknown(), answer)
}

/** Matched people from whom up an audience can be used: one. */
export const MINIMUM_AUDIENCE_SIZE = 1

/** Counting is allowed once a second and 15 times a minute, all else more often (API reference, Get List). */
export const COUNT_OPERATION = 'lists.count'

/** A list can be used at once, by whoever is on it. */
export async function listStatus(listId: string, context: KlaviyoContext): Promise<SegmentStatus> {
  const list = await request(
    Type.Object({
      data: Type.Object({ attributes: Type.Object({ profile_count: Type.Integer() }) })
    }),
    {
      method: 'GET',
      operation: COUNT_OPERATION,
      path: `/api/lists/${encodeURIComponent(listId)}`,
      query: { 'additional-fields[list]': 'profile_count' }
    },
    context
  )
  const matched = list.data.attributes.profile_count
  return { state: matched < MINIMUM_AUDIENCE_SIZE ? 'too_small' : 'ready', matched }
}

/** The cheapest call behind each scope that can be tried without writing anything. */
const PROBES: readonly { scope: string; probe: PlatformCall }[] = [
  {
    scope: 'lists:read',
    probe: {
      method: 'GET',
      operation: 'lists.list',
      path: '/api/lists',
      query: { 'page[size]': '1' }
    }
  },
  {
    scope: 'profiles:read',
    probe: {
      method: 'GET',
      operation: 'profile-bulk-import-jobs.list',
      path: '/api/profile-bulk-import-jobs',
      query: { 'page[size]': '1' }
    }
  }
]

/** Tries the key and its reading scopes; the writing ones cannot be tried without writing. */
export async function check(context: KlaviyoContext): Promise<readonly CheckProblem[]> {
  const problems: CheckProblem[] = []
  for (const { scope, probe } of PROBES) {
    try {
      await request(pageOf(Type.Unknown()), probe, context)
    } catch (error) {
      if (!(error instanceof ProviderError) || error.errorClass !== 'permission') throw error
      problems.push({
        code: 'missing_scope',
        message: `the API key lacks the scope ${scope}: use one with lists:read, lists:write, profiles:read and profiles:write`
      })
    }
  }
  return problems
}
