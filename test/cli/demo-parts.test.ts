import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type Test } from 'tap'
import { postBatch } from '../../src/cli/audience-client.ts'
import { type Outcome, problemsOf, tableOf } from '../../src/cli/demo-report.ts'

const DELIVERED: Outcome = {
  status: {
    provider: 'klaviyo',
    tag: 'demo',
    segment: 'blotout_VIP',
    state: 'delivered',
    users: { sent: 1900, received: 1899, invalid: 1, leftOut: 100 },
    leftOutBy: { no_identifier: 60, duplicate: 40, profile_too_large: 0 },
    lastError: null
  },
  held: 1899
}

const changed = (status: Partial<Outcome['status']>, held = DELIVERED.held): Outcome => ({
  status: { ...DELIVERED.status, ...status },
  held
})

test('the demo is content only if every user is accounted for at every platform', async (t) => {
  t.same(problemsOf([DELIVERED], 2000), [])
  const wrong = [
    changed({ state: 'failed', lastError: { message: 'the token is expired' } }),
    changed({ state: 'retrying' }),
    changed({ users: { sent: 1900, received: 1900, invalid: 0, leftOut: 98 } }),
    changed({}, 0),
    changed({}, 1901)
  ]
  t.same(problemsOf(wrong, 2000), [
    'klaviyo/demo is failed: the token is expired',
    'klaviyo/demo is retrying',
    'klaviyo/demo: 2 users were neither sent nor left out',
    'klaviyo/demo holds 0 of 1,900 users',
    'klaviyo/demo holds 1,901 of 1,900 users'
  ])
})

test('the table aligns numbers and gives every reason for users left out', async (t) => {
  t.same(tableOf([DELIVERED]), [
    'Platform  Tag   Segment       Sent  Received  Invalid   Held  Left out  Why',
    'klaviyo   demo  blotout_VIP  1,900     1,899        1  1,899       100  60 no identifier, 40 duplicate'
  ])
})

const UPLOAD = {
  audience: 'VIP',
  batch: { sessionId: 1, sequence: 1, totalBatches: 1, totalUsers: 1 },
  users: [{ email: 'jane@example.com' }]
}

/** A service that gives these answers, one after the other. */
async function serve(t: Test, answers: [status: number, headers: Record<string, string>][]) {
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      const [status, headers] = answers.shift() ?? [500, {}]
      response.writeHead(status, headers).end('told why')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('an upload is repeated while the service is busy, and no other answer is', async (t) => {
  const busy = await serve(t, [
    [503, { 'retry-after': '0' }],
    [503, { 'retry-after': '0' }],
    [200, { location: '/audience/sessions/1' }]
  ])
  t.equal((await postBatch(busy, UPLOAD)).href, `${busy}/audience/sessions/1`)

  const refusing = await serve(t, [[400, {}]])
  await t.rejects(postBatch(refusing, UPLOAD), { message: 'the service answered 400: told why' })
})
