import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import Fastify from 'fastify'
import { test, type Test } from 'tap'
import { type TSchema, Type } from 'typebox'
import auth from '../../plugins/auth.ts'
import closing from '../../plugins/closing.ts'
import errors from '../../plugins/errors.ts'
import telemetry from '../../plugins/telemetry.ts'
import { providers } from '../../providers/registry.ts'
import { DeliveryStatus, SessionProgress } from '../../src/api/answers.ts'
import { loadConfig } from '../../src/config.ts'
import eventRoutes, { type EventsOptions } from '../../src/routes/events.ts'
import { createSessionFeed } from '../../src/routes/session-feed.ts'
import { openStorage } from '../../src/store/open.ts'
import {
  type NewUpload,
  type SessionChanges,
  type Store,
  StoreError
} from '../../src/store/store.ts'
import { violations } from '../support/contract.ts'
import { BATCH, form, startService } from '../support/service.ts'

const SESSION = BATCH.sessionId
const EVENTS = `/audience/sessions/${SESSION}/events`

interface StreamEvent {
  readonly id: string | undefined
  readonly event: string
  readonly data: unknown
}

/** What events hold, as the reference says. */
const DATA: ReadonlyMap<string, TSchema> = new Map<string, TSchema>([
  ['delivery', DeliveryStatus],
  ['session', SessionProgress]
])

/** Reads a stream's events one by one. */
async function follow(t: Test, url: string, headers: Record<string, string> = {}) {
  const leaving = new AbortController()
  t.teardown(() => leaving.abort())
  const response = await fetch(url, { headers, signal: leaving.signal })
  const chunks = response.body?.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]()
  let text = ''

  /** The next block of the stream; `undefined` at its end. */
  async function block(): Promise<string | undefined> {
    while (!text.includes('\n\n')) {
      const chunk = await chunks?.next()
      if (chunk === undefined || chunk.done === true) return undefined
      text += chunk.value
    }
    const end = text.indexOf('\n\n')
    const found = text.slice(0, end)
    text = text.slice(end + 2)
    return found
  }

  /** The next event, whatever stands between. */
  async function next(): Promise<StreamEvent | undefined> {
    for (let found = await block(); found !== undefined; found = await block()) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(found)?.[1]
      const data = field('data')
      if (data !== undefined) {
        const event = field('event') ?? ''
        const read: unknown = JSON.parse(data)
        t.same(violations(DATA.get(event) ?? Type.Never(), read), [], `${event} as documented`)
        return { id: field('id'), event, data: read }
      }
    }
    return undefined
  }

  /** Everything up to the event that is asked for. */
  async function until(isLast: (event: StreamEvent) => boolean): Promise<StreamEvent[]> {
    const events: StreamEvent[] = []
    for (;;) {
      const event = await next()
      if (event === undefined) throw new Error('the stream ended')
      events.push(event)
      if (isLast(event)) return events
    }
  }

  return { response, block, next, until, leave: () => leaving.abort() }
}

const inState = (state: string) => (event: StreamEvent) =>
  event.event === 'session' && (event.data as { state: string }).state === state

async function withFacebook(t: Test) {
  const facebook = await providers.find(({ name }) => name === 'facebook')!.sandbox()
  t.teardown(() => facebook.close())
  return startService(t, { sandboxes: [facebook] })
}

const upload = (sequence: number) =>
  form({
    batch: { ...BATCH, sequence, totalBatches: 2, totalUsers: 2 },
    users: [{ email: `user${sequence}@example.com` }]
  })

test('a stream tells what there is and then what changes', async (t) => {
  const service = await withFacebook(t)
  await service.post(upload(1), '?sync=true')
  const stream = await follow(t, service.url + EVENTS)
  t.equal(stream.response.status, 200)
  const { headers } = stream.response
  t.equal(headers.get('content-type'), 'text/event-stream')
  t.equal(headers.get('cache-control'), 'no-store')
  t.equal(headers.get('x-accel-buffering'), 'no')
  t.equal(await stream.block(), 'retry: 2000')

  const [delivered, receiving] = await stream.until(inState('receiving'))
  t.match(delivered, { event: 'delivery', data: { sequence: 1, state: 'delivered' } })
  t.same(receiving, {
    id: delivered?.id,
    event: 'session',
    data: {
      sessionId: SESSION,
      state: 'receiving',
      batches: { received: 1, total: 2 },
      users: { received: 1, total: 2 },
      revision: Number(delivered?.id)
    }
  })

  await service.post(upload(2), '?sync=true')
  const events = await stream.until(inState('delivered'))
  t.same(events.at(-1)?.data, {
    sessionId: SESSION,
    state: 'delivered',
    batches: { received: 2, total: 2 },
    users: { received: 2, total: 2 },
    revision: Number(events.at(-1)?.id)
  })
  const ids = events.map(({ id }) => Number(id))
  t.same(
    ids,
    ids.toSorted((a, b) => a - b),
    'no event has a lower id than one before'
  )

  const { body } = await service.get(`/audience/sessions/${SESSION}`)
  const { deliveries } = body as { deliveries: unknown[] }
  const last = events.findLast(({ event }) => event === 'delivery')
  t.same([delivered?.data, last?.data], deliveries, 'deliveries are told as the status tells them')

  const again = await follow(t, service.url + EVENTS, { 'last-event-id': delivered?.id ?? '' })
  const missed = await again.until(inState('delivered'))
  t.same(missed, [last, events.at(-1)], 'who comes back hears what is new')
  const upToDate = await follow(t, service.url + EVENTS, { 'last-event-id': last?.id ?? '' })
  t.same(await upToDate.next(), events.at(-1), 'and how the session stands')
  for (const lastEventId of ['999999', 'jane@example.com']) {
    const odd = await follow(t, service.url + EVENTS, { 'last-event-id': lastEventId })
    const all = await odd.until(inState('delivered'))
    t.same(
      all.map(({ data }) => data),
      [...deliveries, events.at(-1)?.data],
      'a foreign id gets everything'
    )
  }
})

test('streams end with the service', async (t) => {
  const service = await withFacebook(t)
  await service.post(upload(1), '?sync=true')
  const streams = await Promise.all([1, 2, 3].map(() => follow(t, service.url + EVENTS)))
  for (const stream of streams) await stream.until(inState('receiving'))
  const closed = service.app.close()
  for (const stream of streams) t.equal(await stream.next(), undefined)
  await closed
})

const UPLOAD: NewUpload = {
  owner: 'default',
  sessionId: SESSION,
  sequence: 1,
  totalBatches: 1,
  totalUsers: 1,
  pullDate: undefined,
  audienceName: 'a',
  segmentName: 'blotout_a',
  type: 'custom',
  users: 1,
  ignoredFields: {},
  defaultCountry: undefined,
  contentHash: 'hash',
  mode: 'add',
  managed: undefined,
  phoneHashes: undefined,
  traceparent: undefined,
  acceptedAt: Date.now()
}

async function openStore(t: Test): Promise<Store> {
  const options = { dedupMs: 0, retentionMs: 3_600_000, hookEndpoints: [], encryptionKeys: [] }
  const { store } = await openStorage({ databaseUrl: 'sqlite::memory:', ...options }, console)
  t.teardown(() => store.close())
  return store
}

/** The route alone, with its limits in reach. */
async function startStreams(t: Test, options: EventsOptions) {
  const store = await openStore(t)
  const app = Fastify()
  await app.register(telemetry)
  await app.register(closing, { closeWithinMs: 0 })
  await app.register(errors)
  const env = {
    AUDIENCE_API_KEYS: 'a:a0123456789abcdef,b:b0123456789abcdef',
    AUDIENCE_CONFIG: join(import.meta.dirname, '../support/empty-config.json')
  }
  await app.register(auth, { config: loadConfig(env, providers) })
  app.decorate('store', store)
  await app.register(eventRoutes, options)
  t.teardown(() => app.close())
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return { app, store, url: url + EVENTS }
}

const as = (key: string) => ({ authorization: `Bearer ${key}0123456789abcdef` })

test('a stream is for who sent the session, and there are only so many', async (t) => {
  const { store, url } = await startStreams(t, { maxStreams: 2, heartbeatMs: 10 })
  await store.accept({ ...UPLOAD, owner: 'a' }, Buffer.from('sealed'), [])
  const refusals = [
    [401, 'AUD_UNAUTHORIZED', url, {}],
    [404, 'AUD_SESSION_NOT_FOUND', url, as('b')],
    [404, 'AUD_SESSION_NOT_FOUND', url.replace(`${SESSION}`, '99999999999999999'), as('a')],
    [404, 'AUD_SESSION_NOT_FOUND', url.replace(`${SESSION}`, 'x'), as('a')]
  ] as const
  for (const [status, code, address, headers] of refusals) {
    const response = await fetch(address, { headers })
    t.same([response.status, response.headers.get('x-error-code')], [status, code])
    await response.text()
  }
  for (const method of ['HEAD', 'POST']) {
    const response = await fetch(url, { method, headers: as('a') })
    t.same([response.status, response.headers.get('allow')], [405, 'GET'], method)
    await response.text()
  }

  const [first] = await Promise.all([1, 2].map(() => follow(t, url, as('a'))))
  await first?.next()
  t.equal(await first?.block(), ': heartbeat')
  const third = await fetch(url, { headers: as('a') })
  t.same(
    [third.status, third.headers.get('retry-after'), await third.json()],
    [
      503,
      '10',
      {
        success: false,
        errors: ['Too many event streams are open. Please try again later, or ask for the status.']
      }
    ]
  )
  first?.leave()
  let next = await follow(t, url, as('a'))
  while (next.response.status === 503) next = await follow(t, url, as('a'))
  t.match(await next.next(), { event: 'session' }, 'there is room again')
})

test('a reader that takes nothing is cut', async (t) => {
  const { app, store, url } = await startStreams(t, { heartbeatMs: 50, stalledAfterMs: 200 })
  // More than the buffers of two sockets hold.
  const targets = Array.from({ length: 30 }, (_, tag) => ({
    provider: 'facebook',
    tag: `tag${tag}`,
    accountId: '1',
    segmentName: 'x'.repeat(1_000_000)
  }))
  await store.accept({ ...UPLOAD, owner: 'a' }, Buffer.from('sealed'), targets)
  const connection: Promise<Socket[]> = once(app.server, 'connection') as Promise<Socket[]>
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.on('error', () => undefined)
  socket.pause()
  const { authorization } = as('a')
  socket.write(
    `GET ${EVENTS} HTTP/1.1\r\nhost: localhost\r\nauthorization: ${authorization}\r\n\r\n`
  )
  const [served] = await connection
  if (served !== undefined) await once(served, 'close')
  t.pass('its connection was closed')
})

test('a session is looked at once, however many follow it and whatever befalls the store', async (t) => {
  const store = await openStore(t)
  await store.accept(UPLOAD, Buffer.from('sealed'), [])
  const looks: number[] = []
  let looked = Promise.withResolvers<void>()
  const feed = createSessionFeed(
    {
      changesSince(owner, sessionId, revision) {
        looks.push(revision)
        looked.resolve()
        looked = Promise.withResolvers<void>()
        if (looks.length === 1) return Promise.reject(new StoreError('away'))
        return store.changesSince(owner, sessionId, revision)
      }
    },
    console
  )
  const leaving = new AbortController()
  const session = { owner: 'default', sessionId: SESSION }
  const first = (await store.changesSince('default', SESSION, 0)) as SessionChanges
  const followers = [1, 2, 3].map(() => feed.follow(session, first, leaving.signal))
  for (const follower of followers) t.same((await follower.next()).value, first)
  const waiting = followers.map((follower) => follower.next())
  while (looks.length < 2) await looked.promise
  t.same(looks, [first.revision, first.revision])

  await store.accept({ ...UPLOAD, sequence: 2, contentHash: 'b' }, Buffer.from('sealed'), [])
  for (const { value } of await Promise.all(waiting)) {
    t.match(value, { batches: { received: 2 }, deliveries: [] })
  }
  const last = followers.map((follower) => follower.next())
  leaving.abort()
  for (const end of await Promise.all(last)) t.same(end, { value: undefined, done: true })
})
