import type { Delivery } from '../store/store.ts'

export interface SyncAnswer {
  readonly status: 200 | 202 | 400
  readonly body: {
    readonly success: boolean
    readonly errors?: readonly string[]
    readonly pending?: readonly string[]
  }
}

/** What a synchronous caller is told: all taken, what failed and why, or what is still under way. */
export function syncAnswer(deliveries: readonly Delivery[]): SyncAnswer {
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
