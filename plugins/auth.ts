import { hash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import bearerAuth from '@fastify/bearer-auth'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { ApiKey, Config } from '../src/config.ts'
import { ForeignOriginError } from '../src/errors.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Name of the API key that the request came with; `default` without authentication. */
    keyName: string
  }
  interface FastifyContextConfig {
    /** Answered without an API key, and to any host name. */
    open?: boolean
  }
}

/** API keys where there are any, else a guard against web pages that post to a local service. */
export default fp<{ config: Config }>(
  async (app, { config }) => {
    app.decorateRequest('keyName', 'default')
    const { apiKeys, allowedHosts } = config
    if (apiKeys.length === 0) {
      app.addHook('onRequest', async (request) => {
        if (request.routeOptions.config?.open !== true) refuseForeign(request, allowedHosts)
      })
      return
    }

    await app.register(bearerAuth, {
      addHook: false,
      keys: new Set<string>(),
      auth(sent, request) {
        const found = findKey(apiKeys, sent)
        if (found !== undefined) request.keyName = found.name
        return found !== undefined
      },
      // The scheme's name is case-insensitive (RFC 9110, 11.1); this is the library's word for it.
      specCompliance: 'rfc6749',
      verifyErrorLogLevel: 'debug'
    })
    app.addHook('onRequest', (request, reply, done) => {
      if (request.routeOptions.config?.open === true) return done()
      app.verifyBearerAuth?.(request, reply, done)
    })
  },
  { name: 'auth', fastify: '5.x' }
)

const digest = (text: string) => hash('sha256', text, 'buffer')

/** Compares all keys in constant time. */
function findKey(apiKeys: readonly ApiKey[], sent: string): ApiKey | undefined {
  const sentDigest = digest(sent)
  return apiKeys.reduce<ApiKey | undefined>(
    (found, apiKey) => (timingSafeEqual(digest(apiKey.key), sentDigest) ? apiKey : found),
    undefined
  )
}

const LOOPBACK_NAME = /(^|\.)localhost$/

/**
 * A page in a browser on this machine can post forms to loopback addresses, and by DNS rebinding
 * give its own host name a loopback address.
 */
function refuseForeign({ headers }: FastifyRequest, allowedHosts: readonly string[]): void {
  const isOwn = (host: string) =>
    LOOPBACK_NAME.test(host) ||
    isIP(host.replace(/^\[|\]$/g, '')) !== 0 ||
    allowedHosts.includes(host)
  if (!isOwn(hostName(`http://${headers.host ?? ''}`))) throw new ForeignOriginError('host')
  const { origin } = headers
  if (origin === undefined) return
  if (origin !== `http://${headers.host}` && origin !== `https://${headers.host}`) {
    throw new ForeignOriginError('origin')
  }
}

/** Host of a URL in lower case, without port; empty where it is none. */
function hostName(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname.toLowerCase() : ''
}
