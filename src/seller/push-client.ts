import { createHmac } from 'node:crypto'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import type { WebhookAnswer, WebhookClient, WebhookPoster } from '../dispatch/webhook-client.ts'
import type { LedgerStore, SyncTask } from '../store/ledger.ts'
import type { KeyRing } from '../store/sealing.ts'
import { StoreError } from '../store/store.ts'
import type { Accounts } from './accounts.ts'
import { signedPushHeaders, signingKeys } from './push-signing.ts'
import { present, taskResult } from './rows.ts'

/** What was kept of a call's `push_notification_config`. */
const Push = Type.Object({
  url: Type.String(),
  operationId: Type.Optional(Type.String()),
  token: Type.Optional(Type.String()),
  authentication: Type.Optional(Type.Object({ scheme: Type.String(), credentials: Type.String() })),
  context: Type.Optional(Type.Unknown())
})
type Push = Static<typeof Push>

export interface PushClientOptions {
  readonly store: Pick<LedgerStore, 'pushOf'>
  readonly accounts: Pick<Accounts, 'find'>
  readonly keys: KeyRing
  readonly poster: WebhookPoster
}

/** The task is gone: nobody waits for its end any more. */
const GONE: WebhookAnswer = { status: 410, retryAfterMs: undefined }

/** Tells those who asked for it that a task is completed; a message's body is the task's id. */
export function createPushClient(options: PushClientOptions): Pick<WebhookClient<unknown>, 'post'> {
  const { store, accounts, keys, poster } = options
  const [signingKey] = signingKeys(keys)
  const takeTurn = createHostTurns()

  async function headersOf(
    { authentication }: Push,
    message: { readonly url: string; readonly body: string }
  ): Promise<Record<string, string>> {
    const now = new Date()
    if (authentication === undefined) return signedPushHeaders(signingKey, message, now)
    const { scheme, credentials } = authentication
    return scheme === 'Bearer'
      ? { authorization: `Bearer ${credentials}` }
      : hmacHeaders(credentials, message.body, now)
  }

  return {
    async post(_endpoint, { id, body: taskId }, signal) {
      try {
        const kept = await store.pushOf(taskId, keys)
        if (kept === undefined || !Value.Check(Push, kept.push)) return GONE
        const { task, push } = kept
        const body = JSON.stringify(pushBody(id, task, push, accounts))
        // As it is requested: with a path, and no default port.
        const { href: url, host } = new URL(push.url)
        const headers = await headersOf(push, { url, body })
        const answer = await takeTurn(host, () => poster.post({ url, headers, body }, signal))
        // One receiver's wait is not the others'.
        return 'status' in answer ? { ...answer, retryAfterMs: undefined } : answer
      } catch (error) {
        return { fault: error instanceof StoreError ? 'store' : 'internal' }
      }
    }
  }
}

/**
 * Of a host that did not answer in time only one message is under way, until it answers again: however
 * many are for it, the others' do not wait for their end.
 */
function createHostTurns() {
  const hanging = new Set<string>()
  const underWay = new Map<string, number>()
  return async (host: string, post: () => Promise<WebhookAnswer>): Promise<WebhookAnswer> => {
    const others = underWay.get(host) ?? 0
    if (hanging.has(host) && others > 0) return { fault: 'host does not answer' }
    underWay.set(host, others + 1)
    try {
      const answer = await post()
      if ('fault' in answer && answer.fault === 'timeout') hanging.add(host)
      else hanging.delete(host)
      return answer
    } finally {
      const left = (underWay.get(host) ?? 1) - 1
      if (left > 0) underWay.set(host, left)
      else underWay.delete(host)
    }
  }
}

/** `core/mcp-webhook-payload.json`: the same at each attempt. */
function pushBody(
  messageId: string,
  task: SyncTask,
  { operationId, token, context }: Push,
  accounts: Pick<Accounts, 'find'>
): object {
  return present({
    idempotency_key: messageId,
    // Required here, and not in the registration: the address must not be read for it.
    operation_id: operationId ?? task.id,
    task_id: task.id,
    task_type: 'sync_audiences',
    protocol: 'media-buy',
    status: 'completed',
    timestamp: new Date(task.completedAt ?? task.updatedAt).toISOString(),
    token,
    result: taskResult(task, accounts.find(task.account)),
    context
  })
}

/** The form before RFC 9421, for receivers that registered a secret ("Legacy HMAC-SHA256"). */
function hmacHeaders(secret: string, body: string, at: Date): Record<string, string> {
  const timestamp = String(Math.floor(at.getTime() / 1_000))
  const signature = createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')
  return { 'x-adcp-timestamp': timestamp, 'x-adcp-signature': `sha256=${signature}` }
}
