import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import type { Library } from './library.ts'

/** A member as the seller was sent it. */
export interface HeldMember {
  readonly external_id: string
  readonly hashed_email?: string
  readonly hashed_phone?: string
}

interface SentAudience {
  readonly audience_id: string
  readonly name?: string
  readonly add?: readonly HeldMember[]
  readonly remove?: readonly HeldMember[]
  readonly delete?: boolean
}

export interface LibrarySeller {
  readonly url: string
  readonly token: string
  readonly accountId: string
  /** What it holds: members by their ids, by audience. */
  readonly audiences: ReadonlyMap<string, ReadonlyMap<string, HeldMember>>
  /** Calls that reached its handler. */
  calls(): number
}

const TOKEN = 'a-token-for-the-library-seller'
const ACCOUNT = { account_id: 'acc-1', name: 'One', status: 'active' }

/** A seller built on the library's server: what a buyer meets in the world. */
export async function startLibrarySeller(t: Test, library: Library): Promise<LibrarySeller> {
  const { serve, verifyApiKey, InMemoryStateStore } = library.server
  const audiences = new Map<string, Map<string, HeldMember>>()
  let calls = 0

  function change({ audience_id: id, add = [], remove = [], delete: isDeleted }: SentAudience) {
    const before = audiences.get(id)
    if (isDeleted === true) {
      audiences.delete(id)
      return { audience_id: id, action: before === undefined ? 'failed' : 'deleted' }
    }
    const members = before ?? new Map<string, HeldMember>()
    audiences.set(id, members)
    for (const member of add) members.set(member.external_id, member)
    for (const member of remove) members.delete(member.external_id)
    const action = before === undefined ? 'created' : 'updated'
    return { audience_id: id, action, status: 'processing', uploaded_count: add.length }
  }

  const listed = () =>
    [...audiences].map(([id, members]) => ({
      audience_id: id,
      action: 'unchanged',
      status: 'ready',
      uploaded_count: 0,
      total_uploaded_count: members.size,
      matched_count: members.size
    }))

  const server = serve(
    () =>
      library.handlers.createAdcpServer({
        name: 'A seller',
        version: '1.0.0',
        stateStore: new InMemoryStateStore(),
        capabilities: { specialisms: ['audience-sync'], features: { audienceTargeting: true } },
        resolveSessionKey: () => 'one',
        resolveAccount: () => Promise.resolve(ACCOUNT),
        accounts: { listAccounts: () => Promise.resolve({ accounts: [ACCOUNT] }) },
        eventTracking: {
          syncAudiences: ({ audiences: sent }: { audiences?: readonly SentAudience[] }) => {
            calls += 1
            return Promise.resolve({ audiences: sent?.map(change) ?? listed() })
          }
        }
      }),
    { port: 0, authenticate: verifyApiKey({ keys: { [TOKEN]: { principal: 'buyer' } } }) }
  )
  if (!server.listening) await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://localhost:${port}/mcp`,
    token: TOKEN,
    accountId: ACCOUNT.account_id,
    audiences,
    calls: () => calls
  }
}
