import type { AudienceType, Batch, User } from '../audience/schemas.ts'
import type {
  DryRun,
  Providers,
  Retried,
  Segments,
  Sessions,
  SessionStatus
} from '../api/answers.ts'
import { mayPass, ServiceError, UnreachableError } from './errors.ts'
import { pause } from './pause.ts'

/** A client of the service for Node and browsers. It knows the HTTP contract and nothing else. */

export interface ClientOptions {
  /** Where the service is, e.g. `http://127.0.0.1:8080`. */
  readonly url: string
  readonly apiKey?: string | undefined
}

/** What is the same for all batches of an upload. */
export interface Upload {
  readonly name: string
  readonly type?: AudienceType | undefined
  readonly mode?: 'add' | 'remove' | undefined
  readonly disablePrefix?: boolean | undefined
  /** Platforms and tags, comma-separated. */
  readonly channels?: string | undefined
  readonly defaultCountry?: string | undefined
  /** Whether each call waits for the platforms. */
  readonly sync?: boolean | undefined
}

/** A batch that the service has. */
export interface Accepted {
  /** It had it before. */
  readonly isDuplicate: boolean
  /** With `sync`: what failed at which tag. */
  readonly failed: readonly string[]
  /** With `sync`: tags that were not done in time. */
  readonly pending: readonly string[]
}

export interface Page {
  readonly limit?: number
  readonly cursor?: string
  readonly state?: string
}

export interface FollowOptions {
  readonly signal?: AbortSignal | undefined
  /** Hears of each time that the service did not answer or was busy; it is asked again. */
  readonly onTrouble?: ((error: unknown) => void) | undefined
}

/** Each call is one attempt and ends in an answer, a `ServiceError` or an `UnreachableError`. */
export interface Client {
  postBatch(
    upload: Upload,
    batch: Batch,
    users: readonly User[],
    signal?: AbortSignal
  ): Promise<Accepted>
  /** What would become of a batch; nothing is kept or sent. */
  dryRun(
    upload: Upload,
    batch: Batch,
    users: readonly User[],
    signal?: AbortSignal
  ): Promise<DryRun>
  session(sessionId: number, page?: Page, signal?: AbortSignal): Promise<SessionStatus>
  sessions(page?: Page, signal?: AbortSignal): Promise<Sessions>
  /** Starts the failed deliveries of a session anew; of this platform or tag, if one is given. */
  retry(sessionId: number, channels?: string, signal?: AbortSignal): Promise<Retried>
  /** With `check` each platform is asked whether it works. */
  providers(check: boolean, signal?: AbortSignal): Promise<Providers>
  segments(page?: Page, signal?: AbortSignal): Promise<Segments>
  /** How a session stands, again and again, until all of it has come and nothing is under way. */
  follow(sessionId: number, options?: FollowOptions): AsyncGenerator<SessionStatus, void, void>
}

/** More than the service gives an upload (5 minutes) and a caller who waits (50 seconds) together. */
const UPLOAD_WITHIN_MS = 7 * 60_000
const ANSWER_WITHIN_MS = 60_000
/** Time between two looks at a session: short at first, so that a small one ends at once. */
const FIRST_LOOK_MS = 200
const LATER_LOOK_MS = 2_000
const SLOWER = 1.3
/** How many times as long as an answer took: one who looks shall not slow those who upload. */
const REST = 3

/** Makes a client; nothing is called yet. */
export function createClient({ url, apiKey }: ClientOptions): Client {
  const base = url.replace(/\/+$/, '')
  const headers: Record<string, string> = { accept: 'application/json' }
  if (apiKey !== undefined && apiKey !== '') headers['authorization'] = `Bearer ${apiKey}`

  async function call(path: string, init: RequestInit, withinMs: number): Promise<Answer> {
    const limit = AbortSignal.timeout(withinMs)
    const { signal } = init
    try {
      const response = await fetch(base + path, {
        ...init,
        headers,
        // A key is for the address that was given, and a form is not sent on by all redirects.
        redirect: 'error',
        signal: signal == null ? limit : AbortSignal.any([signal, limit])
      })
      return { response, body: parsed(await response.text()) }
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason
      throw new UnreachableError(`No answer from ${base}: ${reasonOf(error)}`, { cause: error })
    }
  }

  async function get<T>(
    path: string,
    keys: readonly (keyof T & string)[],
    signal: AbortSignal | undefined,
    withinMs = ANSWER_WITHIN_MS
  ): Promise<T> {
    return read<T>(await call(path, { signal: signal ?? null }, withinMs), keys)
  }

  function post(query: string, form: FormData, signal: AbortSignal | undefined): Promise<Answer> {
    const init = { method: 'POST', body: form, signal: signal ?? null }
    return call(`/audience${query}`, init, UPLOAD_WITHIN_MS)
  }

  const session: Client['session'] = (sessionId, page, signal) =>
    get<SessionStatus>(
      `/audience/sessions/${sessionId}${queryOf({ ...page })}`,
      ['state', 'batches', 'users', 'warnings', 'destinations'],
      signal
    )

  return {
    async postBatch(upload, batch, users, signal) {
      const answer = await post(uploadQuery(upload), formOf(upload, batch, users), signal)
      const { response } = answer
      // What failed at a platform is answered with 400 as well; then there is a session.
      const isAccepted = response.ok || response.headers.has('location')
      if (!isAccepted || !has<object>(answer.body, [])) throw errorOf(answer)
      return {
        isDuplicate: response.headers.get('x-duplicate') === 'true',
        failed: textsAt(answer.body, 'errors'),
        pending: textsAt(answer.body, 'pending')
      }
    },
    async dryRun(upload, batch, users, signal) {
      const query = uploadQuery({ ...upload, sync: undefined }, { dryRun: true })
      const answer = await post(query, formOf(upload, batch, users), signal)
      return read<DryRun>(answer, ['users', 'report', 'destinations'])
    },
    session,
    sessions: (page, signal) =>
      get<Sessions>(`/audience/sessions${queryOf({ ...page })}`, ['sessions', 'next'], signal),
    async retry(sessionId, channels, signal) {
      const path = `/audience/sessions/${sessionId}/retry${queryOf({ channels })}`
      const init = { method: 'POST', signal: signal ?? null }
      return read<Retried>(await call(path, init, ANSWER_WITHIN_MS), ['retried', 'expired'])
    },
    providers: (check, signal) =>
      get<Providers>(`/providers${queryOf({ check })}`, ['providers'], signal, UPLOAD_WITHIN_MS),
    segments: (page, signal) =>
      get<Segments>(`/audience/segments${queryOf({ ...page })}`, ['segments', 'next'], signal),
    async *follow(sessionId, { signal, onTrouble } = {}) {
      let waitMs = FIRST_LOOK_MS
      for (;;) {
        const askedAt = performance.now()
        const status = await session(sessionId, { limit: 1 }, signal).catch((error: unknown) => {
          if (!mayPass(error)) throw error
          onTrouble?.(error)
        })
        const restMs = REST * (performance.now() - askedAt)
        if (status !== undefined) yield status
        if (status !== undefined && isSettled(status)) return
        await pause(Math.max(waitMs, restMs), signal)
        waitMs = Math.min(waitMs * SLOWER, LATER_LOOK_MS)
      }
    }
  }
}

/** Batches that are still to come are delivered as well, whatever became of the first ones. */
function isSettled({ state, batches }: SessionStatus): boolean {
  return state !== 'sending' && batches.missing.length === 0
}

interface Answer {
  readonly response: Response
  /** Parsed where it is JSON, else the text. */
  readonly body: unknown
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Why `fetch` failed: what it says itself says nothing. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  if (error.name === 'TimeoutError') return 'it took too long'
  const { cause } = error
  // Its own text may quote headers, the key among them.
  if (!(cause instanceof Error)) return 'the call failed'
  // Where a name has several addresses, the error of all of them has a code and no text.
  return cause.message || ('code' in cause ? String(cause.code) : error.message)
}

/** An object with these keys is taken for what the service documents. */
function has<T>(value: unknown, keys: readonly (keyof T & string)[]): value is T {
  return typeof value === 'object' && value !== null && keys.every((key) => key in value)
}

function read<T>(answer: Answer, keys: readonly (keyof T & string)[]): T {
  if (!answer.response.ok) throw errorOf(answer)
  if (!has<T>(answer.body, keys)) throw notOurs(answer.response.status)
  return answer.body
}

const notOurs = (status: number) =>
  new ServiceError(status, [`HTTP ${status}, but not from this version of the Audience API`])

/** Longest text of an answer that is shown: it may be a page of what stands before the service. */
const MAX_TEXT = 300

function errorOf({ response, body }: Answer): ServiceError {
  const { status, headers } = response
  if (response.ok) return notOurs(status)
  const retryAfter = Number(headers.get('retry-after') ?? Number.NaN)
  const retryAfterMs = Number.isFinite(retryAfter) ? retryAfter * 1_000 : undefined
  const texts = typeof body === 'string' ? [body.slice(0, MAX_TEXT)] : textsAt(body, 'errors')
  const isOurs = headers.has('x-error-code') && texts.length > 0
  return new ServiceError(status, isOurs ? texts : [`HTTP ${status}`, ...texts], retryAfterMs)
}

function textsAt(body: unknown, key: string): string[] {
  const list: unknown = has<Record<string, unknown>>(body, [key]) ? body[key] : undefined
  return Array.isArray(list) ? list.filter((text) => typeof text === 'string') : []
}

function formOf({ name, type }: Upload, batch: Batch, users: readonly User[]): FormData {
  const form = new FormData()
  form.append('name', name)
  if (type !== undefined) form.append('type', type)
  form.append('batch', JSON.stringify(batch))
  // As text: what a Blob holds is outside of the heap and stays until some later collection.
  form.append('users', JSON.stringify(users))
  return form
}

type Parameters = Readonly<Record<string, string | number | boolean | undefined>>

function uploadQuery(upload: Upload, further: Parameters = {}): string {
  const { mode, disablePrefix, channels, defaultCountry, sync } = upload
  return queryOf({ mode, disablePrefix, channels, defaultCountry, sync, ...further })
}

/** `?` and the parameters that are given; empty where none is. */
function queryOf(parameters: Parameters): string {
  const given = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined || value === false ? [] : [[name, String(value)]]
  )
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`
}
