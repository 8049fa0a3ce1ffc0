import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Test, test } from 'tap'
import { followEvents } from '../../src/console/events.ts'

async function serve(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  t.teardown(() => server.closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`
}

test('a stream that breaks off is taken up behind the last event that was seen', async (t) => {
  const seen: (string | string[] | undefined)[] = []
  const url = await serve(t, ({ headers }, response) => {
    seen.push(headers['last-event-id'])
    t.equal(headers['authorization'], 'Bearer key')
    if (seen.length === 2) return response.writeHead(503).end()
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('retry: 1\n\n')
    response.write(': heartbeat\n\nid: 16\nevent: delivery\ndata: {}\n\n')
    response.write(`id: ${seen.length}7\nevent: session\ndata: {}\n\n`)
    if (seen.length === 1) response.end()
  })
  const stop = new AbortController()
  let news = 0
  await followEvents(
    url,
    () => ({ authorization: 'Bearer key' }),
    () => {
      news += 1
      if (news === 2) stop.abort()
    },
    stop.signal
  )
  t.same(seen, [undefined, '17', '17'])
})

test('a stream that is refused is not asked for again', async (t) => {
  let calls = 0
  const url = await serve(t, (_request, response) => {
    calls += 1
    response.writeHead(404).end()
  })
  await followEvents(
    url,
    () => ({}),
    () => t.fail('nothing happened'),
    new AbortController().signal
  )
  t.equal(calls, 1)
})
