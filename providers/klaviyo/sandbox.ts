import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyPluginCallback, FastifyRequest } from 'fastify'
import {
  readable,
  type Sandbox,
  type SandboxOptions,
  type SandboxSettings,
  standingOf,
  startSandbox
} from '../sandbox.ts'
import { MINIMUM_AUDIENCE_SIZE } from './lists.ts'
import {
  Account,
  FILTER_FIELDS,
  type ImportFailure,
  type Job,
  KEYS,
  type List,
  type Profile
} from './sandbox-account.ts'
import {
  badParameter,
  errorAnswer,
  invalid,
  MEDIA_TYPE,
  NAMED_ERRORS,
  Refusal,
  refusal,
  throttled
} from './sandbox-answers.ts'
import { JobBody, ListBody, Query, RemovalBody } from './sandbox-schemas.ts'

const MEDIA_TYPES: readonly unknown[] = [MEDIA_TYPE, 'application/json']
const MAX_BODY_BYTES = 5_000_000
/** Its own host: a client that follows links leaves the sandbox. */
const ORIGIN = 'https://a.klaviyo.com'
/** Endpoints that change somebody's consent. */
const CONSENT_ENDPOINTS = [
  '/profile-subscription-bulk-create-jobs',
  '/profile-subscription-bulk-delete-jobs',
  '/profile-suppression-bulk-create-jobs',
  '/profile-suppression-bulk-delete-jobs'
]

interface Page {
  readonly default: number
  readonly max: number
}
const LIST_PAGE: Page = { default: 10, max: 10 }
const PAGE: Page = { default: 20, max: 100 }

interface ById {
  Params: { id: string }
}

/**
 * A stand-in of Klaviyo's API (revision 2026-07-15): lists, profiles, bulk import jobs and their errors,
 * in an account for each key. A job is `queued`, at the first look `processing` and then `complete`; its
 * profiles are on the lists at once.
 */
export function startKlaviyoSandbox(options?: SandboxOptions): Promise<Sandbox> {
  const accounts = new Map<string, Account>()
  /** What an audience sync must never call. */
  const forbiddenCalls: string[] = []
  const definition = {
    name: 'klaviyo',
    variables: { apiKey: 'sandbox' },
    routes: (app: FastifyInstance, settings: SandboxSettings) =>
      void app.register(api(accounts, forbiddenCalls, settings), { prefix: '/api' }),
    state: () => ({
      segments: [...accounts].flatMap(([account, { lists }]) =>
        [...lists.values()].map((list) => ({ account, ...contents(list) }))
      ),
      forbiddenCalls: [...forbiddenCalls]
    }),
    reset: () => {
      accounts.clear()
      forbiddenCalls.length = 0
    },
    rateLimited: () => throttled(1),
    errors: NAMED_ERRORS
  }
  return startSandbox(definition, options)
}

function contents({ id, name, created, members }: List) {
  return { id, name, created, members: [...members].map(({ attributes }) => attributes) }
}

function api(
  accounts: Map<string, Account>,
  forbiddenCalls: string[],
  settings: SandboxSettings
): FastifyPluginCallback {
  const enter = (request: Call, ...scopes: readonly string[]): Account => {
    const key = authorizedKey(request, scopes)
    const account = accounts.get(key) ?? new Account(KEYS[key]?.sms ?? false)
    accounts.set(key, account)
    return account
  }

  return (app, _options, done) => {
    app.setErrorHandler((error, _request, reply) => {
      if (!(error instanceof Refusal)) throw error
      const { status, headers = {}, body } = error.answer
      const text = typeof body === 'string' ? body : JSON.stringify(body)
      return reply.code(status).headers(headers).send(text)
    })
    app.setNotFoundHandler(() => {
      throw refusal('not_found')
    })
    app.addHook('preSerialization', (_request, reply, payload, next) => {
      reply.type(MEDIA_TYPE)
      next(null, payload)
    })

    app.get('/lists', (request) => {
      const account = enter(request, 'lists:read')
      const query = checkedQuery(request, ['filter', 'fields[list]', 'sort'])
      const names = wantedNames(query['filter'])
      const lists = account.sortedLists(query['sort'])
      const found = lists.filter(({ name }) => names?.includes(name) ?? true)
      return pageOf(found, listResource, query, request, LIST_PAGE)
    })
    app.post('/lists', (request, reply) => {
      const account = enter(request, 'lists:write')
      const { data } = checkedBody(ListBody, request)
      reply.code(201)
      return { data: listResource(account.createList(data.attributes.name)) }
    })
    app.get<ById>('/lists/:id', (request) => {
      const list = enter(request, 'lists:read').lists.get(request.params.id)
      if (list === undefined) throw refusal('not_found')
      const query = checkedQuery(request, ['additional-fields[list]'])
      const resource = listResource(list)
      if (query['additional-fields[list]'] !== 'profile_count') return { data: resource }
      const segment = { id: list.id, members: list.members.size }
      const { matched } = standingOf(settings, segment, MINIMUM_AUDIENCE_SIZE)
      return {
        data: { ...resource, attributes: { ...resource.attributes, profile_count: matched } }
      }
    })
    app.delete<ById>('/lists/:id/relationships/profiles', (request, reply) => {
      const account = enter(request, 'lists:write', 'profiles:write')
      const ids = checkedBody(RemovalBody, request).data.map(({ id }) => id)
      account.removeProfiles(request.params.id, ids)
      return reply.code(204).send()
    })
    app.get('/profiles', (request) => {
      const account = enter(request, 'profiles:read')
      const query = checkedQuery(request, ['filter', 'fields[profile]'])
      const { field, values } = wantedProfiles(query['filter'])
      const toResource = (profile: Profile) => profileResource(profile, query['fields[profile]'])
      return pageOf(account.profilesWith(field, values), toResource, query, request, PAGE)
    })
    app.delete<ById>('/lists/:id', (request, reply) => {
      const { lists } = enter(request, 'lists:write')
      if (!lists.delete(request.params.id)) throw refusal('not_found')
      return reply.code(204).send()
    })

    app.get('/profile-bulk-import-jobs', (request) => {
      const { jobs } = enter(request, 'lists:read', 'profiles:read')
      const query = checkedQuery(request, [])
      return pageOf([...jobs.values()], jobResource, query, request, PAGE)
    })
    app.post('/profile-bulk-import-jobs', (request, reply) => {
      const account = enter(request, 'lists:write', 'profiles:write')
      const { attributes, relationships } = checkedBody(JobBody, request).data
      const listIds = (relationships?.lists?.data ?? []).map(({ id }) => id)
      const profiles = attributes.profiles.data.map((profile) => profile.attributes)
      reply.code(202)
      return { data: jobResource(account.startJob(listIds, profiles)) }
    })
    app.get<ById>('/profile-bulk-import-jobs/:id', (request) => {
      const job = jobOf(enter(request, 'lists:read', 'profiles:read'), request.params.id)
      const { include } = checkedQuery(request, ['include', 'fields[list]'])
      job.polls += 1
      const lists = job.listIds.map((id) => ({ type: 'list', id }))
      const relationships = { lists: include === 'lists' ? { data: lists } : {} }
      return { data: { ...jobResource(job), relationships } }
    })
    app.get<ById>('/profile-bulk-import-jobs/:id/import-errors', (request) => {
      const { failures } = jobOf(enter(request, 'profiles:read'), request.params.id)
      const query = checkedQuery(request, ['fields[import-error]'])
      const toResource = (failure: ImportFailure) =>
        importErrorResource(failure, query['fields[import-error]'])
      return pageOf(failures, toResource, query, request, PAGE)
    })

    for (const path of CONSENT_ENDPOINTS) {
      app.post(path, (request, reply) => {
        forbiddenCalls.push(request.url)
        return reply.code(202).send()
      })
    }
    for (const retired of ['/v1/*', '/v2/*']) {
      app.all(retired, () => {
        throw refusal('gone')
      })
    }
    done()
  }
}

type Call = Pick<FastifyRequest, 'headers' | 'method'>

/** Checks what every call is checked for: key, scopes, revision, media type. */
function authorizedKey({ headers, method }: Call, scopes: readonly string[]): string {
  const key = /^Klaviyo-API-Key (.+)$/.exec(headers.authorization ?? '')?.[1]
  if (key === undefined) throw refusal('not_authenticated')
  const known = KEYS[key]
  if (known === undefined) throw refusal('authentication_failed')
  if (!/^\d{4}-\d{2}-\d{2}$/.test(String(headers['revision']))) {
    throw new Refusal(errorAnswer(400, [invalid('The revision header is missing or invalid')]))
  }
  const hasBody = method === 'POST' || (headers['content-length'] ?? '0') !== '0'
  if (hasBody && !MEDIA_TYPES.includes(headers['content-type'])) {
    throw refusal('unsupported_media_type')
  }
  if (scopes.some((scope) => !known.scopes.includes(scope))) throw refusal('permission_denied')
  return key
}

interface Validator<T> {
  Check(value: unknown): value is T
  Errors(value: unknown): readonly { instancePath: string; message: string }[]
}

/** @throws Refusal that names the first place that does not fit. */
function checkedBody<T>(validator: Validator<T>, { body }: { body: unknown }): T {
  if (Buffer.isBuffer(body) && body.byteLength > MAX_BODY_BYTES) throw refusal('too_large')
  const value = readable(body)
  if (validator.Check(value)) return value
  const [first] = validator.Errors(value)
  throw new Refusal(errorAnswer(400, [invalid(first?.message ?? 'invalid', first?.instancePath)]))
}

/** @throws Refusal for a parameter that the endpoint does not know. */
function checkedQuery({ query }: { query: unknown }, known: readonly string[]): Query {
  if (!Query.Check(query)) throw badParameter('query')
  const allowed = [...known, 'page[size]', 'page[cursor]']
  const stranger = Object.keys(query).find((name) => !allowed.includes(name))
  if (stranger !== undefined) throw badParameter(stranger)
  return query
}

/** `any(name,["a","b"])` and `equals(name,["a"])`: the operators declared for names, on an array. */
function wantedNames(filter: string | undefined): readonly unknown[] | undefined {
  if (filter === undefined) return undefined
  const array = /^(?:any|equals)\(name,(\[".*"\])\)$/s.exec(filter)?.[1] ?? ''
  const names = readable(Buffer.from(array))
  if (!Array.isArray(names)) throw badParameter('filter')
  return names
}

/** `any(email,["a","b"])`: the operator that takes several values. */
function wantedProfiles(filter = '') {
  const [, name, array = ''] = /^any\((\w+),(\[".*"\])\)$/s.exec(filter) ?? []
  const field = FILTER_FIELDS.find((known) => known === name)
  const list = readable(Buffer.from(array))
  if (field === undefined || !Array.isArray(list)) throw badParameter('filter')
  const values: readonly unknown[] = list
  return { field, values }
}

function profileResource({ id, attributes }: Profile, fields: string | undefined) {
  const wanted = fields?.split(',') ?? Object.keys(attributes)
  const kept = wanted.map((name) => [name, attributes[name] ?? null])
  return { type: 'profile', id, attributes: Object.fromEntries(kept) }
}

function pageOf<T>(
  items: readonly T[],
  toResource: (item: T) => unknown,
  query: Query,
  { url }: { url: string },
  sizes: Page
) {
  const size = Number(query['page[size]'] ?? sizes.default)
  if (!Number.isInteger(size) || size < 1 || size > sizes.max) throw badParameter('page[size]')
  const start = offsetOf(query['page[cursor]'])
  const self = new URL(url, ORIGIN)
  const next = new URL(self)
  next.searchParams.set('page[cursor]', cursorOf(start + size))
  return {
    data: items.slice(start, start + size).map(toResource),
    links: { self: self.href, prev: null, next: start + size < items.length ? next.href : null }
  }
}

const cursorOf = (offset: number) => Buffer.from(`next::id::${offset}`).toString('base64')

function offsetOf(cursor: string | undefined): number {
  if (cursor === undefined) return 0
  const offset = /^next::id::(\d+)$/.exec(Buffer.from(cursor, 'base64').toString('utf8'))?.[1]
  if (offset === undefined) throw badParameter('page[cursor]')
  return Number(offset)
}

function listResource({ id, name, created }: List) {
  return {
    type: 'list',
    id,
    attributes: { name, created, updated: created, opt_in_process: 'single_opt_in' },
    links: { self: `${ORIGIN}/api/lists/${id}` }
  }
}

const STATUS_BY_POLLS = ['queued', 'processing']

function jobResource({ id, created, total, failures, polls }: Job) {
  const status = STATUS_BY_POLLS[polls] ?? 'complete'
  const isComplete = status === 'complete'
  return {
    type: 'profile-bulk-import-job',
    id,
    attributes: {
      status,
      created_at: created,
      total_count: total,
      completed_count: isComplete ? total - failures.length : 0,
      failed_count: isComplete ? failures.length : 0,
      started_at: polls > 0 ? created : null,
      completed_at: isComplete ? created : null,
      expires_at: null
    }
  }
}

function jobOf({ jobs }: Account, id: string): Job {
  const job = jobs.get(id)
  if (job === undefined) throw refusal('not_found')
  return job
}

function importErrorResource({ index, payload }: ImportFailure, fields: string | undefined) {
  const attributes = {
    code: 'invalid',
    title: 'Invalid input',
    detail: `Invalid email address ${payload.email}`,
    source: { pointer: `/data/attributes/profiles/data/${index}/attributes/email` },
    original_payload: payload
  }
  const wanted = fields?.split(',') ?? Object.keys(attributes)
  const kept = Object.entries(attributes).filter(([name]) => wanted.includes(name))
  return { type: 'import-error', id: randomUUID(), attributes: Object.fromEntries(kept) }
}
