import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import form from '../../plugins/form.ts'
import type { UsersProblem } from '../audience/parse-users.ts'
import { segmentName } from '../audience/segment-name.ts'
import type { Config } from '../config.ts'
import { type Destination, targetOf } from '../dispatch/destination.ts'
import { uploadAttributes } from '../dispatch/job.ts'
import { isOutOfMemory, isOutOfTime } from '../dispatch/workers.ts'
import { traceHeaders } from '../dispatch/tracing.ts'
import { NoUsersError, OverloadedError, PayloadError, TooLargeError } from '../errors.ts'
import type { Target } from '../store/store.ts'
import { type DryTarget, dryRunAnswer } from './dry-run.ts'
import { answerAccepted } from './sync-answer.ts'
import {
  misplacedField,
  readFields,
  readQuery,
  UploadQuery,
  type UploadQueryValues
} from './upload-request.ts'

const TOO_COSTLY = 'the field "users" takes more memory to read than there is'

/** `POST /audience`: takes one batch of customers for all platforms. */
const routes: FastifyPluginAsyncTypebox<{ config: Config }> = async (app, { config }) => {
  const { dispatcher, store, workers } = app
  const { maxBodyBytes, maxUsers } = config
  app.addHook('onRequest', async () => {
    if (app.isOverloaded()) throw new OverloadedError()
  })
  await app.register(form, {
    maxBodyBytes,
    fields: ['name', 'type', 'batch', 'users'],
    largeField: 'users',
    problemOf: misplacedField
  })

  const segmentOf = (name: string, { disablePrefix }: UploadQueryValues) =>
    segmentName(name, { prefix: config.segmentPrefix, disablePrefix })

  /** Reads, checks and accepts an upload; whatever is wrong with it ends here. */
  async function receive(request: FastifyRequest, reply: FastifyReply, query: UploadQueryValues) {
    const { name, type, batch, users } = readFields(await request.readForm())
    const bytes = users.byteLength
    const read = await workers
      .read({ users, maxUsers, keys: app.sealingKeys })
      .catch((error: unknown) => {
        throw taskFault(error)
      })
    if ('problem' in read) throw refusal(read, maxUsers)
    const segment = segmentOf(name, query)
    const accepted = await store.accept(
      {
        mode: query.mode,
        managed: undefined,
        phoneHashes: undefined,
        owner: request.keyName,
        sessionId: batch.sessionId,
        sequence: batch.sequence,
        totalBatches: batch.totalBatches,
        totalUsers: batch.totalUsers,
        pullDate: batch.pullDate ?? undefined,
        audienceName: name.trim(),
        segmentName: segment,
        type,
        users: read.count,
        ignoredFields: read.ignoredFields,
        defaultCountry: query.defaultCountry,
        contentHash: read.contentHash,
        traceparent: traceHeaders(request.traceContext)['traceparent'],
        acceptedAt: Date.now()
      },
      read.sealed,
      query.destinations.map((destination) => toTarget(destination, segment))
    )
    request.describe(uploadAttributes(accepted.upload))
    app.meter.accepted(accepted, bytes, reply.elapsedTime)
    return accepted
  }

  /** Reads and checks an upload like one that is to be sent, and tells what it would be. */
  async function rehearse(request: FastifyRequest, query: UploadQueryValues) {
    request.describe({ 'audience.dry_run': true })
    const { name, type, batch, users } = readFields(await request.readForm())
    const { sessionId, sequence, totalBatches, totalUsers } = batch
    const segment = segmentOf(name, query)
    const targets = query.destinations.map((destination): DryTarget => {
      const own = { segmentName: toTarget(destination, segment).segmentName, mode: query.mode }
      return {
        destination,
        audience: { ...own, type, sessionId, sequence, totalBatches, totalUsers }
      }
    })
    const inspected = await workers
      .inspect({
        users,
        maxUsers,
        defaultCountry: query.defaultCountry,
        targets: targets.map(({ destination: { provider, variables }, audience }) => ({
          provider: provider.name,
          variables,
          audience
        }))
      })
      .catch((error: unknown) => {
        throw taskFault(error)
      })
    if ('problem' in inspected) throw refusal(inspected, maxUsers)
    return dryRunAnswer(inspected, targets, sequence)
  }

  app.post(
    '/audience',
    { schema: { operationId: 'uploadAudience', querystring: UploadQuery } },
    async (request, reply) => {
      const query = readQuery(request.query, config, dispatcher.destinations)
      const room = await app.uploadBudget.reserve(request.formBytes(), request.signal)
      if (query.dryRun) return rehearse(request, query).finally(() => room.release())
      const accepted = await receive(request, reply, query).finally(() => room.release())
      if (dispatcher.destinations.length === 0) {
        request.log.warn('no provider is configured: nothing to do')
      }
      dispatcher.push(accepted.turns)
      const waitMs = query.sync ? config.syncTimeoutMs : undefined
      return answerAccepted(reply, accepted, dispatcher, waitMs)
    }
  )
}

export default routes

function toTarget(destination: Destination, segment: string): Target {
  const { provider, variables } = destination
  return { ...targetOf(destination), segmentName: provider.storedName(segment, variables) }
}

/** What a caller is told where a worker thread did not come to an end. */
function taskFault(error: unknown): unknown {
  if (isOutOfMemory(error)) return new TooLargeError(TOO_COSTLY)
  // Its time passes also while it waits for a thread that is free.
  return isOutOfTime(error) ? new OverloadedError() : error
}

function refusal({ kind, problem }: UsersProblem, maxUsers: number): Error {
  switch (kind) {
    case 'empty':
      return new NoUsersError()
    case 'too_many':
      return new TooLargeError(
        `the field "users" is over the limit of ${maxUsers} users (AUDIENCE_MAX_USERS)`
      )
    case 'payload':
      return new PayloadError(`${problem}.`)
  }
}
