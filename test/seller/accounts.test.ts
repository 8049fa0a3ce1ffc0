import { test, type Test } from 'tap'
import type { AgentAccount } from '../../src/config.ts'
import { byEmail, byPhone, type Fields, sandboxOf, segmentsOf, startSeller } from './support.ts'

const AGENT = 'agent-key-0123456789'
const OTHER = 'other-key-0123456789'

const ACCOUNT: AgentAccount = {
  id: 'acct_1',
  name: 'Veloheim EU',
  brand: { domain: 'veloheim.example', brandId: undefined },
  operator: 'nordlicht.example',
  tags: ['facebook/default', 'tiktok/default'],
  keys: ['agent'],
  requireConsentBasis: false,
  sandbox: false
}
const KEY = { brand: { domain: 'veloheim.example' }, operator: 'nordlicht.example' }

async function withAccounts(t: Test) {
  const [facebook, tiktok, klaviyo] = await Promise.all([
    sandboxOf(t, 'facebook'),
    sandboxOf(t, 'tiktok'),
    sandboxOf(t, 'klaviyo')
  ])
  const accounts: readonly AgentAccount[] = [
    ACCOUNT,
    { ...ACCOUNT, id: 'acct_2', name: 'Trial', sandbox: true, tags: ['tiktok/default'] },
    {
      ...ACCOUNT,
      id: 'mail',
      brand: { domain: 'veloheim.example', brandId: 'mail' },
      tags: ['klaviyo/default'],
      keys: undefined
    },
    {
      ...ACCOUNT,
      id: 'others',
      brand: { domain: 'others.example', brandId: undefined },
      keys: ['other']
    }
  ]
  const service = await startSeller(t, {
    sandboxes: [facebook, tiktok, klaviyo],
    env: { AUDIENCE_API_KEYS: `agent:${AGENT},other:${OTHER}` },
    config: { accounts }
  })
  return {
    facebook,
    tiktok,
    klaviyo,
    service,
    agent: await service.agent(AGENT),
    other: await service.agent(OTHER)
  }
}

test('without configured accounts each tag is one', async (t) => {
  const facebook = await sandboxOf(t, 'facebook')
  const klaviyo = await sandboxOf(t, 'klaviyo')
  const agent = await (await startSeller(t, { sandboxes: [facebook, klaviyo] })).agent()
  t.same(await agent.call('list_accounts'), {
    status: 'completed',
    adcp_version: '3.2',
    accounts: [
      {
        account_id: 'facebook/default',
        name: 'Facebook (Meta Custom Audiences): default',
        status: 'active',
        sandbox: false,
        ext: {
          audience_api: {
            channels: ['facebook/default'],
            audience_targeting: {
              supported_identifier_types: ['hashed_email'],
              minimum_audience_size: 100,
              matching_latency_hours: { min: 1, max: 24 }
            },
            requires_consent_basis: false
          }
        }
      },
      {
        account_id: 'klaviyo/default',
        name: 'Klaviyo: default',
        status: 'active',
        sandbox: false,
        ext: {
          audience_api: {
            channels: ['klaviyo/default'],
            audience_targeting: { supported_identifier_types: [] },
            requires_consent_basis: false
          }
        }
      }
    ],
    pagination: { has_more: false, total_count: 2 }
  })
})

test('an API key sees its accounts, filtered and page by page', async (t) => {
  const { agent, other } = await withAccounts(t)
  const idsOf = (answer: Fields) =>
    (answer['accounts'] as readonly Fields[]).map((account) => account['account_id'])
  t.same(idsOf(await agent.call('list_accounts')), ['acct_1', 'acct_2', 'mail'])
  t.same(idsOf(await other.call('list_accounts')), ['mail', 'others'])
  t.same(idsOf(await agent.call('list_accounts', { sandbox: true })), ['acct_2'])
  t.same(idsOf(await agent.call('list_accounts', { status: 'closed' })), [])
  t.same(idsOf(await agent.call('list_accounts', { account: KEY })), ['acct_1'])
  t.same(idsOf(await agent.call('list_accounts', { account: { account_id: 'others' } })), [])

  const first = await agent.call('list_accounts', { pagination: { max_results: 2 } })
  t.same(idsOf(first), ['acct_1', 'acct_2'])
  const { cursor, ...rest } = first['pagination'] as Fields
  t.same(rest, { has_more: true, total_count: 3 })
  const second = await agent.call('list_accounts', { pagination: { max_results: 2, cursor } })
  t.same(idsOf(second), ['mail'])
  t.same(second['pagination'], { has_more: false, total_count: 3 })
  const wrong = await agent.call('list_accounts', { pagination: { cursor: '?' } })
  t.same(wrong['adcp_error'], {
    code: 'INVALID_REQUEST',
    message: 'No page ended with this cursor.',
    recovery: 'correctable',
    field: 'pagination.cursor'
  })
})

test('capabilities are those of the platforms that the key reaches', async (t) => {
  const { agent } = await withAccounts(t)
  t.same(await agent.call('get_adcp_capabilities'), {
    status: 'completed',
    adcp_version: '3.2',
    adcp: {
      major_versions: [3],
      supported_versions: ['3.1', '3.2'],
      idempotency: { supported: true, replay_ttl_seconds: 86_400 }
    },
    supported_protocols: ['media_buy'],
    specialisms: ['audience-sync'],
    account: { require_operator_auth: true, supported_billing: ['operator'], sandbox: true },
    media_buy: {
      features: { audience_targeting: true },
      audience_targeting: {
        supported_identifier_types: ['hashed_email', 'hashed_phone'],
        minimum_audience_size: 1_000,
        matching_latency_hours: { min: 1, max: 48 }
      }
    }
  })
})

test('a service that reaches only Klaviyo takes no hashes, and says so', async (t) => {
  const klaviyo = await sandboxOf(t, 'klaviyo')
  const service = await startSeller(t, {
    sandboxes: [klaviyo],
    config: { publicUrl: 'https://audience.example' }
  })
  const agent = await service.agent()
  const { media_buy, specialisms, webhook_signing, identity } =
    await agent.call('get_adcp_capabilities')
  t.same(media_buy, { features: { audience_targeting: false } })
  t.equal(specialisms, undefined)
  t.same(webhook_signing, {
    supported: true,
    profile: 'adcp/webhook-signing/v1',
    algorithms: ['ed25519'],
    legacy_hmac_fallback: true
  })
  t.same(identity, { brand_json_url: 'https://audience.example/.well-known/brand.json' })
  const account = { account_id: 'klaviyo/default' }
  const { audiences } = await agent.sync({
    account,
    audiences: [{ audience_id: 'vip', add: [byEmail('a')] }]
  })
  t.same(audiences, [
    {
      audience_id: 'vip',
      action: 'failed',
      errors: [
        {
          code: 'UNSUPPORTED_FEATURE',
          message: 'This account takes no hashed members (Klaviyo).',
          recovery: 'correctable',
          field: 'audiences[0]'
        }
      ]
    }
  ])
  t.same(
    klaviyo.requests.filter(({ method }) => method !== 'GET'),
    []
  )
})

test('both forms of reference name one account; what is not seen does not exist', async (t) => {
  const { agent, other, tiktok } = await withAccounts(t)
  await agent.sync({
    account: { account_id: 'acct_1' },
    audiences: [{ audience_id: 'vip', name: 'VIP' }]
  })
  const named = async (account: Fields) => {
    const { audiences, adcp_error } = await agent.sync({ account })
    return adcp_error ?? (audiences as readonly Fields[]).map((audience) => audience['audience_id'])
  }
  t.same(await named({ account_id: 'acct_1' }), ['vip'])
  t.same(await named(KEY), ['vip'])
  t.same(await named({ ...KEY, sandbox: false }), ['vip'])
  t.same(await named({ ...KEY, sandbox: true }), [], 'the sandbox account of the same brand')

  const unknown = {
    code: 'ACCOUNT_NOT_FOUND',
    message: 'There is no such account; list_accounts tells which there are.',
    recovery: 'terminal',
    field: 'account'
  }
  const foreign = { brand: { domain: 'others.example' }, operator: 'nordlicht.example' }
  for (const account of [
    { account_id: 'nobody' },
    { account_id: 'others' },
    foreign,
    { ...KEY, brand: { domain: 'veloheim.example', brand_id: 'bikes' } },
    { ...KEY, operator: 'another.example' }
  ]) {
    t.same(await named(account), unknown)
  }
  const audiences = [{ audience_id: 'vip', add: [byEmail('a')] }]
  const answers = [
    await agent.sync({ account: { account_id: 'nobody' }, audiences }),
    await agent.sync({ account: { account_id: 'others' }, audiences })
  ]
  t.same(answers[0], answers[1], 'not a word of difference')
  t.same((await other.sync({ account: foreign }))['audiences'], [], 'it has nothing')
  t.same(segmentsOf(tiktok), [])
})

test('an account can ask for the legal basis of what is added', async (t) => {
  const tiktok = await sandboxOf(t, 'tiktok')
  const tags = ['tiktok/default']
  const accounts = [{ ...ACCOUNT, tags, keys: undefined, requireConsentBasis: true }]
  const service = await startSeller(t, { sandboxes: [tiktok], config: { accounts } })
  const agent = await service.agent()
  const account = { account_id: 'acct_1' }
  const answer = await agent.sync({
    account,
    audiences: [
      { audience_id: 'a', add: [byPhone('p', '+4915112345678')] },
      { audience_id: 'b', add: [byEmail('e')], consent_basis: 'contract' },
      { audience_id: 'c' }
    ]
  })
  t.match(answer['audiences'], [
    {
      audience_id: 'a',
      action: 'failed',
      errors: [
        {
          code: 'INVALID_REQUEST',
          message: 'This account asks for a consent_basis with members to add.',
          recovery: 'correctable',
          field: 'audiences[0].consent_basis',
          issues: [
            { pointer: '/audiences/0/consent_basis', message: 'is required', keyword: 'required' }
          ]
        }
      ]
    },
    { audience_id: 'b', action: 'created', consent_basis: 'contract', uploaded_count: 1 },
    { audience_id: 'c', action: 'created', status: 'too_small', minimum_size: 1_000 }
  ])
  const { audiences } = await agent.sync({ account })
  t.match(audiences, [
    { audience_id: 'b', action: 'unchanged', consent_basis: 'contract', uploaded_count: 0 },
    { audience_id: 'c', action: 'unchanged' }
  ])
  t.same((await agent.call('list_accounts'))['accounts'], [
    {
      account_id: 'acct_1',
      name: 'Veloheim EU',
      status: 'active',
      brand: { domain: 'veloheim.example' },
      operator: 'nordlicht.example',
      account_scope: 'operator_brand',
      sandbox: false,
      ext: {
        audience_api: {
          channels: ['tiktok/default'],
          audience_targeting: {
            supported_identifier_types: ['hashed_email', 'hashed_phone'],
            minimum_audience_size: 1_000,
            matching_latency_hours: { min: 24, max: 48 }
          },
          requires_consent_basis: true
        }
      }
    }
  ])
})
