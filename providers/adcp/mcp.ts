import { createParser } from 'eventsource-parser'
import { type Fields, isFields } from '../../src/adcp/fields.ts'
import { parseJson, type PlatformAnswer } from '../http-client.ts'
import { errorOfRpc, errorOfStatus, errorOfText, toProviderError, unreadable } from './errors.ts'
import { type AdcpContext, type AdcpVariables, pathOf } from './variables.ts'

/**
 * MCP's Streamable HTTP (https://modelcontextprotocol.io/specification/2025-11-25/basic/transports), as
 * far as calling tools needs it: each message is a POST of its own, and its answer is all that is read.
 */

const PROTOCOL_VERSION = '2025-11-25'
const CLIENT_INFO = { name: 'audience-api', version: '1' }

/** What a seller wants to be reminded of with each message. */
interface Session {
  readonly id: string | undefined
  readonly protocolVersion: string
}

/** Of those sellers that do not answer without one, by their tag. */
const sessions = new WeakMap<AdcpVariables, Session>()
let lastId = 0

/** Ids need to differ within a session only while their calls are under way. */
function nextId(): number {
  lastId += 1
  return lastId
}

/** The tools of the seller. */
export async function listTools(context: AdcpContext): Promise<ReadonlySet<string>> {
  const names = new Set<string>()
  const seen = new Set<unknown>()
  let cursor: unknown
  do {
    seen.add(cursor)
    const params = JSON.stringify(typeof cursor === 'string' ? { cursor } : {})
    const page = await request('tools/list', Buffer.from(params), 'tools.list', context)
    const tools: readonly unknown[] = Array.isArray(page['tools']) ? page['tools'] : []
    for (const tool of tools) {
      if (isFields(tool) && typeof tool['name'] === 'string') names.add(tool['name'])
    }
    cursor = page['nextCursor']
    // A cursor that comes again would page for ever.
  } while (typeof cursor === 'string' && !seen.has(cursor))
  return names
}

export interface ToolCall {
  readonly name: string
  /** JSON, in UTF-8. */
  readonly args: Uint8Array
  /** A span's name, and what the account's rates know it by. */
  readonly operation: string
}

/**
 * Calls a tool and returns its answer.
 * @throws ProviderError where the tool failed as a whole.
 */
export async function callTool(
  { name, args, operation }: ToolCall,
  context: AdcpContext
): Promise<Fields> {
  const params = Buffer.concat([
    Buffer.from(`{"name":${JSON.stringify(name)},"arguments":`),
    args,
    Buffer.from('}')
  ])
  const result = await request('tools/call', params, operation, context)
  const { structuredContent: structured } = result
  const text = textOf(result)
  const fields = isFields(structured) ? structured : parseJson(text)
  const hasFailed = result['isError'] === true
  if (!isFields(fields)) throw hasFailed ? errorOfText(text, 200) : unreadable()
  const { adcp_error: error } = fields
  if (hasFailed || error !== undefined) throw toProviderError(error ?? firstError(fields) ?? fields)
  return fields
}

/** The first of `errors`, where there are any. */
export function firstError({ errors }: Fields): unknown {
  return Array.isArray(errors) ? (errors as readonly unknown[])[0] : undefined
}

/** For sellers that answer with text alone. */
function textOf({ content }: Fields): string {
  const parts: readonly unknown[] = Array.isArray(content) ? content : []
  for (const part of parts) {
    if (isFields(part) && part['type'] === 'text' && typeof part['text'] === 'string') {
      return part['text']
    }
  }
  return ''
}

/** Calls a method; where the seller wants a session first, it gets one. */
async function request(
  method: string,
  params: Uint8Array,
  operation: string,
  context: AdcpContext
): Promise<Fields> {
  const body = messageOf(method, params)
  const answer = await post(body, operation, context)
  if (!wantsSession(answer)) return resultOf(answer)
  await initialize(context)
  return resultOf(await post(body, operation, context))
}

function messageOf(method: string, params: Uint8Array): Uint8Array<ArrayBuffer> {
  const head = `{"jsonrpc":"2.0","id":${nextId()},"method":${JSON.stringify(method)},"params":`
  return Buffer.concat([Buffer.from(head), params, Buffer.from('}')])
}

function post(
  body: string | Uint8Array<ArrayBuffer>,
  operation: string,
  context: AdcpContext,
  session = sessions.get(context.variables)
): Promise<PlatformAnswer> {
  const { variables } = context
  return context.send({
    method: 'POST',
    operation,
    path: pathOf(variables),
    headers: {
      authorization: `Bearer ${variables.token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(session !== undefined && { 'mcp-protocol-version': session.protocolVersion }),
      ...(session?.id !== undefined && { 'mcp-session-id': session.id })
    },
    body
  })
}

/**
 * A message without the session that it needs is answered with 400, one of a session that has ended with
 * 404 ("Session management"), by MCP's own errors and not by AdCP's. Nothing was done with it.
 */
function wantsSession(answer: PlatformAnswer): boolean {
  if (answer.status !== 400 && answer.status !== 404) return false
  const message = answer.json()
  return (
    isFields(message) && isFields(message['error']) && adcpErrorIn(message['error']) === undefined
  )
}

async function initialize(context: AdcpContext): Promise<void> {
  sessions.delete(context.variables)
  const params = {
    protocolVersion: PROTOCOL_VERSION,
    capabilities: {},
    clientInfo: CLIENT_INFO
  }
  const body = messageOf('initialize', Buffer.from(JSON.stringify(params)))
  const answer = await post(body, 'initialize', context)
  const { protocolVersion } = resultOf(answer)
  const { 'mcp-session-id': id } = answer.headers
  const session = {
    id: typeof id === 'string' ? id : undefined,
    protocolVersion: typeof protocolVersion === 'string' ? protocolVersion : PROTOCOL_VERSION
  }
  const initialized = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })
  const noted = await post(initialized, 'initialized', context, session)
  if (noted.status >= 400) throw errorOfStatus(noted)
  sessions.set(context.variables, session)
}

/** @throws ProviderError unless the answer is a result. */
function resultOf(answer: PlatformAnswer): Fields {
  const message = responseIn(answer)
  if (message === undefined) {
    throw answer.status >= 200 && answer.status < 300
      ? unreadable(answer.status)
      : errorOfStatus(answer)
  }
  const { error, result } = message
  if (isFields(error)) {
    const told = adcpErrorIn(error)
    throw told === undefined
      ? errorOfRpc(error['code'], error['message'], answer)
      : toProviderError(told, answer.status)
  }
  if (isFields(result)) return result
  throw unreadable(answer.status)
}

/** "Transport errors": what has no tool to tell it has it in `data`. */
function adcpErrorIn({ data }: Fields): unknown {
  return isFields(data) ? data['adcp_error'] : undefined
}

/** The one response in an answer: no other message of this call is waited for. */
function responseIn(answer: PlatformAnswer): Fields | undefined {
  const type = String(answer.headers['content-type'] ?? '')
  const messages = type.startsWith('text/event-stream') ? eventsOf(answer.text) : [answer.json()]
  return messages.filter(isFields).find(({ result, error }) => isFields(result) || isFields(error))
}

function eventsOf(text: string): unknown[] {
  const events: unknown[] = []
  const parser = createParser({ onEvent: ({ data }) => events.push(parseJson(data)) })
  // The last one may lack its blank line.
  parser.feed(`${text}\n\n`)
  return events
}
