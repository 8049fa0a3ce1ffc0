import fp from 'fastify-plugin'
import type { Config } from '../src/config.ts'
import type { Clock } from '../src/dispatch/clock.ts'
import { type Accounts, createAccounts } from '../src/seller/accounts.ts'
import { createSeller } from '../src/seller/create-seller.ts'
import { type Poller, startPoller } from '../src/seller/poller.ts'
import type { Seller } from '../src/seller/seller.ts'

declare module 'fastify' {
  interface FastifyInstance {
    readonly seller: Seller
    readonly agentAccounts: Accounts
    readonly statusPoller: Poller
  }
}

export interface SellerPluginOptions {
  readonly config: Config
  readonly clock: Pick<Clock, 'now'>
}

const MINUTE_MS = 60_000

/** The service as an AdCP seller, and who finds out how its audiences stand. */
export default fp<SellerPluginOptions>(
  async (app, { config, clock }) => {
    const { dispatcher, store, sealingKeys: keys, log } = app
    const accounts = createAccounts(config.accounts, dispatcher.destinations)
    const seller = createSeller({
      accounts,
      store,
      dispatcher,
      keys,
      clock,
      segmentPrefix: config.segmentPrefix,
      listsPerMinute: config.adcpDiscoveryPerMinute,
      privateAddresses: config.webhookPrivateAddresses,
      publicUrl: config.publicUrl
    })
    const poller = startPoller({
      store,
      dispatcher,
      clock,
      statusMs: config.adcpStatusMinutes * MINUTE_MS,
      log
    })
    app.decorate('agentAccounts', accounts)
    app.decorate('seller', seller)
    app.decorate('statusPoller', poller)
    app.addHook('onClose', async () => poller.close())
  },
  { name: 'seller', fastify: '5.x', dependencies: ['dispatcher'] }
)
