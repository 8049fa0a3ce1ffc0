import type { Waited } from '../dispatch/dispatcher.ts'

export interface SyncAnswer {
  readonly status: 200 | 202 | 400
  readonly body: {
    readonly success: boolean
    readonly errors?: readonly string[]
    readonly pending?: readonly string[]
  }
}

/** What a synchronous caller is told: all taken, what failed and why, or what is still under way. */
export function syncAnswer(waited: readonly Waited[]): SyncAnswer {
  const errors = waited.filter(hasFailed).map(reason)
  if (errors.length > 0) return { status: 400, body: { success: false, errors } }
  const pending = waited.filter((one) => !isTaken(one)).map(name)
  if (pending.length > 0) return { status: 202, body: { success: true, pending } }
  return { status: 200, body: { success: true } }
}

const name = ({ delivery }: Waited) => `${delivery.provider}/${delivery.tag}`

const isTaken = ({ delivery: { state } }: Waited) => state === 'delivered' || state === 'confirming'

/** Failed for good, or failing so far. */
function hasFailed({ delivery: { state, lastError } }: Waited): boolean {
  return state === 'failed' || (state !== 'confirming' && lastError !== undefined)
}

function reason(waited: Waited): string {
  const { delivery, retriedUntil } = waited
  const message = `${name(waited)}: ${delivery.lastError?.message ?? 'failed'}`
  if (delivery.state === 'failed' || retriedUntil === undefined) return message
  return `${message}; retried until ${new Date(retriedUntil).toISOString()}`
}
