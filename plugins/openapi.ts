import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import packageJson from '../package.json' with { type: 'json' }
import type { DocumentedRoute } from '../src/api/document.ts'
import type { JsonObject } from '../src/api/components.ts'
import { RouteNotFoundError } from '../src/errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The reference of the API as an OpenAPI document, made when it is asked for. */
    openapi(): Promise<JsonObject>
  }
}

/** Headers of the reference's pages that are passed on. */
const PAGE_HEADERS = [
  'content-type',
  'content-security-policy',
  'cache-control',
  'etag',
  'last-modified',
  'location'
] as const

/**
 * The reference of the API: `/openapi.json` for programs, `/docs` for people. Both are made when somebody
 * asks for the first time, so that no start waits for them.
 */
export default fp(
  async (app) => {
    const routes: DocumentedRoute[] = []
    app.addHook('onRoute', ({ method, url, schema, config }) => {
      if (method === 'HEAD' || schema?.operationId === undefined) return
      const isOpen = config?.open === true
      routes.push(
        ...[method].flat().map((one) => ({
          method: one,
          url,
          operationId: String(schema.operationId),
          isOpen
        }))
      )
    })

    const document = lazily(async () => {
      const { createDocument } = await import('../src/api/document.ts')
      return createDocument(routes, packageJson)
    })
    const pages = lazily(async () => {
      const { createPages } = await import('./openapi-pages.ts')
      return createPages(await document())
    })
    app.decorate('openapi', document)

    app.get(
      '/openapi.json',
      { config: { open: true }, schema: { operationId: 'getReference' } },
      () => document()
    )

    /** Answers as the pages do, which know nothing of the service. */
    async function answerPage(request: FastifyRequest, reply: FastifyReply) {
      const { url = '/docs', headers } = request.raw
      const ifNoneMatch = headers['if-none-match']
      const page = await (
        await pages()
      ).inject({
        url,
        headers: ifNoneMatch === undefined ? {} : { 'if-none-match': ifNoneMatch }
      })
      if (page.statusCode === 404) throw new RouteNotFoundError()
      for (const name of PAGE_HEADERS) {
        const value = page.headers[name]
        if (value !== undefined) void reply.header(name, value)
      }
      return reply.code(page.statusCode).send(page.rawPayload)
    }
    const open = { config: { open: true }, schema: { hide: true } }
    app.get('/docs', open, answerPage)
    app.get('/docs/*', open, answerPage)
  },
  { name: 'openapi', fastify: '5.x', dependencies: ['errors'] }
)

/** Makes something at the first call; a failure is not kept. */
function lazily<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () =>
    (made ??= make().catch((error: unknown) => {
      made = undefined
      throw error
    }))
}
