import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type, type Static, type TSchema } from 'typebox'
import { Value } from 'typebox/value'
import {
  type PlatformAnswerTemplate,
  readable,
  type Sandbox,
  type SandboxOptions,
  type SandboxSettings,
  standingOf,
  startSandbox
} from '../sandbox.ts'
import { MINIMUM_AUDIENCE_SIZE } from './variables.ts'

const ACCOUNT_ID = 'a2_sandbox'
const CLIENT_ID = 'sandbox-client'
const CLIENT_SECRET = 'sandbox-secret'
const REFRESH_TOKEN = 'sandbox-refresh-token'
const BASIC = `Basic ${Buffer.from(`${CLIENT_ID}:${CLIENT_SECRET}`).toString('base64')}`
/** An access token that somebody made by hand; all others come from the token endpoint. */
const ACCESS_TOKEN = 'sandbox-access-token'
const TOKEN_LIFE_S = 86_400
const SCOPE = 'adsread adsedit'

const FIRST_ID = 2_066_268_373_552_240_021n
const PAGE_SIZE = 2
const MAX_ROWS = 2_500
const ACCOUNT_PATH = '/api/v3/ad_accounts/:account/custom_audiences'
const AUDIENCE_PATH = '/api/v3/custom_audiences/:audience'

/** `platform:app:version`, as Reddit asks callers to name themselves. */
const USER_AGENT = /^[^:\s]+:[^:\s]+:\S/
const Hash = Type.String({ pattern: '^[0-9a-f]{64}$' })

const NewAudience = Type.Object({
  data: Type.Object({ name: Type.String({ minLength: 1 }), type: Type.Literal('CUSTOMER_LIST') })
})
const Update = Type.Object({
  data: Type.Object({
    action_type: Type.Enum(['ADD', 'REMOVE']),
    column_order: Type.Array(Type.Enum(['EMAIL_SHA256', 'MAID_SHA256']), {
      minItems: 1,
      uniqueItems: true
    }),
    user_data: Type.Array(Type.Array(Hash), { minItems: 1, maxItems: MAX_ROWS })
  })
})

/** The API's form of an error. */
function refusal(code: number, message: string, more: object = {}): PlatformAnswerTemplate {
  return { status: code, body: { error: { code, message, ...more } } }
}

const HTML = { 'content-type': 'text/html; charset=utf-8' }
const ERRORS = {
  bad_request: refusal(400, 'Bad request.', {
    fields: [{ field: 'user_data', message: 'Invalid value.' }]
  }),
  invalid_token: refusal(401, 'Unauthorized.', { reason: 'UNAUTHORIZED' }),
  missing_scope: refusal(403, 'Insufficient authentication scopes.'),
  blocked: { status: 403, headers: HTML, body: '<html><body>Blocked</body></html>' },
  not_found: refusal(404, 'Not found.'),
  version_ended: refusal(410, 'Gone.'),
  too_large: { status: 413, headers: HTML, body: '<html><body>Sorry</body></html>' },
  rate_limited: refusal(429, 'Too many requests.'),
  server_error: refusal(500, 'Server error.'),
  bad_gateway: { status: 502, headers: HTML, body: '<html><body>Oops</body></html>' },
  invalid_grant: { status: 400, body: { error: 'invalid_grant' } },
  invalid_grant_with_200: { status: 200, body: { error: 'invalid_grant' } },
  invalid_client: { status: 401, body: { message: 'Unauthorized', error: 401 } }
} satisfies Readonly<Record<string, PlatformAnswerTemplate>>

/** An answer that ends the handling of a call. */
class Refusal extends Error {
  readonly answer: PlatformAnswerTemplate
  constructor(answer: PlatformAnswerTemplate) {
    super('refused')
    this.answer = answer
  }
}

type Row = Readonly<Record<string, string>>

interface Segment {
  readonly id: string
  readonly name: string
  readonly type: string
  isFilled: boolean
  /** By their text: the same row again changes nothing. */
  readonly members: Map<string, Row>
}

interface Route {
  Params: { account: string; audience: string }
  Querystring: Record<string, string>
}
type Call = FastifyRequest<Route>

/**
 * A stand-in of Reddit's token endpoint and of the custom audiences of one ad account (Reddit Ads API,
 * version 3): list by pages, create, read, delete, add and remove users. Unknown paths and wrong
 * methods are answered with 404 alike. `state()` gives the segments with their members.
 */
export function startRedditSandbox(options?: SandboxOptions): Promise<Sandbox> {
  const segments = new Map<string, Segment>()
  const tokens = new Set([ACCESS_TOKEN])
  let issued = 0
  let created = 0n
  let settings: SandboxSettings = {}

  function issueToken({ headers, body }: Call) {
    const form = new URLSearchParams(String(body))
    if (headers.authorization !== BASIC) throw new Refusal(ERRORS.invalid_client)
    if (form.get('grant_type') !== 'refresh_token' || form.get('refresh_token') !== REFRESH_TOKEN) {
      throw new Refusal(ERRORS.invalid_grant)
    }
    issued += 1
    const token = `${ACCESS_TOKEN}-${issued}`
    tokens.add(token)
    return { access_token: token, token_type: 'bearer', expires_in: TOKEN_LIFE_S, scope: SCOPE }
  }

  function listAudiences({ params, query }: Call) {
    assertAccount(params.account)
    const all = [...segments.values()]
    const start = Number(query['page.token'] ?? 0)
    const end = start + PAGE_SIZE
    // The real link leads to Reddit; this one leads nowhere.
    const next = `https://ads-api.reddit.invalid/next?page.token=${end}`
    return {
      data: all.slice(start, end).map((segment) => described(segment, settings)),
      pagination: { next_url: end < all.length ? next : null }
    }
  }

  function createAudience(call: Call, reply: FastifyReply) {
    assertAccount(call.params.account)
    const { name, type } = bodyOf(call, NewAudience).data
    const segment = {
      id: `ca.${FIRST_ID + created}`,
      name,
      type,
      isFilled: false,
      members: new Map()
    }
    created += 1n
    segments.set(segment.id, segment)
    reply.code(201)
    return { data: described(segment, settings) }
  }

  function segmentOf({ params }: Call): Segment {
    const segment = segments.get(params.audience)
    if (segment === undefined) throw new Refusal(ERRORS.not_found)
    return segment
  }

  function updateUsers(call: Call, reply: FastifyReply) {
    const segment = segmentOf(call)
    const {
      action_type: action,
      column_order: columns,
      user_data: rows
    } = bodyOf(call, Update).data
    if (rows.some(({ length }) => length !== columns.length)) throw new Refusal(ERRORS.bad_request)
    for (const row of rows) {
      const text = JSON.stringify(row)
      if (action === 'REMOVE') segment.members.delete(text)
      else segment.members.set(text, memberOf(columns, row))
    }
    segment.isFilled = true
    return reply.code(204).send()
  }

  return startSandbox(
    {
      name: 'reddit',
      variables: {
        adAccountId: ACCOUNT_ID,
        clientId: CLIENT_ID,
        clientSecret: CLIENT_SECRET,
        refreshToken: REFRESH_TOKEN
      },
      errors: ERRORS,
      rateLimited: () => ERRORS.rate_limited,
      state: () => ({ segments: [...segments.values()].map(stateOf) }),
      reset() {
        segments.clear()
        tokens.clear()
        tokens.add(ACCESS_TOKEN)
      },
      routes(app, given) {
        settings = given
        app.setErrorHandler(refuse)
        app.setNotFoundHandler((_call, reply) => give(reply, ERRORS.not_found))
        app.addHook('preHandler', async ({ url, headers }) => {
          if (url.startsWith('/_sandbox')) return
          if (!USER_AGENT.test(headers['user-agent'] ?? '')) throw new Refusal(ERRORS.blocked)
          const token = headers.authorization?.replace(/^Bearer /, '') ?? ''
          if (url.startsWith('/api/v3/') && !tokens.has(token)) {
            throw new Refusal(ERRORS.invalid_token)
          }
        })
        app.post<Route>('/api/v1/access_token', issueToken)
        app.get<Route>(ACCOUNT_PATH, listAudiences)
        app.post<Route>(ACCOUNT_PATH, createAudience)
        app.get<Route>(AUDIENCE_PATH, (call) => ({ data: described(segmentOf(call), settings) }))
        app.delete<Route>(AUDIENCE_PATH, (call, reply) => {
          segments.delete(segmentOf(call).id)
          return reply.code(204).send()
        })
        app.patch<Route>(`${AUDIENCE_PATH}/users`, updateUsers)
      }
    },
    options
  )
}

function refuse(error: unknown, _call: FastifyRequest, reply: FastifyReply) {
  if (!(error instanceof Refusal)) throw error
  return give(reply, error.answer)
}

function give(reply: FastifyReply, { status, headers = {}, body }: PlatformAnswerTemplate) {
  return reply.code(status).headers(headers).send(body)
}

function assertAccount(account: string): void {
  if (account !== ACCOUNT_ID) throw new Refusal(ERRORS.not_found)
}

function bodyOf<S extends TSchema>({ headers, body }: Call, schema: S): Static<S> {
  const value = readable(body)
  const isJson = headers['content-type'] === 'application/json'
  if (isJson && Value.Check(schema, value)) return value
  const [problem] = Value.Errors(schema, value)
  const fields = [{ field: problem?.instancePath ?? 'content-type', message: problem?.message }]
  throw new Refusal(refusal(400, 'Bad request.', { fields }))
}

function memberOf(columns: readonly string[], row: readonly string[]): Row {
  return Object.fromEntries(columns.map((column, index) => [column, row[index] ?? '']))
}

/** Below its minimum Reddit calls a list invalid; of one taken out of use no word is known. */
const STATUSES = {
  processing: 'PENDING',
  ready: 'VALID',
  too_small: 'INVALID',
  suspended: 'INVALID'
}

function described({ id, name, type, isFilled, members }: Segment, settings: SandboxSettings) {
  const standing = standingOf(settings, { id, members: members.size }, MINIMUM_AUDIENCE_SIZE)
  return {
    id,
    name,
    type,
    ad_account_id: ACCOUNT_ID,
    status: isFilled ? STATUSES[standing.state] : STATUSES.processing,
    size_range_lower: standing.matched,
    size_range_upper: Math.ceil(standing.matched * 1.2)
  }
}

function stateOf({ id, name, type, members }: Segment) {
  return { id, name, type, members: [...members.values()] }
}
