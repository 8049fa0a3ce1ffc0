import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { SessionNotFoundError } from '../errors.ts'
import { sessionStatus } from './session-status.ts'

const Params = Type.Object({ sessionId: Type.String() })

/** `GET /audience/sessions/:sessionId`: what happened to every batch at every platform. */
const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/audience/sessions/:sessionId', { schema: { params: Params } }, async (request) => {
    const { sessionId } = request.params
    // Other texts are no session ids, and may be anything: they are not repeated in the answer.
    if (!/^\d{1,16}$/.test(sessionId)) throw new SessionNotFoundError('with this id')
    const session = await app.store.session(request.keyName, Number(sessionId))
    if (session === undefined) throw new SessionNotFoundError(sessionId)
    return sessionStatus(session)
  })
}

export default routes
