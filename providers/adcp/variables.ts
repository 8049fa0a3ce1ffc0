import { hash } from 'node:crypto'
import { Type, type Static } from 'typebox'
import { BaseUrl, type ProviderContext } from '../provider.ts'

const domain = (description: string) =>
  Type.Optional(Type.String({ pattern: '^[A-Za-z0-9.-]{1,253}$', form: 'domain', description }))

/** One tag's configuration: one account at one seller. */
export const AdcpVariables = Type.Object(
  {
    agentUrl: Type.String({
      pattern: '^https?://[^/?#\\\\@\\s]+(/[^#\\\\\\s]*)?$',
      form: 'address',
      description: "Whole address of the seller's MCP endpoint, e.g. `https://ads.example.com/mcp`"
    }),
    token: Type.String({
      pattern: '^[!-~]+$',
      form: 'text',
      secret: true,
      description: 'What the seller gave out for `Authorization: Bearer`'
    }),
    accountId: Type.Optional(
      Type.String({
        pattern: '^[^\\p{Cc}\\p{Cs}]{1,255}$',
        form: 'text',
        description:
          "`account_id` of one of the seller's accounts; not needed where the seller shows only one to the token"
      })
    ),
    brandDomain: domain(
      'In place of `accountId`, together with `operator`: domain of the advertiser'
    ),
    operator: domain(
      "Domain of who operates on the brand's behalf: an agency's, or the brand's own"
    ),
    brandId: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9_]{1,255}$',
        form: '`a-z`, `0-9` and `_`',
        description: 'Brand of a house of brands, beside `brandDomain`'
      })
    ),
    consentBasis: Type.Optional(
      Type.Enum(['consent', 'legitimate_interest', 'contract', 'legal_obligation'], {
        description: 'Legal basis that the seller is told for all members'
      })
    ),
    membersPerCall: Type.Integer({
      minimum: 1,
      maximum: 100_000,
      default: 100_000,
      description: 'Most members in one call; AdCP allows 100,000'
    }),
    bytesPerCall: Type.Integer({
      minimum: 20_000,
      maximum: 50_000_000,
      default: 1_500_000,
      description:
        'Most bytes in one call. Sellers that are built with the official library take 2 MiB unless they are told otherwise'
    }),
    baseUrl: BaseUrl
  },
  { additionalProperties: false }
)
export type AdcpVariables = Static<typeof AdcpVariables>

export type AdcpContext = ProviderContext<AdcpVariables>

/** What the schema cannot express. */
export function problemsOf(variables: AdcpVariables): readonly string[] {
  const { agentUrl, accountId, brandDomain, operator, brandId } = variables
  const isByKey = brandDomain !== undefined || operator !== undefined || brandId !== undefined
  return [
    ...(URL.canParse(agentUrl) ? [] : ['agentUrl is no address']),
    ...(accountId !== undefined && isByKey
      ? ['accountId is an alternative to brandDomain, operator and brandId']
      : []),
    ...(isByKey && (brandDomain === undefined || operator === undefined)
      ? ['brandDomain and operator are needed together']
      : [])
  ]
}

/** Where the seller is, as far as its host. */
export const originOf = ({ agentUrl }: AdcpVariables): string => new URL(agentUrl).origin

/** The rest of the address. */
export function pathOf({ agentUrl }: AdcpVariables): string {
  const { pathname, search } = new URL(agentUrl)
  return pathname + search
}

/**
 * Tells accounts apart. Where none is named, the credentials do: enough of their hash to tell two of
 * them apart, and not to find them by.
 */
export function accountIdOf(variables: AdcpVariables): string {
  const { agentUrl, accountId, brandDomain, operator, brandId, token } = variables
  const { origin, pathname } = new URL(agentUrl)
  const account =
    accountId ??
    (brandDomain === undefined
      ? `#${hash('sha256', token, 'hex').slice(0, 8)}`
      : [operator, brandDomain, ...(brandId === undefined ? [] : [brandId])].join('/'))
  return `${origin}${pathname} ${account}`
}
