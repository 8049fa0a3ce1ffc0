import { test, type Test } from 'tap'
import { Value } from 'typebox/value'
import { providers } from '../../providers/registry.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import {
  byEmail,
  byPhone,
  type Fields,
  hashOf,
  row,
  sandboxOf,
  segmentsOf,
  startSeller
} from './support.ts'

const FACEBOOK = { account_id: 'facebook/default' }
const TIKTOK = { account_id: 'tiktok/default' }
const GROUP = { account_id: 'acct_1' }
const AT_START = '2026-11-22T08:00:00.000Z'
const PHONE = '+4915112345678'

async function withTikTok(t: Test, config: object = {}) {
  const tiktok = await sandboxOf(t, 'tiktok')
  const service = await startSeller(t, { sandboxes: [tiktok], config })
  return { tiktok, service, agent: await service.agent() }
}

async function withFacebook(t: Test) {
  const facebook = await sandboxOf(t, 'facebook')
  const service = await startSeller(t, { sandboxes: [facebook] })
  return { facebook, service, agent: await service.agent() }
}

async function withGroup(t: Test) {
  const [facebook, tiktok, klaviyo] = await Promise.all([
    sandboxOf(t, 'facebook'),
    sandboxOf(t, 'tiktok'),
    sandboxOf(t, 'klaviyo')
  ])
  const account = {
    id: 'acct_1',
    name: 'Veloheim EU',
    brand: { domain: 'veloheim.example', brandId: undefined },
    operator: 'nordlicht.example',
    tags: ['facebook/default', 'tiktok/default', 'klaviyo/default'],
    keys: undefined,
    requireConsentBasis: false,
    sandbox: true
  }
  const service = await startSeller(t, {
    sandboxes: [facebook, tiktok, klaviyo],
    config: { accounts: [account] }
  })
  return { facebook, tiktok, klaviyo, service, agent: await service.agent() }
}

const namesIn = (sandbox: Sandbox) => segmentsOf(sandbox).map(({ name }) => String(name))
const membersIn = (sandbox: Sandbox) => segmentsOf(sandbox).map(({ members }) => members)
const byName = (sandbox: Sandbox) =>
  Object.fromEntries(segmentsOf(sandbox).map(({ name, members }) => [name, members]))

test('an audience is created, changed, listed and deleted', async (t) => {
  const { tiktok, service, agent } = await withTikTok(t)
  const audience = {
    audience_id: 'vip',
    name: 'VIP customers',
    description: 'Repeat buyers',
    audience_type: 'crm',
    tags: ['q4', 'shop'],
    consent_basis: 'consent'
  }
  const created = await agent.sync({
    account: TIKTOK,
    context: { trace: 't-1' },
    audiences: [{ ...audience, add: [byEmail('ann'), byEmail('bob'), byPhone('cid', PHONE)] }]
  })
  const details = {
    name: 'VIP customers',
    description: 'Repeat buyers',
    audience_type: 'crm',
    tags: ['q4', 'shop'],
    consent_basis: 'consent',
    seller_id: 'blotout_VIP_customers_cab0a3fd'
  }
  const processing = { channel: 'tiktok/default', status: 'processing' }
  t.same(created, {
    status: 'completed',
    adcp_version: '3.2',
    timestamp: AT_START,
    context: { trace: 't-1' },
    audiences: [
      {
        audience_id: 'vip',
        action: 'created',
        status: 'processing',
        uploaded_count: 3,
        total_uploaded_count: 3,
        last_synced_at: AT_START,
        ...details,
        ext: { audience_api: { destinations: [processing] } }
      }
    ]
  })
  await service.delivered()
  t.same(namesIn(tiktok), ['blotout_VIP_customers_cab0a3fd'])
  t.same(membersIn(tiktok), [
    [
      { EMAIL_SHA256: [hashOf('ann@example.com')] },
      { EMAIL_SHA256: [hashOf('bob@example.com')] },
      { PHONE_SHA256: [hashOf(PHONE)] }
    ]
  ])

  service.clock.advance(60_000)
  const updated = await agent.sync({
    account: TIKTOK,
    audiences: [
      {
        audience_id: 'vip',
        name: 'Very important',
        add: [byEmail('dan'), byEmail('bob'), byEmail('eve')],
        remove: [byEmail('bob'), byEmail('eve'), byPhone('cid', PHONE)]
      }
    ]
  })
  t.match(row(updated), {
    action: 'updated',
    status: 'processing',
    uploaded_count: 1,
    total_uploaded_count: 4,
    name: 'Very important',
    seller_id: 'blotout_VIP_customers_cab0a3fd',
    last_synced_at: '2026-11-22T08:01:00.000Z'
  })
  await service.delivered()
  t.same(
    membersIn(tiktok),
    [
      [{ EMAIL_SHA256: [hashOf('ann@example.com')] }, { EMAIL_SHA256: [hashOf('dan@example.com')] }]
    ],
    'removal wins, and the segment is the same one'
  )

  t.match(row(await agent.sync({ account: TIKTOK, audiences: [{ audience_id: 'vip' }] })), {
    action: 'unchanged',
    uploaded_count: 0,
    total_uploaded_count: 4
  })
  t.match((await agent.sync({ account: TIKTOK }))['audiences'], [
    {
      ...details,
      audience_id: 'vip',
      name: 'Very important',
      action: 'unchanged',
      uploaded_count: 0
    }
  ])

  const deleted = await agent.sync({
    account: TIKTOK,
    audiences: [{ audience_id: 'vip', delete: true, add: [byEmail('zoe')] }]
  })
  t.same(deleted['audiences'], [{ audience_id: 'vip', action: 'deleted' }])
  await service.delivered()
  t.same(segmentsOf(tiktok), [])
  t.same((await agent.sync({ account: TIKTOK }))['audiences'], [])

  const again = { audience_id: 'vip', name: 'VIP customers', add: [byEmail('zoe')] }
  t.match(row(await agent.sync({ account: TIKTOK, audiences: [again] })), {
    action: 'created',
    total_uploaded_count: 1
  })
  await service.delivered()
  t.same(membersIn(tiktok), [[{ EMAIL_SHA256: [hashOf('zoe@example.com')] }]])
})

test('who was in a deleted audience is not in the one that takes its place', async (t) => {
  const { facebook, service, agent } = await withFacebook(t)
  const sync = async (change: Fields) => {
    await agent.sync({ account: FACEBOOK, audiences: [{ audience_id: 'vip', ...change }] })
    await service.delivered()
  }
  await sync({ add: [byEmail('ann')] })
  const refusal = { error: { message: 'no', type: 'OAuthException', code: 100 } }
  facebook.failNext({ times: 1, method: 'DELETE', answer: { status: 400, body: refusal } })
  await sync({ delete: true })
  service.clock.advance(60_000)
  await sync({ add: [byEmail('zoe')] })
  t.match(membersIn(facebook), [[{ EXTERN_ID: 'ann' }], [{ EXTERN_ID: 'zoe' }]])
})

test('what is wrong with one audience fails that audience alone', async (t) => {
  const { tiktok, service, agent } = await withTikTok(t)
  const missing = {
    code: 'REFERENCE_NOT_FOUND',
    message: 'No audience with this id on the account.',
    field: 'audience_id',
    recovery: 'correctable'
  }
  const uids = [{ type: 'maid', value: '7d0a2f44-31c9-4b8e-a6f2-90be13c57d28' }]
  const answer = await agent.sync({
    account: TIKTOK,
    audiences: [
      { audience_id: 'gone', delete: true },
      { audience_id: 'nobody', remove: [byEmail('ann')] },
      { audience_id: 'devices', add: [{ external_id: 'd', uids }] },
      { audience_id: 'vip', add: [byEmail('ann')] }
    ]
  })
  t.match(answer['audiences'], [
    { audience_id: 'gone', action: 'failed', errors: [missing] },
    { audience_id: 'nobody', action: 'failed', errors: [missing] },
    { audience_id: 'devices', action: 'failed', errors: [{ code: 'UNSUPPORTED_FEATURE' }] },
    { audience_id: 'vip', action: 'created' }
  ])
  await service.delivered()
  t.same(namesIn(tiktok), ['blotout_vip_cab0a3fd'])
})

test('an account has a thousand audiences at most', async (t) => {
  const { agent } = await withTikTok(t)
  const audiences = Array.from({ length: 1_000 }, (_, index) => ({ audience_id: `a${index}` }))
  await agent.sync({ account: TIKTOK, audiences })
  const answer = await agent.sync({ account: TIKTOK, audiences: [{ audience_id: 'b' }] })
  t.same(row(answer), {
    audience_id: 'b',
    action: 'failed',
    errors: [
      {
        code: 'INVALID_REQUEST',
        message: 'This account has 1000 audiences, which is the most.',
        recovery: 'correctable',
        suggestion: 'Change or delete audiences that there are.'
      }
    ]
  })
})

test('delete_missing deletes what the call does not name', async (t) => {
  const { facebook, service, agent } = await withFacebook(t)
  const add = [byEmail('ann')]
  const audiences = ['a', 'b', 'c', 'd'].map((audience_id) => ({ audience_id, add }))
  await agent.sync({ account: FACEBOOK, audiences })
  await service.delivered()
  const answer = await agent.sync({
    account: FACEBOOK,
    delete_missing: true,
    audiences: [
      { audience_id: 'b', remove: add },
      { audience_id: 'c', add: [byPhone('cid', PHONE)] }
    ]
  })
  t.match(answer['audiences'], [
    { audience_id: 'b', action: 'updated' },
    { audience_id: 'c', action: 'failed' },
    { audience_id: 'a', action: 'deleted' },
    { audience_id: 'd', action: 'deleted' }
  ])
  await service.delivered()
  const left = segmentsOf(facebook).map(({ name, members }) => [
    String(name).slice(0, 'blotout_b'.length),
    (members as readonly Fields[]).map((member) => member['EXTERN_ID'])
  ])
  t.same(Object.fromEntries(left), { blotout_b: [], blotout_c: ['ann'] })
})

test('names of segments keep their hash, however long the name of the audience is', async (t) => {
  const { facebook, service, agent } = await withFacebook(t)
  const name = `${'Spring  sale '.repeat(3)}${'🚲'.repeat(20)}`
  const audiences = ['a', 'b'].map((audience_id) => ({ audience_id, name, add: [byEmail('ann')] }))
  await agent.sync({ account: FACEBOOK, audiences })
  await service.delivered()
  t.same(namesIn(facebook).toSorted(), [
    'blotout_Spring_sale_Spring_sale_Spring_sale_🚲🚲🚲🚲🚲_22af7881',
    'blotout_Spring_sale_Spring_sale_Spring_sale_🚲🚲🚲🚲🚲_dd72698c'
  ])
  for (const provider of providers) {
    const settings = Value.Default(provider.variables, {})
    const longest = 'x'.repeat(64)
    t.equal(provider.storedName(longest, settings as Fields), longest, provider.name)
  }
})

test('each platform of a group gets what it can match, and the answer says what it does not', async (t) => {
  const { facebook, tiktok, klaviyo, service, agent } = await withGroup(t)
  const both = { ...byEmail('ann'), hashed_phone: hashOf(PHONE) }
  const answer = await agent.sync({
    account: GROUP,
    audiences: [
      { audience_id: 'vip', add: [both, byEmail('bob')] },
      { audience_id: 'old', add: [byPhone('cid', PHONE)] }
    ]
  })
  t.equal(answer['sandbox'], true)
  t.match(row(answer), {
    audience_id: 'vip',
    status: 'processing',
    ext: {
      audience_api: {
        message:
          'facebook/default cannot match hashed_phone (1); klaviyo/default cannot match hashed_email (2) and hashed_phone (1)',
        destinations: [
          { channel: 'facebook/default', status: 'processing' },
          { channel: 'tiktok/default', status: 'processing' }
        ],
        left_out: [
          { channel: 'facebook/default', hashed_phone: 1 },
          { channel: 'klaviyo/default', hashed_email: 2, hashed_phone: 1 }
        ]
      }
    }
  })
  t.match(row(answer, 1), {
    audience_id: 'old',
    ext: {
      audience_api: {
        destinations: [{ channel: 'tiktok/default', status: 'processing' }],
        left_out: [
          { channel: 'facebook/default', hashed_phone: 1 },
          { channel: 'klaviyo/default', hashed_phone: 1 }
        ]
      }
    }
  })
  await service.delivered()
  const ann = hashOf('ann@example.com')
  const bob = hashOf('bob@example.com')
  const nothing = { FN: '', LN: '', COUNTRY: '', ZIP: '' }
  t.same(membersIn(facebook), [
    [
      { EXTERN_ID: 'ann', EMAIL: ann, PHONE: '', ...nothing },
      { EXTERN_ID: 'bob', EMAIL: bob, PHONE: '', ...nothing }
    ]
  ])
  t.same(
    byName(tiktok),
    // The two are delivered side by side.
    {
      blotout_vip_dd24b171: [
        { EMAIL_SHA256: [ann], PHONE_SHA256: [hashOf(PHONE)] },
        { EMAIL_SHA256: [bob] }
      ],
      blotout_old_ff6c8f3a: [{ PHONE_SHA256: [hashOf(PHONE)] }]
    }
  )
  t.same(
    klaviyo.requests.filter(({ method }) => method !== 'GET'),
    []
  )

  await agent.sync({ account: GROUP, audiences: [{ audience_id: 'vip', remove: [both] }] })
  await service.delivered()
  t.match(membersIn(facebook), [[{ EXTERN_ID: 'bob' }]])
  t.match(byName(tiktok), { blotout_vip_dd24b171: [{ EMAIL_SHA256: [bob] }] })
})

test('members that no platform of the account can match are refused', async (t) => {
  const { facebook, agent } = await withFacebook(t)
  const answer = await agent.sync({
    account: FACEBOOK,
    audiences: [
      { audience_id: 'vip', add: [byPhone('cid', PHONE)] },
      { audience_id: 'old', add: [byEmail('ann')], remove: [byPhone('cid', PHONE)] }
    ]
  })
  const refused = (field: string) => [
    {
      code: 'UNSUPPORTED_FEATURE',
      message: 'This account matches members by hashed_email only; none of them has one.',
      recovery: 'correctable',
      field,
      details: { accepted_values: ['hashed_email'] }
    }
  ]
  t.same(answer['audiences'], [
    { audience_id: 'vip', action: 'failed', errors: refused('audiences[0].add') },
    { audience_id: 'old', action: 'failed', errors: refused('audiences[1].remove') }
  ])
  t.same(segmentsOf(facebook), [])
})

test('the same call again gets the same answer and does nothing', async (t) => {
  const { tiktok, service, agent } = await withTikTok(t)
  const call = {
    idempotency_key: 'key-0000-0000-0001',
    account: TIKTOK,
    audiences: [{ audience_id: 'vip', add: [byEmail('ann')] }]
  }
  const [first, twin] = await Promise.all([agent.sync(call), agent.sync(call)])
  const once = first['replayed'] === true ? twin : first
  const replayed = first['replayed'] === true ? first : twin
  t.same(replayed, { ...once, replayed: true }, 'two at once: one waits for the other')
  await service.delivered()
  await service.later(15_000)
  t.equal(row(await agent.sync({ account: TIKTOK }))['status'], 'too_small', 'by now')
  const later = await agent.sync({ ...call, context: { trace: 't-2' } })
  t.same(later, { ...once, replayed: true, context: { trace: 't-2' } })
  t.equal(membersIn(tiktok).length, 1)
  t.equal(tiktok.requests.filter(({ path }) => path.endsWith('/mapping/')).length, 1)

  const other = [{ audience_id: 'vip', add: [byEmail('bob')] }]
  t.same((await agent.sync({ ...call, audiences: other }))['adcp_error'], {
    code: 'IDEMPOTENCY_CONFLICT',
    message: 'This idempotency_key came with another call before.',
    recovery: 'correctable'
  })
  service.clock.advance(86_400_000 + 61_000)
  t.same((await agent.sync(call))['adcp_error'], {
    code: 'IDEMPOTENCY_EXPIRED',
    message: 'This idempotency_key came so long ago that its answer is not kept any more.',
    recovery: 'correctable'
  })
})

test('a failed call is not remembered: corrected, it may have the same key', async (t) => {
  const { service, agent } = await withTikTok(t)
  const idempotency_key = 'key-0000-0000-0002'
  const wrong = { account_id: 'tiktok/other' }
  t.match(await agent.sync({ idempotency_key, account: wrong }), {
    status: 'failed',
    adcp_error: { code: 'ACCOUNT_NOT_FOUND' }
  })
  t.match(await agent.sync({ idempotency_key, account: TIKTOK }), { status: 'completed' })
  t.equal(service.log().includes(idempotency_key), false, 'keys are secrets')
})

test('answers are repeated after a restart', async (t) => {
  const tiktok = await sandboxOf(t, 'tiktok')
  const folder = t.testdir()
  const call = {
    idempotency_key: 'key-0000-0000-0003',
    account: TIKTOK,
    audiences: [{ audience_id: 'vip', add: [byEmail('ann')] }]
  }
  const before = await startSeller(t, { sandboxes: [tiktok], folder })
  const first = await (await before.agent()).sync(call)
  await before.delivered()
  await before.app.close()
  const after = await startSeller(t, { sandboxes: [tiktok], folder })
  const agent = await after.agent()
  t.same(await agent.sync(call), { ...first, replayed: true })
  t.match((await agent.sync({ account: TIKTOK }))['audiences'], [{ audience_id: 'vip' }])
  t.equal(segmentsOf(tiktok).length, 1)
})

test('calls that only list are answered so often a minute', async (t) => {
  const { service, agent } = await withTikTok(t, { adcpDiscoveryPerMinute: 2 })
  const listed = { idempotency_key: 'key-0000-0000-0004', account: TIKTOK }
  t.match(await agent.sync(listed), { audiences: [] })
  service.clock.advance(20_000)
  t.match(await agent.sync({ account: TIKTOK }), { audiences: [] })
  t.same((await agent.sync({ account: TIKTOK }))['adcp_error'], {
    code: 'RATE_LIMITED',
    message: 'Too many calls that only list audiences.',
    recovery: 'transient',
    retry_after: 40
  })
  t.match(await agent.sync(listed), { replayed: true }, 'that is not another one')
  service.clock.advance(40_000)
  t.match(await agent.sync({ account: TIKTOK }), { audiences: [] })
})

test('what is wrong with the whole call changes nothing', async (t) => {
  const { tiktok, agent } = await withTikTok(t)
  const audiences: readonly Fields[] = [{ audience_id: 'vip', add: [byEmail('ann')] }]
  const wrong = async (args: Fields) => {
    const call = { idempotency_key: crypto.randomUUID(), account: TIKTOK, ...args }
    return (await agent.call('sync_audiences', call))['adcp_error'] as Fields
  }
  t.match(await wrong({ audiences: [] }), { code: 'INVALID_REQUEST', field: 'audiences' })
  t.match(await wrong({ audiences, idempotency_key: 'short' }), { field: 'idempotency_key' })
  const url = 'push_notification_config.url'
  for (const [address, message] of [
    ['http://buyer.example/hook', 'It must be an https address without a password.'],
    ['https://me:secret@buyer.example/hook', 'It must be an https address without a password.'],
    ['https://10.0.0.1/hook', 'It must be an address of the public internet.'],
    ['https://[::1]/hook', 'It must be an address of the public internet.']
  ]) {
    t.same(await wrong({ audiences, push_notification_config: { url: address } }), {
      code: 'INVALID_REQUEST',
      message,
      recovery: 'correctable',
      field: url
    })
  }
  t.same((await agent.sync({ account: TIKTOK }))['audiences'], [])
  t.same(segmentsOf(tiktok), [])
})
