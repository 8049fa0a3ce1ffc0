import { Webhook as Signer } from 'standardwebhooks'
import { Agent, buildConnector, request } from 'undici'
import { retryAfterMs } from '../../providers/http-client.ts'
import { publicConnector } from './webhook-address.ts'

/** Where messages go. */
export interface WebhookEndpoint {
  readonly id: string
  readonly url: string
  /** `whsec_` and the key in base64; while a secret is replaced, both of them, comma-separated. */
  readonly secret: string
}

/** What an endpoint said to a message, or why there is no answer. */
export type WebhookAnswer =
  | { readonly status: number; readonly retryAfterMs: number | undefined }
  | { readonly fault: string }

export interface WebhookClient<E = WebhookEndpoint> {
  /** Sends a message once. Never rejects. */
  post(
    endpoint: E,
    message: { readonly id: string; readonly body: string },
    signal: AbortSignal
  ): Promise<WebhookAnswer>
  close(): Promise<void>
}

/** One request as it goes out. */
export interface WebhookRequest {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Posts to addresses that others have given. */
export interface WebhookPoster {
  /** Follows no redirect and repeats nothing. Never rejects. */
  post(request: WebhookRequest, signal: AbortSignal): Promise<WebhookAnswer>
  close(): Promise<void>
}

export interface WebhookClientOptions {
  /** Longest time for connecting, sending and the answer together, in milliseconds. */
  readonly timeoutMs: number
  /** Whether messages may go to private and loopback addresses. */
  readonly privateAddresses: boolean
}

/** Of an answer nothing but its head is of interest; more than this ends the connection. */
const MAX_ANSWER_BYTES = 64 * 1024

/**
 * Signs as Standard Webhooks says: one signature per secret, so that a receiver may have either.
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export function signedHeaders(
  { secret }: Pick<WebhookEndpoint, 'secret'>,
  { id, body }: { readonly id: string; readonly body: string },
  at: Date
): Record<string, string> {
  const signatures = secret.split(',').map((each) => new Signer(each.trim()).sign(id, at, body))
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': signatures.join(' ')
  }
}

export function createWebhookPoster(options: WebhookClientOptions): WebhookPoster {
  const { timeoutMs, privateAddresses } = options
  const connectOptions = { timeout: timeoutMs, allowH2: false }
  const agent = new Agent({
    connect: privateAddresses ? buildConnector(connectOptions) : publicConnector(connectOptions)
  })

  return {
    async post({ url, headers, body: sent }, signal) {
      const bounded = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
      try {
        const answer = await request(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'user-agent': 'audience-api', ...headers },
          body: sent,
          dispatcher: agent,
          signal: bounded
        })
        // The status has decided already: what happens to the rest is of no interest.
        await answer.body.dump({ limit: MAX_ANSWER_BYTES, signal: bounded }).catch(() => undefined)
        return { status: answer.statusCode, retryAfterMs: retryAfterMs(answer) }
      } catch (error) {
        return { fault: faultName(error) }
      }
    },
    // Messages under way were waited for by whoever sent them.
    close: () => agent.destroy()
  }
}

/** Posts messages signed for their endpoints. */
export function createWebhookClient(options: WebhookClientOptions): WebhookClient {
  const poster = createWebhookPoster(options)
  return {
    post: (endpoint, message, signal) =>
      poster.post(
        {
          url: endpoint.url,
          headers: signedHeaders(endpoint, message, new Date()),
          body: message.body
        },
        signal
      ),
    close: () => poster.close()
  }
}

/** The code alone: messages of network errors name addresses. */
function faultName(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown fault'
  if (error.name === 'TimeoutError') return 'timeout'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
