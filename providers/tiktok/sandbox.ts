import type { FastifyInstance, FastifyRequest, HTTPMethods } from 'fastify'
import {
  type Sandbox,
  type SandboxOptions,
  type SandboxSettings,
  standingOf,
  startSandbox
} from '../sandbox.ts'
import { ERRORS, invalid, noPermission, Refusal, TOO_MANY_REQUESTS } from './sandbox-errors.ts'
import { readFile, readForm, type HeldFile } from './sandbox-files.ts'
import { addMembers, keyOf, removeMembers, type Member } from './sandbox-members.ts'
import {
  CreateRequest,
  DeleteRequest,
  IdList,
  isTooLarge,
  jsonBody,
  jsonQuery,
  MappingRequest,
  queryOf,
  readMapping,
  SegmentRequest,
  UpdateRequest
} from './sandbox-requests.ts'
import { MINIMUM_AUDIENCE_SIZE } from './variables.ts'

const ACCESS_TOKEN = 'sandbox-tiktok-token'
const ADVERTISER_ID = '7100000000000000001'
const FIRST_AUDIENCE_ID = 7_300_000_000_000_000_001n

const MAX_AUDIENCES = 400
const MINIMUM_ENTRIES = 1_000

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

/**
 * TikTok API for Business v1.3 in memory: one advertiser, its customer-file and streamed audiences.
 * Stricter than TikTok is known to be in three things: a hash must look like one, an entry that names
 * nobody is refused, and so is a file for an audience that is still being worked on.
 */
export function startTikTokSandbox(options?: SandboxOptions): Promise<Sandbox> {
  const audiences = new Map<string, HeldAudience>()
  const files = new Map<string, HeldFile>()
  let created = 0
  let settings: SandboxSettings = {}

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
      routes(app, current) {
        settings = current
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
            audience_details: describe(audience, settings),
            audience_history: []
          }))
          for (const audience of found) audience.processing = Math.max(0, audience.processing - 1)
          return { list }
        })
        on('POST', '/dmp/custom_audience/file/upload/', async (request) => {
          const form = await readForm(request)
          assertAdvertiser(form.get('advertiser_id') ?? undefined)
          const file = await readFile(form)
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
    const list = [...audiences.values()].slice((number - 1) * size, number * size)
    return {
      page_info: {
        page: number,
        page_size: size,
        total_number: audiences.size,
        total_page: Math.ceil(audiences.size / size)
      },
      list: list.map((audience) => describe(audience, settings))
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
    if (isTooLarge(request)) throw invalid('request body: larger than 1 MB')
    const body = jsonBody(request, MappingRequest)
    for (const id of body.advertiser_ids) assertAdvertiser(id)
    const changes = Map.groupBy(readMapping(body), ({ audienceId }) => audienceId)
    // The whole request is checked before anything changes.
    const targets = [...changes].map(([id, own]) => ({
      audience: held(id, 'Partner'),
      members: own.map(({ member }) => member)
    }))
    const change = body.action === 'delete' ? removeMembers : addMembers
    for (const { audience, members } of targets) change(audience, members)
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

function assertAdvertiser(id: unknown): void {
  if (id === undefined) throw invalid('advertiser_id: required')
  if (id !== ADVERTISER_ID) throw noPermission()
}

function assertMinimum(entries: number): void {
  if (entries < MINIMUM_ENTRIES) {
    throw invalid(`audience: ${entries} of at least ${MINIMUM_ENTRIES} entries`)
  }
}

function describe(audience: HeldAudience, settings: SandboxSettings) {
  const isStream = audience.type === 'Partner'
  const segment = { id: audience.id, members: audience.members.size }
  const { state, matched } = standingOf(settings, segment, MINIMUM_AUDIENCE_SIZE)
  return {
    audience_id: audience.id,
    name: audience.name,
    audience_type: audience.type,
    calculate_type: isStream ? null : audience.calculateType,
    cover_num: matched,
    is_valid: audience.processing === 0 && (state === 'ready' || state === 'too_small'),
    is_expiring: false,
    is_creator: true,
    shared: false,
    error_msg: state === 'suspended' ? 'The audience violates our policy' : null,
    create_time: audience.createTime,
    expired_time: isStream ? null : '2099-01-01 00:00:00'
  }
}
