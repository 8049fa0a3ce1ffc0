import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

/** `/livez`: the process answers. `/readyz`: it takes uploads. Neither depends on a platform. */
const routes: FastifyPluginAsyncTypebox = async (app) => {
  let ready = false
  app.addHook('onReady', async () => {
    ready = true
  })
  app.addHook('preClose', async () => {
    ready = false
  })
  app.get('/livez', { config: { open: true } }, () => ({ status: 'ok' }))
  app.get('/readyz', { config: { open: true } }, async (_request, reply) =>
    reply.code(ready ? 200 : 503).send({ status: ready ? 'ok' : 'closing' })
  )
}

export default routes
