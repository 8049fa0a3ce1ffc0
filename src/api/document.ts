import swagger from '@fastify/swagger'
import Fastify, { type FastifySchema } from 'fastify'
import { type JsonObject, nameSchemas, toJson } from './components.ts'
import { COMMON_ERRORS } from './errors.ts'
import { operations, TAGS } from './operations.ts'
import { webhooks } from './protocols.ts'
import { describeAnswers } from './responses.ts'

/** A route of the service, as far as the document tells of it. */
export interface DocumentedRoute {
  readonly method: string
  readonly url: string
  readonly operationId: string
  /** Answered without an API key. */
  readonly isOpen: boolean
}

/** What is described. */
export interface Release {
  readonly version: string
  /** SPDX identifier. */
  readonly license: string
}

const DESCRIPTION = `One call brings a list of customers as an audience to every configured platform.

**Ids.** Every answer has \`x-request-id\`: that of the request if it has 1 to 64 of \`A-Z a-z 0-9 _ . : -\`,
else a new one. A \`traceparent\` (W3C) is continued in the log and sent on to the platforms.

**Errors** have a stable code in \`x-error-code\`. Beside those of each operation an unknown address is
answered with 404 and \`AUD_ROUTE_NOT_FOUND\`, another method with 405, \`AUD_METHOD_NOT_ALLOWED\` and
\`allow\`, headers that are too large with 413 and \`AUD_TOO_LARGE\`, and a request that does not arrive in
time with 408 and \`AUD_UPLOAD_TIMEOUT\`.

**Parameters** that are not known are ignored; each may be there once.`

const KEY = `A key of \`AUDIENCE_API_KEYS\`. A service without keys needs none, and answers only callers
on its own machine and under its own host names.`

/** The reference of the API, made from the routes that there are. */
export async function createDocument(
  routes: readonly DocumentedRoute[],
  { version, license }: Release
): Promise<JsonObject> {
  // Apart from the service, which has neither to load nor to wait for any of this.
  const app = Fastify({ exposeHeadRoutes: false })
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => JSON.stringify)
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.1',
      info: {
        title: 'Audience API',
        version,
        description: DESCRIPTION,
        license: { name: license, identifier: license }
      },
      servers: [{ url: '/', description: 'The service that serves this document' }],
      tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
      components: {
        securitySchemes: { apiKey: { type: 'http', scheme: 'bearer', description: KEY } }
      },
      security: [{ apiKey: [] }]
    },
    convertConstToEnum: false
  })
  const order = Object.keys(operations)
  const place = ({ operationId }: DocumentedRoute) => order.indexOf(operationId)
  for (const route of routes.toSorted((a, b) => place(a) - place(b))) {
    app.route({
      method: route.method,
      url: route.url,
      schema: toSchema(route),
      handler: () => undefined
    })
  }
  await app.ready()
  const document = toJson({ ...app.swagger(), webhooks: describeWebhooks() })
  await app.close()
  return nameSchemas(document)
}

/** A route's schema as Fastify and its plugin know it. */
function toSchema({ operationId, isOpen }: DocumentedRoute): FastifySchema {
  const operation = operations[operationId]
  if (operation === undefined) throw new RangeError(`no operation ${operationId}`)
  const { tag, summary, description, path, query, headers, body } = operation
  return {
    operationId,
    tags: [tag],
    summary,
    description,
    ...(isOpen && { security: [] }),
    ...(path && { params: path }),
    ...(query && { querystring: query }),
    ...(headers && { headers }),
    ...(body && { body: body.schema, consumes: [body.type] }),
    response: describeAnswers(operation, isOpen ? [] : COMMON_ERRORS)
  }
}

/** Standard Webhooks, see `docs/webhooks.md`. */
const WEBHOOK_HEADERS = {
  'webhook-id': 'Id of the message, the same at each attempt.',
  'webhook-timestamp': 'When this attempt was made, in seconds since 1970.',
  'webhook-signature':
    '`v1,` and the HMAC-SHA256 of id, timestamp and body in base64; several are separated by spaces.'
} as const

function describeWebhooks() {
  const parameters = Object.entries(WEBHOOK_HEADERS).map(([name, description]) => ({
    name,
    in: 'header',
    required: true,
    description,
    schema: { type: 'string' }
  }))
  return Object.fromEntries(
    Object.entries(webhooks).map(([type, { summary, description, schema, example }]) => {
      const operation = {
        operationId: type.replaceAll('.', '_'),
        tags: ['Webhooks' satisfies keyof typeof TAGS],
        summary,
        description,
        security: [],
        parameters,
        requestBody: { required: true, content: { 'application/json': { schema, example } } },
        responses: {
          '2XX': { description: 'The message has arrived.' },
          410: { description: 'The message is not wanted: it is dropped.' },
          default: { description: 'The message is sent again, for three days.' }
        }
      }
      return [type, { post: operation }]
    })
  )
}
