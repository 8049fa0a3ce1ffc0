import { parseJson } from '../audience/json.ts'
import { decodeUtf8 } from '../audience/text.ts'
import { type Fields, isFields } from './fields.ts'
import { adcpError, AdcpError, type AdcpErrorBody } from './protocol.ts'
import type { SyncCall } from './sync-call.ts'
import { readSyncCall } from './sync-reader.ts'

/** A JSON-RPC message of MCP, as its transport gets it. */
export type ReadMessage<Call = SyncCall> =
  | {
      /** Without the audiences of a call. */
      readonly message: Fields
      /** What a call of `sync_audiences` asks for. */
      readonly call?: Call
    }
  | {
      readonly message: Fields
      /** Why the call of a tool is refused. */
      readonly refusal: AdcpErrorBody
    }
  | {
      /** Why it is no message, as JSON-RPC has it. */
      readonly invalid: { readonly code: number; readonly message: string }
    }

/** https://www.jsonrpc.org/specification#error_object */
const PARSE_ERROR = -32_700
const INVALID_REQUEST = -32_600

/** What a message may have besides the audiences of a call: characters and levels. */
const MAX_SIZE = 256 * 1024
const MAX_DEPTH = 64
/** What a value counts for besides its characters. */
const VALUE_SIZE = 4

/**
 * Reads one message. The members of a call leave it here, already checked: nothing that comes after has
 * work in proportion to them.
 */
export function readMessage(bytes: Uint8Array): ReadMessage {
  const text = decodeUtf8(bytes)
  if (text === undefined) return invalid(PARSE_ERROR, 'Parse error: the body is not UTF-8')
  const parsed = parseJson(text)
  if ('problem' in parsed) return invalid(PARSE_ERROR, `Parse error: the body ${parsed.problem}`)
  const { value } = parsed
  // MCP has had no batches since 2025-06-18, and what they save their clients do not need here.
  if (!isFields(value)) return invalid(INVALID_REQUEST, 'Invalid Request: not one message')
  const call = callIn(value)
  if (call !== undefined) return readCall(value, call)
  return isSmall(value)
    ? { message: value }
    : invalid(INVALID_REQUEST, 'Invalid Request: too large')
}

const invalid = (code: number, message: string) => ({ invalid: { code, message } })

interface ToolCall {
  readonly params: Fields
  readonly args: Fields
}

function callIn({ method, params }: Fields): ToolCall | undefined {
  if (method !== 'tools/call' || !isFields(params)) return undefined
  const { arguments: args = {} } = params
  return isFields(args) ? { params, args } : undefined
}

function readCall(message: Fields, { params, args }: ToolCall): ReadMessage {
  const { audiences: _audiences, ...others } = args
  const isSync = params['name'] === 'sync_audiences'
  const kept = isSync ? others : args
  const small = { ...message, params: { ...params, arguments: kept } }
  if (!isSmall(small)) return { message: bare(message, params), refusal: TOO_LARGE }
  return isSync ? readSync(small, args) : { message: small }
}

function readSync(message: Fields, args: Fields): ReadMessage {
  try {
    return { message, call: readSyncCall(args) }
  } catch (error) {
    if (error instanceof AdcpError) return { message, refusal: error.body }
    throw error
  }
}

const TOO_LARGE = adcpError(
  'INVALID_REQUEST',
  `The call has more than ${MAX_SIZE} characters or ${MAX_DEPTH} levels besides its audiences.`
)

/** Just enough of a call to answer it. */
function bare({ jsonrpc, id, method }: Fields, { name }: Fields): Fields {
  return { jsonrpc, id, method, params: { name, arguments: {} } }
}

/** Whether a message can be looked at, copied and written again by anybody. */
function isSmall(message: Fields): boolean {
  const open: { readonly value: unknown; readonly depth: number }[] = [{ value: message, depth: 1 }]
  let size = 0
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, depth } = next
    size += VALUE_SIZE
    if (typeof value === 'string') size += value.length
    if (size > MAX_SIZE || depth > MAX_DEPTH) return false
    if (typeof value !== 'object' || value === null) continue
    for (const [name, inner] of Object.entries(value)) {
      size += name.length
      open.push({ value: inner, depth: depth + 1 })
    }
  }
  return true
}
