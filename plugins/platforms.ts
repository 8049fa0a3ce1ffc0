import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { createHttpClient } from '../providers/http-client.ts'
import type { Provider } from '../providers/provider.ts'
import type { Config, Tag } from '../src/config.ts'
import type { Platform } from '../src/dispatch/destination.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** All configured tags with their connections. */
    readonly platforms: Platform[]
  }
}

/** A provider as a plugin: its tags share one pool of connections per origin, closed with the app. */
function toPlugin(provider: Provider, tags: readonly Tag[], timeoutMs: number): FastifyPluginAsync {
  const originOf = ({ variables }: Tag) => {
    const { baseUrl } = variables
    return typeof baseUrl === 'string' ? baseUrl : provider.origin(variables)
  }
  return fp(
    async (app) => {
      const origins = new Set(tags.map(originOf))
      const clients = new Map(
        [...origins].map((origin) => [origin, createHttpClient({ origin, timeoutMs })])
      )
      for (const tag of tags) {
        const client = clients.get(originOf(tag))
        if (client !== undefined) {
          app.platforms.push({ provider, tag: tag.name, variables: tag.variables, client })
        }
      }
      app.addHook('onClose', async () => {
        await Promise.all([...clients.values()].map((client) => client.close()))
      })
    },
    { name: `provider-${provider.name}`, fastify: '5.x' }
  )
}

/** Registers each configured provider. */
export default fp<{ config: Config }>(
  async (app, { config }) => {
    app.decorate('platforms', [])
    for (const provider of new Set(config.tags.map((tag) => tag.provider))) {
      const tags = config.tags.filter((tag) => tag.provider === provider)
      await app.register(toPlugin(provider, tags, config.platformTimeoutMs))
    }
  },
  { name: 'platforms', fastify: '5.x' }
)
