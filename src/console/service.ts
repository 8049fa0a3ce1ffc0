import { type Client, createClient } from '../client/client.ts'
import { followEvents } from './events.ts'

/** The service that this page came from. The key to it is here and nowhere else. */
export interface Service {
  readonly client: Client
  /** Whether somebody signed in; a service may need no key at all. */
  hasKey(): boolean
  /** Without a key it is forgotten. */
  setKey(apiKey: string | undefined): void
  /** Calls back whenever something of the session has changed, until the signal ends it. */
  follow(sessionId: number, onNews: () => void, signal: AbortSignal): Promise<void>
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
    follow: (sessionId, onNews, signal) =>
      followEvents(`${base}/audience/sessions/${sessionId}/events`, headers, onNews, signal)
  }
}
