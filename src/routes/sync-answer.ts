import type { FastifyReply } from 'fastify'
import type { Dispatcher } from '../dispatch/dispatcher.ts'
import type { Accepted, Delivery } from '../store/store.ts'

interface SyncAnswer {
  readonly status: 200 | 202 | 400
  readonly body: {
    readonly success: boolean
    readonly errors?: readonly string[]
    readonly pending?: readonly string[]
  }
}

/**
 * Tells the caller that an upload was accepted, or what became of it.
 * @param waitMs how long a synchronous caller waits; `undefined` where the caller does not.
 */
export async function answerAccepted(
  reply: FastifyReply,
  { upload, duplicate, deliveries }: Accepted,
  dispatcher: Pick<Dispatcher, 'wait'>,
  waitMs: number | undefined
): Promise<FastifyReply> {
  void reply.header('location', `/audience/sessions/${upload.sessionId}`)
  if (duplicate) void reply.header('x-duplicate', 'true')
  if (waitMs === undefined) return reply.send({ success: true })
  const { status, body } = syncAnswer(await dispatcher.wait(deliveries, waitMs))
  return reply.code(status).send(body)
}

/** What a synchronous caller is told: all taken, what failed and why, or what is still under way. */
function syncAnswer(deliveries: readonly Delivery[]): SyncAnswer {
  const errors = deliveries.filter(hasFailed).map(reason)
  if (errors.length > 0) return { status: 400, body: { success: false, errors } }
  const pending = deliveries.filter((one) => !isTaken(one)).map(name)
  if (pending.length > 0) return { status: 202, body: { success: true, pending } }
  return { status: 200, body: { success: true } }
}

const name = ({ provider, tag }: Delivery) => `${provider}/${tag}`

const isTaken = ({ state }: Delivery) => state === 'delivered' || state === 'confirming'

/** Failed for good, or failing so far. */
function hasFailed({ state, lastError }: Delivery): boolean {
  return state === 'failed' || (state !== 'confirming' && lastError !== undefined)
}

function reason(delivery: Delivery): string {
  const { state, lastError, giveUpAt } = delivery
  const message = `${name(delivery)}: ${lastError?.message ?? 'failed'}`
  if (state === 'failed' || giveUpAt === undefined) return message
  return `${message}; retried until ${new Date(giveUpAt).toISOString()}`
}
