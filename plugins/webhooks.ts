import fp from 'fastify-plugin'
import type { Config } from '../src/config.ts'
import type { Clock } from '../src/dispatch/clock.ts'
import { createWebhookClient } from '../src/dispatch/webhook-client.ts'
import { createWebhooks } from '../src/dispatch/webhooks.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Looks for new messages at once instead of within a second. */
    nudgeWebhooks(): void
  }
}

export interface WebhooksPluginOptions {
  readonly config: Pick<Config, 'webhooks' | 'webhookPrivateAddresses'>
  readonly clock: Pick<Clock, 'now'>
  /** Longest time for one attempt, in milliseconds. */
  readonly timeoutMs?: number
  /** How long messages under way may take after the service was told to stop, in milliseconds. */
  readonly closeWithinMs?: number
}

/** The specification recommends 15 to 30 seconds. */
const TIMEOUT_MS = 15_000
/** Part of the time in which the whole service has to close. */
const CLOSE_WITHIN_MS = 5_000

/** Tells the configured endpoints about what the store has noted for them. */
export default fp<WebhooksPluginOptions>(
  async (app, options) => {
    const { config, clock, timeoutMs = TIMEOUT_MS, closeWithinMs = CLOSE_WITHIN_MS } = options
    if (config.webhooks.length === 0) {
      app.decorate('nudgeWebhooks', () => undefined)
      return
    }
    const client = createWebhookClient({
      timeoutMs,
      privateAddresses: config.webhookPrivateAddresses
    })
    const webhooks = createWebhooks({
      endpoints: config.webhooks,
      store: app.store,
      client,
      clock,
      log: app.log,
      meter: app.meter
    })
    app.decorate('nudgeWebhooks', () => webhooks.nudge())
    app.addHook('onClose', async () => {
      await webhooks.close(closeWithinMs)
      await client.close()
    })
  },
  { name: 'webhooks', fastify: '5.x', decorators: { fastify: ['store', 'meter'] } }
)
