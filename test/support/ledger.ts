import { hash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import type { Sandbox } from '../../providers/sandbox.ts'
import { eventually } from './processes.ts'
import { form } from './service.ts'

/** One batch with people of its own, and what the service said each time it was sent. */
export interface Batch {
  readonly name: string
  readonly sessionId: number
  readonly sequence: number
  readonly totalBatches: number
  /** Names of platforms. */
  readonly channels: readonly string[]
  /** `remove`: its people are to be taken out. They were accepted before, or they are nowhere. */
  readonly mode: 'add' | 'remove'
  readonly emails: readonly string[]
  /** The service has to refuse it. */
  readonly isInvalid: boolean
  /** Status codes; `undefined` where no answer came. */
  readonly answers: (number | undefined)[]
}

export type NewBatch = Pick<Batch, 'name' | 'sessionId' | 'sequence' | 'totalBatches'> &
  Partial<Batch> & { readonly users?: number }

/** Keeps a stream from being a load test. */
const BETWEEN_BATCHES_MS = 20

const ALL_CHANNELS = ['facebook', 'tiktok', 'klaviyo']

export function newBatch({ users = 5, ...batch }: NewBatch): Batch {
  const { sessionId, sequence, isInvalid = false } = batch
  const whose = `${isInvalid ? 'nobody' : 'user'}.${sessionId}.${sequence}`
  return {
    channels: ALL_CHANNELS,
    mode: 'add',
    emails: Array.from({ length: users }, (_, index) => `${whose}.${index}@ledger.example`),
    isInvalid,
    answers: [],
    ...batch
  }
}

export interface Answer {
  readonly status: number
  readonly isDuplicate: boolean
  readonly body: unknown
}

export interface SendOptions {
  readonly sync?: boolean
}

/** Sends a batch; resolves with `undefined` where no answer came. */
export async function sendForAnswer(
  url: string,
  batch: Batch,
  { sync = false }: SendOptions = {}
): Promise<Answer | undefined> {
  const { name, sessionId, sequence, totalBatches, channels, mode, emails, isInvalid } = batch
  const users = emails.map((email) => ({ email }))
  const data = form({
    name,
    batch: { sessionId, sequence, totalBatches, totalUsers: totalBatches * users.length },
    users: isInvalid ? [...users, { email: 1 }] : users
  })
  const query = `channels=${channels.join()}&mode=${mode}&sync=${sync}`
  const answer = await fetch(`${url}/audience?${query}`, { method: 'POST', body: data }).then(
    async (response) => ({
      status: response.status,
      isDuplicate: response.headers.has('x-duplicate'),
      body: await response.json()
    }),
    () => undefined
  )
  batch.answers.push(answer?.status)
  return answer
}

/** Sends a batch; resolves with the status code, `undefined` where no answer came. */
export async function send(
  url: string,
  batch: Batch,
  options?: SendOptions
): Promise<number | undefined> {
  return (await sendForAnswer(url, batch, options))?.status
}

/** A busy service refuses for now; whoever wants to know something else sends again. */
const AGAIN_AFTER_MS = 100

/** The same, sent again until the service is not too busy to take it. */
export async function sendPatiently(
  url: string,
  batch: Batch,
  options?: SendOptions
): Promise<number | undefined> {
  for (;;) {
    const status = await send(url, batch, options)
    if (status !== 503) return status
    await pause(AGAIN_AFTER_MS)
  }
}

/** Asks for a segment to be deleted; resolves with the status code, `undefined` where no answer came. */
export function deleteSegment(
  url: string,
  platform: string,
  name: string
): Promise<number | undefined> {
  const query = `provider=${platform}&tag=default&name=${storedName(name)}`
  return fetch(`${url}/audience/segments?${query}`, { method: 'DELETE' }).then(
    ({ status }) => status,
    () => undefined
  )
}

export interface Stream {
  /** Sent so far. */
  readonly batches: readonly Batch[]
  /** Resolves once all have their answers, or are known to get none. */
  end(): Promise<void>
}

/** Sends batches of one session to Facebook, a few at a time, until told to end or the test does. */
export function keepSending(
  t: Test,
  url: string,
  { users = 2 }: { readonly users?: number } = {}
): Stream {
  const batches: Batch[] = []
  const ending = new AbortController()
  t.teardown(() => ending.abort())
  async function sendOnAndOn(): Promise<void> {
    while (!ending.signal.aborted) {
      const sequence = batches.length + 1
      const place = { sessionId: 1, sequence, totalBatches: 100_000 }
      const name = `Stream ${sequence % 3}`
      const batch = newBatch({ ...place, name, channels: ['facebook'], users })
      batches.push(batch)
      await send(url, batch)
      await pause(BETWEEN_BATCHES_MS)
    }
  }
  const lanes = Promise.all([sendOnAndOn(), sendOnAndOn(), sendOnAndOn()])
  return {
    batches,
    async end() {
      ending.abort()
      await lanes
    }
  }
}

/** The session as the service tells it, `undefined` where it does not know or answer. */
export async function sessionOf(
  url: string,
  sessionId: number
): Promise<SessionAnswer | undefined> {
  const response = await fetch(`${url}/audience/sessions/${sessionId}`).catch(() => undefined)
  if (response?.status !== 200) {
    await response?.text()
    return undefined
  }
  return (await response.json()) as SessionAnswer
}

/** What tests look at. */
export interface SessionAnswer {
  readonly state: string
  readonly batches: { readonly received: readonly number[]; readonly missing: readonly number[] }
  readonly warnings: readonly string[]
  readonly destinations: readonly {
    readonly provider: string
    readonly tag: string
    readonly state: string
    readonly deliveries: Readonly<Record<string, number>>
    readonly attempts: number
    readonly lastError: { readonly code: string; readonly message: string } | null
  }[]
}

/** The session once nothing of it is under way any more. */
export function settled(url: string, sessionId: number): Promise<SessionAnswer> {
  return eventually(async () => {
    const session = await sessionOf(url, sessionId)
    return session?.state === 'sending' ? undefined : session
  })
}

interface HeldSegment {
  readonly name: string
  readonly members: readonly Readonly<Record<string, unknown>>[]
}

export function segmentsOf(sandbox: Pick<Sandbox, 'state'>): readonly HeldSegment[] {
  return (sandbox.state() as { segments: readonly HeldSegment[] }).segments
}

const storedName = (name: string) => `blotout_${name.replaceAll(' ', '_')}`

const sha256 = (text: string) => hash('sha256', text)

/** SHA-256 of the e-mail addresses that a platform holds in segments of this name. */
export function emailsAt(sandbox: Pick<Sandbox, 'state'>, name: string): ReadonlySet<string> {
  const members = segmentsOf(sandbox)
    .filter((segment) => segment.name === storedName(name))
    .flatMap((segment) => segment.members)
  // Hashed or in clear, alone or in a list: each platform holds them in its own form.
  const values = members
    .flatMap(({ EMAIL, EMAIL_SHA256, email }) => [EMAIL, EMAIL_SHA256, email])
    .flat()
    .filter((value) => typeof value === 'string')
  return new Set(values.map((value) => (value.includes('@') ? sha256(value) : value)))
}

/** `session/sequence` of the batches that were uploaded to Facebook, in this order, failed calls too. */
export function sequencesSent({ requests }: Sandbox, batches: readonly Batch[]): string[] {
  const byHash = new Map(
    batches.flatMap(({ emails, sessionId, sequence }) =>
      emails.map((email) => [sha256(email), `${sessionId}/${sequence}`] as const)
    )
  )
  return requests.flatMap(({ body }) => {
    const hashes = JSON.stringify(body ?? '').match(/[0-9a-f]{64}/g) ?? []
    return hashes.flatMap((found) => byHash.get(found) ?? []).slice(0, 1)
  })
}

/**
 * Where what the platforms hold contradicts the answers that were given: a 200 is at each of the
 * batch's platforms, a 4xx at none, anything else is there whole or not at all; and no segment is
 * there twice. Who is in several batches of a name is there as the last 200 of them says. Empty where
 * every answer was true.
 * @param batches in the order in which they were sent first.
 */
export function lies(batches: readonly Batch[], sandboxes: readonly Sandbox[]): string[] {
  const removed = removedIn(batches)
  const broken = batches.flatMap((batch) =>
    sandboxes.flatMap((sandbox) => {
      const held = emailsAt(sandbox, batch.name)
      const arrived = batch.emails.filter((email) => held.has(sha256(email))).length
      const staying = batch.emails.filter((email) => !removed(sandbox.name, batch.name, email))
      if (expectations(batch, staying.length, sandbox.name).includes(arrived)) return []
      const { sessionId, sequence, answers } = batch
      const answered = answers.map((status) => status ?? 'nothing').join()
      return [
        `${sessionId}/${sequence} answered ${answered}: ${arrived} of ${batch.emails.length} at ${sandbox.name}`
      ]
    })
  )
  const twice = sandboxes.flatMap((sandbox) => {
    const names = segmentsOf(sandbox).map(({ name }) => name)
    return names
      .filter((name, index) => names.indexOf(name) !== index)
      .map((name) => `${name} exists twice at ${sandbox.name}`)
  })
  return [...broken, ...twice]
}

/** Who was taken out last of what was accepted. */
function removedIn(batches: readonly Batch[]) {
  const last = new Map<string, Batch['mode']>()
  const keyOf = (...parts: readonly string[]) => JSON.stringify(parts)
  for (const { answers, channels, mode, name, emails } of batches) {
    if (!answers.includes(200)) continue
    for (const platform of channels) {
      for (const email of emails) last.set(keyOf(platform, name, email), mode)
    }
  }
  return (platform: string, name: string, email: string) =>
    last.get(keyOf(platform, name, email)) === 'remove'
}

/** How many of a batch's users may be at a platform, where so many of them were not taken out. */
function expectations({ answers, channels }: Batch, staying: number, platform: string): number[] {
  const isAccepted = answers.includes(200)
  const isRefused = answers.some((status = 0) => status >= 400 && status < 500)
  if (!channels.includes(platform) || (isRefused && !isAccepted)) return [0]
  return isAccepted ? [staying] : [0, staying]
}
