import { Agent, type FormData, request } from 'undici'
import { ProviderError } from './errors.ts'

export interface PlatformCall {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** What is called, without ids and values: a span's name, e.g. `customaudiences.list`. */
  readonly operation: string
  /** Another origin of the platform, in place of the client's: not where the tag has a `baseUrl`. */
  readonly origin?: string
  /** Path below the origin, starting with `/`; ids in it already encoded. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array<ArrayBuffer> | FormData
}

/** A whole answer, its body read to the end whatever the status. */
export interface PlatformAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /**
   * The body as JSON, integers beyond 2^53 as strings. `undefined` where it is not JSON (platforms
   * answer with HTML pages when something stands in front of them).
   */
  json(): unknown
}

export interface HttpClientOptions {
  /** `https://host[:port]`, without path. */
  readonly origin: string
  /** Longest wait for the answer's headers, and again for its body, in milliseconds. */
  readonly timeoutMs: number
}

export interface HttpClient {
  /**
   * Sends one call and never repeats it.
   * @throws ProviderError `transient` where no whole answer came.
   */
  send(call: PlatformCall, signal: AbortSignal): Promise<PlatformAnswer>
  close(): Promise<void>
}

/** Answers of the platforms are small; more than this is not theirs. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024
const USER_AGENT = 'audience-api'

/** Ids are 64-bit numbers at some platforms; a double would change their last digits. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text, (_key, value: unknown, context?: { source: string }) =>
      typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)
        ? (context?.source ?? value)
        : value
    )
  } catch {
    return undefined
  }
}

/** A pool of kept-alive connections to one origin, and to others that calls name. */
export function createHttpClient({ origin, timeoutMs }: HttpClientOptions): HttpClient {
  const agent = new Agent({
    connect: { timeout: Math.min(timeoutMs, 10_000) },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    maxResponseSize: MAX_ANSWER_BYTES
  })

  return {
    async send({ method, origin: other, path, query, headers, body }, signal) {
      const url = new URL(path, other ?? origin)
      for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value)
      try {
        const answer = await request(url, {
          method,
          headers: { 'user-agent': USER_AGENT, ...headers },
          body: body ?? null,
          dispatcher: agent,
          signal
        })
        const text = await answer.body.text()
        return {
          status: answer.statusCode,
          headers: answer.headers,
          text,
          json: () => parseJson(text)
        }
      } catch (error) {
        if (signal.aborted) throw signal.reason
        throw unanswered(faultCode(error))
      }
    },
    // Calls under way were aborted or waited for by whoever sent them.
    close: () => agent.destroy()
  }
}

/** A call that undici cannot even form would fail for ever: a setting holds what no header may. */
function unanswered(code: string): ProviderError {
  return code === 'UND_ERR_INVALID_ARG'
    ? new ProviderError('invalid', 'the request cannot be formed; check the settings of the tag')
    : new ProviderError('transient', `no answer (${code})`)
}

const LONGEST_RETRY_AFTER_MS = 24 * 3_600_000

/**
 * The wait that a `retry-after` header asks for, in milliseconds, at most a day: seconds, or a date
 * (RFC 9110, 10.2.3). `undefined` where there is none or it cannot be read.
 */
export function retryAfterMs(
  { headers }: Pick<PlatformAnswer, 'headers'>,
  now: number = Date.now()
): number | undefined {
  const header = headers['retry-after']
  if (typeof header !== 'string') return undefined
  const text = header.trim()
  const waitMs = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - now
  if (Number.isNaN(waitMs)) return undefined
  return Math.min(LONGEST_RETRY_AFTER_MS, Math.max(0, Math.ceil(waitMs)))
}

/** The code alone: messages of network errors name hosts, and causes may carry request data. */
function faultCode(error: unknown): string {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : 'unknown fault'
}
