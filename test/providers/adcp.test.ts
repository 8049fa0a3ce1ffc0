import { hash } from 'node:crypto'
import { type Test, test } from 'tap'
import { adcp } from '../../providers/adcp/index.ts'
import type { AdcpVariables } from '../../providers/adcp/variables.ts'
import type { EncodedBody } from '../../providers/provider.ts'
import type { Sandbox, SandboxRequest } from '../../providers/sandbox.ts'
import { assertValid } from '../adcp/validate.ts'
import { audience, providerContext } from '../support/provider-context.ts'

const ID = 'blotout_VIP'
const ACCOUNT = { account_id: 'acc-118' }
const sha256 = (text: string) => hash('sha256', text)

async function setup(t: Test, changed: Partial<AdcpVariables> = {}, path = '/mcp') {
  const sandbox = await adcp.sandbox()
  const variables: AdcpVariables = {
    agentUrl: `https://seller.example${path}`,
    token: 'sandbox',
    accountId: 'acc-118',
    membersPerCall: 100_000,
    bytesPerCall: 1_500_000,
    ...changed
  }
  const platform = providerContext(sandbox, variables)
  t.teardown(async () => {
    await platform.close()
    await sandbox.close()
  })
  return { sandbox, context: platform.context, variables }
}

const ann = { external_id: 'ann', hashed_email: sha256('ann@shop.example') }
const bob = { external_id: 'bob', hashed_phone: sha256('+353851234567') }
const cid = {
  external_id: 'cid',
  hashed_email: sha256('cid@shop.example'),
  hashed_phone: sha256('+353851234568')
}

/** A body as `encoder` makes it. */
function bodyOf(...members: object[]): EncodedBody {
  const payload = new TextEncoder().encode(members.map((one) => JSON.stringify(one)).join(',\n'))
  return { payload, users: members.length }
}

interface Message {
  readonly method: string
  readonly params: { readonly name: string; readonly arguments: Record<string, unknown> }
}
const messagesOf = ({ requests }: Sandbox) => requests.map(({ body }) => body as Message)
const toolsCalled = (sandbox: Sandbox) =>
  messagesOf(sandbox).map(({ method, params }) => params?.name ?? method)
/** Arguments of all calls of `sync_audiences`, all of them valid. */
function syncsOf(t: Test, sandbox: Sandbox) {
  const syncs = messagesOf(sandbox)
    .filter(({ params }) => params?.name === 'sync_audiences')
    .map(({ params }) => params.arguments)
  for (const args of syncs) assertValid(t, 'sync_audiences', 'request', args)
  return syncs
}
const withoutKey = ({ idempotency_key: key, ...rest }: Record<string, unknown>) => {
  if (typeof key !== 'string') throw new Error('no key')
  return rest
}
const segmentsOf = (sandbox: Sandbox) => (sandbox.state() as { segments: unknown[] }).segments
const segment = (...members: object[]) => ({ account: 'acc-118', id: ID, name: ID, members })

test('members are added, removed and their audience deleted by messages as AdCP has them', async (t) => {
  const { sandbox, context } = await setup(t, { consentBasis: 'consent' })
  t.equal(await adcp.findSegment(audience, context), undefined)
  t.equal(await adcp.createSegment(audience, context), ID)
  t.same(await adcp.upload(bodyOf(ann, bob), audience, ID, context), { received: 2, warnings: [] })
  t.equal(await adcp.findSegment(audience, context), ID)
  t.same(segmentsOf(sandbox), [{ ...segment(ann, bob), consentBasis: 'consent' }])
  const removal = { ...audience, mode: 'remove' } as const
  t.same(await adcp.remove(bodyOf(ann, cid), removal, ID, context), { warnings: [] })
  t.same(segmentsOf(sandbox), [{ ...segment(bob), consentBasis: 'consent' }])
  await adcp.deleteSegment(ID, context)
  t.same(segmentsOf(sandbox), [])

  const common = { adcp_version: '3.2', adcp_major_version: 3, account: ACCOUNT }
  const details = { audience_id: ID, name: ID, audience_type: 'crm', consent_basis: 'consent' }
  t.same(syncsOf(t, sandbox).map(withoutKey), [
    common,
    { ...common, audiences: [{ ...details, add: [ann, bob] }] },
    common,
    { ...common, audiences: [{ audience_id: ID, remove: [ann, cid] }] },
    { ...common, audiences: [{ audience_id: ID, delete: true }] }
  ])
  t.same(toolsCalled(sandbox).slice(0, 2), ['get_adcp_capabilities', 'sync_audiences'])
  const essence = ({ method, path, headers }: SandboxRequest) => ({
    method,
    path,
    authorization: headers['authorization'],
    contentType: headers['content-type'],
    accept: headers['accept']
  })
  t.same(sandbox.requests.map(essence)[1], {
    method: 'POST',
    path: '/mcp',
    authorization: 'Bearer sandbox',
    contentType: 'application/json',
    accept: 'application/json, text/event-stream'
  })
})
