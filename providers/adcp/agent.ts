import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import { ADCP_RELEASES } from '../../src/adcp/protocol.ts'
import type { HashedIdentifier } from '../provider.ts'
import { answered, unreadable } from './errors.ts'
import { callTool, listTools } from './mcp.ts'
import type { AdcpContext, AdcpVariables } from './variables.ts'

/** What is known of a seller and of our account there, until it is asked again. */

/** Capabilities change with the seller's releases. */
const KNOWN_FOR_MS = 6 * 3_600_000

/** A seller takes what it named, `hashed_email`, `hashed_phone`, and else is not asked for it. */
export const HASH_FIELDS: Readonly<Record<HashedIdentifier, string>> = {
  email: 'hashed_email',
  phone: 'hashed_phone'
}

export interface Agent {
  /** `adcp_version` and `adcp_major_version`, as the seller understands them. */
  readonly version: Readonly<Record<string, unknown>>
  /** Fields of a member that it does not take. */
  readonly unwanted: readonly string[]
}

const Capabilities = Type.Object({
  adcp: Type.Object({
    major_versions: Type.Optional(Type.Array(Type.Unknown())),
    supported_versions: Type.Optional(Type.Array(Type.Unknown())),
    idempotency: Type.Optional(Type.Object({}))
  }),
  media_buy: Type.Optional(
    Type.Object({
      audience_targeting: Type.Optional(
        Type.Object({ supported_identifier_types: Type.Optional(Type.Array(Type.Unknown())) })
      )
    })
  )
})
type Capabilities = Static<typeof Capabilities>

interface Known<T> {
  readonly value: T
  readonly until: number
}

/** One look at the seller for all calls of a tag. */
function remembered<T>(ask: (context: AdcpContext) => Promise<T>) {
  const known = new WeakMap<AdcpVariables, Known<T>>()
  return {
    async of(context: AdcpContext): Promise<T> {
      const before = known.get(context.variables)
      if (before !== undefined && before.until > context.now()) return before.value
      const value = await ask(context)
      known.set(context.variables, { value, until: context.now() + KNOWN_FOR_MS })
      return value
    },
    forget: (variables: AdcpVariables) => void known.delete(variables)
  }
}

const agents = remembered(readAgent)
const tools = remembered(listTools)
const accounts = remembered(async (context) => namedAccount(context.variables) ?? only(context))

/** @throws ProviderError `blocked` where the seller does not say how it treats repeated calls. */
export const agentOf = (context: AdcpContext): Promise<Agent> => agents.of(context)

export const toolsOf = (context: AdcpContext): Promise<ReadonlySet<string>> => tools.of(context)

/** The `account` of all calls. */
export const accountOf = (context: AdcpContext): Promise<object> => accounts.of(context)

/** What the seller refuses may be what has changed there. */
export function forget({ variables }: AdcpContext): void {
  agents.forget(variables)
  accounts.forget(variables)
  tools.forget(variables)
}

async function readAgent(context: AdcpContext): Promise<Agent> {
  const answer = await callTool(
    {
      name: 'get_adcp_capabilities',
      args: Buffer.from(JSON.stringify({ adcp_major_version: 3 })),
      operation: 'get_adcp_capabilities'
    },
    context
  )
  if (!Value.Check(Capabilities, answer)) throw unreadable()
  // "A seller without this block is to be treated as unsafe" ("Idempotency").
  if (answer.adcp.idempotency === undefined) {
    throw answered('blocked', 'the seller does not say how it treats repeated calls')
  }
  return { version: versionFor(answer.adcp), unwanted: unwantedBy(answer) }
}

const RELEASE = /^3\.(\d{1,3})$/
const OWN_MINOR = Math.max(...ADCP_RELEASES.map((release) => minorOf(release)))

/** Below all of them where it is no release of version 3. */
function minorOf(release: unknown): number {
  return Number((typeof release === 'string' && RELEASE.exec(release)?.[1]) || Number.NaN)
}

/** The newest release of ours that the seller has; 3.0 knows the major version alone. */
function versionFor({ supported_versions: supported = [] }: Capabilities['adcp']) {
  const minors = supported.map(minorOf).filter((minor) => minor <= OWN_MINOR)
  const newest = minors.length === 0 ? {} : { adcp_version: `3.${Math.max(...minors)}` }
  return { ...newest, adcp_major_version: 3 }
}

/** A seller that does not tell its identifiers is not asked to leave any out. */
function unwantedBy({ media_buy: { audience_targeting: targeting } = {} }: Capabilities) {
  const { supported_identifier_types: supported } = targeting ?? {}
  if (supported === undefined) return []
  return Object.values(HASH_FIELDS).filter((field) => !supported.includes(field))
}

function namedAccount(variables: AdcpVariables): object | undefined {
  const { accountId, brandDomain, brandId, operator } = variables
  if (accountId !== undefined) return { account_id: accountId }
  if (brandDomain === undefined) return undefined
  return {
    brand: { domain: brandDomain, ...(brandId !== undefined && { brand_id: brandId }) },
    operator
  }
}

const AccountPage = Type.Object({
  accounts: Type.Array(Type.Object({ account_id: Type.String({ maxLength: 255 }) })),
  pagination: Type.Optional(Type.Object({ has_more: Type.Optional(Type.Boolean()) }))
})

/** The account, where the seller shows no other one to the token. */
async function only(context: AdcpContext): Promise<object> {
  const { version } = await agentOf(context)
  const args = Buffer.from(JSON.stringify(version))
  const page = await callTool({ name: 'list_accounts', args, operation: 'list_accounts' }, context)
  if (!Value.Check(AccountPage, page)) throw unreadable()
  const [account, ...others] = page.accounts
  if (account === undefined) {
    throw answered('permission', 'the seller shows no account to this token')
  }
  if (others.length > 0 || page.pagination?.has_more === true) {
    const message = 'the seller shows several accounts to this token: set accountId to one of them'
    throw answered('blocked', message)
  }
  return { account_id: account.account_id }
}
