import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { adcpError, AdcpError, REPLAY_TTL_SECONDS } from '../../src/adcp/protocol.ts'
import { type Answer, completed, type Echo, failed } from '../../src/adcp/answers.ts'
import type { Fields } from '../../src/adcp/fields.ts'
import { readAccountsQuery, readTaskQuery } from '../../src/adcp/queries.ts'
import type {
  AccountReference,
  CalledAudience,
  MemberList,
  SyncCall
} from '../../src/adcp/sync-call.ts'
import { parseJson } from '../http-client.ts'
import { type SandboxSettings, standingOf } from '../sandbox.ts'

/** Matched people from whom up an audience can be used. */
const MINIMUM_SIZE = 100

export interface SellerAccount {
  readonly account_id: string
  readonly name: string
  readonly brand: { readonly domain: string; readonly brand_id?: string }
  readonly operator: string
}

const VELOHEIM: SellerAccount = {
  account_id: 'acc-118',
  name: 'Veloheim',
  brand: { domain: 'veloheim.example' },
  operator: 'nordlicht-media.example'
}
const BERGLUFT: SellerAccount = {
  account_id: 'acc-119',
  name: 'Bergluft',
  brand: { domain: 'bergluft.example', brand_id: 'outdoor' },
  operator: 'nordlicht-media.example'
}

/** What each token may see. */
export const TOKENS: Readonly<Record<string, readonly SellerAccount[]>> = {
  sandbox: [VELOHEIM],
  'sandbox-agency': [VELOHEIM, BERGLUFT],
  'sandbox-without-account': []
}

/** How a seller differs from a plain one. */
export interface Manner {
  readonly identifiers?: readonly string[]
  /** Changes become tasks. */
  readonly isSlow?: boolean
  readonly versions?: readonly string[]
  /** Whether it says how it treats repeated calls. */
  readonly hasIdempotency?: boolean
}

interface Member {
  readonly external_id: string
  readonly hashed_email?: string
  readonly hashed_phone?: string
}

interface SellerAudience {
  readonly account: string
  readonly id: string
  name: string
  consentBasis: string | undefined
  readonly members: Map<string, Member>
}

interface Task {
  readonly result: Fields
  polls: number
}

/** What all sellers of the sandbox hold. */
export class SellerState {
  /** By account and id. */
  readonly audiences = new Map<string, SellerAudience>()
  /** By account and key. */
  readonly calls = new Map<string, { readonly hash: string; readonly fields: Fields }>()
  readonly tasks = new Map<string, Task>()

  clear(): void {
    this.audiences.clear()
    this.calls.clear()
    this.tasks.clear()
  }

  toJSON() {
    return {
      segments: [...this.audiences.values()].map(
        ({ account, id, name, consentBasis, members }) => ({
          account,
          id,
          name,
          ...(consentBasis !== undefined && { consentBasis }),
          members: [...members.values()]
        })
      )
    }
  }
}

export interface Caller {
  readonly accounts: readonly SellerAccount[]
  readonly manner: Manner
  readonly settings: SandboxSettings
}

/** The tools of one seller, as one call finds them. */
export function callSeller(
  state: SellerState,
  { accounts, manner, settings }: Caller,
  {
    name,
    args,
    call,
    echo
  }: {
    readonly name: string
    readonly args: Fields
    readonly call: SyncCall | undefined
    readonly echo: Echo
  }
): Answer {
  try {
    return completed(echo, run())
  } catch (error) {
    if (error instanceof AdcpError) return failed(echo, error.body)
    throw error
  }

  function run(): Fields {
    if (call !== undefined) return once(accountOf(accounts, call.account), call)
    switch (name) {
      case 'get_adcp_capabilities':
        return capabilities(manner)
      case 'list_accounts':
        readAccountsQuery(args)
        return {
          accounts: accounts.map((account) => ({ ...account, status: 'active' })),
          pagination: { has_more: false, total_count: accounts.length }
        }
      default:
        return look(readTaskQuery(args).taskId)
    }
  }

  /** The same call again is answered from memory ("Idempotency"). */
  function once({ account_id: account }: SellerAccount, sync: SyncCall): Fields {
    const key = `${account} ${sync.idempotencyKey}`
    const known = state.calls.get(key)
    if (known !== undefined && known.hash !== sync.requestHash) {
      throw new AdcpError('IDEMPOTENCY_CONFLICT', 'The key was used for another call.')
    }
    if (known !== undefined) return { ...known.fields, replayed: true }
    const fields = perform(account, sync)
    state.calls.set(key, { hash: sync.requestHash, fields })
    return fields
  }

  function perform(account: string, { audiences = [] }: SyncCall): Fields {
    const named = audiences.map((audience) => change(account, audience))
    const ids = new Set(audiences.map(({ audienceId }) => audienceId))
    const others = [...state.audiences.values()]
      .filter((audience) => audience.account === account && !ids.has(audience.id))
      .map((audience) => rowOf(audience, 'unchanged', 0))
    const result = { audiences: [...named, ...others] }
    if (manner.isSlow !== true || audiences.length === 0) return result
    const taskId = `tsk-${state.tasks.size + 1}`
    state.tasks.set(taskId, { result: { status: 'completed', ...result }, polls: 0 })
    return { status: 'submitted', task_id: taskId, message: 'Import queued.' }
  }

  function change(account: string, audience: CalledAudience): Fields {
    const { audienceId, isDeleted, problem, add, remove } = audience
    const key = `${account} ${audienceId}`
    const known = state.audiences.get(key)
    if (problem !== undefined) return failedRow(audienceId, problem)
    if (isDeleted) {
      if (state.audiences.delete(key)) return { audience_id: audienceId, action: 'deleted' }
      const unknown = adcpError('REFERENCE_NOT_FOUND', 'No audience with this id on the account.', {
        field: 'audience_id'
      })
      return failedRow(audienceId, unknown)
    }
    const changed = known ?? {
      account,
      id: audienceId,
      name: audienceId,
      consentBasis: undefined,
      members: new Map()
    }
    state.audiences.set(key, changed)
    changed.name = audience.name ?? changed.name
    changed.consentBasis = audience.consentBasis ?? changed.consentBasis
    for (const member of membersOf(remove)) changed.members.delete(member.external_id)
    for (const member of membersOf(add)) changed.members.set(member.external_id, member)
    return rowOf(changed, known === undefined ? 'created' : 'updated', add?.count ?? 0)
  }

  function rowOf(audience: SellerAudience, action: string, uploaded: number): Fields {
    const { id, name: shown, members } = audience
    const standing = standingOf(settings, { id, members: members.size }, MINIMUM_SIZE)
    return {
      audience_id: id,
      name: shown,
      action,
      status: standing.state,
      uploaded_count: uploaded,
      total_uploaded_count: members.size,
      ...(standing.state === 'ready' && { matched_count: standing.matched }),
      ...(standing.state === 'too_small' && {
        matched_count: standing.matched,
        minimum_size: MINIMUM_SIZE
      })
    }
  }

  /** It takes a look or two until a task is over. */
  function look(taskId: string): Fields {
    const task = state.tasks.get(taskId)
    if (task === undefined) throw new AdcpError('REFERENCE_NOT_FOUND', 'No such task.')
    task.polls += 1
    const isOver = task.polls > 1
    const at = '2026-01-01T00:00:00Z'
    return {
      task_id: taskId,
      task_type: 'sync_audiences',
      protocol: 'media-buy',
      created_at: at,
      updated_at: at,
      status: isOver ? 'completed' : 'working',
      ...(isOver && { completed_at: at, result: task.result })
    }
  }
}

const failedRow = (audienceId: string, error: object): Fields => ({
  audience_id: audienceId,
  action: 'failed',
  errors: [error]
})

function accountOf(accounts: readonly SellerAccount[], reference: AccountReference): SellerAccount {
  const found = accounts.find((account) => isNamedBy(account, reference))
  if (found !== undefined) return found
  throw new AdcpError('ACCOUNT_NOT_FOUND', 'There is no such account.', { field: 'account' })
}

function isNamedBy(account: SellerAccount, reference: AccountReference): boolean {
  if ('accountId' in reference) return reference.accountId === account.account_id
  const { brand, operator, sandbox } = reference
  const isBrand = brand.domain === account.brand.domain && brand.brandId === account.brand.brand_id
  return isBrand && operator === account.operator && !sandbox
}

function capabilities({
  identifiers = ['hashed_email', 'hashed_phone'],
  versions = ['3.1', '3.2'],
  hasIdempotency = true
}: Manner): Fields {
  return {
    adcp: {
      major_versions: [3],
      ...(versions.length > 0 && { supported_versions: versions }),
      ...(hasIdempotency && {
        idempotency: { supported: true, replay_ttl_seconds: REPLAY_TTL_SECONDS }
      })
    },
    supported_protocols: ['media_buy'],
    specialisms: ['audience-sync'],
    account: { require_operator_auth: true, supported_billing: ['operator'], sandbox: true },
    media_buy: {
      features: { audience_targeting: true },
      audience_targeting: {
        supported_identifier_types: identifiers,
        minimum_audience_size: MINIMUM_SIZE,
        matching_latency_hours: { min: 0, max: 24 }
      }
    }
  }
}

const Users = Type.Array(
  Type.Object({
    edgeTagId: Type.String(),
    email: Type.Optional(Type.String()),
    phone: Type.Optional(Type.String())
  })
)

/** Read in the form of an upload's users; told in that of AdCP. */
function membersOf(list: MemberList | undefined): Member[] {
  if (list === undefined) return []
  const users = Value.Parse(Users, parseJson(new TextDecoder().decode(list.users)))
  return users.map(({ edgeTagId, email, phone }) => ({
    external_id: edgeTagId,
    ...(email !== undefined && { hashed_email: email }),
    ...(phone !== undefined && { hashed_phone: phone })
  }))
}
