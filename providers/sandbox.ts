import { hash } from 'node:crypto'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { Type, type Static, type TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { parseJson } from './http-client.ts'
import type { SegmentStatus } from './provider.ts'

export interface SandboxOptions {
  /** Loopback port; 0 takes a free one. */
  readonly port?: number
  readonly host?: string
}

/** How a call goes wrong: one of `answer`, `error`, `hang`, `reset`, `resetAfter`. */
const CallFault = Type.Object(
  {
    method: Type.Optional(Type.String({ description: 'Only calls with this method' })),
    path: Type.Optional(Type.String({ description: 'Only calls whose path contains this' })),
    answer: Type.Optional(
      Type.Object(
        {
          status: Type.Integer(),
          headers: Type.Optional(Type.Record(Type.String(), Type.String())),
          body: Type.Unknown()
        },
        { description: "Given instead of the platform's own answer" }
      )
    ),
    error: Type.Optional(
      Type.String({ description: "One of the platform's named errors, e.g. `expired_token`" })
    ),
    hang: Type.Optional(Type.Boolean({ description: 'The call is never answered' })),
    reset: Type.Optional(
      Type.Boolean({ description: 'The connection is cut before anything is done' })
    ),
    resetAfter: Type.Optional(
      Type.Boolean({ description: 'The work is done, then the connection is cut: a lost answer' })
    )
  },
  { additionalProperties: false }
)
type CallFault = Static<typeof CallFault>

/** How the next calls go wrong. */
export const Fault = Type.Object(
  {
    times: Type.Integer({ minimum: 1, description: 'How many matching calls it hits' }),
    ...CallFault.properties
  },
  { additionalProperties: false }
)
export type Fault = Static<typeof Fault>

/** How a segment stands; a state alone brings a number that fits it, a number alone its state. */
const Standing = Type.Object(
  {
    state: Type.Optional(Type.Enum(['processing', 'ready', 'too_small', 'suspended'])),
    matched: Type.Optional(Type.Integer({ minimum: 0, description: 'People that were matched' }))
  },
  { additionalProperties: false }
)

export const SandboxSettings = Type.Object(
  {
    delayMs: Type.Optional(
      Type.Integer({ minimum: 0, description: 'Every answer waits this long, in milliseconds' })
    ),
    rate: Type.Optional(
      Type.Union([Type.Object({ requests: Type.Integer(), perMs: Type.Integer() }), Type.Null()], {
        description: "More calls in a window get the platform's own rate-limit answer"
      })
    ),
    failing: Type.Optional(
      Type.Union(
        [
          Type.Object(
            {
              share: Type.Number({ minimum: 0, maximum: 1 }),
              faults: Type.Array(CallFault, { minItems: 1 }),
              seed: Type.Integer({ description: 'The same calls in the same order fail alike' })
            },
            { additionalProperties: false }
          ),
          Type.Null()
        ],
        { description: 'This share of all calls fails, each with a random one of these faults' }
      )
    ),
    segments: Type.Optional(
      Type.Union([Type.Record(Type.String(), Standing), Type.Null()], {
        description:
          'How segments stand, by id, `*` for all others, as far as the platform can say it; without ' +
          'it, whoever is in a segment is matched at once'
      })
    )
  },
  { additionalProperties: false }
)
export type SandboxSettings = Static<typeof SandboxSettings>

/** A call that reached the sandbox, as sent. */
export interface SandboxRequest {
  /** When it had arrived, in milliseconds since 1970. */
  readonly at: number
  readonly method: string
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Parsed JSON where it was JSON, else the text. */
  readonly body: unknown
}

export interface Sandbox {
  readonly name: string
  readonly url: string
  /** Variables of a tag that work against this sandbox, `baseUrl` included. */
  readonly variables: Readonly<Record<string, unknown>>
  /** All platform calls so far, oldest first. */
  readonly requests: readonly SandboxRequest[]
  /** The most platform calls that were under way at once. */
  mostAtOnce(): number
  /** What the platform holds, as plain JSON. */
  state(): unknown
  failNext(fault: Fault): void
  configure(settings: SandboxSettings): void
  /** Forgets everything: what it holds, faults, settings, requests. */
  reset(): void
  close(): Promise<void>
}

export interface PlatformAnswerTemplate {
  status: number
  headers?: Readonly<Record<string, string>>
  body: unknown
}

export interface SandboxDefinition {
  readonly name: string
  readonly variables: Readonly<Record<string, unknown>>
  /**
   * Adds the platform's routes. Bodies arrive as `Buffer` (`request.body`), whatever their type. The
   * settings are those of the moment.
   */
  routes(app: FastifyInstance, settings: SandboxSettings): void
  readonly state: () => unknown
  reset(): void
  /** The platform's answer when its rate limit is reached. */
  rateLimited(): PlatformAnswerTemplate
  /** The platform's named errors, for `Fault.error`. */
  readonly errors: Readonly<Record<string, PlatformAnswerTemplate>>
}

const CONTROL_PREFIX = '/_sandbox'

/**
 * Runs a stand-in of a platform on a loopback port. Beside the platform's own routes it serves a
 * control API: `GET /_sandbox/state`, `GET /_sandbox/requests`, `POST /_sandbox/faults` (a `Fault`),
 * `POST /_sandbox/settings` (`SandboxSettings`), `POST /_sandbox/reset`.
 */
export async function startSandbox(
  definition: SandboxDefinition,
  { port = 0, host = '127.0.0.1' }: SandboxOptions = {}
): Promise<Sandbox> {
  const requests: SandboxRequest[] = []
  const faults: { left: number; fault: Fault }[] = []
  const settings: SandboxSettings = {}
  let random = seededRandom(0)
  let callTimes: number[] = []
  let underWay = 0
  let mostAtOnce = 0

  const app = Fastify({ bodyLimit: 256 * 1024 * 1024, forceCloseConnections: true })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))

  function takeFault(method: string, path: string): CallFault | undefined {
    const hits = (fault: CallFault) =>
      (fault.method === undefined || fault.method === method) &&
      (fault.path === undefined || path.includes(fault.path))
    const found = faults.find(({ left, fault }) => left > 0 && hits(fault))
    if (found === undefined) return randomFault(hits)
    found.left -= 1
    return found.fault
  }

  function randomFault(hits: (fault: CallFault) => boolean): CallFault | undefined {
    const { share = 0, faults: all = [] } = settings.failing ?? {}
    if (random() >= share) return undefined
    const candidates = all.filter(hits)
    return candidates[Math.floor(random() * candidates.length)]
  }

  function overRate(): boolean {
    if (settings.rate == null) return false
    const since = Date.now() - settings.rate.perMs
    callTimes = callTimes.filter((time) => time > since)
    callTimes.push(Date.now())
    return callTimes.length > settings.rate.requests
  }

  const isControl = (request: FastifyRequest) => request.url.startsWith(CONTROL_PREFIX)

  app.addHook('preHandler', async (request, reply) => {
    if (isControl(request)) return undefined
    underWay += 1
    mostAtOnce = Math.max(mostAtOnce, underWay)
    reply.raw.once('close', () => (underWay -= 1))
    const { pathname, searchParams } = new URL(request.url, 'http://sandbox')
    requests.push({
      at: Date.now(),
      method: request.method,
      path: pathname,
      query: Object.fromEntries(searchParams),
      headers: request.headers,
      body: readable(request.body)
    })
    if (settings.delayMs !== undefined) {
      await new Promise((resolve) => {
        setTimeout(resolve, settings.delayMs)
      })
    }
    if (overRate()) return give(reply, definition.rateLimited())
    const fault = takeFault(request.method, pathname)
    if (fault === undefined) return undefined
    if (fault.hang === true) return reply.hijack()
    if (fault.reset === true) {
      reply.hijack()
      request.raw.socket.resetAndDestroy()
      return reply
    }
    if (fault.resetAfter === true) {
      request.loseAnswer = true
      return undefined
    }
    const answer = fault.answer ?? definition.errors[fault.error ?? '']
    return answer === undefined ? undefined : give(reply, answer)
  })

  app.decorateRequest('loseAnswer', false)
  app.addHook('onSend', async (request) => {
    if (request.loseAnswer) request.raw.socket.resetAndDestroy()
  })

  function assertKnown({ error }: CallFault): void {
    if (error === undefined || definition.errors[error] !== undefined) return
    const known = Object.keys(definition.errors).join(', ')
    throw Object.assign(new Error(`${definition.name} knows only ${known}`), { statusCode: 400 })
  }
  function failNext(fault: Fault): void {
    assertKnown(fault)
    faults.push({ left: fault.times, fault })
  }
  function configure(changed: SandboxSettings): void {
    changed.failing?.faults.forEach(assertKnown)
    if (changed.failing != null) random = seededRandom(changed.failing.seed)
    Object.assign(settings, changed)
  }
  function reset(): void {
    requests.length = 0
    faults.length = 0
    callTimes = []
    mostAtOnce = 0
    delete settings.delayMs
    delete settings.rate
    delete settings.failing
    delete settings.segments
    definition.reset()
  }

  app.get(`${CONTROL_PREFIX}/state`, () => definition.state())
  app.get(`${CONTROL_PREFIX}/requests`, () => requests)
  app.post(`${CONTROL_PREFIX}/faults`, (request) => {
    failNext(checked(Fault, request.body))
    return { ok: true }
  })
  app.post(`${CONTROL_PREFIX}/settings`, (request) => {
    configure(checked(SandboxSettings, request.body))
    return { ok: true }
  })
  app.post(`${CONTROL_PREFIX}/reset`, () => {
    reset()
    return { ok: true }
  })
  definition.routes(app, settings)

  const url = await app.listen({ port, host })
  return {
    name: definition.name,
    url,
    variables: { ...definition.variables, baseUrl: url },
    requests,
    mostAtOnce: () => mostAtOnce,
    state: definition.state,
    failNext,
    configure,
    reset,
    close: () => app.close()
  }
}

/** How a segment of so many members stands at a platform with this minimum. */
export function standingOf(
  { segments }: SandboxSettings,
  segment: { readonly id: string; readonly members: number },
  minimum: number
): { readonly state: SegmentStatus['state']; readonly matched: number } {
  const set = segments?.[segment.id] ?? segments?.['*'] ?? {}
  const { matched = fitting(set.state, segment.members, minimum) } = set
  return { state: set.state ?? (matched < minimum ? 'too_small' : 'ready'), matched }
}

function fitting(state: SegmentStatus['state'] | undefined, members: number, minimum: number) {
  if (state === 'ready') return Math.max(members, minimum)
  return state === 'too_small' ? Math.min(members, minimum - 1) : members
}

/** Source of numbers from 0 up to, but not including, 1: the same ones for the same seed. */
export function seededRandom(seed: number): () => number {
  let drawn = 0
  return () => {
    drawn += 1
    return hash('sha256', `${seed} ${drawn}`, 'buffer').readUInt32BE() / 2 ** 32
  }
}

declare module 'fastify' {
  interface FastifyRequest {
    loseAnswer: boolean
  }
}

function give(reply: FastifyReply, { status, headers = {}, body }: PlatformAnswerTemplate) {
  reply.code(status).headers(headers)
  if (typeof body === 'string') return reply.send(body)
  return reply.type('application/json').send(JSON.stringify(body))
}

/** @throws a 400 that says what is wrong. */
function checked<S extends TSchema>(schema: S, body: unknown): Static<S> {
  const value = readable(body)
  if (Value.Check(schema, value)) return value
  const problems = Value.Errors(schema, value).map((e) => `${e.instancePath || '/'} ${e.message}`)
  throw Object.assign(new Error(problems.join(', ')), { statusCode: 400 })
}

/** JSON where the body is JSON, else its text. */
export function readable(body: unknown): unknown {
  if (!Buffer.isBuffer(body)) return undefined
  const text = body.toString('utf8')
  return parseJson(text) ?? text
}
