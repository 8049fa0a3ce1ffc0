import { once } from 'node:events'
import { connect } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { providers } from '../../providers/registry.ts'
import { systemClock } from '../../src/dispatch/clock.ts'
import type { Workers } from '../../src/dispatch/workers.ts'
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

/** An upload of 90,000 bytes whose end is still to come. */
function openUpload(url: string, sessionId: number) {
  const body =
    part('name', 'a') +
    part('batch', JSON.stringify({ ...BATCH, sessionId })) +
    part('users', '[{}]')
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.write(
    `POST /audience HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n` +
      `content-type: ${FORM_TYPE}\r\ncontent-length: 90000\r\n\r\n${body}`
  )
  return async () => {
    socket.write(END.padEnd(90_000 - body.length, ' '))
    return read(socket)
  }
}

test('uploads beyond the room in memory are refused until others are read', async (t) => {
  const service = await startService(t, { env: { AUDIENCE_MAX_BODY_BYTES: '100000' } })
  const users = [{ email: 'jane@example.com', comment: 'x'.repeat(80_000) }]
  const upload = () => service.post(form({ users, batch: { ...BATCH, sessionId: 5 } }))
  const open = [1, 2, 3, 4].map((sessionId) => openUpload(service.url, sessionId))
  for (let coming = open.length; coming > 0; coming -= 1) await once(service.app.server, 'request')
  const refused = await upload()
  t.equal(refused.status, 503)
  t.same(refused.body, BUSY)
  t.equal(refused.headers.get('retry-after'), '10')
  t.equal(refused.headers.get('x-error-code'), 'AUD_OVERLOADED')
  t.equal((await service.get('/audience/sessions/5')).status, 404, 'it is nowhere')
  for (const finish of open) t.match(await finish(), /^HTTP\/1.1 200 OK\r\n/)
  t.equal((await upload()).status, 200)
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
