import { test, type Test } from 'tap'
import { providers } from '../../providers/registry.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import { systemClock } from '../../src/dispatch/clock.ts'
import { instantClock } from '../support/clock.ts'
import { LONG_ONLY } from '../support/long.ts'
import { eventually } from '../support/processes.ts'
import { BATCH, form, startService } from '../support/service.ts'

async function sandbox(t: Test, name: string): Promise<Sandbox> {
  const started = await providers.find((provider) => provider.name === name)!.sandbox()
  t.teardown(() => started.close())
  return started
}

const sandboxes = (t: Test) =>
  Promise.all(['facebook', 'tiktok', 'klaviyo'].map((n) => sandbox(t, n)))

const batch = (sequence: number, totalBatches = sequence) => ({ ...BATCH, sequence, totalBatches })
const person = (n: number) => ({ email: `person${n}@example.com` })

/** Calls that a sandbox got for one operation, e.g. `POST /users`. */
const calls = ({ requests }: Sandbox, method: string, path: string) =>
  requests.filter((request) => request.method === method && request.path.includes(path))

interface Segment {
  readonly name: string
  readonly members: readonly unknown[]
}
const segments = (held: Sandbox) => (held.state() as { segments: readonly Segment[] }).segments

test('a synchronous caller hears that every platform took everything', async (t) => {
  const all = await sandboxes(t)
  const service = await startService(t, { sandboxes: all })
  const answer = await service.post(form(), '?sync=true')
  t.equal(answer.status, 200)
  t.equal(answer.text, '{"success":true}')
  for (const held of all) t.equal(segments(held)[0]?.members.length, 1, held.name)
})

test('a synchronous caller hears which platform refused and why, at once', async (t) => {
  const all = await sandboxes(t)
  const service = await startService(t, { sandboxes: all })
  all[0]!.failNext({ times: 1, error: 'expired_token' })
  const answer = await service.post(form(), '?sync=true')
  t.equal(answer.status, 400)
  t.match(answer.body, {
    success: false,
    errors: [/^facebook\/default: .*token.* \(190\/463\); retried until /]
  })
  t.equal((answer.body as { errors: string[] }).errors.length, 1)
  t.equal(segments(all[2]!)[0]?.members.length, 1, 'the others were delivered')
})

test('after three failed attempts the caller is told, and the work goes on', async (t) => {
  const klaviyo = await sandbox(t, 'klaviyo')
  const clock = instantClock()
  const service = await startService(t, { sandboxes: [klaviyo], clock })
  klaviyo.failNext({ times: 4, answer: { status: 503, body: {} } })
  const before = clock.now()
  const answer = await service.post(form(), '?sync=true')
  t.equal(answer.status, 400)
  const [error = ''] = (answer.body as { errors: string[] }).errors
  t.match(error, /^klaviyo\/default: .*; retried until \d{4}-\d\d-\d\dT[\d:.]+Z$/)
  const until = Date.parse(error.slice(error.lastIndexOf(' ') + 1))
  t.ok(
    until >= before + 24 * 3_600_000 - 1000 && until < before + 25 * 3_600_000,
    'within 24 hours'
  )
  const status = await service.settled(BATCH.sessionId)
  t.match(status, { state: 'delivered', destinations: [{ attempts: 5, lastError: null }] })
})

test('a platform that does not answer leaves the caller with what is pending', async (t) => {
  const [facebook, tiktok] = await sandboxes(t)
  const service = await startService(t, {
    sandboxes: [facebook!, tiktok!],
    env: { AUDIENCE_SYNC_TIMEOUT_MS: '300' },
    clock: systemClock
  })
  tiktok!.failNext({ times: 1, hang: true })
  await service.post(form())
  await eventually(() => segments(facebook!)[0]?.members.length || undefined)
  // The same upload again hears what became of it so far.
  const answer = await service.post(form(), '?sync=true')
  t.equal(answer.status, 202)
  t.same(answer.body, { success: true, pending: ['tiktok/default'] })
  t.equal(answer.headers.get('location'), '/audience/sessions/1708531200')
  t.equal(segments(facebook!)[0]?.members.length, 1, 'the other platform was not held up')
})

test('what failed and is still failing at the time limit is told as failed', async (t) => {
  const facebook = await sandbox(t, 'facebook')
  const service = await startService(t, {
    sandboxes: [facebook],
    env: { AUDIENCE_SYNC_TIMEOUT_MS: '300' },
    clock: systemClock
  })
  facebook.failNext({ times: 9, answer: { status: 500, body: 'oops' } })
  const answer = await service.post(form(), '?sync=true')
  t.equal(answer.status, 400)
  t.match(answer.body, { errors: [/^facebook\/default: .*; retried until /] })
})

test('an upload without one usable user fails saying so and creates nothing', async (t) => {
  const all = await sandboxes(t)
  const service = await startService(t, { sandboxes: all })
  const users = [{ email: 'n/a' }, { phone: 'call me' }]
  const answer = await service.post(form({ users }), '?sync=true')
  t.equal(answer.status, 400)
  t.same(answer.body, {
    success: false,
    errors: [
      'facebook/default: no usable user (no_identifier: 2)',
      'tiktok/default: no usable user (no_identifier: 2)',
      'klaviyo/default: no usable user (no_identifier: 2)'
    ]
  })
  for (const held of all) t.same(segments(held), [], held.name)
})

test('100 batches of a new audience at once make one segment per account', async (t) => {
  const [facebook, tiktok, klaviyo] = await sandboxes(t)
  const service = await startService(t, { sandboxes: [facebook!, tiktok!, klaviyo!] })
  const posts = Array.from({ length: 100 }, (_, i) =>
    service.post(
      form({ batch: batch(i + 1, 100), users: [person(i)] }),
      // The other two take ten calls a second, for which a test need not wait.
      i < 8 ? '' : '?channels=facebook'
    )
  )
  for (const answer of await Promise.all(posts)) t.equal(answer.status, 200)
  const status = await service.settled(BATCH.sessionId)
  t.match(status, { state: 'delivered', batches: { missing: [] }, users: { received: 100 } })
  const held = [facebook!, tiktok!, klaviyo!].map((one) =>
    segments(one).map(({ members }) => members.length)
  )
  t.same(held, [[100], [8], [8]])
  t.equal(calls(facebook!, 'POST', '/customaudiences').length, 1)
  t.equal(calls(tiktok!, 'POST', '/segment/audience/').length, 1)
  t.equal(calls(klaviyo!, 'POST', '/api/lists').length, 1)
})

test('a lost answer to a create is looked for before it is created again', async (t) => {
  const all = await sandboxes(t)
  const service = await startService(t, { sandboxes: all })
  all[0]!.failNext({ times: 1, method: 'POST', path: '/customaudiences', resetAfter: true })
  all[1]!.failNext({ times: 1, method: 'POST', path: '/segment/audience', resetAfter: true })
  all[2]!.failNext({ times: 1, method: 'POST', path: '/api/lists', resetAfter: true })
  t.equal((await service.post(form(), '?sync=true')).status, 200)
  for (const held of all) {
    t.equal(segments(held).length, 1, held.name)
    t.equal(segments(held)[0]?.members.length, 1, held.name)
  }
})

test('a retry goes on behind the last body that was acknowledged', async (t) => {
  const tiktok = await sandbox(t, 'tiktok')
  const service = await startService(t, { sandboxes: [tiktok] })
  const users = Array.from({ length: 2_500 }, (_, n) => person(n))
  const mappings = () => calls(tiktok, 'POST', '/segment/mapping/').length
  // The second of three bodies fails twice.
  const sending = service.post(form({ users, batch: batch(2) }), '?sync=true')
  await seen(tiktok, '/segment/mapping/')
  t.equal((await sending).status, 200)
  t.equal(mappings(), 3)
  tiktok.failNext({ times: 2, path: '/segment/mapping/', answer: { status: 502, body: '' } })
  t.equal((await service.post(form({ users, batch: batch(3) }), '?sync=true')).status, 200)
  t.equal(mappings(), 3 + 2 + 3)
  t.equal(segments(tiktok)[0]?.members.length, 2_500, 'nobody is there twice')
})

async function seen({ requests }: Sandbox, path: string): Promise<void> {
  while (!requests.some((request) => request.path.includes(path))) {
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test('a failing platform is left alone longer and longer, the others go on', async (t) => {
  const all = await sandboxes(t)
  const clock = instantClock()
  const service = await startService(t, {
    sandboxes: all,
    clock,
    env: { AUDIENCE_RETRY_HOURS: '1' }
  })
  all[0]!.failNext({ times: 1_000, answer: { status: 500, body: '<html>' } })
  const answer = await service.post(form(), '?sync=true')
  t.equal(answer.status, 400)
  const status = await service.settled(BATCH.sessionId)
  t.match(status, {
    state: 'failed',
    destinations: [
      { provider: 'facebook', state: 'failed', lastError: { code: 'transient' } },
      { provider: 'tiktok', state: 'delivered' },
      { provider: 'klaviyo', state: 'delivered' }
    ]
  })
  const waits = clock.waits.filter((wait) => wait > 120_000)
  t.ok(waits.length > 5 && waits.every((wait) => wait <= 300_000), 'up to five minutes')
  t.ok(
    clock.waits.some((wait) => wait >= 500 && wait <= 1_000),
    'from one second'
  )
})

test('a rate-limited account waits as long as its platform says', async (t) => {
  const klaviyo = await sandbox(t, 'klaviyo')
  const clock = instantClock()
  const service = await startService(t, { sandboxes: [klaviyo], clock })
  klaviyo.failNext({
    times: 1,
    answer: { status: 429, headers: { 'retry-after': '77' }, body: { errors: [] } }
  })
  t.equal((await service.post(form(), '?sync=true')).status, 200)
  t.ok(clock.waits.some((wait) => wait >= 76_000 && wait <= 77_000))
})

test('a hanging platform does not delay another, nor another account of its own', async (t) => {
  const [facebook, tiktok] = await sandboxes(t)
  const second = await sandbox(t, 'facebook')
  const service = await startService(t, {
    tags: {
      'facebook/hanging': { ...facebook!.variables, adAccountId: '4242' },
      'facebook/fine': second.variables,
      'tiktok/fine': tiktok!.variables
    },
    clock: systemClock
  })
  facebook!.failNext({ times: 1_000, hang: true })
  for (let session = 1; session <= 80; session += 1) {
    await service.post(
      form({ name: `Audience ${session}`, batch: { ...BATCH, sessionId: session } }),
      '?channels=facebook/hanging'
    )
  }
  const answer = await service.post(form(), '?sync=true&channels=facebook/fine,tiktok')
  t.same(answer.body, { success: true })
})

test('a segment that is gone is found or created anew, once', async (t) => {
  const [facebook, , klaviyo] = await sandboxes(t)
  const service = await startService(t, { sandboxes: [facebook!, klaviyo!] })
  // Found, not created: what this process just made may only be not visible yet.
  t.equal((await service.post(form(), '?sync=true')).status, 200)
  const again = await startService(t, { sandboxes: [facebook!, klaviyo!] })
  t.equal((await again.post(form(), '?sync=true')).status, 200)
  facebook!.failNext({ times: 1, path: '/users', error: 'audience_missing' })
  t.equal((await again.post(form({ batch: batch(2) }), '?sync=true')).status, 200)
  t.equal(segments(facebook!).length, 1)
  facebook!.failNext({ times: 2, path: '/users', error: 'audience_missing' })
  const answer = await again.post(form({ batch: batch(3) }), '?sync=true')
  t.equal(answer.status, 400)
})

test('a new segment that its platform does not show yet is waited for, not made twice', async (t) => {
  const facebook = await sandbox(t, 'facebook')
  const service = await startService(t, { sandboxes: [facebook] })
  facebook.failNext({ times: 2, path: '/users', error: 'audience_missing' })
  t.equal((await service.post(form(), '?sync=true')).status, 200)
  t.equal(segments(facebook).length, 1)
  t.equal(calls(facebook, 'POST', '/customaudiences').length, 1)
})

test('deliveries to one segment arrive in the order of acceptance, whatever fails', async (t) => {
  const facebook = await sandbox(t, 'facebook')
  const service = await startService(t, { sandboxes: [facebook] })
  facebook.failNext({ times: 3, path: '/users', answer: { status: 500, body: '' } })
  for (const n of [1, 2, 3]) {
    t.equal((await service.post(form({ batch: batch(n, 3), users: [person(n)] }))).status, 200)
  }
  await service.settled(BATCH.sessionId)
  const [segment] = segments(facebook)
  const { hash } = await import('node:crypto')
  t.match(
    segment?.members,
    [1, 2, 3].map((n) => ({ EMAIL: hash('sha256', `person${n}@example.com`) }))
  )
})

test('closing refuses new uploads and tells waiting callers what is pending', async (t) => {
  const facebook = await sandbox(t, 'facebook')
  const service = await startService(t, { sandboxes: [facebook], clock: systemClock })
  facebook.failNext({ times: 1, hang: true })
  const waiting = service.post(form(), '?sync=true')
  await seen(facebook, '/customaudiences')
  const closed = service.app.close()
  const answer = await waiting
  t.equal(answer.status, 202)
  t.same(answer.body, { success: true, pending: ['facebook/default'] })
  await closed
  t.ok(
    service.lines().some(({ deliveries }) => deliveries === 1),
    'what was lost is in the log'
  )
  await t.rejects(service.post(form()), 'nobody listens any more')
})

test('an account never has more calls under way than its platform allows', async (t) => {
  const facebook = await sandbox(t, 'facebook')
  const service = await startService(t, { sandboxes: [facebook] })
  facebook.configure({ delayMs: 50 })
  const uploads = Array.from({ length: 20 }, (_, n) =>
    service.post(form({ name: `Audience ${n}`, batch: { ...BATCH, sessionId: n } }), '?sync=true')
  )
  for (const { status } of await Promise.all(uploads)) t.equal(status, 200)
  t.equal(facebook.mostAtOnce(), 4)
})

test('an account never gets more calls in a second than its platform allows', async (t) => {
  const klaviyo = await sandbox(t, 'klaviyo')
  const service = await startService(t, { sandboxes: [klaviyo], clock: systemClock })
  // Ten in a second are allowed; on their way two calls may come a little closer to each other.
  // Ten in a second are allowed; on their way through a busy machine they come closer to each other.
  klaviyo.configure({ rate: { requests: 10, perMs: 700 } })
  const uploads = Array.from({ length: 8 }, (_, n) =>
    service.post(form({ name: `Audience ${n}`, batch: { ...BATCH, sessionId: n } }), '?sync=true')
  )
  for (const { status } of await Promise.all(uploads)) t.equal(status, 200)
  const statuses = service.lines().flatMap((line) => line['http.response.status_code'] ?? [])
  t.ok(klaviyo.requests.length > 20)
  t.notOk(statuses.includes(429))
})

test('a worker thread that dies is no end to an upload', async (t) => {
  const facebook = await sandbox(t, 'facebook')
  let deaths = 0
  const service = await startService(t, {
    sandboxes: [facebook],
    workers: (real) => ({
      ...real,
      encode(task) {
        deaths += 1
        return deaths === 3 ? real.encode(task) : Promise.reject(new Error('it died'))
      }
    })
  })
  t.equal((await service.post(form())).status, 200)
  t.match(await service.settled(BATCH.sessionId), {
    state: 'delivered',
    destinations: [{ attempts: 3, lastError: null }]
  })
  deaths = 3
  const other = form({ batch: { ...BATCH, sessionId: 2 } })
  t.equal((await service.post(other)).status, 200)
  t.match(await service.settled(2), {
    state: 'failed',
    destinations: [{ attempts: 3, lastError: { code: 'internal', message: 'internal error' } }]
  })
})

test('a platform may work on what it took, however short the time for retries is', async (t) => {
  const klaviyo = await sandbox(t, 'klaviyo')
  const service = await startService(t, {
    sandboxes: [klaviyo],
    env: { AUDIENCE_RETRY_HOURS: '0' }
  })
  t.equal((await service.post(form(), '?sync=true')).status, 200)
  t.match(await service.settled(BATCH.sessionId), { state: 'delivered' })
})

test('a platform that asks for days is asked again within the hour', async (t) => {
  const klaviyo = await sandbox(t, 'klaviyo')
  const clock = instantClock()
  const service = await startService(t, { sandboxes: [klaviyo], clock })
  klaviyo.failNext({
    times: 1,
    answer: { status: 429, headers: { 'retry-after': '200000' }, body: { errors: [] } }
  })
  const before = clock.now()
  await service.post(form(), '?sync=true')
  t.equal((await service.post(form({ batch: batch(2) }), '?sync=true')).status, 200)
  t.ok(clock.now() - before < 25 * 3_600_000)
  t.ok(clock.waits.every((wait) => wait <= 24 * 3_600_000))
})

test('one name is one segment, whatever the type where a platform knows only one', async (t) => {
  const klaviyo = await sandbox(t, 'klaviyo')
  const service = await startService(t, { sandboxes: [klaviyo] })
  t.equal((await service.post(form(), '?sync=true')).status, 200)
  const lists = () => calls(klaviyo, 'GET', '/api/lists').length
  const before = lists()
  t.equal((await service.post(form({ type: 'primary' }), '?sync=true')).status, 200)
  t.equal(segments(klaviyo).length, 1)
  t.equal(lists(), before, 'it is remembered')
})

// A check takes ten seconds at most.
test('a check of a platform that does not answer ends', LONG_ONLY, async (t) => {
  const facebook = await sandbox(t, 'facebook')
  facebook.failNext({ times: 1, hang: true })
  const service = await startService(t, { sandboxes: [facebook] })
  t.match((await service.get('/providers?check=true')).body, {
    providers: [
      {
        check: {
          ok: false,
          problems: [{ code: 'transient', message: 'no answer in time, or the account is paused' }]
        }
      }
    ]
  })
})
