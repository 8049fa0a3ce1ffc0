import { hash } from 'node:crypto'
import canonicalize from 'canonicalize'
import * as fc from 'fast-check'
import { test } from 'tap'
import { completed, echoOf, failed } from '../../src/adcp/answers.ts'
import { memberIssues } from '../../src/adcp/members.ts'
import { type ReadMessage, readMessage } from '../../src/adcp/message.ts'
import { AdcpError, type AdcpErrorBody } from '../../src/adcp/protocol.ts'
import { readAccountsQuery, readTaskQuery } from '../../src/adcp/queries.ts'
import type { CalledAudience, MemberList, SyncCall } from '../../src/adcp/sync-call.ts'
import { negotiate } from '../../src/adcp/versions.ts'
import { createWorkers } from '../../src/dispatch/workers.ts'
import { open } from '../../src/store/sealing.ts'
import { assertValid, messageViolations } from './validate.ts'

const bytes = (value: unknown) =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))
const textOf = (list: MemberList | undefined) => new TextDecoder().decode(list?.users)

const EMAIL = '5c1f0d7a92b84e36a1d4c7f0925b3e86d1407ac95f3be281640d9a7c52e8f13b'
const PHONE = 'e94b3c0d1f6a57284c8e0b9d7a3f5162d8c0417b9e2a6f3550b1d84c97e3fa06'
const KEY = '6f1d2c0e-93b4-4f0a-8a57-2b9f0f6d1c11'
const ACCOUNT = { account_id: 'acct_12345' }
const ARGS = { idempotency_key: KEY, account: ACCOUNT }
const JANE = { external_id: 'vh-70012', hashed_email: EMAIL }
const JOHN = { external_id: 'vh-55120', hashed_phone: PHONE }

const messageOf = (args: unknown, name = 'sync_audiences') => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name, arguments: args }
})

function callOf(read: ReadMessage): SyncCall {
  if ('call' in read && read.call !== undefined) return read.call
  throw new Error(`no call: ${JSON.stringify(read)}`)
}

function refusalOf(read: ReadMessage): AdcpErrorBody {
  if ('refusal' in read) return read.refusal
  throw new Error(`no refusal: ${JSON.stringify(read)}`)
}

const readArgs = (args: unknown) => readMessage(bytes(messageOf(args)))
const callWith = (args: object) => callOf(readArgs({ ...ARGS, ...args }))
const refusalWith = (args: object) => refusalOf(readArgs({ ...ARGS, ...args }))

test('the release that is served is the pin, or the newest below it', async (t) => {
  const served = (version: unknown, major?: unknown) => {
    const outcome = negotiate(version, major)
    return 'release' in outcome ? outcome.release : outcome.unsupported.body.field
  }
  t.same(
    {
      none: served(undefined),
      exact: [served('3.1'), served('3.2')],
      both: served('3.2', 3),
      above: [served('3.3'), served('3.99')],
      below: served('3.0', 3),
      otherMajor: [served('2.5'), served('4.0'), served('4.1', 4)],
      disagreeing: served('3.1', 4),
      prerelease: [served('3.2-rc.1'), served('3.1-beta'), served('3.1.0-beta.1')],
      patch: served('3.2.3'),
      nonsense: [served(''), served('v3'), served('3.1\n')],
      majorAlone: [served(undefined, 3), served(undefined, 2), served(undefined, 99)],
      otherTypes: served(3.1, '3')
    },
    {
      none: '3.2',
      exact: ['3.1', '3.2'],
      both: '3.2',
      above: ['3.2', '3.2'],
      below: 'adcp_version',
      otherMajor: ['adcp_version', 'adcp_version', 'adcp_version'],
      disagreeing: 'adcp_major_version',
      prerelease: ['adcp_version', 'adcp_version', 'adcp_version'],
      patch: 'adcp_version',
      nonsense: ['adcp_version', 'adcp_version', 'adcp_version'],
      majorAlone: ['3.2', 'adcp_major_version', 'adcp_major_version'],
      otherTypes: '3.2'
    }
  )
})

test('a call is read as it is meant', async (t) => {
  const args = {
    adcp_version: '3.2',
    adcp_major_version: 3,
    idempotency_key: KEY,
    account: {
      brand: { domain: 'veloheim.example', brand_id: 'city', countries: ['NL', 'DE'] },
      operator: 'nordlicht-media.example',
      operator_unit: { id: '234284238', name: 'Nordlicht EMEA' },
      currency: 'EUR',
      timezone: 'Europe/Amsterdam'
    },
    delete_missing: true,
    push_notification_config: {
      url: 'https://buyer.example/hooks/1',
      operation_id: 'op-31f7',
      token: 'tok_0123456789abcdef',
      authentication: { schemes: ['HMAC-SHA256'], credentials: 'x'.repeat(32) }
    },
    audiences: [
      {
        audience_id: 'vh_repeat_riders',
        name: 'Repeat riders',
        description: 'Bought twice\nin 90 days',
        audience_type: 'crm',
        tags: ['q4'],
        consent_basis: 'consent',
        add: [JANE, { ...JOHN, external_id: '"é"', hashed_email: EMAIL, note: 1 }],
        remove: [JOHN, { external_id: 'x', hashed_email: PHONE, hashed_phone: EMAIL }]
      },
      { audience_id: 'vh_old_list', delete: true, add: [JANE] },
      { audience_id: 'vh_new' }
    ],
    context: { trace: 't-2' },
    ext: { vendor: { any: ['thing'] } },
    governance_context: 'x',
    context_id: 'c',
    unknown: null
  }
  // 3.1 has fewer fields in the natural key, and would be refused a call of 3.2 for them.
  const violations = messageViolations('sync_audiences', 'request', args)
  t.same(
    violations.filter((one) => !one.startsWith('3.1.19 media-buy/sync-audiences-request /account')),
    []
  )
  const read = readArgs(args)
  const { audiences = [], requestHash: sum, ...call } = callOf(read)
  t.match(sum, /^[0-9a-f]{64}$/)
  t.same(call, {
    idempotencyKey: KEY,
    account: {
      brand: { domain: 'veloheim.example', brandId: 'city', countries: ['DE', 'NL'] },
      operator: 'nordlicht-media.example',
      operatorUnitId: '234284238',
      currency: 'EUR',
      timezone: 'Europe/Amsterdam',
      sandbox: false
    },
    deleteMissing: true,
    push: {
      url: 'https://buyer.example/hooks/1',
      operationId: 'op-31f7',
      token: 'tok_0123456789abcdef',
      authentication: { scheme: 'HMAC-SHA256', credentials: 'x'.repeat(32) },
      context: { trace: 't-2' }
    }
  })
  const shown = (list: MemberList | undefined) => list && { ...list, users: textOf(list) }
  t.same(
    audiences.map((one) => ({ ...one, add: shown(one.add), remove: shown(one.remove) })),
    [
      {
        audienceId: 'vh_repeat_riders',
        isDeleted: false,
        name: 'Repeat riders',
        description: 'Bought twice\nin 90 days',
        type: 'crm',
        tags: ['q4'],
        consentBasis: 'consent',
        add: {
          count: 1,
          users: `[{"edgeTagId":"vh-70012","email":"${EMAIL}"}]`,
          emails: 1,
          phones: 0
        },
        remove: {
          count: 2,
          users:
            `[{"edgeTagId":"vh-55120","phone":"${PHONE}"},` +
            `{"edgeTagId":"x","email":"${PHONE}","phone":"${EMAIL}"}]`,
          emails: 1,
          phones: 2
        }
      },
      { audienceId: 'vh_old_list', isDeleted: true, add: undefined, remove: undefined },
      { audienceId: 'vh_new', isDeleted: false, add: undefined, remove: undefined }
    ]
  )
  const { audiences: _audiences, ...others } = args
  t.same(
    'message' in read && read.message,
    messageOf(others),
    'its audiences have left the message'
  )
})

test('a call without audiences lists them', async (t) => {
  t.same(callWith({ account: ACCOUNT }), {
    idempotencyKey: KEY,
    account: { accountId: 'acct_12345' },
    audiences: undefined,
    deleteMissing: false,
    push: undefined,
    requestHash: hash('sha256', '{"account":{"account_id":"acct_12345"}}')
  })
})

/** A call with one audience. */
const audience = (fields: object) => ({ audiences: [{ audience_id: 'a', ...fields }] })
const HASH_WORDS = 'must be a SHA-256 hash of 64 lower-case hex digits'
const issue = (pointer: string, message: string, keyword: string) => ({ pointer, message, keyword })

interface Refused {
  readonly name: string
  readonly args: object
  readonly error: Partial<AdcpErrorBody>
}

const invalid = (
  name: string,
  args: object,
  field: string | undefined,
  ...issues: ReturnType<typeof issue>[]
): Refused => ({
  name,
  args,
  error: {
    code: 'INVALID_REQUEST',
    message:
      `${field ?? 'The arguments'} ${issues[0]?.message}` +
      `${issues.length > 1 ? ` (and ${issues.length - 1} more)` : ''}.`,
    recovery: 'correctable',
    ...(field !== undefined && { field }),
    issues
  }
})

const unsupportedVersion = (name: string, args: object, field: string): Refused => ({
  name,
  args,
  error: {
    code: 'VERSION_UNSUPPORTED',
    message: 'This release of AdCP is not spoken here, but 3.1 and 3.2 are.',
    recovery: 'correctable',
    field,
    suggestion: 'Send adcp_version "3.2".',
    details: { supported_versions: ['3.1', '3.2'], supported_majors: [3] }
  }
})

const credential = (name: string, args: object, field: string): Refused => ({
  name,
  args,
  error: {
    code: 'CREDENTIAL_IN_ARGS',
    message: 'Credentials do not belong into the arguments of a call.',
    recovery: 'terminal',
    field,
    suggestion: 'Send them as "Authorization: Bearer" and replace those that were sent.'
  }
})

const noCanonicalForm = (name: string, args: object): Refused => ({
  name,
  args,
  error: {
    code: 'INVALID_REQUEST',
    message: 'The arguments hold text that is not valid Unicode, or a number that is out of range.',
    recovery: 'correctable'
  }
})

const REFUSED: readonly Refused[] = [
  invalid(
    'no key, no account',
    { idempotency_key: undefined, account: undefined },
    'idempotency_key',
    issue('/idempotency_key', 'is required', 'required'),
    issue('/account', 'is required', 'required')
  ),
  invalid(
    'a key that is too short',
    { idempotency_key: 'short' },
    'idempotency_key',
    issue('/idempotency_key', 'must be 16 to 255 of A-Za-z0-9_.:-', 'pattern')
  ),
  invalid('audiences: []', { audiences: [] }, 'audiences', {
    pointer: '/audiences',
    message: 'must not be empty',
    keyword: 'minItems'
  }),
  invalid(
    'audiences that are no list',
    { audiences: {} },
    'audiences',
    issue('/audiences', 'must be array', 'type')
  ),
  invalid(
    'more audiences than a call may have',
    { audiences: Array.from({ length: 1_001 }, (_, index) => ({ audience_id: `a${index}` })) },
    'audiences',
    issue('/audiences', 'has 1001 audiences; at most 1000 are allowed in a call', 'maxItems')
  ),
  invalid(
    'delete_missing without audiences',
    { delete_missing: true },
    'audiences',
    issue('/audiences', 'is required with delete_missing', 'required')
  ),
  invalid(
    'an audience without id',
    { audiences: [{ name: 'x' }] },
    'audiences[0].audience_id',
    issue('/audiences/0/audience_id', 'is required', 'required')
  ),
  invalid(
    'an audience that is none',
    { audiences: [null] },
    'audiences[0]',
    issue('/audiences/0', 'must be object', 'type')
  ),
  invalid(
    'two audiences of one id',
    { audiences: [{ audience_id: 'a' }, { audience_id: 'b' }, { audience_id: 'a' }] },
    'audiences[2].audience_id',
    issue('/audiences/2/audience_id', 'is that of another audience of the call', 'uniqueItems')
  ),
  invalid(
    'an id of two lines',
    { audiences: [{ audience_id: 'a\nb' }] },
    'audiences[0].audience_id',
    issue('/audiences/0/audience_id', 'must be text of 1 to 255 characters in one line', 'pattern')
  ),
  invalid(
    'a blank name, a tag twice, a type and a basis that there are not',
    audience({ name: ' \u200b', audience_type: 'x', tags: ['a', 'a'], consent_basis: 'x' }),
    'audiences[0].name',
    issue('/audiences/0/name', 'must be text of 1 to 255 characters in one line', 'pattern'),
    issue('/audiences/0/audience_type', 'must be equal to one of the allowed values', 'enum'),
    issue('/audiences/0/tags', 'must not have duplicate items', 'uniqueItems'),
    issue('/audiences/0/consent_basis', 'must be equal to one of the allowed values', 'enum')
  ),
  invalid(
    'a name of many marks on one letter',
    audience({ name: `a${'\u0301'.repeat(300)}` }),
    'audiences[0].name',
    issue('/audiences/0/name', 'must be text of 1 to 255 characters in one line', 'pattern')
  ),
  invalid(
    'a description that is too long',
    audience({ description: 'x'.repeat(2_001) }),
    'audiences[0].description',
    issue('/audiences/0/description', 'must be text of at most 2000 characters', 'pattern')
  ),
  invalid(
    'too many tags, one of them empty',
    audience({ tags: Array.from({ length: 21 }, (_, index) => (index === 0 ? '' : `${index}`)) }),
    'audiences[0].tags[0]',
    issue('/audiences/0/tags/0', 'must be text of 1 to 64 characters in one line', 'pattern'),
    issue('/audiences/0/tags', 'must not have more than 20 items', 'maxItems')
  ),
  invalid(
    'an audience with more besides its members than there is to tell',
    audience({ add: [JANE], ext: { list: Array(8_000).fill(1) } }),
    'audiences[0]',
    issue('/audiences/0', 'is too large besides its members', 'maxLength')
  ),
  invalid(
    'a member with more than there is to tell',
    audience({
      add: [
        JANE,
        { ...JANE, uids: Array.from({ length: 1_000 }, () => ({ type: 'maid', value: 'x' })) }
      ]
    }),
    'audiences[0].add[1]',
    issue('/audiences/0/add/1', 'is too large', 'maxLength')
  ),
  invalid(
    'add: []',
    audience({ add: [], remove: 'x' }),
    'audiences[0].remove',
    issue('/audiences/0/remove', 'must be array', 'type'),
    issue('/audiences/0/add', 'must not be empty', 'minItems')
  ),
  invalid(
    'an upper-case hash',
    audience({ add: [JANE, { ...JANE, hashed_email: EMAIL.toUpperCase() }] }),
    'audiences[0].add[1].hashed_email',
    issue('/audiences/0/add/1/hashed_email', HASH_WORDS, 'pattern')
  ),
  invalid(
    'a hash in brackets of the same length, one that is too long, one of look-alikes',
    audience({
      add: [
        { ...JANE, hashed_email: `{${EMAIL.slice(2)}}` },
        { ...JANE, hashed_phone: `${EMAIL}0` },
        { ...JANE, hashed_phone: EMAIL.replaceAll('1', '\u0131') }
      ]
    }),
    'audiences[0].add[0].hashed_email',
    issue('/audiences/0/add/0/hashed_email', HASH_WORDS, 'pattern'),
    issue('/audiences/0/add/1/hashed_phone', HASH_WORDS, 'pattern'),
    issue('/audiences/0/add/2/hashed_phone', HASH_WORDS, 'pattern')
  ),
  invalid(
    'no external_id',
    audience({ remove: [{ hashed_email: EMAIL }] }),
    'audiences[0].remove[0].external_id',
    issue('/audiences/0/remove/0/external_id', 'is required', 'required')
  ),
  invalid(
    'no hash',
    audience({ remove: [{ external_id: 'x' }] }),
    'audiences[0].remove[0]',
    issue('/audiences/0/remove/0', 'must have hashed_email or hashed_phone', 'anyOf')
  ),
  invalid(
    'members of other types',
    audience({ add: [null, [], 1, { ...JANE, external_id: 7 }, { ...JANE, hashed_phone: null }] }),
    'audiences[0].add[0]',
    issue('/audiences/0/add/0', 'must be object', 'type'),
    issue('/audiences/0/add/1', 'must be object', 'type'),
    issue('/audiences/0/add/2', 'must be object', 'type'),
    issue('/audiences/0/add/3/external_id', 'must be string', 'type'),
    issue('/audiences/0/add/4/hashed_phone', 'must be string', 'type')
  ),
  invalid(
    'more issues than are told',
    { audiences: [1, 2].map((id) => ({ audience_id: `${id}`, add: Array(8).fill(null) })) },
    'audiences[0].add[0]',
    ...Array.from({ length: 8 }, (_, index) =>
      issue(`/audiences/0/add/${index}`, 'must be object', 'type')
    ),
    issue('/audiences/1/add/0', 'must be object', 'type'),
    issue('/audiences/1/add/1', 'must be object', 'type')
  ),
  invalid(
    'both forms of an account',
    { account: { ...ACCOUNT, operator: 'x.example' } },
    'account',
    issue('/account', 'has a property that does not belong there', 'additionalProperties')
  ),
  invalid(
    'an account without operator',
    { account: { brand: { domain: 'veloheim.example' } } },
    'account.operator',
    issue('/account/operator', 'is required', 'required')
  ),
  invalid(
    'an account that is a name',
    { account: 'acct_12345' },
    'account',
    issue('/account', 'must be object', 'type')
  ),
  invalid(
    'a brand with an unknown field',
    { account: { brand: { domain: 'x.example', 'jane@example.com': 1 }, operator: 'x.example' } },
    'account.brand',
    issue('/account/brand', 'has a property that does not belong there', 'additionalProperties')
  ),
  invalid(
    'a context that is no object',
    { context: 'trace', delete_missing: 'yes' },
    'context',
    issue('/context', 'must be object', 'type')
  ),
  invalid(
    'nowhere to push to',
    { push_notification_config: { url: 'not a url', token: 'short' } },
    'push_notification_config.url',
    issue('/push_notification_config/url', 'must match format "uri"', 'format'),
    issue('/push_notification_config/token', 'must not have fewer than 16 characters', 'minLength')
  ),
  unsupportedVersion('3.0', { adcp_version: '3.0' }, 'adcp_version'),
  unsupportedVersion('another major', { adcp_major_version: 4, account: 1 }, 'adcp_major_version'),
  credential('a key', { api_key: 'sk_live_1' }, 'api_key'),
  credential(
    'in the context',
    { context: { a: [{ authorization: 'Bearer x' }] } },
    'context.a[0].authorization'
  ),
  credential(
    'behind a name that says something',
    { ext: { 'jane@example.com': { facebook_access_token: 'x' } } },
    'ext.*.facebook_access_token'
  ),
  credential('in an audience', audience({ ext: { jwks_uri: 'x' } }), 'audiences[0].ext.jwks_uri'),
  credential(
    'in a member',
    audience({ add: [JANE, { ...JANE, ext: { clientSecret: 'x' } }] }),
    'audiences[0].add[1].ext.clientSecret'
  ),
  noCanonicalForm('half a surrogate pair', { ext: { name: '\ud83d' } }),
  noCanonicalForm('half of one as a name', { '\ude00': 1 })
]

for (const { name, args, error } of REFUSED) {
  test(`refused: ${name}`, async (t) => {
    const found = refusalWith(args)
    t.same(found, error)
    const { fields } = failed(echoOf({ ...ARGS, ...args }), found)
    assertValid(t, 'sync_audiences', 'response', fields)
  })
}

test('a number that is out of range is refused', async (t) => {
  const text = JSON.stringify(messageOf({ ...ARGS, ext: { n: 1 } })).replace('"n":1', '"n":1e999')
  t.match(refusalOf(readMessage(bytes(text))), noCanonicalForm('', {}).error)
})

test('100,000 members may come in a call, over all audiences, and none more', async (t) => {
  const add = Array.from({ length: 99_999 }, () => JANE)
  const lists = (more: object) => ({ audiences: [{ audience_id: 'a', add }, more] })
  const { audiences = [] } = callWith(lists({ audience_id: 'b', remove: [JOHN] }))
  t.same(
    audiences.map((one) => [one.add?.count, one.remove?.count]),
    [
      [99_999, undefined],
      [undefined, 1]
    ]
  )
  const found = refusalWith(lists({ audience_id: 'b', add: [JANE], remove: [JOHN] }))
  const words = 'has 100001 members; at most 100000 are allowed in a call'
  t.same(found, {
    code: 'INVALID_REQUEST',
    message: `audiences ${words}.`,
    recovery: 'correctable',
    field: 'audiences',
    issues: [issue('/audiences', words, 'maxItems')]
  })
})

test('what nobody here can do is the problem of its audience alone', async (t) => {
  const uids = [{ type: 'maid', value: '7d0a2f44-31c9-4b8e-a6f2-90be13c57d28' }]
  const { audiences = [] } = callWith({
    audiences: [
      { audience_id: 'shared', source: { kind: 'dataset' } },
      {
        audience_id: 'universal',
        add: [JANE, { ...JOHN, uids }],
        remove: [{ external_id: 'x', uids }]
      },
      { audience_id: 'only', remove: [{ external_id: 'x', uids }] },
      { audience_id: 'gone', delete: true, source: {} },
      { audience_id: 'plain', add: [JANE] }
    ]
  })
  const uidsProblem = (field: string) => ({
    code: 'UNSUPPORTED_FEATURE',
    message: 'No platform of the account takes universal ids.',
    recovery: 'correctable',
    field,
    suggestion: 'Leave uids out, and send hashed_email or hashed_phone.',
    details: { accepted_values: ['hashed_email', 'hashed_phone'] }
  })
  t.same(
    audiences.map(({ add, ...one }) => ({ ...one, added: add?.count })),
    [
      {
        audienceId: 'shared',
        isDeleted: false,
        problem: {
          code: 'UNSUPPORTED_FEATURE',
          message: 'Members are taken from calls only.',
          recovery: 'correctable',
          field: 'audiences[0].source',
          suggestion: 'Send the members themselves, with add and remove.'
        },
        added: undefined
      },
      {
        audienceId: 'universal',
        isDeleted: false,
        problem: uidsProblem('audiences[1].add[1].uids'),
        added: undefined
      },
      {
        audienceId: 'only',
        isDeleted: false,
        problem: uidsProblem('audiences[2].remove[0].uids'),
        added: undefined
      },
      { audienceId: 'gone', isDeleted: true, added: undefined },
      { audienceId: 'plain', isDeleted: false, added: 1 }
    ]
  )
})

const hex = fc.stringMatching(/^[0-9a-f]{64}$/)
const member = fc.record(
  {
    external_id: fc.oneof(
      fc.stringMatching(/^[a-c]{1,2}$/),
      fc.stringMatching(/^[^\p{C}\s]{1,9}$/u)
    ),
    hashed_email: fc.constantFrom(...['1', '2', '3', '4'].map((digit) => digit.repeat(64))),
    hashed_phone: hex
  },
  { requiredKeys: ['external_id', 'hashed_email'] }
)
const list = fc.option(fc.array(member, { minLength: 1, maxLength: 6 }), { nil: undefined })
type Member = Readonly<Record<string, string>>

const asUser = ({ external_id: edgeTagId, hashed_email: email, hashed_phone: phone }: Member) => ({
  edgeTagId,
  email,
  ...(phone !== undefined && { phone })
})

test('every member gets where it belongs, and who is removed is not added', async (t) => {
  const lists = fc.array(fc.record({ add: list, remove: list }), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(lists, (all) => {
      const audiences = all.map((one, index) => ({ audience_id: `a${index}`, ...one }))
      const call = callWith({ audiences })
      for (const [index, { add, remove }] of all.entries()) {
        const one: CalledAudience | undefined = call.audiences?.[index]
        const isRemoved = (added: Member) =>
          (remove ?? []).some((gone) =>
            Object.keys(added).some((name) => (gone as Member)[name] === added[name])
          )
        const wanted = (add as Member[] | undefined)?.filter((added) => !isRemoved(added))
        const users = (found: MemberList | undefined) =>
          found && (JSON.parse(textOf(found)) as unknown)
        t.strictSame(users(one?.add), wanted?.map(asUser))
        t.strictSame(users(one?.remove), (remove as Member[] | undefined)?.map(asUser))
        t.strictSame(
          [one?.add?.count, one?.add?.emails, one?.add?.phones],
          wanted === undefined
            ? [undefined, undefined, undefined]
            : [wanted.length, wanted.length, wanted.filter((user) => user['hashed_phone']).length]
        )
      }
    }),
    { numRuns: 60 }
  )
})

test('members are refused that the official schema refuses, and no others', async (t) => {
  const value = fc.oneof(
    hex,
    fc.constantFrom(EMAIL.toUpperCase(), '', 'x', 7, null, true, [], {}, [{}]),
    fc.constantFrom([{ type: 'maid', value: 'v' }], [{ type: 'maid' }], [{ type: 'id5', value: 1 }])
  )
  const names = ['external_id', 'hashed_email', 'hashed_phone', 'uids', 'ext', 'other']
  const any = fc.oneof(
    { weight: 9, arbitrary: fc.dictionary(fc.constantFrom(...names), value) },
    { weight: 1, arbitrary: value }
  )
  fc.assert(
    fc.property(any, (one) => {
      const args = { ...ARGS, ...audience({ add: [one] }) }
      const isOfficial = messageViolations('sync_audiences', 'request', args).length === 0
      // An empty id tells nobody from anybody.
      const isEmpty = (one as { external_id?: unknown } | null)?.external_id === ''
      t.equal(memberIssues(one, '').length === 0, isOfficial && !isEmpty, JSON.stringify(one))
      const read = readArgs(args)
      t.equal('call' in read, isOfficial && !isEmpty, JSON.stringify(one))
    }),
    { numRuns: 400 }
  )
})

test('two calls are the same where their canonical forms are', async (t) => {
  const EXCLUDED = { idempotency_key: KEY, context: { a: 1 }, governance_context: 'x' }
  const field = fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 })
  const args = fc.record({
    account: fc.constant(ACCOUNT),
    ext: field,
    audiences: fc.array(
      fc.record(
        {
          audience_id: fc.uuid(),
          add: fc.array(
            fc.oneof(
              member,
              fc.tuple(member, field).map(([one, more]) => ({ ...one, ext: more }))
            ),
            {
              minLength: 1,
              maxLength: 4
            }
          ),
          more: fc.jsonValue()
        },
        { requiredKeys: ['audience_id'] }
      ),
      { minLength: 1, maxLength: 3 }
    )
  })
  fc.assert(
    fc.property(args, (one) => {
      const text = canonicalize(JSON.parse(JSON.stringify(one))) ?? ''
      const read = readArgs({ ...one, ...EXCLUDED })
      t.equal('call' in read && read.call?.requestHash, hash('sha256', text))
    }),
    { numRuns: 60 }
  )
})

test('the closed list of what may differ in a call that is sent again', async (t) => {
  const push = (more: object, credentials = 'x'.repeat(32)) => ({
    push_notification_config: {
      url: 'https://buyer.example/1',
      authentication: { schemes: ['Bearer'], credentials },
      ...more
    }
  })
  const base = { ...push({}), ...audience({ add: [JANE] }), ext: { a: null } }
  const sum = (args: object) => callWith(args).requestHash
  const same = [
    { ...base, idempotency_key: 'another-key-of-16' },
    { ...base, context: { any: 'thing' } },
    { ...base, governance_context: 'x' },
    { ...base, ...push({}, 'y'.repeat(40)) },
    {
      ext: { a: null },
      ...audience({ add: [{ hashed_email: EMAIL, external_id: 'vh-70012' }] }),
      ...push({})
    }
  ]
  const other = [
    { ...base, ext: {} },
    { ...base, ext: { a: 0 } },
    { ...base, ...push({ url: 'https://buyer.example/2' }) },
    { ...base, adcp_version: '3.1' },
    { ...base, delete_missing: false },
    { ...base, ...audience({ add: [JANE, JANE] }) },
    { ...base, ...audience({ add: [{ ...JANE, external_id: 'vh-70013' }] }) },
    { ...base, ...audience({ remove: [JANE] }) }
  ]
  t.same(
    same.map((args) => sum(args) === sum(base)),
    same.map(() => true)
  )
  t.equal(new Set([base, ...other].map(sum)).size, other.length + 1)
})

test('what is no message is told in the words of JSON-RPC', async (t) => {
  const deep = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`
  const cases = {
    empty: '',
    notJson: '{"jane@example.com',
    batch: [messageOf(ARGS)],
    text: '"tools/call"',
    nothing: 'null',
    large: { jsonrpc: '2.0', id: 1, method: 'tools/list', params: { x: 'x'.repeat(300_000) } },
    deep: `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":${deep(100_000)}}}`
  }
  const found = Object.entries(cases).map(([name, value]) => [name, readMessage(bytes(value))])
  t.same(Object.fromEntries(found), {
    empty: { invalid: { code: -32_700, message: 'Parse error: the body is not valid JSON' } },
    notJson: {
      invalid: {
        code: -32_700,
        message: 'Parse error: the body is not valid JSON (line 1, column 19)'
      }
    },
    batch: { invalid: { code: -32_600, message: 'Invalid Request: not one message' } },
    text: { invalid: { code: -32_600, message: 'Invalid Request: not one message' } },
    nothing: { invalid: { code: -32_600, message: 'Invalid Request: not one message' } },
    large: { invalid: { code: -32_600, message: 'Invalid Request: too large' } },
    deep: { invalid: { code: -32_600, message: 'Invalid Request: too large' } }
  })
  // Parsed, they would take a gigabyte.
  const many = Buffer.alloc(25_200_000, '[[],')
  t.match(readMessage(many), { invalid: { message: 'Invalid Request: too many values' } })
  const latin1 = Buffer.from('{"a":"é"}', 'latin1')
  t.same(readMessage(latin1), {
    invalid: { code: -32_700, message: 'Parse error: the body is not UTF-8' }
  })
})

test('what is too much besides the members is refused, and not handed on', async (t) => {
  const refusal = {
    code: 'INVALID_REQUEST',
    message: 'The call has more than 262144 characters or 64 levels besides its audiences.',
    recovery: 'correctable'
  }
  for (const name of ['sync_audiences', 'list_accounts']) {
    const large = messageOf({ ...ARGS, ext: { text: 'x'.repeat(300_000) } }, name)
    const deep = JSON.stringify(messageOf({ ...ARGS, context: { a: 0 } }, name)).replace(
      '"a":0',
      `"a":${'['.repeat(50_000)}${']'.repeat(50_000)}`
    )
    for (const message of [large, deep]) {
      t.same(readMessage(bytes(message)), { message: messageOf({}, name), refusal })
    }
  }
})

test('names of JavaScript are names like any other', async (t) => {
  const text = JSON.stringify(messageOf({ ...ARGS, ...audience({ add: [JANE] }) })).replace(
    '{"external_id"',
    '{"__proto__":{"hashed_phone":"x"},"constructor":1,"external_id"'
  )
  const [one] = callOf(readMessage(bytes(text))).audiences ?? []
  t.equal(textOf(one?.add), `[{"edgeTagId":"vh-70012","email":"${EMAIL}"}]`)
})

function errorOf(work: () => unknown): AdcpErrorBody {
  try {
    work()
  } catch (error) {
    if (error instanceof AdcpError) return error.body
  }
  throw new Error('no error')
}

test('calls of other tools are passed on as they are, and what they ask is read', async (t) => {
  const args = { task_id: 'task_1', include_result: true, account: ACCOUNT, api_key: 'x' }
  const message = messageOf(args, 'tasks_get')
  t.same(readMessage(bytes(message)), { message })
  t.match(
    errorOf(() => readTaskQuery(args)),
    { code: 'CREDENTIAL_IN_ARGS', field: 'api_key' }
  )
  t.match(
    errorOf(() => readTaskQuery({ adcp_version: '9.0', task_id: 'x' })),
    { code: 'VERSION_UNSUPPORTED' }
  )
  t.match(
    errorOf(() => readTaskQuery({})),
    { code: 'INVALID_REQUEST', field: 'task_id' }
  )
  t.same(readTaskQuery({ task_id: 'task_1', account: ACCOUNT }), {
    taskId: 'task_1',
    includeResult: false,
    account: { accountId: 'acct_12345' }
  })
  t.same(readAccountsQuery({}), {})
  const query = { status: 'active', sandbox: false, pagination: { max_results: 5, cursor: 'c' } }
  t.same(readAccountsQuery({ ...query, account: ACCOUNT, idempotency_key: KEY }), {
    account: { accountId: 'acct_12345' },
    status: 'active',
    sandbox: false,
    maxResults: 5,
    cursor: 'c'
  })
  t.match(
    errorOf(() => readAccountsQuery({ pagination: { max_results: 101 } })),
    { field: 'pagination.max_results', issues: [{ keyword: 'maximum' }] }
  )
})

test('answers repeat the context, unless it holds what should not have been sent', async (t) => {
  const context = { trace: 't-1' }
  t.same(completed(echoOf({ context, adcp_version: '3.1' }), { accounts: [] }), {
    fields: { status: 'completed', accounts: [], adcp_version: '3.1', context },
    hasFailed: false
  })
  t.same(echoOf({ context: { api_key: 'sk_live_1' }, adcp_version: '4.0' }), {
    adcp_version: '3.2'
  })
  t.same(echoOf({ context: 'text' }), { adcp_version: '3.2' })
})

const MEMBERS = process.env['AUDIENCE_TEST_LONG'] ? 100_000 : 20_000
const REMOVED = MEMBERS / 10

test(`a call of ${MEMBERS} members is read in a thread, and comes back sealed`, async (t) => {
  const keys = [new Uint8Array(32).fill(7)] as const
  const workers = createWorkers()
  t.teardown(() => workers.close())
  const add = Array.from({ length: MEMBERS }, (_, index) => ({
    external_id: `crm-${index}`,
    hashed_email: hash('sha256', `user${index}@example.com`),
    hashed_phone: hash('sha256', `+49170${1_000_000 + index}`)
  }))
  const lists = audience({ add: add.slice(REMOVED), remove: add.slice(0, REMOVED) })
  const body = bytes(messageOf({ ...ARGS, ...lists }))
  const outcome = await workers.readCall({ body, keys })
  t.equal(body.byteLength, 0, 'its bytes have moved')
  if (!('call' in outcome) || outcome.call === undefined) throw new Error('no call')
  const [one] = outcome.call.audiences ?? []
  t.match(one, {
    audienceId: 'a',
    add: { count: MEMBERS - REMOVED, emails: MEMBERS - REMOVED, phones: MEMBERS - REMOVED },
    remove: { count: REMOVED }
  })
  const { contentHash = '', sealedUsers = new Uint8Array() } = one?.add ?? {}
  const users = new TextDecoder().decode(open(sealedUsers, contentHash, keys))
  t.ok(users === JSON.stringify(add.slice(REMOVED).map(asUser)), 'whole and in order')

  const wrong = bytes(messageOf({ ...ARGS, ...audience({ add: [...add.slice(1), {}] }) }))
  t.match(await workers.readCall({ body: wrong, keys }), {
    refusal: { code: 'INVALID_REQUEST', field: `audiences[0].add[${MEMBERS - 1}].external_id` }
  })
})
