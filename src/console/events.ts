import { EventSourceParserStream } from 'eventsource-parser/stream'
import { pause } from '../client/pause.ts'

/**
 * Server-sent events by `fetch`: the browser's own `EventSource` cannot send a key.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html
 */

/** As long as the stream says nothing else. */
const RETRY_MS = 2_000
const SLOWEST_RETRY_MS = 30_000

/** What a stream has told that matters after its end. */
interface Reading {
  lastEventId: string | undefined
  retryMs: number
}

/**
 * Calls back for each `session` event, which comes after anything has changed. Comes back after an
 * interruption with the last id that it saw.
 * @returns when the signal ends it, or the service refuses it.
 */
export async function followEvents(
  url: string,
  headers: () => Record<string, string>,
  onNews: () => void,
  signal: AbortSignal
): Promise<void> {
  const reading: Reading = { lastEventId: undefined, retryMs: RETRY_MS }
  let failures = 0
  while (!signal.aborted) {
    const outcome = await readOnce(url, headers(), reading, onNews, signal)
    if (outcome === 'refused') return
    failures = outcome === 'ended' ? 0 : failures + 1
    const waitMs = Math.min(reading.retryMs * 2 ** failures, SLOWEST_RETRY_MS)
    await pause(waitMs, signal).catch(() => undefined)
  }
}

async function readOnce(
  url: string,
  headers: Record<string, string>,
  reading: Reading,
  onNews: () => void,
  signal: AbortSignal
): Promise<'ended' | 'failed' | 'refused'> {
  const { lastEventId } = reading
  try {
    const response = await fetch(url, {
      headers: {
        ...headers,
        accept: 'text/event-stream',
        ...(lastEventId !== undefined && { 'last-event-id': lastEventId })
      },
      signal
    })
    if (response.status >= 400 && response.status < 500) return 'refused'
    if (!response.ok || response.body === null) return 'failed'
    const events = response.body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream({ onRetry: (ms) => (reading.retryMs = ms) }))
    const reader = events.getReader()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return 'ended'
      if (value.id !== undefined) reading.lastEventId = value.id
      if (value.event === 'session') onNews()
    }
  } catch {
    return 'failed'
  }
}
