import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

/** `/livez`: the process answers. `/readyz`: it takes uploads. Neither depends on a platform. */
const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/livez', { config: { open: true }, schema: { operationId: 'isAlive' } }, () => ({
    status: 'ok'
  }))
  app.get(
    '/readyz',
    { config: { open: true }, schema: { operationId: 'isReady' } },
    async (_request, reply) => {
      if (app.isDraining()) return reply.code(503).send({ status: 'closing' })
      if (!app.storeWatch.isAnswering())
        return reply.code(503).send({ status: 'store unavailable' })
      return { status: 'ok' }
    }
  )
}

export default routes
