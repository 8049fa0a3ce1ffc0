import { type Client, createClient } from '../client/client.ts'
import { ServiceError, UnreachableError } from '../client/errors.ts'
import { followEvents } from './events.ts'

/** The service that this page came from. The key to it is here and nowhere else. */
export interface Service {
  readonly client: Client
  /** Whether somebody signed in; a service may need no key at all. */
  hasKey(): boolean
  /** Without a key it is forgotten. */
  setKey(apiKey: string | undefined): void
  /** Starts the failed deliveries of a session anew; of this platform or tag, if one is given. */
  retry(sessionId: number, channel?: string): Promise<Restarted>
  /** Calls back whenever something of the session has changed, until the signal ends it. */
  follow(sessionId: number, onNews: () => void, signal: AbortSignal): Promise<void>
}

export interface Restarted {
  readonly retried: number
  readonly expired: number
}

/** @param url of the page; the service is beside it. */
export function createService(url: string): Service {
  const base = new URL('.', url).href.replace(/\/$/, '')
  let key: string | undefined
  let client = createClient({ url: base })

  const headers = (): Record<string, string> =>
    key === undefined ? {} : { authorization: `Bearer ${key}` }

  return {
    get client() {
      return client
    },
    hasKey: () => key !== undefined,
    setKey(apiKey) {
      key = apiKey
      client = createClient({ url: base, apiKey })
    },
    async retry(sessionId, channel) {
      const query =
        channel === undefined ? '' : `?${new URLSearchParams({ channels: channel }).toString()}`
      const address = `${base}/audience/sessions/${sessionId}/retry${query}`
      const response = await fetch(address, { method: 'POST', headers: headers() }).catch(
        (error: unknown) => {
          throw new UnreachableError('No answer from the service.', { cause: error })
        }
      )
      const answer: unknown = await response.json().catch(() => undefined)
      if (response.ok) return restarted(answer)
      throw new ServiceError(response.status, errorsOf(answer))
    },
    follow: (sessionId, onNews, signal) =>
      followEvents(`${base}/audience/sessions/${sessionId}/events`, headers, onNews, signal)
  }
}

function restarted(answer: unknown): Restarted {
  const { retried, expired }: Partial<Record<string, unknown>> = { ...Object(answer) }
  return { retried: Number(retried ?? 0), expired: Number(expired ?? 0) }
}

function errorsOf(answer: unknown): string[] {
  const { errors }: Partial<Record<string, unknown>> = { ...Object(answer) }
  return Array.isArray(errors) ? errors.filter((text) => typeof text === 'string') : []
}
