import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js'
import {
  CallToolRequestSchema,
  type CallToolResult,
  ErrorCode,
  ListToolsRequestSchema,
  McpError,
  type Tool as McpTool
} from '@modelcontextprotocol/sdk/types.js'
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/ajv'
import packageJson from '../package.json' with { type: 'json' }
import type { Answer } from '../src/adcp/answers.ts'
import type { Fields } from '../src/adcp/fields.ts'
import { TOOLS } from '../src/adcp/tools.ts'

const INFO = { name: packageJson.name, title: 'Audience API', version: packageJson.version }
const INSTRUCTIONS =
  'Keeps audiences of customers at advertising platforms, by the Ad Context Protocol (AdCP). Call ' +
  'get_adcp_capabilities and list_accounts first, then sync_audiences.'

/** `structuredContent` is read by all who know AdCP; of the text they take no more than this. */
const MAX_TEXT = 1_000_000
const TOO_LONG = 'The answer is in structuredContent; it is too long to be repeated here.'

/** A schema is plain JSON; what else its type has is not for clients. */
const tools: McpTool[] = TOOLS.map(({ inputSchema, ...tool }) => ({
  ...tool,
  inputSchema: { ...inputSchema, type: 'object' }
}))
const names: ReadonlySet<string> = new Set(tools.map(({ name }) => name))
/** A server would make one of its own for each message, which takes a millisecond. */
const jsonSchemaValidator = new AjvJsonSchemaValidator()

/** Does what a tool is called for; never fails. */
export type CallTool = (name: string, args: Fields) => Promise<Answer>

export interface McpRequest {
  readonly url: string
  readonly headers: Headers
  /** A JSON-RPC message, parsed. */
  readonly message: unknown
}

/**
 * Answers one message. There is no session, and so a server of its own for each, as the SDK wants it.
 */
export async function answerMessage(
  { url, headers, message }: McpRequest,
  callTool: CallTool
): Promise<Response> {
  const server = createServer(callTool)
  const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true })
  await server.connect(transport)
  try {
    const request = new Request(url, { method: 'POST', headers })
    return await transport.handleRequest(request, { parsedBody: message })
  } finally {
    await server.close()
  }
}

// What is deprecated is a hint at the class above it, which wants its schemas in another form.
// oxlint-disable-next-line typescript/no-deprecated
function createServer(callTool: CallTool): Server {
  const server = new Server(INFO, {
    capabilities: { tools: {} },
    instructions: INSTRUCTIONS,
    jsonSchemaValidator
  })
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools }))
  server.setRequestHandler(CallToolRequestSchema, async ({ params }) => {
    const { name, arguments: args = {} } = params
    if (!names.has(name)) throw new McpError(ErrorCode.InvalidParams, 'There is no such tool')
    return toResult(await callTool(name, args))
  })
  return server
}

function toResult({ fields, hasFailed }: Answer): CallToolResult {
  const text = JSON.stringify(fields)
  return {
    structuredContent: fields,
    content: [{ type: 'text', text: text.length > MAX_TEXT ? TOO_LONG : text }],
    ...(hasFailed && { isError: true })
  }
}
