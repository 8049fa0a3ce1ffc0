import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { destinationName } from '../dispatch/destination.ts'
import { SessionNotFoundError, UsersExpiredError } from '../errors.ts'
import { DELIVERY_STATES, SESSION_STATES } from '../store/store.ts'
import { PageQuery, readPageQuery, readSessionId, SessionParams } from './session-request.ts'
import { deliveryStatus, sessionOverview, sessionStatus } from './session-status.ts'
import { readChannels } from './upload-request.ts'

const RetryQuery = Type.Object({ channels: Type.Optional(Type.String()) })

/** What happened to every batch at every platform, and a way to start anew what failed. */
const routes: FastifyPluginAsyncTypebox = async (app) => {
  const { dispatcher, store } = app
  // A retry has no body; whatever comes is not looked at.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))

  app.get(
    '/audience/sessions',
    { schema: { operationId: 'listSessions', querystring: PageQuery } },
    async (request) => {
      const query = readPageQuery(request.query, SESSION_STATES)
      const { items, next = null } = await store.sessions({ owner: request.keyName, ...query })
      return { sessions: items.map(sessionOverview), next }
    }
  )

  app.get(
    '/audience/sessions/:sessionId',
    { schema: { operationId: 'getSession', params: SessionParams, querystring: PageQuery } },
    async (request) => {
      const sessionId = readSessionId(request.params)
      const query = readPageQuery(request.query, DELIVERY_STATES)
      const owner = request.keyName
      const session = await store.session(owner, sessionId)
      if (session === undefined) throw new SessionNotFoundError(String(sessionId))
      const page = await store.sessionDeliveries({ owner, sessionId, ...query })
      return {
        ...sessionStatus(session, dispatcher.destinations),
        deliveries: page.items.map(deliveryStatus),
        next: page.next ?? null
      }
    }
  )

  app.post(
    '/audience/sessions/:sessionId/retry',
    { schema: { operationId: 'retrySession', params: SessionParams, querystring: RetryQuery } },
    async (request) => {
      const sessionId = readSessionId(request.params)
      const { channels } = request.query
      const wanted =
        channels === undefined
          ? undefined
          : readChannels(channels, dispatcher.destinations).map(destinationName)
      const restarted = await store.restart(request.keyName, sessionId, wanted, Date.now())
      if (restarted === undefined) throw new SessionNotFoundError(String(sessionId))
      const { deliveries, expired, turns } = restarted
      if (deliveries.length === 0 && expired > 0) throw new UsersExpiredError(expired)
      dispatcher.push(turns)
      return { success: true, retried: deliveries.length, expired }
    }
  )
}

export default routes
