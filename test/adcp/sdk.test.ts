import { execFile } from 'node:child_process'
import { hash } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test, type Test } from 'tap'
import { providers } from '../../providers/registry.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import { jwksOf, signedPushHeaders, signingKeys } from '../../src/seller/push-signing.ts'
import { form, type Service, startService, temporaryFolder } from '../support/service.ts'
import { type AgentClient, type Library, loadLibrary } from './sdk/library.ts'
import { startLibrarySeller } from './sdk/seller.ts'

/** The protocol's official library against the service. Run by `npm run test:long`, which installs it. */
const IS_LONG = process.env['AUDIENCE_TEST_LONG'] === '1'
const library = IS_LONG ? loadLibrary() : undefined
const options = IS_LONG ? {} : { skip: 'in the long form only' }

function installed(): Library {
  if (library === undefined) throw new Error('not installed: npm ci --prefix test/adcp/sdk')
  return library
}

const run = promisify(execFile)
const API_KEY = 'a-key-for-the-library'
const ACCOUNT = { brand: { domain: 'acmeoutdoor.example' }, operator: 'pinnacle-agency.example' }

async function sandboxOf(t: Test, name: string): Promise<Sandbox> {
  const provider = providers.find((one) => one.name === name)
  if (provider === undefined) throw new RangeError(`no provider ${name}`)
  const sandbox = await provider.sandbox()
  t.teardown(() => sandbox.close())
  return sandbox
}

/** A service with one account, of the brand that the library's storyboards use. */
async function startSeller(t: Test): Promise<{ service: Service; tiktok: Sandbox }> {
  const tiktok = await sandboxOf(t, 'tiktok')
  const service = await startService(t, {
    sandboxes: [tiktok],
    env: { AUDIENCE_API_KEYS: `agent:${API_KEY}` },
    config: {
      accounts: [
        {
          id: 'acct_acme',
          name: 'Acme Outdoor',
          brand: { domain: ACCOUNT.brand.domain, brandId: undefined },
          operator: ACCOUNT.operator,
          tags: ['tiktok/default'],
          keys: ['agent'],
          requireConsentBasis: false,
          sandbox: false
        }
      ]
    }
  })
  return { service, tiktok }
}

function clientOf(url: string, token: string): AgentClient {
  const { ADCPMultiAgentClient } = installed().client
  const agent = { id: 'a', name: 'A', agent_uri: url, protocol: 'mcp', auth_token: token } as const
  return new ADCPMultiAgentClient([agent]).agent('a')
}

/** Waits until every delivery has settled. */
async function delivered({ app }: Service): Promise<void> {
  while ((await app.store.backlog()).deliveries > 0) {
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const member = (id: string) => ({
  external_id: id,
  hashed_email: hash('sha256', `${id}@example.com`),
  hashed_phone: hash('sha256', `+1415555${id.slice(-4)}`)
})

test('its own storyboard passes, and no step is skipped', options, async (t) => {
  const { service } = await startSeller(t)
  const { program } = installed()
  const url = `${service.url}/mcp`
  const args = ['storyboard', 'run', url, 'audience_sync', '--auth', API_KEY, '--json']
  const flags = ['--protocol', 'mcp', '--allow-http']
  const home = temporaryFolder(t)
  const env = { ...process.env, HOME: home, ADCP_CONFIG_DIR: join(home, '.adcp') }
  // It ends with 0 for a run that skipped something: the summary decides.
  const { stdout, stderr } = await run(process.execPath, [program, ...args, ...flags], {
    env,
    maxBuffer: 2 ** 26
  }).catch((failed: { stdout: string; stderr: string }) => failed)
  t.comment(stderr)
  t.match(JSON.parse(stdout), {
    summary: { steps_passed: 5, steps_failed: 0, steps_skipped: 0 }
  })
})

test('its client syncs, lists, removes and deletes', options, async (t) => {
  const { service, tiktok } = await startSeller(t)
  const client = clientOf(`${service.url}/mcp`, API_KEY)
  const held = () => (tiktok.state() as { segments: readonly { size: number }[] }).segments
  t.match(await client.getAdcpCapabilities({}), { success: true, status: 'completed' })
  t.match(await client.listAccounts({}), {
    success: true,
    data: { accounts: [{ account_id: 'acct_acme', status: 'active' }] }
  })
  const created = await client.syncAudiences({
    account: ACCOUNT,
    audiences: [
      { audience_id: 'vip', name: 'VIP', add: [member('u-0001'), member('u-0002')] },
      { audience_id: 'gone', delete: true }
    ]
  })
  t.match(created, {
    success: true,
    data: {
      audiences: [
        { audience_id: 'vip', action: 'created', status: 'processing', uploaded_count: 2 },
        { audience_id: 'gone', action: 'failed', errors: [{ code: 'REFERENCE_NOT_FOUND' }] }
      ]
    }
  })
  await delivered(service)
  t.equal(held().length, 1)

  t.match(await client.syncAudiences({ account: { account_id: 'acct_acme' } }), {
    success: true,
    data: { audiences: [{ audience_id: 'vip', action: 'unchanged', total_uploaded_count: 2 }] }
  })
  t.match(
    await client.syncAudiences({
      account: ACCOUNT,
      audiences: [{ audience_id: 'vip', remove: [member('u-0001')] }]
    }),
    { success: true, data: { audiences: [{ audience_id: 'vip', action: 'updated' }] } }
  )
  await delivered(service)
  t.match(
    await client.syncAudiences({
      account: ACCOUNT,
      audiences: [{ audience_id: 'vip', delete: true }]
    }),
    { success: true, data: { audiences: [{ audience_id: 'vip', action: 'deleted' }] } }
  )
  await delivered(service)
  t.same(held(), [])
})

test('the provider fills an audience of a seller that is built on it', options, async (t) => {
  const seller = await startLibrarySeller(t, installed())
  const service = await startService(t, {
    tags: {
      'adcp/seller': { agentUrl: seller.url, token: seller.token, accountId: seller.accountId }
    }
  })
  const users = Array.from({ length: 12_000 }, (_, index) => ({
    edgeTagId: `et-${index}`,
    email: ` User${index}@Example.com`,
    ...(index % 2 === 0 && { phone: `+1415555${String(index).padStart(4, '0').slice(-4)}` })
  }))
  const batch = { sessionId: 1, sequence: 1, totalBatches: 1, totalUsers: users.length }
  const answer = await service.post(form({ name: 'Riders', batch, users }), '?sync=true')
  t.same(answer.body, { success: true })
  const [[, members] = []] = [...seller.audiences]
  t.equal(seller.audiences.size, 1)
  t.ok(seller.calls() > 1, 'in several calls')
  const wanted = users.map(({ edgeTagId }, index) => [
    edgeTagId,
    {
      external_id: edgeTagId,
      hashed_email: hash('sha256', `user${index}@example.com`),
      ...(index % 2 === 0 && { hashed_phone: hash('sha256', String(users[index]?.phone)) })
    }
  ])
  t.same(Object.fromEntries(members ?? []), Object.fromEntries(wanted))
})

test('its verifier accepts the signature of a push', options, async (t) => {
  const { verifyWebhookSignature, StaticJwksResolver, InMemoryReplayStore } = installed().signing
  const { InMemoryRevocationStore } = installed().signing
  const keys = signingKeys([new Uint8Array(32).fill(7), new Uint8Array(32).fill(8)])
  const url = 'https://buyer.example/adcp/hook?op=1'
  const body = JSON.stringify({ task_id: 'tsk-1' })
  const headers = await signedPushHeaders(keys[0], { url, body }, new Date())
  const verified = await verifyWebhookSignature(
    { method: 'POST', url, headers, body },
    {
      jwks: new StaticJwksResolver([...jwksOf(keys).keys]),
      replayStore: new InMemoryReplayStore(),
      revocationStore: new InMemoryRevocationStore()
    }
  )
  t.match(verified, { keyid: keys[0].id })
})
