import fp from 'fastify-plugin'
import type { Config } from '../src/config.ts'
import type { Clock } from '../src/dispatch/clock.ts'
import { createWebhookPoster } from '../src/dispatch/webhook-client.ts'
import { createWebhooks } from '../src/dispatch/webhooks.ts'
import { createPushClient } from '../src/seller/push-client.ts'
import { jwksOf, signingKeys } from '../src/seller/push-signing.ts'
import { PUSH_ENDPOINT } from '../src/store/ledger.ts'

export interface PushPluginOptions {
  readonly config: Pick<Config, 'webhookPrivateAddresses' | 'publicUrl'>
  readonly clock: Pick<Clock, 'now'>
  /** Longest time for one attempt, in milliseconds. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 15_000
/** Receivers are many and know nothing of each other: a few that hang must not hold up the rest. */
const MOST_AT_ONCE = 32
/** Part of the time in which the whole service has to close. */
const CLOSE_WITHIN_MS = 5_000
/** How long others may keep the keys, in seconds: a new one is published before it is used. */
const KEYS_FOR_S = 300

const openRoute = (operationId: string) => ({ config: { open: true }, schema: { operationId } })

/** Pushes of completed tasks to those who asked for them, and the keys that they are signed with. */
export default fp<PushPluginOptions>(
  async (app, { config, clock, timeoutMs = TIMEOUT_MS }) => {
    const { store, agentAccounts: accounts, sealingKeys: keys, log } = app
    const { webhookPrivateAddresses: privateAddresses, publicUrl } = config
    const poster = createWebhookPoster({ timeoutMs, privateAddresses })
    const pushes = createWebhooks({
      endpoints: [{ id: PUSH_ENDPOINT }],
      store,
      client: createPushClient({ store, accounts, keys, poster }),
      mostAtOnce: MOST_AT_ONCE,
      clock,
      log,
      meter: app.meter
    })
    app.addHook('onClose', async () => {
      await pushes.close(CLOSE_WITHIN_MS)
      await poster.close()
    })

    const jwks = jwksOf(signingKeys(keys))
    app.get('/.well-known/jwks.json', openRoute('getKeys'), async (_request, reply) => {
      return reply.header('cache-control', `public, max-age=${KEYS_FOR_S}`).send(jwks)
    })
    if (publicUrl === undefined) return
    const agent = {
      type: 'sales',
      id: 'audience-api',
      url: `${publicUrl}/mcp`,
      jwks_uri: `${publicUrl}/.well-known/jwks.json`
    }
    app.get('/.well-known/brand.json', openRoute('getBrand'), async (_request, reply) => {
      return reply
        .header('cache-control', `public, max-age=${KEYS_FOR_S}`)
        .send({ version: '1.0', agents: [agent] })
    })
  },
  { name: 'adcp-push', fastify: '5.x', dependencies: ['seller'] }
)
