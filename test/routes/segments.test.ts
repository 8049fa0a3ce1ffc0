import { hash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { providers } from '../../providers/registry.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import { steppedClock } from '../support/clock.ts'
import { emailsAt, segmentsOf } from '../support/ledger.ts'
import { BATCH, form, type Service, startService, temporaryFolder } from '../support/service.ts'

async function sandbox(t: Test, name: string): Promise<Sandbox> {
  const started = await providers.find((provider) => provider.name === name)!.sandbox()
  t.teardown(() => started.close())
  return started
}

const sha256 = (text: string) => hash('sha256', text)
const failing = (error: string) => ({ failing: { share: 1, faults: [{ error }], seed: 1 } })
const WORKING = { failing: null }

const NAME = 'blotout_High_Value_Customers'
const FACEBOOK = `provider=facebook&tag=default&name=${NAME}`

const upload = (sessionId: number, ...emails: readonly string[]) =>
  form({ batch: { ...BATCH, sessionId }, users: emails.map((email) => ({ email })) })

/** E-mail addresses that Facebook holds, by segment, as their SHA-256. */
const heldBy = (facebook: Sandbox) =>
  (facebook.state() as { segments: { name: string; members: { EMAIL: string }[] }[] }).segments.map(
    ({ name, members }) => [name, members.map(({ EMAIL }) => EMAIL).toSorted()]
  )

const hashes = (...emails: readonly string[]) => emails.map(sha256).toSorted()

interface Status {
  readonly state: string
  readonly warnings: readonly string[]
  readonly destinations: readonly Record<string, unknown>[]
}

/** Waits until the session's only destination is in this state. */
async function reaches(service: Service, sessionId: number, state: string): Promise<Status> {
  for (;;) {
    const { body } = await service.get(`/audience/sessions/${sessionId}`)
    const status = body as Status
    if (status.destinations[0]?.['state'] === state) return status
    await pause(5)
  }
}

const sessionOf = ({ headers }: { headers: Headers }) =>
  Number(headers.get('location')?.split('/').at(-1))

test('users are added and removed in the order of acceptance, whatever fails', async (t) => {
  const facebook = await sandbox(t, 'facebook')
  const service = await startService(t, { sandboxes: [facebook] })
  t.equal((await service.post(upload(1, 'ana@example.com'), '?sync=true')).status, 200)
  facebook.failNext({ times: 3, path: '/users', answer: { status: 500, body: '' } })
  await service.post(upload(2, 'ben@example.com', 'eve@example.com'))
  await service.post(upload(3, 'ana@example.com', 'eve@example.com'), '?mode=remove')
  await service.post(upload(4, 'eve@example.com'), '?mode=add')
  await service.settled(4)
  t.same(heldBy(facebook), [[NAME, hashes('ben@example.com', 'eve@example.com')]])
  t.match(await service.settled(3), {
    state: 'delivered',
    users: { received: 2 },
    destinations: [{ segment: NAME, mode: 'remove', users: { sent: 2, received: 2 } }]
  })
  t.match(await service.settled(4), { destinations: [{ segment: NAME, mode: 'add' }] })
})

test('whoever is removed is removed everywhere, and a deletion is one everywhere', async (t) => {
  const all = await Promise.all(['facebook', 'tiktok', 'klaviyo'].map((name) => sandbox(t, name)))
  const service = await startService(t, { sandboxes: all })
  const emails = (held: Sandbox) => [...emailsAt(held, 'High Value Customers')].toSorted()
  // Klaviyo is still importing when the removal comes.
  await service.post(upload(1, 'ana@example.com', 'ben@example.com'))
  await service.post(upload(2, 'ana@example.com', 'nobody@example.com'), '?mode=remove')
  t.match(await service.settled(1), { state: 'delivered' })
  t.match(await service.settled(2), { state: 'delivered' })
  for (const held of all) t.same(emails(held), hashes('ben@example.com'), held.name)
  const klaviyo = all[2]!.requests.map(({ method, path }) => `${method} ${path.split('/')[2]}`)
  t.ok(klaviyo.lastIndexOf('GET profile-bulk-import-jobs') < klaviyo.indexOf('DELETE lists'))
  for (const { name } of all) {
    const place = `provider=${name}&tag=default&name=${NAME}`
    t.equal((await service.delete(`/audience/segments?${place}&sync=true`)).status, 200, name)
  }
  t.same(
    all.map((held) => segmentsOf(held).length),
    [0, 0, 0]
  )
})

test('the same users under one sequence are an addition and a removal', async (t) => {
  const facebook = await sandbox(t, 'facebook')
  const service = await startService(t, { sandboxes: [facebook] })
  await service.post(upload(1, 'ana@example.com'))
  const removal = await service.post(upload(1, 'ana@example.com'), '?mode=remove&sync=true')
  t.equal(removal.headers.get('x-duplicate'), null)
  t.same(heldBy(facebook), [[NAME, []]])
  t.match(await service.settled(1), {
    warnings: [],
    destinations: [
      { mode: 'add', deliveries: { delivered: 1 } },
      { mode: 'remove', deliveries: { delivered: 1 } }
    ]
  })
})

test('nobody is removed from what is not there, and nothing is created', async (t) => {
  const facebook = await sandbox(t, 'facebook')
  const service = await startService(t, { sandboxes: [facebook] })
  const answer = await service.post(form(), '?mode=remove&sync=true')
  t.equal(answer.text, '{"success":true}')
  t.same(heldBy(facebook), [])
  t.match(await service.settled(BATCH.sessionId), {
    state: 'delivered',
    warnings: ['facebook/default: there is no such segment: nothing to remove'],
    destinations: [{ mode: 'remove', segmentId: null, users: { sent: 0, received: 0 } }]
  })
  t.match((await service.get('/audience/segments')).body, { segments: [], next: null })
})

test('another mode than those is refused', async (t) => {
  const service = await startService(t)
  const [error] = ['The query parameter "mode" must be "add" or "remove".']
  for (const mode of ['delete', 'REMOVE', '']) {
    const answer = await service.post(form(), `?mode=${mode}`)
    t.equal(answer.status, 400)
    t.match(answer.body, {
      errors: [`Payload is corrupted or missing. Please send JSON string. ${error}`]
    })
  }
})

test('segments are listed with what their platforms say, each asked once a minute', async (t) => {
  const [facebook, klaviyo] = [await sandbox(t, 'facebook'), await sandbox(t, 'klaviyo')]
  const folder = temporaryFolder(t)
  const tags = {
    'facebook/eu-shop': facebook.variables,
    'facebook/eu-club': facebook.variables,
    'klaviyo/eu-shop': klaviyo.variables
  }
  const before = Date.now()
  const service = await startService(t, { tags, folder })
  await service.post(form(), '?sync=true')
  await service.post(form({ name: 'Other' }), '?sync=true&channels=facebook')
  facebook.configure({ segments: { '*': { state: 'ready', matched: 1_200 } } })
  klaviyo.failNext({ times: 1, path: '/api/lists', answer: { status: 503, body: {} } })
  const listed = (await service.get('/audience/segments?limit=50')).body as {
    segments: Record<string, unknown>[]
  }
  const calls = facebook.requests.length
  t.match(listed, {
    segments: [
      {
        provider: 'facebook',
        accountId: '1234567890',
        tags: ['eu-shop', 'eu-club'],
        name: NAME,
        segmentId: '238500001',
        createdHere: true,
        createdAt: String,
        managedBy: null,
        status: { state: 'ready', matched: 1_200, message: null, checkedAt: String },
        error: null
      },
      { name: 'blotout_Other', segmentId: '238500002', status: { state: 'ready' } },
      {
        provider: 'klaviyo',
        tags: ['eu-shop'],
        name: NAME,
        createdHere: true,
        status: null,
        error: { code: 'transient', message: String }
      }
    ],
    next: null
  })
  t.ok(Date.parse(String(listed.segments[0]?.['createdAt'])) >= before)
  t.same((await service.get('/audience/segments')).body, listed)
  t.equal(facebook.requests.length, calls, 'what was asked a moment ago is not asked again')
  await service.app.close()

  // By now it has nobody who could ask Facebook, and finds what is there already.
  const later = await startService(t, { tags: { 'klaviyo/eu-shop': klaviyo.variables }, folder })
  const path = '/audience/segments?limit=1'
  const first = (await later.get(path)).body as { next: string }
  t.match(first, {
    segments: [
      { name: NAME, tags: [], status: null, error: { code: 'not_configured', message: String } }
    ]
  })
  const second = (await later.get(`${path}&cursor=${first.next}`)).body
  t.match(second, { segments: [{ name: 'blotout_Other' }], next: String })
  const filter = 'provider=klaviyo&tag=eu-shop&status=false'
  t.match((await later.get(`/audience/segments?${filter}&name=${NAME}`)).body, {
    segments: [{ provider: 'klaviyo', name: NAME, status: null, error: null }]
  })
  t.match((await later.get(`/audience/segments?${filter}&name=x`)).body, { segments: [] })
})

test('a wrong question about segments is told what is wrong', async (t) => {
  const facebook = await sandbox(t, 'facebook')
  const service = await startService(t, { sandboxes: [facebook] })
  const cases: [method: 'get' | 'delete', query: string, problem: string][] = [
    ['get', 'limit=51', 'The query parameter "limit" must be a whole number from 1 to 50.'],
    ['get', 'tag=default', 'The query parameter "tag" needs "provider" beside it.'],
    [
      'get',
      'provider=myspace',
      'The query parameter "provider" names "myspace" that is not configured here.'
    ],
    [
      'get',
      'provider=facebook&tag=eu',
      'The query parameter "tag" names "eu" that is not configured here.'
    ],
    ['get', 'status=no', 'The query parameter "status" must be true, false, 1 or 0.'],
    ['get', 'cursor=x', 'The query parameter "cursor" must be the "next" of the page before.'],
    ['delete', 'provider=facebook&tag=default', 'The query parameter "name" is missing.'],
    ['delete', 'name=x&tag=default', 'The query parameter "provider" is missing.'],
    ['delete', 'name=x&provider=facebook&tag=', 'The query parameter "tag" is missing.'],
    [
      'delete',
      'name=x&provider=jane@example.com&tag=x',
      'The query parameter "provider" names something that is not configured here.'
    ]
  ]
  for (const [method, query, problem] of cases) {
    const answer = await service[method](`/audience/segments?${query}`)
    t.equal(answer.status, 400, query)
    t.same(answer.body, {
      success: false,
      errors: [`Payload is corrupted or missing. Please send JSON string. ${problem}`]
    })
  }
})

test('a deleted segment is gone, is no longer known, and is created anew by an upload', async (t) => {
  const facebook = await sandbox(t, 'facebook')
  const service = await startService(t, { sandboxes: [facebook] })
  const missing = await service.delete(`/audience/segments?${FACEBOOK}`)
  t.equal(missing.headers.get('x-error-code'), 'AUD_SEGMENT_NOT_FOUND')
  t.equal(missing.status, 404)
  await service.post(upload(1, 'ana@example.com'), '?sync=true')
  // Its answer is lost, and by the next attempt there is nothing to delete.
  facebook.failNext({ times: 1, method: 'DELETE', resetAfter: true })
  const answer = await service.delete(`/audience/segments?${FACEBOOK}&sync=true`)
  t.equal(answer.text, '{"success":true}')
  t.same(heldBy(facebook), [])
  t.match((await service.get(`/audience/sessions/${sessionOf(answer)}`)).body, {
    audience: NAME,
    state: 'delivered',
    batches: { received: [1], missing: [], total: 1 },
    users: { received: 0, total: 0 },
    warnings: [],
    destinations: [{ segment: NAME, mode: 'delete', attempts: 2, lastError: null }]
  })
  t.match((await service.get('/audience/segments')).body, { segments: [] })
  t.equal((await service.delete(`/audience/segments?${FACEBOOK}`)).status, 404)

  await service.post(upload(2, 'ben@example.com'), '?sync=true')
  t.same(heldBy(facebook), [[NAME, hashes('ben@example.com')]])
})

test('a segment that the service only found is not deleted', async (t) => {
  const facebook = await sandbox(t, 'facebook')
  const other = await startService(t, { sandboxes: [facebook] })
  await other.post(upload(1, 'ana@example.com'), '?sync=true')
  const service = await startService(t, { sandboxes: [facebook] })
  await service.post(upload(1, 'ben@example.com'), '?sync=true')
  const answer = await service.delete(`/audience/segments?${FACEBOOK}`)
  t.equal(answer.status, 409)
  t.equal(answer.headers.get('x-error-code'), 'AUD_SEGMENT_FOREIGN')
  t.same(answer.body, {
    success: false,
    errors: ['This segment was not created by the service, which therefore does not delete it.']
  })
  t.same(heldBy(facebook), [[NAME, hashes('ana@example.com', 'ben@example.com')]])
  t.match((await service.get('/audience/segments?status=false')).body, {
    segments: [{ createdHere: false, createdAt: null }]
  })
})

test('a deletion cancels at once what waits for its segment, held or not', async (t) => {
  const facebook = await sandbox(t, 'facebook')
  const service = await startService(t, { sandboxes: [facebook], clock: steppedClock() })
  await service.post(upload(1, 'ana@example.com'), '?sync=true')
  facebook.configure(failing('expired_token'))
  t.equal((await service.post(upload(2, 'ben@example.com'), '?sync=true')).status, 400)
  await service.post(upload(3, 'ana@example.com'), '?mode=remove')
  await service.post(form({ name: 'Other', batch: { ...BATCH, sessionId: 4 } }))
  await reaches(service, 2, 'held')
  const calls = facebook.requests.length
  const answer = await service.delete(`/audience/segments?${FACEBOOK}`)
  for (const sessionId of [2, 3]) {
    t.match(await reaches(service, sessionId, 'failed'), {
      destinations: [{ lastError: { code: 'cancelled', message: 'the segment is being deleted' } }]
    })
  }
  t.match(await reaches(service, sessionOf(answer), 'held'), {
    destinations: [{ lastError: { code: 'auth' } }]
  })
  t.equal(facebook.requests.length, calls, 'no platform was asked')
  // Behind the deletion nothing is cancelled.
  await service.post(upload(5, 'eve@example.com'))

  facebook.configure(WORKING)
  await service.app.dispatcher.check(service.app.dispatcher.destinations[0]!)
  for (const sessionId of [sessionOf(answer), 4, 5]) await reaches(service, sessionId, 'delivered')
  t.same(heldBy(facebook), [
    ['blotout_Other', hashes('jane@example.com')],
    [NAME, hashes('eve@example.com')]
  ])
  const retried = await service.app.inject({ method: 'POST', url: '/audience/sessions/2/retry' })
  t.same(retried.json(), { success: true, retried: 0, expired: 0 })
})
