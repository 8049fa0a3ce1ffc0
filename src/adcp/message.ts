import { parseJson } from '../audience/json.ts'
import { decodeUtf8 } from '../audience/text.ts'
import { type Fields, isFields } from './fields.ts'
import { adcpError, AdcpError, type AdcpErrorBody } from './protocol.ts'
import { hasTooManyValues, isWithin } from './size.ts'
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

/** What a message may have besides the audiences of a call. */
const LIMITS = { characters: 256 * 1024, levels: 64 }

/**
 * Reads one message. The members of a call leave it here, already checked: nothing that comes after has
 * work in proportion to them.
 */
export function readMessage(bytes: Uint8Array): ReadMessage {
  if (hasTooManyValues(bytes)) return invalid(INVALID_REQUEST, 'Invalid Request: too many values')
  const text = decodeUtf8(bytes)
  if (text === undefined) return invalid(PARSE_ERROR, 'Parse error: the body is not UTF-8')
  const parsed = parseJson(text)
  if ('problem' in parsed) return invalid(PARSE_ERROR, `Parse error: the body ${parsed.problem}`)
  const { value } = parsed
  // MCP has had no batches since 2025-06-18, and what they save their clients do not need here.
  if (!isFields(value)) return invalid(INVALID_REQUEST, 'Invalid Request: not one message')
  const call = callIn(value)
  if (call !== undefined) return readCall(value, call)
  return isWithin(value, LIMITS)
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
  if (!isWithin(small, LIMITS)) return { message: bare(message, params), refusal: TOO_LARGE }
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
  `The call has more than ${LIMITS.characters} characters or ${LIMITS.levels} levels besides its audiences.`
)

/** Just enough of a call to answer it. */
function bare({ jsonrpc, id, method }: Fields, { name }: Fields): Fields {
  return { jsonrpc, id, method, params: { name, arguments: {} } }
}
