import { setTimeout as pause } from 'node:timers/promises'
import { Agent, request } from 'undici'

/** Uploads as a client sends them that is never what is waited for: bodies are prepared before. */

const BOUNDARY = 'audience-bench-7d1f0c3a5b'
const LOOK_AGAIN_MS = 10

export interface Upload {
  readonly sessionId: number
  readonly sequence: number
  readonly totalBatches?: number
  readonly users: Uint8Array
}

/** The whole request body. */
export function formOf({ sessionId, sequence, totalBatches = sequence, users }: Upload): Buffer {
  const batch = JSON.stringify({ sessionId, sequence, totalBatches, totalUsers: 0 })
  return Buffer.concat([
    field('name', `benchmark ${sessionId}`),
    field('batch', batch),
    Buffer.from(`--${BOUNDARY}\r\ncontent-disposition: form-data; name="users"\r\n\r\n`),
    users,
    Buffer.from(`\r\n--${BOUNDARY}--\r\n`)
  ])
}

function field(name: string, text: string): Buffer {
  return Buffer.from(
    `--${BOUNDARY}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`
  )
}

export interface Client {
  /** Sends one upload; where the service asks to come again later, waits as told and does so. */
  post(form: Buffer, query?: string): Promise<void>
  /** How often it was asked to come again later. */
  refusals(): number
  /** Resolves when all of the session's deliveries so far have arrived. */
  delivered(sessionId: number, options?: { readonly batches?: number }): Promise<void>
  status(sessionId: number): Promise<SessionStatus>
}

/** As `GET /audience/sessions/:sessionId` tells it. */
export interface SessionStatus {
  readonly destinations: readonly {
    readonly provider: string
    readonly deliveries: Readonly<Record<string, number>>
  }[]
}

/** A client with kept-alive connections to the service. */
export function createClient(url: string): Client {
  const dispatcher = new Agent({ headersTimeout: 600_000, bodyTimeout: 600_000 })
  const headers = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` }
  let refusals = 0

  async function post(form: Buffer, query = ''): Promise<void> {
    for (;;) {
      const answer = await request(`${url}/audience${query}`, {
        method: 'POST',
        headers,
        body: form,
        dispatcher
      })
      const text = await answer.body.text()
      if (answer.statusCode === 200) return
      if (answer.statusCode !== 503) throw new Error(`${answer.statusCode} ${text}`)
      refusals += 1
      await pause(Number(answer.headers['retry-after'] ?? 1) * 1_000)
    }
  }

  async function status(sessionId: number): Promise<SessionStatus> {
    const answer = await request(`${url}/audience/sessions/${sessionId}`, { dispatcher })
    const body: unknown = await answer.body.json()
    // Until the first batch is accepted there is no session.
    return answer.statusCode === 404 ? { destinations: [] } : (body as SessionStatus)
  }

  return {
    post,
    refusals: () => refusals,
    status,
    async delivered(sessionId, { batches = 1 } = {}) {
      for (;;) {
        const { destinations } = await status(sessionId)
        if (destinations.some(({ deliveries }) => (deliveries['failed'] ?? 0) > 0)) {
          throw new Error('a delivery failed')
        }
        const isDone = destinations.every(({ deliveries }) => deliveries['delivered'] === batches)
        if (isDone && destinations.length > 0) return
        await pause(LOOK_AGAIN_MS)
      }
    }
  }
}
