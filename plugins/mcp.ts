import type { FastifyError, FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { Config } from '../src/config.ts'
import { isOutOfMemory, isOutOfTime } from '../src/dispatch/workers.ts'
import { MalformedBodyError, OverloadedError, PayloadError, TooLargeError } from '../src/errors.ts'
import type { Seller } from '../src/seller/seller.ts'
import { RETRY_AFTER_SECONDS } from './errors.ts'
import { answerMessage } from './mcp-server.ts'
import { createTools, UNAVAILABLE } from './mcp-tools.ts'
import { readBytes } from './read-bytes.ts'

export interface McpOptions {
  readonly config: Pick<Config, 'maxBodyBytes'>
  readonly seller: Seller
}

/**
 * Node has read so much of a request anyway: it takes no room that it would have to wait for, and is
 * read whatever there is to do.
 */
const SMALL_BODY_BYTES = 64 * 1024

/** https://docs.adcontextprotocol.org/docs/building/operating/transport-errors, reserved codes */
const UNAVAILABLE_CODE = -32_027

const TOO_COSTLY = 'the call takes more memory to read than there is'

/** `POST /mcp`: the service as an AdCP seller, for agents that speak MCP (Streamable HTTP, no session). */
const mcp: FastifyPluginAsync<McpOptions> = async (app, { config: { maxBodyBytes }, seller }) => {
  // Bodies are read by the handler, as bytes.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))

  app.setErrorHandler<FastifyError>((error, request, reply) => {
    if (error.statusCode !== 503) throw error
    request.describe({ 'error.type': error.code })
    const headers = { 'retry-after': RETRY_AFTER_SECONDS, 'x-error-code': error.code }
    const data = { adcp_error: UNAVAILABLE }
    return reply
      .code(503)
      .headers(headers)
      .send(rpcError(UNAVAILABLE_CODE, error.message, data))
  })

  async function read(request: FastifyRequest) {
    const body = await readBody(request, maxBodyBytes)
    return app.workers.readCall({ body, keys: app.sealingKeys }).catch((error: unknown) => {
      if (isOutOfMemory(error)) throw new TooLargeError(TOO_COSTLY)
      // Its time passes also while it waits for a thread that is free.
      throw isOutOfTime(error) ? new OverloadedError() : error
    })
  }

  async function answer(request: FastifyRequest): Promise<Response> {
    const message = await read(request)
    if ('invalid' in message) {
      const { code, message: text } = message.invalid
      return Response.json(rpcError(code, text), { status: 400 })
    }
    describeMethod(request, message.message['method'])
    return answerMessage(
      {
        url: `http://localhost${request.routeOptions.url}`,
        headers: headersOf(request),
        message: message.message
      },
      createTools({ seller, request, read: message })
    )
  }

  app.post('/mcp', { schema: { operationId: 'callAgent' } }, async (request, reply) => {
    const bytes = expectedBytes(request, maxBodyBytes)
    const isLarge = bytes > SMALL_BODY_BYTES
    if (isLarge && app.isOverloaded()) throw new OverloadedError()
    const room = isLarge ? await app.uploadBudget.reserve(bytes, request.signal) : undefined
    const response = await answer(request).finally(() => room?.release())
    void reply.code(response.status)
    // A notification has no answer; an empty buffer would get a type.
    if (response.body === null) return reply.send()
    const type = response.headers.get('content-type')
    if (type !== null) void reply.type(type)
    return reply.send(Buffer.from(await response.arrayBuffer()))
  })
}

export default mcp

function rpcError(code: number, message: string, data?: unknown) {
  return { jsonrpc: '2.0', id: null, error: { code, message, ...(data !== undefined && { data }) } }
}

/** A method that there may be; what is no name may be anything. */
const METHOD = /^[a-z_/]{1,40}$/i

function describeMethod(request: FastifyRequest, method: unknown): void {
  if (typeof method === 'string' && METHOD.test(method)) {
    request.describe({ 'mcp.method.name': method })
  }
}

/** Those that MCP's own are among. We answer in JSON, which is all that has to be accepted. */
function headersOf({ headers }: FastifyRequest): Headers {
  const version = headers['mcp-protocol-version']
  return new Headers({
    'content-type': headers['content-type'] ?? '',
    accept: 'application/json, text/event-stream',
    ...(typeof version === 'string' && { 'mcp-protocol-version': version })
  })
}

/**
 * Looks at the headers alone.
 * @throws PayloadError, TooLargeError
 */
function expectedBytes({ headers }: FastifyRequest, maxBodyBytes: number): number {
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') throw new PayloadError('A compressed body is not read here.')
  const length = headers['content-length']
  const bytes = length === undefined ? maxBodyBytes : Number(length)
  if (bytes > maxBodyBytes) throw bodyTooLarge(maxBodyBytes)
  return bytes
}

/** @throws MalformedBodyError, TooLargeError */
async function readBody(
  request: FastifyRequest,
  maxBodyBytes: number
): Promise<Uint8Array<ArrayBuffer>> {
  const length = request.headers['content-length']
  const expected = length === undefined ? SMALL_BODY_BYTES : Number(length)
  try {
    const body = await readBytes(within(request, maxBodyBytes), { limit: maxBodyBytes, expected })
    return body ?? new Uint8Array()
  } catch (error) {
    if (error instanceof TooLargeError) throw error
    // Told to nobody but the log.
    throw new MalformedBodyError('the request ended too early')
  }
}

/** Node reads and drops the rest once the answer is sent. */
async function* within({ raw }: FastifyRequest, maxBodyBytes: number): AsyncGenerator<Uint8Array> {
  let bytes = 0
  for await (const chunk of raw.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength
    if (bytes > maxBodyBytes) throw bodyTooLarge(maxBodyBytes)
    yield chunk
  }
}

function bodyTooLarge(maxBodyBytes: number): Error {
  return new TooLargeError(
    `the request body is over the limit of ${maxBodyBytes} bytes (AUDIENCE_MAX_BODY_BYTES)`
  )
}
