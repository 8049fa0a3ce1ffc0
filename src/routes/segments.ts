import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type Static } from 'typebox'
import type { Config } from '../config.ts'
import { type Destination, targetOf } from '../dispatch/destination.ts'
import { uploadAttributes } from '../dispatch/job.ts'
import { isCreatedHere } from '../dispatch/segments.ts'
import { traceHeaders } from '../dispatch/tracing.ts'
import { PayloadError, SegmentForeignError, SegmentNotFoundError } from '../errors.ts'
import {
  accountKey,
  type ListedSegment,
  newSessionId,
  type NewUpload,
  type Target
} from '../store/store.ts'
import { createSegmentStatuses, type StatusOutcome } from './segment-statuses.ts'
import { type PageLimits, readLimit } from './session-request.ts'
import { isoTime } from './session-status.ts'
import { answerAccepted } from './sync-answer.ts'
import { notConfigured, readBoolean } from './upload-request.ts'

/** Query parameters, as text; unknown ones are ignored. */
const Place = {
  provider: Type.Optional(Type.String()),
  tag: Type.Optional(Type.String()),
  name: Type.Optional(Type.String())
}
const ListQuery = Type.Object({
  ...Place,
  status: Type.Optional(Type.String()),
  limit: Type.Optional(Type.String()),
  cursor: Type.Optional(Type.String())
})
const DeleteQuery = Type.Object({ ...Place, sync: Type.Optional(Type.String()) })

/** Fewer than elsewhere: platforms are asked about each of them. */
const LIMITS: PageLimits = { byDefault: 20, most: 50 }
/** More than any platform has kinds of segments. */
const MAX_KINDS = 50

/** The segments that the service knows, how they stand at their platforms, and a way to delete them. */
const routes: FastifyPluginAsyncTypebox<{ config: Config }> = async (app, { config }) => {
  const { dispatcher, store } = app
  const { destinations } = dispatcher
  const statuses = createSegmentStatuses(dispatcher, app.log)
  // A deletion has no body; whatever comes is not looked at.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))

  app.get(
    '/audience/segments',
    { schema: { operationId: 'listSegments', querystring: ListQuery } },
    async (request) => {
      const { status = 'true', name, limit, cursor } = request.query
      const { items, next = null } = await store.segments({
        ...readAccount(request.query, destinations),
        segmentName: name,
        limit: readLimit(limit, LIMITS),
        cursor
      })
      const listed = items.map((segment) => ({ segment, tags: tagsOf(segment, destinations) }))
      const outcomes = readBoolean('status', status)
        ? await statuses.of(listed.map(({ segment: { id }, tags }) => ({ id, tag: tags[0] })))
        : []
      const segments = listed.map(({ segment, tags }, index) => ({
        ...describe(segment, tags),
        ...(outcomes[index] ?? NOT_ASKED)
      }))
      return { segments, next }
    }
  )

  app.delete(
    '/audience/segments',
    { schema: { operationId: 'deleteSegment', querystring: DeleteQuery } },
    async (request, reply) => {
      const isSync = readBoolean('sync', request.query.sync)
      const target = readTarget(request.query, destinations)
      await assertDeletable(target)
      const upload = deletion(target, {
        owner: request.keyName,
        traceparent: traceHeaders(request.traceContext)['traceparent']
      })
      const accepted = await store.accept(upload, undefined, [target])
      request.describe(uploadAttributes(accepted.upload))
      dispatcher.push(accepted.turns)
      // What waits for this segment is cancelled now, whatever it waits for.
      dispatcher.wake(accepted.turns)
      return answerAccepted(reply, accepted, dispatcher, isSync ? config.syncTimeoutMs : undefined)
    }
  )

  async function assertDeletable(target: Target): Promise<void> {
    const { items } = await store.segments({ ...target, limit: MAX_KINDS })
    if (items.length === 0) throw new SegmentNotFoundError()
    if (!items.every(isCreatedHere)) throw new SegmentForeignError()
  }
}

export default routes

const NOT_ASKED: StatusOutcome = { status: null, error: null }

/** The tags that reach a segment. */
function tagsOf(segment: ListedSegment, destinations: readonly Destination[]) {
  const account = accountKey(segment)
  return destinations.filter((destination) => accountKey(targetOf(destination)) === account)
}

function describe(segment: ListedSegment, tags: readonly Destination[]) {
  const { provider, accountId, segmentName, id, createdAt, managed } = segment
  return {
    provider,
    accountId,
    tags: tags.map(({ tag }) => tag),
    name: segmentName,
    segmentId: id ?? null,
    createdHere: isCreatedHere(segment),
    createdAt: isoTime(createdAt),
    managedBy: managed ?? null
  }
}

type PlaceQuery = Pick<Static<typeof ListQuery>, 'provider' | 'tag' | 'name'>

/** @throws PayloadError naming the parameter. */
function readAccount({ provider, tag }: PlaceQuery, destinations: readonly Destination[]) {
  if (provider === undefined) {
    if (tag === undefined) return {}
    throw new PayloadError('The query parameter "tag" needs "provider" beside it.')
  }
  const tags = ofProvider(provider, destinations)
  return { provider, ...(tag !== undefined && { accountId: tagged(tag, tags).accountId }) }
}

function ofProvider(provider: string, destinations: readonly Destination[]) {
  const found = destinations.filter((destination) => destination.provider.name === provider)
  if (found.length === 0) throw notConfigured('provider', provider)
  return found
}

function tagged(tag: string, destinations: readonly Destination[]): Destination {
  const found = destinations.find((destination) => destination.tag === tag)
  if (found === undefined) throw notConfigured('tag', tag)
  return found
}

/** @throws PayloadError naming the parameter. */
function readTarget(query: PlaceQuery, destinations: readonly Destination[]): Target {
  const segmentName = required('name', query.name)
  const provider = required('provider', query.provider)
  const tag = required('tag', query.tag)
  const { accountId } = tagged(tag, ofProvider(provider, destinations))
  return { provider, tag, accountId, segmentName }
}

function required(name: string, text: string | undefined): string {
  if (text !== undefined && text !== '') return text
  throw new PayloadError(`The query parameter "${name}" is missing.`)
}

function deletion(
  { segmentName }: Target,
  caller: Pick<NewUpload, 'owner' | 'traceparent'>
): NewUpload {
  return {
    ...caller,
    mode: 'delete',
    managed: undefined,
    sessionId: newSessionId(),
    sequence: 1,
    totalBatches: 1,
    totalUsers: 0,
    pullDate: undefined,
    audienceName: segmentName,
    segmentName,
    type: 'custom',
    users: 0,
    ignoredFields: {},
    defaultCountry: undefined,
    phoneHashes: undefined,
    contentHash: '',
    acceptedAt: Date.now()
  }
}
