import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { faultOf } from '../src/dispatch/tracing.ts'
import { CursorError, StoreError } from '../src/store/store.ts'
import {
  catalogue,
  InternalError,
  MalformedBodyError,
  MethodNotAllowedError,
  NoUsersError,
  OverloadedError,
  PayloadError,
  RouteNotFoundError,
  StoreUnavailableError,
  TooLargeError,
  UnauthorizedError,
  UploadTimeoutError
} from '../src/errors.ts'

const ours: ReadonlySet<string> = new Set(catalogue.map((Constructor) => new Constructor().code))
/** Answered as plain text, as the contract has it. */
const AS_TEXT: ReadonlySet<string> = new Set([
  new MalformedBodyError('').code,
  new NoUsersError().code
])

/** What callers are asked to wait where the service cannot answer now. */
export const RETRY_AFTER_SECONDS = 10

/** Every failure becomes one of the catalogue's errors, in the shape of the contract. */
export default fp(
  async (app) => {
    const methodsAt = watchRoutes(app)
    app.setErrorHandler<FastifyError>((raised, request, reply) => {
      const error = translate(raised)
      if (isFault(error)) request.log.error({ fault: faultOf(raised) }, 'request failed')
      request.describe({ 'error.type': error.code })
      return answer(reply, error)
    })
    app.setNotFoundHandler((request, reply) => {
      const allowed = methodsAt(request.url)
      if (allowed.length === 0) throw new RouteNotFoundError()
      void reply.header('allow', allowed.join(', '))
      throw new MethodNotAllowedError(allowed.join(' and '))
    })
  },
  { name: 'errors', fastify: '5.x', dependencies: ['telemetry'] }
)

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const

/** Tells what may be sent to an address that was called with another method. */
function watchRoutes(app: FastifyInstance): (url: string) => string[] {
  const routes: { readonly path: RegExp; readonly methods: readonly string[] }[] = []
  app.addHook('onRoute', ({ url, method }) => {
    const pattern = url.replaceAll(/:\w+/g, '[^/]+').replaceAll('*', '.*')
    const path = new RegExp(`^${pattern}$`)
    routes.push({ path, methods: [method].flat() })
  })
  return (url) => {
    const path = url.split(/[?#]/, 1)[0] ?? ''
    const allowed = new Set(
      routes.filter((route) => route.path.test(path)).flatMap(({ methods }) => methods)
    )
    return METHODS.filter((method) => allowed.has(method))
  }
}

/** What an operator has to look at. */
function isFault({ code, statusCode }: FastifyError): boolean {
  return statusCode === 500 || code === new StoreUnavailableError().code
}

/** Fastify's own errors in our words; what is not known is nobody's business. */
function translate(error: FastifyError): FastifyError {
  if (ours.has(error.code)) return error
  if (error instanceof CursorError) {
    return new PayloadError('The query parameter "cursor" must be the "next" of the page before.')
  }
  if (error instanceof StoreError) return new StoreUnavailableError()
  if (error.validation !== undefined) {
    // Parameters are texts, checked further where they are read: only a repeated one is no text.
    const name = error.validation[0]?.instancePath.slice(1) ?? ''
    return new PayloadError(`The query parameter "${name}" must be given once.`)
  }
  switch (error.statusCode) {
    case 401:
      return new UnauthorizedError()
    case 413:
      return new TooLargeError('the request body')
    case 415:
      return new MalformedBodyError('expected multipart/form-data')
    case 503:
      return new OverloadedError()
    case 400:
      return new PayloadError('The request cannot be read.')
    default:
      return new InternalError()
  }
}

function answer(reply: FastifyReply, error: FastifyError): FastifyReply {
  void reply.code(error.statusCode ?? 500).header('x-error-code', error.code)
  if (error.statusCode === 503) void reply.header('retry-after', RETRY_AFTER_SECONDS)
  if (error.statusCode === 401) void reply.header('www-authenticate', 'Bearer')
  const { type, body } = content(error)
  return reply.type(type).send(body)
}

/** The body of an answer: text or the envelope, as the contract has it. */
function content(error: FastifyError): { readonly type: string; readonly body: string } {
  if (AS_TEXT.has(error.code)) return { type: 'text/plain; charset=utf-8', body: error.message }
  const body = JSON.stringify({ success: false, errors: [error.message] })
  return { type: 'application/json; charset=utf-8', body }
}

/** An address that cannot be read at all: Fastify finds that out before any hook runs. */
export function answerUnreadableAddress(
  _raised: FastifyError,
  _request: FastifyRequest,
  reply: FastifyReply
): void {
  void answer(reply, new RouteNotFoundError())
}

/** What Node could not read as a request never reaches a route; it gets the same envelope. */
export function answerClientError(
  this: FastifyInstance,
  raised: NodeJS.ErrnoException,
  socket: Socket
): void {
  if (raised.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const make = CLIENT_ERRORS.get(raised.code ?? '')
  const error = make?.() ?? new PayloadError('It is no HTTP request.')
  const { type, body } = content(error)
  const status = error.statusCode ?? 400
  socket.write(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      `content-type: ${type}`,
      `content-length: ${Buffer.byteLength(body)}`,
      `x-error-code: ${error.code}`,
      'connection: close',
      '',
      body
    ].join('\r\n')
  )
  socket.destroySoon()
}

const CLIENT_ERRORS: ReadonlyMap<string, () => FastifyError> = new Map<string, () => FastifyError>([
  ['ERR_HTTP_REQUEST_TIMEOUT', () => new UploadTimeoutError()],
  ['HPE_HEADER_OVERFLOW', () => new TooLargeError('the headers of the request')],
  ['HPE_INVALID_EOF_STATE', () => new MalformedBodyError('the request ended too early')]
])
