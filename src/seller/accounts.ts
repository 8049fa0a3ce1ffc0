import { AdcpError } from '../adcp/protocol.ts'
import type { AccountReference } from '../adcp/sync-call.ts'
import type { AgentAccount } from '../config.ts'
import { type Destination, destinationName } from '../dispatch/destination.ts'

/** What agents manage audiences of. */
export interface Account extends Omit<AgentAccount, 'brand' | 'operator' | 'tags'> {
  /** Only by its id can an account be named that has none. */
  readonly naturalKey: Pick<AgentAccount, 'brand' | 'operator'> | undefined
  /** Where an audience of it lies. */
  readonly destinations: readonly Destination[]
}

export interface Accounts {
  /** Those that an API key sees, by their ids. */
  visibleTo(principal: string): readonly Account[]
  /**
   * The same account by either form of reference.
   * @throws AdcpError ACCOUNT_NOT_FOUND, which does not tell whether others see it.
   */
  resolve(principal: string, reference: AccountReference): Account
  /** Whoever sees it. */
  find(id: string): Account | undefined
}

/** Without configured accounts each tag is one of its own. */
export function createAccounts(
  configured: readonly AgentAccount[] | undefined,
  destinations: readonly Destination[]
): Accounts {
  const all =
    configured?.map((account) => toAccount(account, destinations)) ?? destinations.map(ofTag)
  const accounts = all.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const visibleTo = (principal: string) =>
    accounts.filter(({ keys }) => keys?.includes(principal) ?? true)

  return {
    visibleTo,
    resolve(principal, reference) {
      const account = visibleTo(principal).find((one) => isNamedBy(one, reference))
      if (account !== undefined) return account
      throw new AdcpError(
        'ACCOUNT_NOT_FOUND',
        'There is no such account; list_accounts tells which there are.',
        {
          field: 'account'
        }
      )
    },
    find: (id) => accounts.find((account) => account.id === id)
  }
}

function toAccount(
  { tags, brand, operator, ...account }: AgentAccount,
  destinations: readonly Destination[]
): Account {
  return {
    ...account,
    naturalKey: { brand, operator },
    destinations: destinations.filter((destination) => tags.includes(destinationName(destination)))
  }
}

function ofTag(destination: Destination): Account {
  return {
    id: destinationName(destination),
    name: `${destination.provider.title}: ${destination.tag}`,
    naturalKey: undefined,
    keys: undefined,
    requireConsentBasis: false,
    sandbox: false,
    destinations: [destination]
  }
}

/** Everything in a natural key counts ("Account references"); domains have no case (RFC 4343). */
export function isNamedBy(
  { id, naturalKey, sandbox }: Account,
  reference: AccountReference
): boolean {
  if ('accountId' in reference) return reference.accountId === id
  const { brand, operator, operatorUnitId, currency, timezone } = reference
  return (
    naturalKey !== undefined &&
    naturalKey.brand.domain === brand.domain.toLowerCase() &&
    naturalKey.brand.brandId === brand.brandId &&
    naturalKey.operator === operator.toLowerCase() &&
    sandbox === reference.sandbox &&
    // No account here is one of several by these.
    [brand.countries, operatorUnitId, currency, timezone].every((part) => part === undefined)
  )
}
