import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether the service was told to stop. */
    isClosing(): boolean
  }
}

/** After this long a closing service cuts the requests that are still open. */
const DRAIN_REQUESTS_MS = 5_000

/** Tells the others that the service closes, and keeps no request from ending that. */
export default fp(
  async (app) => {
    let closing = false
    let drained: NodeJS.Timeout | undefined
    app.decorate('isClosing', () => closing)
    app.addHook('preClose', async () => {
      closing = true
      drained = setTimeout(() => app.server.closeAllConnections(), DRAIN_REQUESTS_MS)
    })
    app.addHook('onClose', async () => clearTimeout(drained))
  },
  { name: 'closing', fastify: '5.x' }
)
