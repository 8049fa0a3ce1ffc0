import { once } from 'node:events'
import { connect } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import Fastify from 'fastify'
import { test, type Test } from 'tap'
import uploadBudgetPlugin from '../../plugins/upload-budget.ts'
import { providers } from '../../providers/registry.ts'
import { systemClock } from '../../src/dispatch/clock.ts'
import type { Workers } from '../../src/dispatch/workers.ts'
import { lies, newBatch, send } from '../support/ledger.ts'
import { END, FORM_TYPE, part, postRaw } from '../support/multipart.ts'
import { BATCH, form, startService } from '../support/service.ts'

async function facebookSandbox(t: Test) {
  const facebook = await providers.find(({ name }) => name === 'facebook')!.sandbox()
  t.teardown(() => facebook.close())
  return facebook
}

const BUSY = {
  success: false,
  errors: ['The service is busy. Please send the upload again later.']
}

const uploadHead = (bytes: number) =>
  `POST /audience HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n` +
  `content-type: ${FORM_TYPE}\r\ncontent-length: ${bytes}\r\n\r\n`

/** An upload of 90,000 bytes whose end is still to come. */
function openUpload(url: string, sessionId: number) {
  const body =
    part('name', 'a') +
    part('batch', JSON.stringify({ ...BATCH, sessionId })) +
    part('users', '[{}]')
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.write(uploadHead(90_000) + body)
  return async () => {
    socket.write(END.padEnd(90_000 - body.length, ' '))
    return read(socket)
  }
}

/** Four bodies of this size are held at once. */
const SMALL_ROOM = { AUDIENCE_MAX_BODY_BYTES: '100000' }

test('uploads beyond the room in memory wait until others are read', async (t) => {
  const service = await startService(t, { env: SMALL_ROOM })
  const { uploadBudget } = service.app
  const users = [{ email: 'jane@example.com', comment: 'x'.repeat(80_000) }]
  const open = [1, 2, 3, 4].map((sessionId) => openUpload(service.url, sessionId))
  while (uploadBudget.takenBytes < 4 * 90_000) await setImmediate()
  const upload = service.post(form({ users, batch: { ...BATCH, sessionId: 5 } }))
  while (uploadBudget.waiting < 1) await setImmediate()
  t.equal((await service.get('/livez')).status, 200, 'others are answered')
  for (const finish of open) t.match(await finish(), /^HTTP\/1.1 200 OK\r\n/)
  t.equal((await upload).status, 200)
  t.same([uploadBudget.takenBytes, uploadBudget.waiting], [0, 0])
})

const AT_ONCE = process.env['AUDIENCE_TEST_LONG'] ? 100 : 40

test(`${AT_ONCE} uploads at once are all accepted and arrive whole, within the room`, async (t) => {
  const facebook = await facebookSandbox(t)
  const taken: number[] = []
  const service = await startService(t, {
    sandboxes: [facebook],
    env: { AUDIENCE_MAX_BODY_BYTES: '6000' },
    workers: (real) => ({
      ...real,
      read(task) {
        taken.push(service.app.uploadBudget.takenBytes)
        return real.read(task)
      }
    })
  })
  const batches = Array.from({ length: AT_ONCE }, (_, index) =>
    newBatch({ name: 'All', sessionId: 1, sequence: index + 1, totalBatches: AT_ONCE, users: 100 })
  ).map((batch) => ({ ...batch, channels: ['facebook'] }))
  const answers = await Promise.all(batches.map((batch) => send(service.url, batch)))
  t.same(new Set(answers), new Set([200]))
  t.equal(taken.length, AT_ONCE)
  t.ok(Math.max(...taken) <= 4 * 6_000, `${Math.max(...taken)} bytes at once`)
  t.ok(Math.max(...taken) > 6_000, 'several at once')
  t.match(await service.settled(1), { state: 'delivered' })
  t.same(lies(batches, [facebook]), [])
})

test('a caller that hangs up leaves the line', async (t) => {
  const service = await startService(t, { env: SMALL_ROOM })
  const { uploadBudget } = service.app
  const open = [1, 2, 3, 4].map((sessionId) => openUpload(service.url, sessionId))
  while (uploadBudget.takenBytes < 4 * 90_000) await setImmediate()
  const socket = connect(Number(new URL(service.url).port), '127.0.0.1')
  socket.write(uploadHead(90_000))
  while (uploadBudget.waiting < 1) await setImmediate()
  socket.resetAndDestroy()
  while (uploadBudget.waiting > 0) await setImmediate()
  for (const finish of open) t.match(await finish(), /^HTTP\/1.1 200 OK\r\n/)
  t.equal(uploadBudget.takenBytes, 0)
  t.notOk(service.lines().some(({ level }) => Number(level) >= 50))
})

test('where the line is full uploads are refused', async (t) => {
  const service = await startService(t, { env: SMALL_ROOM })
  const { uploadBudget } = service.app
  const sockets = Array.from({ length: 4 + 256 }, () => {
    const socket = connect(Number(new URL(service.url).port), '127.0.0.1')
    socket.write(uploadHead(90_000))
    return socket
  })
  while (uploadBudget.waiting < 256) await setImmediate()
  // Too large for what is left, so that it would have to wait.
  const users = [{ email: 'jane@example.com', comment: 'x'.repeat(80_000) }]
  const refused = await service.post(form({ users }))
  t.equal(refused.status, 503)
  t.same(refused.body, BUSY)
  t.equal(refused.headers.get('retry-after'), '10')
  t.equal(refused.headers.get('x-error-code'), 'AUD_OVERLOADED')
  for (const socket of sockets) socket.resetAndDestroy()
  while (uploadBudget.waiting > 0 || uploadBudget.takenBytes > 0) await setImmediate()
  t.equal((await service.post(form({ users }))).status, 200)
})

test('nobody waits for room for ever, and who leaves makes way for those behind', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(uploadBudgetPlugin, { maxBodyBytes: 1_000, maxWaitMs: 1 })
  const { uploadBudget } = app
  const { signal } = new AbortController()
  const first = await uploadBudget.reserve(3_500, signal)
  const caller = new AbortController()
  const large = uploadBudget.reserve(1_000, caller.signal)
  const small = uploadBudget.reserve(500, signal)
  caller.abort()
  await t.rejects(large, { code: 'AUD_MALFORMED_BODY' })
  const second = await small
  t.equal(uploadBudget.takenBytes, 4_000)
  await t.rejects(uploadBudget.reserve(1, signal), { code: 'AUD_OVERLOADED' })
  first.release()
  second.release()
  t.same([uploadBudget.takenBytes, uploadBudget.waiting], [0, 0])
  await t.rejects(uploadBudget.reserve(1, caller.signal), { code: 'AUD_MALFORMED_BODY' })
})

test('while it closes, the service sends those who wait for room elsewhere', async (t) => {
  const { app, url } = await startService(t, { env: SMALL_ROOM })
  const open = [1, 2, 3, 4].map((sessionId) => openUpload(url, sessionId))
  while (app.uploadBudget.takenBytes < 4 * 90_000) await setImmediate()
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.write(uploadHead(90_000))
  while (app.uploadBudget.waiting < 1) await setImmediate()
  const closed = app.close()
  const answer = await read(socket)
  t.match(answer, /^HTTP\/1.1 503 Service Unavailable\r\n[^]*\r\nretry-after: 10\r\n/)
  t.match(answer, '"The service is shutting down. Please send the request again."')
  for (const finish of open)
    t.match(await finish(), /^HTTP\/1.1 200 OK\r\n/, 'what is read goes on')
  await closed
})

test('what a thread took with it when it ended can be sent again', async (t) => {
  const facebook = await facebookSandbox(t)
  let deaths = 1
  const service = await startService(t, {
    sandboxes: [facebook],
    workers: (real) => ({
      ...real,
      async read(task) {
        if (deaths === 0) return real.read(task)
        deaths -= 1
        structuredClone(task.users.buffer, { transfer: [task.users.buffer as ArrayBuffer] })
        throw new Error('the thread ended')
      }
    })
  })
  const batch = newBatch({ name: 'All', sessionId: 1, sequence: 1, totalBatches: 1 })
  const own = { ...batch, channels: ['facebook'] }
  t.same([await send(service.url, own), await send(service.url, own)], [500, 200])
  t.match(await service.settled(1), { state: 'delivered' })
  t.same(lies([own], [facebook]), [])
  t.equal(service.app.uploadBudget.takenBytes, 0)
})

test('uploads are refused while too many deliveries wait, and nothing else is', async (t) => {
  const facebook = await facebookSandbox(t)
  const service = await startService(t, {
    sandboxes: [facebook],
    env: { AUDIENCE_MAX_BACKLOG: '1', AUDIENCE_RETRY_HOURS: '0' },
    clock: systemClock
  })
  const waiting = async (deliveries: number) => {
    while (service.app.storeWatch.backlog()?.deliveries !== deliveries) await setImmediate()
  }
  const upload = (sessionId: number) => service.post(form({ batch: { ...BATCH, sessionId } }))
  facebook.failNext({ times: 1, hang: true })
  t.equal((await upload(1)).status, 200)
  await waiting(1)
  const refused = await upload(2)
  t.equal(refused.status, 503)
  t.same(refused.body, BUSY)
  t.equal((await service.get('/audience/sessions/2')).status, 404, 'it is nowhere')
  for (const path of ['/audience/sessions/1', '/audience/sessions', '/readyz', '/livez']) {
    t.equal((await service.get(path)).status, 200, path)
  }

  await facebook.close()
  t.match(await service.settled(1), {
    state: 'failed',
    destinations: [{ lastError: { code: 'transient' } }]
  })
  await waiting(0)
  t.equal((await upload(2)).status, 200)
})

test('without its store the service is alive but not ready', async (t) => {
  const service = await startService(t)
  await service.app.store.close()
  let ready = await service.get('/readyz')
  while (ready.status === 200) ready = await service.get('/readyz')
  t.same([ready.status, ready.body], [503, { status: 'store unavailable' }])
  t.equal((await service.get('/livez')).status, 200)
  const answers = await Promise.all([service.post(form()), service.get('/audience/sessions/1')])
  for (const answer of answers) {
    t.equal(answer.status, 503)
    t.equal(answer.headers.get('retry-after'), '10')
    t.equal(answer.headers.get('x-error-code'), 'AUD_STORE_UNAVAILABLE')
    t.same(answer.body, {
      success: false,
      errors: [
        'The database cannot be reached or cannot write. Please send the request again later.'
      ]
    })
  }
})

test('a body of unknown length takes room only until it is accepted', async (t) => {
  const service = await startService(t)
  for (let session = 1; session <= 30; session += 1) {
    const batch = JSON.stringify({ ...BATCH, sessionId: session })
    const answer = await postRaw(`${service.url}/audience`, {
      headers: { 'content-type': FORM_TYPE },
      chunks: [part('name', 'a') + part('batch', batch) + part('users', '[{}]') + END]
    })
    t.equal(answer.status, 200)
  }
})

const failingReads = (error: Partial<NodeJS.ErrnoException>) => ({
  workers: (real: Workers): Workers => ({
    ...real,
    async read() {
      throw Object.assign(new Error('x'), error)
    }
  })
})

test('users that could not be read in time may be sent again', async (t) => {
  const service = await startService(t, failingReads({ name: 'AbortError' }))
  const answer = await service.post(form())
  t.equal(answer.status, 503)
  t.same(answer.body, BUSY)
  t.equal(answer.headers.get('retry-after'), '10')
})

test('a list of users that takes too much memory to read ends no process', async (t) => {
  const service = await startService(t, failingReads({ code: 'ERR_WORKER_OUT_OF_MEMORY' }))
  const answer = await service.post(form())
  t.equal(answer.status, 413)
  t.same(answer.body, {
    success: false,
    errors: ['Too large: the field "users" takes more memory to read than there is.']
  })
})

test('an upload that breaks off leaves nothing behind', async (t) => {
  const service = await startService(t, { env: { AUDIENCE_MAX_BODY_BYTES: '100000' } })
  const { port } = new URL(service.url)
  for (let attempt = 0; attempt < 8; attempt += 1) {
    const socket = connect(Number(port), '127.0.0.1')
    await once(socket, 'connect')
    socket.write(
      `POST /audience HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${FORM_TYPE}\r\n` +
        `content-length: 90000\r\n\r\n${part('users', '[{"email":"jane@').slice(0, -2)}`
    )
    socket.resetAndDestroy()
    await once(socket, 'close')
  }
  const answer = await postRaw(`${service.url}/audience`, {
    headers: { 'content-type': FORM_TYPE, 'content-length': '90000' },
    chunks: [
      part('name', 'a') + part('batch', JSON.stringify(BATCH)) + part('users', '[{}]') + END
    ].map((text) => text.padEnd(90_000, ' '))
  })
  t.equal(answer.status, 200, 'all the room is free again')
  t.notOk(
    service.lines().some(({ level }) => Number(level) >= 50),
    'and nothing is an error of ours'
  )
})

test('an upload that takes too long is answered and cut', async (t) => {
  const service = await startService(t, { uploadDeadlineMs: 200 })
  const socket = connect(Number(new URL(service.url).port), '127.0.0.1')
  socket.write(
    `POST /audience HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${FORM_TYPE}\r\n` +
      `content-length: 90000\r\n\r\n${part('name', 'a')}`
  )
  t.match(await read(socket), /^HTTP\/1.1 408 Request Timeout\r\n[^]*"The upload took too long\."/)
})

test('what is no HTTP gets the envelope too', async (t) => {
  const service = await startService(t)
  const answers: [string, RegExp][] = [
    ['jane@example.com\r\n\r\n', /^HTTP\/1.1 400 Bad Request\r\n[^]*It is no HTTP request/],
    [
      `POST /audience HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${FORM_TYPE}\r\ncontent-length: 99\r\n\r\nx`,
      /^HTTP\/1.1 400 Bad Request\r\ncontent-type: text\/plain[^]*Malformed request body, must be form data \(the request ended too early\)/
    ],
    [
      `GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`,
      /^HTTP\/1.1 413 Payload Too Large\r\n[^]*the headers of the request/
    ]
  ]
  for (const [bytes, expected] of answers) {
    const socket = connect(Number(new URL(service.url).port), '127.0.0.1')
    socket.end(bytes)
    t.match(await read(socket), expected)
  }
})

async function read(socket: AsyncIterable<Buffer>): Promise<string> {
  let text = ''
  for await (const chunk of socket) text += chunk.toString()
  return text
}

test('while it closes, the service finishes what it is reading and takes nothing new', async (t) => {
  const { app, url } = await startService(t)
  const body =
    part('name', 'a') + part('batch', JSON.stringify(BATCH)) + part('users', '[{}]') + END
  const head =
    `POST /audience HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${FORM_TYPE}\r\n` +
    `content-length: ${body.length}\r\n\r\n`
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.write(head)
  await once(app.server, 'request')
  const closed = app.close()
  while (app.server.listening) await setImmediate()
  socket.write(body + head + body)
  const answers = await read(socket)
  t.match(answers, /^HTTP\/1.1 200 OK\r\n[^]*{"success":true}HTTP\/1.1 503 Service Unavailable\r\n/)
  t.match(answers, /\r\nretry-after: 10\r\n/)
  t.match(answers, /HTTP\/1.1 503[^]*\r\nConnection: close\r\n/)
  t.match(answers, '"The service is shutting down. Please send the request again."')
  await closed
})

test('a request that never ends does not keep the service from closing', async (t) => {
  const { app, url } = await startService(t)
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.write(
    `POST /audience HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${FORM_TYPE}\r\n` +
      `content-length: 90000\r\n\r\n${part('name', 'a')}`
  )
  await once(app.server, 'request')
  socket.on('error', () => undefined)
  const cut = once(socket, 'close')
  await app.close()
  await cut
  t.pass('its connection was cut')
})
