import { setTimeout as wait } from 'node:timers/promises'
import fp from 'fastify-plugin'
import { ClosingError } from '../src/errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Says from now on that it is not ready, and takes uploads on for this long. */
    drain(forMs: number): Promise<void>
    /** Whether load balancers should turn to another instance. */
    isDraining(): boolean
    /** Whether the service takes nothing new. */
    isClosing(): boolean
    /** What is left of the time to close, in milliseconds. */
    msToClose(): number
  }
}

export interface ClosingOptions {
  /** How long `close()` may take, in milliseconds. */
  readonly closeWithinMs: number
}

/** After this long a closing service cuts the requests that are still open. */
const CUT_REQUESTS_AFTER_MS = 5_000

/**
 * Tells the others that the service closes: first only that it wants no more, since load balancers
 * go on sending until they have asked for its health; then what is new is refused.
 */
export default fp<ClosingOptions>(
  async (app, { closeWithinMs }) => {
    let draining = false
    let closeUntil: number | undefined
    let cut: NodeJS.Timeout | undefined
    app.decorate('drain', async (forMs) => {
      draining = true
      await wait(forMs)
    })
    app.decorate('isDraining', () => draining || closeUntil !== undefined)
    app.decorate('isClosing', () => closeUntil !== undefined)
    app.decorate('msToClose', () =>
      closeUntil === undefined ? closeWithinMs : Math.max(0, closeUntil - performance.now())
    )

    app.addHook('onRequest', async (request) => {
      if (app.isClosing() && request.routeOptions.config?.open !== true) throw new ClosingError()
    })
    app.addHook('preClose', async () => {
      closeUntil = performance.now() + closeWithinMs
      cut = setTimeout(() => app.server.closeAllConnections(), CUT_REQUESTS_AFTER_MS)
    })
    app.addHook('onClose', async () => clearTimeout(cut))
  },
  { name: 'closing', fastify: '5.x' }
)
