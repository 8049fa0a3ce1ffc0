import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Answer, echoOf, failed } from '../../src/adcp/answers.ts'
import { type Fields, isFields } from '../../src/adcp/fields.ts'
import { readMessage } from '../../src/adcp/message.ts'
import { TOOLS } from '../../src/adcp/tools.ts'
import {
  type Sandbox,
  type SandboxOptions,
  type SandboxSettings,
  startSandbox
} from '../sandbox.ts'
import { NAMED_ERRORS, RATE_LIMITED, UNAUTHORIZED } from './sandbox-errors.ts'
import { callSeller, type Manner, SellerState, TOKENS } from './sandbox-seller.ts'

/** How the agents at each path answer; all of them have the same audiences. */
interface Agent extends Manner {
  /** As an event stream, like sellers that are built on the official library. */
  readonly streams?: boolean
  /** Wants to be initialised. */
  readonly hasSessions?: boolean
  /** As sellers of 3.0 do: without a status, and with text alone. */
  readonly isOld?: boolean
  readonly hasNoTaskTools?: boolean
}

const AGENTS: Readonly<Record<string, Agent>> = {
  '/mcp': {},
  '/stream': { streams: true },
  '/session': { hasSessions: true },
  '/old': { isOld: true, versions: [] },
  '/tasks': { isSlow: true },
  '/tasks-without-tools': { isSlow: true, hasNoTaskTools: true },
  '/emails': { identifiers: ['hashed_email'] },
  '/nothing': { identifiers: [] },
  '/unsafe': { hasIdempotency: false }
}

/** What the official library's server takes. */
const MAX_BODY_BYTES = 2 * 1024 * 1024

/** A stand-in of sellers that speak AdCP over MCP, with side A of the protocol as the service has it. */
export function startAdcpSandbox(options?: SandboxOptions): Promise<Sandbox> {
  const state = new SellerState()
  const sessions = new Set<string>()
  return startSandbox(
    {
      name: 'adcp',
      variables: { agentUrl: 'https://seller.example/mcp', token: 'sandbox' },
      routes(app, settings) {
        for (const [path, agent] of Object.entries(AGENTS)) {
          route(app, { path, agent, state, sessions, settings })
        }
      },
      state: () => state.toJSON(),
      reset() {
        state.clear()
        sessions.clear()
      },
      rateLimited: () => RATE_LIMITED,
      errors: NAMED_ERRORS
    },
    options
  )
}

interface Route {
  readonly path: string
  readonly agent: Agent
  readonly state: SellerState
  readonly sessions: Set<string>
  readonly settings: SandboxSettings
}

function route(app: FastifyInstance, { path, agent, state, sessions, settings }: Route): void {
  app.post(path, (request, reply) => {
    const accounts = TOKENS[(request.headers.authorization ?? '').replace(/^Bearer /, '')]
    if (accounts === undefined) {
      const { status, headers = {}, body } = UNAUTHORIZED
      return reply.code(status).headers(headers).send(body)
    }
    if (!takesBoth(request)) return refuse(reply, 406, -32_000, 'Not Acceptable')
    const bytes = request.body
    if (!Buffer.isBuffer(bytes)) return refuse(reply, 400, -32_700, 'Parse error')
    if (bytes.byteLength > MAX_BODY_BYTES) return reply.code(413).send('')
    const read = readMessage(bytes)
    if ('invalid' in read) return refuse(reply, 400, read.invalid.code, read.invalid.message)

    const { message } = read
    const { method, id } = message
    if (method === 'initialize') {
      const session = randomUUID()
      sessions.add(session)
      if (agent.hasSessions === true) void reply.header('mcp-session-id', session)
      return give(reply, agent, id, {
        protocolVersion: '2025-06-18',
        capabilities: { tools: {} },
        serverInfo: { name: 'sandbox', version: '1' }
      })
    }
    const session = request.headers['mcp-session-id']
    if (agent.hasSessions === true && session === undefined) {
      return refuse(reply, 400, -32_000, 'Bad Request: Missing session ID')
    }
    if (agent.hasSessions === true && !sessions.has(String(session))) {
      return refuse(reply, 404, -32_001, 'Session not found')
    }
    if (id === undefined) return reply.code(202).send()
    if (method === 'tools/list') return give(reply, agent, id, { tools: toolsOf(agent) })
    const { name, arguments: args } = isFields(message['params']) ? message['params'] : {}
    if (method !== 'tools/call' || typeof name !== 'string' || !isFields(args)) {
      return refuse(reply, 200, -32_601, 'Method not found')
    }
    if (!toolsOf(agent).some((tool) => tool.name === name)) {
      return refuse(reply, 200, -32_602, `Tool ${name} not found`)
    }
    const echo = echoOf(args)
    const answer =
      'refusal' in read
        ? failed(echo, read.refusal)
        : callSeller(
            state,
            { accounts, manner: agent, settings },
            { name, args, call: read.call, echo }
          )
    return give(reply, agent, id, toResult(answer, agent))
  })
}

function takesBoth({ headers: { accept = '' } }: FastifyRequest): boolean {
  return accept.includes('application/json') && accept.includes('text/event-stream')
}

/** As `tools/list` tells them. */
function toolsOf({ hasNoTaskTools = false }: Agent) {
  return TOOLS.filter(({ name }) => !hasNoTaskTools || !/task/.test(name)).map(
    ({ name, inputSchema }) => ({ name, inputSchema })
  )
}

function toResult({ fields, hasFailed }: Answer, { isOld = false }: Agent): Fields {
  const { status: _status, errors: _errors, ...old } = fields
  const told = isOld ? old : fields
  return {
    content: [{ type: 'text', text: JSON.stringify(told) }],
    ...(!isOld && { structuredContent: told }),
    ...(hasFailed && { isError: true })
  }
}

function give(reply: FastifyReply, { streams = false }: Agent, id: unknown, result: Fields) {
  const message = JSON.stringify({ jsonrpc: '2.0', id, result })
  if (!streams) return reply.type('application/json').send(message)
  const progress = JSON.stringify({
    jsonrpc: '2.0',
    method: 'notifications/progress',
    params: { progressToken: 1, progress: 0.5 }
  })
  return reply
    .type('text/event-stream')
    .send(`: ping\n\nevent: message\ndata: ${progress}\n\nevent: message\ndata: ${message}\n\n`)
}

function refuse(reply: FastifyReply, status: number, code: number, message: string) {
  const body = { jsonrpc: '2.0', id: null, error: { code, message } }
  return reply.code(status).type('application/json').send(JSON.stringify(body))
}
