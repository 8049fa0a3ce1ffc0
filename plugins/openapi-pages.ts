import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import Fastify, { type FastifyInstance } from 'fastify'
import type { JsonObject } from '../src/api/components.ts'

/** Everything is served from here, and nothing is called but the service. */
const POLICY = {
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  'style-src': ["'self'"],
  'img-src': ["'self'", 'data:'],
  'connect-src': ["'self'"],
  'base-uri': ["'none'"],
  'form-action': ["'none'"],
  'frame-ancestors': ["'none'"]
}

/** Pages at `/docs` that show an OpenAPI document to people. */
export async function createPages(document: JsonObject): Promise<FastifyInstance> {
  const app = Fastify({ exposeHeadRoutes: false })
  await app.register(swagger)
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: POLICY,
    transformSpecification: () => document,
    transformSpecificationClone: false,
    theme: { title: 'Audience API' },
    uiConfig: { layout: 'BaseLayout', docExpansion: 'list', tryItOutEnabled: false }
  })
  return app
}
