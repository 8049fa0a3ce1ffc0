import { setTimeout as wait } from 'node:timers/promises'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import type { Batch, User } from '../audience/schemas.ts'

/** A client of the service, as anyone would write it: it knows the HTTP contract and nothing else. */

const Counts = Type.Record(Type.String(), Type.Number())

const DestinationStatus = Type.Object({
  provider: Type.String(),
  tag: Type.String(),
  segment: Type.String(),
  state: Type.String(),
  users: Type.Object({
    sent: Type.Number(),
    received: Type.Number(),
    invalid: Type.Number(),
    leftOut: Type.Number()
  }),
  leftOutBy: Counts,
  lastError: Type.Union([Type.Null(), Type.Object({ message: Type.String() })])
})
/** How a session stands at one tag of one platform. */
export type DestinationStatus = Static<typeof DestinationStatus>

const SessionStatus = Type.Object({
  state: Type.String(),
  users: Type.Object({ received: Type.Number(), total: Type.Number() }),
  destinations: Type.Array(DestinationStatus)
})
/** What the client reads of `GET /audience/sessions/:sessionId`. */
export type SessionStatus = Static<typeof SessionStatus>

export interface Upload {
  readonly audience: string
  readonly batch: Batch
  readonly users: readonly User[]
}

const POLL_EVERY_MS = 200

/**
 * Posts one batch, again and again while the service is busy, and returns the address of its
 * session's status.
 * @throws Error with the service's answer where it was refused.
 */
export async function postBatch(serviceUrl: string, upload: Upload): Promise<URL> {
  for (;;) {
    const body = formOf(upload)
    const response = await fetch(`${serviceUrl}/audience`, { method: 'POST', body })
    const text = await response.text()
    if (response.ok) return new URL(response.headers.get('location') ?? '', serviceUrl)
    const retryAfterSeconds = response.headers.get('retry-after')
    if (response.status !== 503 || retryAfterSeconds === null) {
      throw new Error(`the service answered ${response.status}: ${text}`)
    }
    await wait(Number(retryAfterSeconds) * 1_000)
  }
}

function formOf({ audience, batch, users }: Upload): FormData {
  const form = new FormData()
  form.append('name', audience)
  form.append('type', 'custom')
  form.append('batch', JSON.stringify(batch))
  form.append('users', new Blob([JSON.stringify(users)]), 'users.json')
  return form
}

/**
 * Looks at a session until nothing is under way any more.
 * @throws the signal's reason when it is aborted before.
 */
export async function followSession(
  statusUrl: URL,
  onStatus: (status: SessionStatus) => void,
  signal: AbortSignal
): Promise<SessionStatus> {
  for (;;) {
    const response = await fetch(statusUrl, { signal })
    const status = Value.Parse(SessionStatus, await response.json())
    onStatus(status)
    if (status.state !== 'sending') return status
    await wait(POLL_EVERY_MS, undefined, { signal })
  }
}
