import { setTimeout as pause } from 'node:timers/promises'
import { test, type Test } from 'tap'
import type { Sandbox } from '../../providers/sandbox.ts'
import { byEmail, type Fields, row, sandboxOf, segmentsOf, startSeller } from './support.ts'

const FACEBOOK = { account_id: 'facebook/default' }
const GROUP = { account_id: 'acct_1' }
const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

async function withFacebook(t: Test) {
  const facebook = await sandboxOf(t, 'facebook')
  const service = await startSeller(t, { sandboxes: [facebook] })
  const agent = await service.agent()
  const sync = async (change: Fields) => {
    await agent.sync({ account: FACEBOOK, audiences: [{ audience_id: 'vip', ...change }] })
    await service.delivered()
  }
  const listed = async () => row(await agent.sync({ account: FACEBOOK }))
  return { facebook, service, agent, sync, listed }
}

const members = (count: number) => Array.from({ length: count }, (_, index) => byEmail(`m${index}`))

/** How often the platform was asked how a segment stands. */
const asked = ({ requests }: Sandbox) =>
  requests.filter(({ method, path }) => method === 'GET' && /\/2385\d+$/.test(path)).length

test('an audience is processing until its platform has matched it', async (t) => {
  const { facebook, service, sync, listed } = await withFacebook(t)
  facebook.configure({ segments: { '*': { state: 'processing' } } })
  await sync({ add: members(120) })
  t.match(await listed(), { status: 'processing' })
  await service.later(14 * SECOND_MS)
  t.equal(asked(facebook), 0, 'not at once')
  await service.later(SECOND_MS)
  t.equal(asked(facebook), 1)
  const { matched_count: none, ...processing } = await listed()
  t.equal(none, undefined)
  t.match(processing, { status: 'processing', total_uploaded_count: 120 })

  await service.later(15 * MINUTE_MS - 1)
  t.equal(asked(facebook), 1)
  await service.later(1)
  t.equal(asked(facebook), 2)
  facebook.configure({ segments: { '*': { state: 'ready', matched: 110 } } })
  await service.later(15 * MINUTE_MS)
  t.match(await listed(), { status: 'ready', matched_count: 110 })
  await service.later(6 * HOUR_MS - 1)
  t.equal(asked(facebook), 3, 'seldom, once it is known')

  facebook.configure({ segments: { '*': { state: 'too_small', matched: 60 } } })
  await service.later(1)
  const { matched_count, ...small } = await listed()
  t.equal(matched_count, undefined)
  t.match(small, {
    status: 'too_small',
    minimum_size: 100,
    ext: { audience_api: { destinations: [{ status: 'too_small', matched_count: 60 }] } }
  })

  await sync({ add: [byEmail('one-more')] })
  t.match(await listed(), { status: 'processing', total_uploaded_count: 121 })
  facebook.configure({ segments: null })
  await service.later(15 * SECOND_MS)
  t.match(await listed(), { status: 'ready', matched_count: 121 })
})

test('a platform that takes its time is asked less and less often', async (t) => {
  const { facebook, service, sync } = await withFacebook(t)
  facebook.configure({ segments: { '*': { state: 'processing' } } })
  await sync({ add: members(1) })
  await service.later(15 * SECOND_MS)
  const asks: number[] = []
  for (let hours = 1; hours <= 6; hours += 1) {
    const before = asked(facebook)
    for (let quarter = 0; quarter < 4; quarter += 1) await service.later(15 * MINUTE_MS)
    asks.push(asked(facebook) - before)
  }
  t.same(asks, [4, 2, 2, 1, 1, 1])
})

const ACCOUNT = {
  id: 'acct_1',
  name: 'Veloheim EU',
  brand: { domain: 'veloheim.example', brandId: undefined },
  operator: 'nordlicht.example',
  tags: ['facebook/default', 'tiktok/default'],
  keys: undefined,
  requireConsentBasis: false,
  sandbox: false
}

test('a group stands as the least of its platforms does', async (t) => {
  const facebook = await sandboxOf(t, 'facebook')
  const tiktok = await sandboxOf(t, 'tiktok')
  const service = await startSeller(t, {
    sandboxes: [facebook, tiktok],
    config: { accounts: [ACCOUNT] }
  })
  const agent = await service.agent()
  const standing = async (atFacebook: object, atTikTok: object) => {
    facebook.configure({ segments: { '*': atFacebook } })
    tiktok.configure({ segments: { '*': atTikTok } })
    await service.later(6 * HOUR_MS)
    const { status, matched_count, minimum_size } = row(await agent.sync({ account: GROUP }))
    return { status, matched_count, minimum_size }
  }
  await agent.sync({ account: GROUP, audiences: [{ audience_id: 'vip', add: members(3) }] })
  await service.delivered()
  t.same(await standing({ state: 'ready', matched: 500 }, { state: 'processing' }), {
    status: 'processing',
    matched_count: undefined,
    minimum_size: undefined
  })
  t.same(await standing({ state: 'ready', matched: 500 }, { state: 'ready', matched: 2_000 }), {
    status: 'ready',
    matched_count: 500,
    minimum_size: undefined
  })
  t.same(await standing({ state: 'ready', matched: 500 }, { state: 'too_small', matched: 900 }), {
    status: 'too_small',
    matched_count: undefined,
    minimum_size: 1_000
  })
  t.same(await standing({ state: 'suspended' }, { state: 'too_small' }), {
    status: 'suspended',
    matched_count: undefined,
    minimum_size: undefined
  })
})

test('a tag that an account has no more is no part of its audiences', async (t) => {
  const facebook = await sandboxOf(t, 'facebook')
  const tiktok = await sandboxOf(t, 'tiktok')
  const folder = t.testdir()
  const before = await startSeller(t, {
    sandboxes: [facebook, tiktok],
    config: { accounts: [ACCOUNT] },
    folder
  })
  const audiences = [{ audience_id: 'vip', add: members(120) }]
  await (await before.agent()).sync({ account: GROUP, audiences })
  await before.delivered()
  await before.app.close()

  const accounts = [{ ...ACCOUNT, tags: ['facebook/default'] }]
  const after = await startSeller(t, { sandboxes: [facebook], config: { accounts }, folder })
  await after.later(15 * SECOND_MS)
  const listed = row(await (await after.agent()).sync({ account: GROUP }))
  t.match(listed, { status: 'ready', matched_count: 120 })
  t.same(listed['ext'], {
    audience_api: {
      destinations: [
        {
          channel: 'facebook/default',
          status: 'ready',
          matched_count: 120,
          segment_id: segmentsOf(facebook)[0]?.['id']
        }
      ]
    }
  })
})

test('what never arrived anywhere is suspended, with the reason, until it does', async (t) => {
  const { facebook, service, agent, sync, listed } = await withFacebook(t)
  facebook.failNext({ times: 1, method: 'POST', path: 'customaudiences', error: 'creation_failed' })
  await sync({ add: members(3) })
  await service.later(15 * SECOND_MS)
  const suspended = await listed()
  t.match(suspended, {
    status: 'suspended',
    ext: { audience_api: { message: /^facebook\/default: ./ } }
  })
  t.equal(asked(facebook), 0)

  await sync({ add: members(3) })
  await service.later(15 * SECOND_MS)
  const { ext, ...row_ } = await listed()
  t.match(row_, { status: 'too_small', minimum_size: 100 })
  t.same(ext, {
    audience_api: {
      destinations: [
        {
          channel: 'facebook/default',
          status: 'too_small',
          matched_count: 3,
          segment_id: segmentsOf(facebook)[0]?.['id']
        }
      ]
    }
  })
  await agent.sync({ account: FACEBOOK, audiences: [{ audience_id: 'vip', delete: true }] })
})

test('what never arrived stays suspended, also when its deliveries are forgotten', async (t) => {
  const { facebook, service, sync, listed } = await withFacebook(t)
  facebook.failNext({ times: 1, method: 'POST', path: 'customaudiences', error: 'creation_failed' })
  await sync({ add: members(3) })
  await service.later(15 * SECOND_MS)
  const suspended = await listed()
  service.clock.advance(30 * 24 * HOUR_MS)
  await service.app.store.sweep(service.clock.now())
  await service.later(HOUR_MS)
  t.same(await listed(), suspended)
})

test('a removal that failed is told, whatever was added after it', async (t) => {
  const { facebook, service, sync, listed } = await withFacebook(t)
  await sync({ add: members(120) })
  facebook.failNext({
    times: 1,
    method: 'DELETE',
    answer: { status: 400, body: { error: { message: 'no', type: 'OAuthException', code: 100 } } }
  })
  await sync({ add: [byEmail('ann')], remove: members(1) })
  await service.later(15 * SECOND_MS)
  t.match(await listed(), {
    status: 'ready',
    matched_count: 121,
    ext: { audience_api: { message: 'facebook/default: Meta finds the request invalid (100)' } }
  })
})

test('what waits for its account is processing, and the answer says for what', async (t) => {
  const { facebook, service, agent, listed } = await withFacebook(t)
  facebook.failNext({ times: 50, error: 'expired_token' })
  const audiences = [{ audience_id: 'vip', add: members(3) }]
  await agent.sync({ account: FACEBOOK, audiences })
  while ((await service.app.store.accounts())['facebook/1234567890 default'] === undefined)
    await pause(5)
  await service.later(90 * SECOND_MS)
  t.match(await listed(), {
    status: 'processing',
    ext: { audience_api: { message: /^facebook\/default: ./ } }
  })
  await agent.sync({ account: FACEBOOK, audiences: [{ audience_id: 'vip', delete: true }] })
  await service.delivered()
  t.same(segmentsOf(facebook), [], 'what waits is cancelled')
})

test('a segment that somebody deleted at its platform is suspended', async (t) => {
  const { facebook, service, sync, listed } = await withFacebook(t)
  await sync({ add: members(120) })
  await service.later(15 * SECOND_MS)
  t.match(await listed(), { status: 'ready' })
  facebook.reset()
  await service.later(6 * HOUR_MS)
  t.match(await listed(), {
    status: 'suspended',
    ext: { audience_api: { message: 'facebook/default: the segment is gone' } }
  })
})

test('a platform that does not answer changes nothing but the message', async (t) => {
  const { facebook, service, sync, listed } = await withFacebook(t)
  await sync({ add: members(120) })
  facebook.failNext({ times: 2, method: 'GET', answer: { status: 500, body: '' } })
  await service.later(15 * SECOND_MS)
  t.match(await listed(), {
    status: 'processing',
    ext: { audience_api: { destinations: [{ message: /./ }] } }
  })
  await service.later(MINUTE_MS)
  await service.later(MINUTE_MS)
  const found = await listed()
  t.match(found, { status: 'ready', matched_count: 120 })
  t.equal(asked(facebook), 3)
})

const AGENT = 'agent-key-0123456789'
const OTHER = 'other-key-0123456789'
const PUSH = { url: 'https://buyer.example/hook', operation_id: 'op-1' }

test('a caller that wants to be told gets a task, and its result when matching is over', async (t) => {
  const facebook = await sandboxOf(t, 'facebook')
  const tiktok = await sandboxOf(t, 'tiktok')
  const service = await startSeller(t, {
    sandboxes: [facebook, tiktok],
    env: { AUDIENCE_API_KEYS: `agent:${AGENT},other:${OTHER}` }
  })
  const agent = await service.agent(AGENT)
  const call = {
    idempotency_key: 'key-0000-0000-0001',
    account: FACEBOOK,
    audiences: [
      { audience_id: 'vip', add: members(120) },
      { audience_id: 'gone', delete: true }
    ],
    push_notification_config: PUSH
  }
  facebook.configure({ segments: { '*': { state: 'processing' } } })
  const missing = {
    code: 'REFERENCE_NOT_FOUND',
    message: 'No audience with this id on the account.',
    field: 'audience_id',
    recovery: 'correctable'
  }
  const { task_id, ...submitted } = await agent.sync(call)
  t.same(submitted, {
    status: 'submitted',
    adcp_version: '3.2',
    timestamp: '2026-11-22T08:00:00.000Z',
    message:
      'Accepted. The platforms are matching; the task is completed when all of them are done.',
    errors: [missing]
  })
  const task = {
    status: 'submitted',
    adcp_version: '3.2',
    task_id,
    task_type: 'sync_audiences',
    protocol: 'media-buy',
    created_at: '2026-11-22T08:00:00.000Z',
    updated_at: '2026-11-22T08:00:00.000Z',
    has_webhook: true
  }
  for (const name of ['get_task_status', 'tasks_get', 'tasks/get']) {
    t.same(await agent.call(name, { task_id, include_result: true }), task)
  }
  await service.delivered()
  await service.later(15 * SECOND_MS)
  t.match(await agent.call('get_task_status', { task_id }), { status: 'submitted' })
  facebook.configure({ segments: null })
  await service.later(15 * MINUTE_MS)
  const ended = '2026-11-22T08:15:15.000Z'
  const completed = { ...task, status: 'completed', updated_at: ended, completed_at: ended }
  t.same(await agent.call('get_task_status', { task_id, account: FACEBOOK }), completed)
  const { result } = await agent.call('get_task_status', { task_id, include_result: true })
  t.match(result, {
    status: 'completed',
    audiences: [
      {
        audience_id: 'vip',
        action: 'created',
        status: 'ready',
        uploaded_count: 120,
        matched_count: 120
      },
      { audience_id: 'gone', action: 'failed', errors: [missing] }
    ]
  })
  t.same(await agent.sync(call), { ...submitted, task_id, replayed: true }, 'a replay is as it was')

  const unknown = {
    code: 'REFERENCE_NOT_FOUND',
    message: 'There is no such task.',
    recovery: 'correctable',
    field: 'task_id'
  }
  const errorOf = async (asking: typeof agent, args: Fields) =>
    (await asking.call('get_task_status', args))['adcp_error']
  t.same(await errorOf(agent, { task_id: 'nobody' }), unknown)
  t.same(await errorOf(agent, { task_id, account: { account_id: 'tiktok/default' } }), unknown)
  t.same(await errorOf(await service.agent(OTHER), { task_id }), unknown)
})

test('a call after which nothing is being matched is complete at once', async (t) => {
  const { agent } = await withFacebook(t)
  const audiences = [{ audience_id: 'vip', name: 'VIP' }]
  t.match(await agent.sync({ account: FACEBOOK, audiences, push_notification_config: PUSH }), {
    status: 'completed',
    audiences: [{ audience_id: 'vip', action: 'created', status: 'too_small', minimum_size: 100 }]
  })
})

test('a task ends when its audience is deleted meanwhile', async (t) => {
  const { agent, service } = await withFacebook(t)
  const add = { audience_id: 'vip', add: members(1) }
  const submitted = await agent.sync({
    account: FACEBOOK,
    audiences: [add],
    push_notification_config: PUSH
  })
  await agent.sync({ account: FACEBOOK, audiences: [{ audience_id: 'vip', delete: true }] })
  await service.delivered()
  const { task_id } = submitted
  t.match(await agent.call('tasks_get', { task_id, include_result: true }), {
    status: 'completed',
    result: { audiences: [{ audience_id: 'vip', action: 'deleted' }] }
  })
})
