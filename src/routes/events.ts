import { fastifySSE, type SSEMessage } from '@fastify/sse'
import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { faultOf } from '../dispatch/tracing.ts'
import { SessionNotFoundError, TooManyStreamsError } from '../errors.ts'
import type { SessionChanges } from '../store/store.ts'
import { createSessionFeed } from './session-feed.ts'
import { readSessionId, SessionParams } from './session-request.ts'
import { deliveryStatus } from './session-status.ts'

export interface EventsOptions {
  /** Streams open at once in this process. Default: 500. */
  readonly maxStreams?: number
  /** Proxies cut connections on which nothing happens, often after a minute. Default: 15,000. */
  readonly heartbeatMs?: number
  /** A reader that takes nothing for this long is cut; longer than a heartbeat. Default: 45,000. */
  readonly stalledAfterMs?: number
}

/** How soon a reader comes back after its stream ended. */
const RETRY_MS = 2_000

/** `GET /audience/sessions/:sessionId/events`: tells what changes, as server-sent events. */
const routes: FastifyPluginAsyncTypebox<EventsOptions> = async (app, options) => {
  const { maxStreams = 500, heartbeatMs = 15_000, stalledAfterMs = 45_000 } = options
  const { store } = app
  const feed = createSessionFeed(store, app.log)
  const streams = new Set<AbortController>()
  await app.register(fastifySSE, { heartbeatInterval: heartbeatMs })
  app.addHook('preClose', async () => {
    for (const stream of streams) stream.abort()
  })

  /** What is new to a reader; everything, if the session has begun anew since it was read. */
  async function newsSince(owner: string, sessionId: number, revision: number) {
    const changes = await store.changesSince(owner, sessionId, revision)
    if (changes === undefined) throw new SessionNotFoundError(String(sessionId))
    if (changes.revision >= revision) return changes
    return (await store.changesSince(owner, sessionId, 0)) ?? changes
  }

  app.get(
    '/audience/sessions/:sessionId/events',
    // A HEAD request would be a stream as well. `manual`: the library's own refusals are not ours.
    {
      schema: { operationId: 'followSession', params: SessionParams },
      sse: 'manual',
      exposeHeadRoute: false
    },
    async (request, reply) => {
      if (streams.size >= maxStreams) throw new TooManyStreamsError()
      const stream = new AbortController()
      const { signal } = stream
      streams.add(stream)
      reply.sse.onClose(() => {
        streams.delete(stream)
        stream.abort()
      })
      const session = { owner: request.keyName, sessionId: readSessionId(request.params) }
      const seen = readRevision(reply.sse.lastEventId)
      const first = await newsSince(session.owner, session.sessionId, seen)
      if (!reply.sse.isConnected) return reply
      void reply.header('cache-control', 'no-store')
      // Heartbeats count as life as long as somebody reads them.
      reply.raw.setTimeout(stalledAfterMs, () => reply.raw.destroy())
      try {
        await reply.sse.send(messages(session.sessionId, feed.follow(session, first, signal)))
      } catch (error) {
        request.log.error({ fault: faultOf(error) }, 'an event stream stopped')
      }
    }
  )
}

export default routes

/** Readers send back the id of the last event that they have seen. */
function readRevision(lastEventId: string | null): number {
  return lastEventId !== null && /^\d{1,15}$/.test(lastEventId) ? Number(lastEventId) : 0
}

async function* messages(
  sessionId: number,
  feed: AsyncIterable<SessionChanges>
): AsyncGenerator<SSEMessage, void, void> {
  yield { retry: RETRY_MS, data: undefined }
  for await (const { revision, state, batches, users, deliveries } of feed) {
    for (const delivery of deliveries) {
      yield { id: String(delivery.revision), event: 'delivery', data: deliveryStatus(delivery) }
    }
    const data = { sessionId, state, batches, users, revision }
    yield { id: String(revision), event: 'session', data }
  }
}
