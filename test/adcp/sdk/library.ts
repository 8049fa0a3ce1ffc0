import { existsSync } from 'node:fs'
import type { Server } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'

/**
 * The protocol's official library, as far as the tests use it. Heavy, so with a package.json of its own:
 * `npm ci --prefix test/adcp/sdk`.
 */

type Fields = Readonly<Record<string, unknown>>

/** What a call through the library's client came to. */
export interface ClientResult {
  readonly success: boolean
  readonly status: string
  readonly data?: Fields
  readonly error?: string
}

export interface AgentClient {
  getAdcpCapabilities(args: Fields): Promise<ClientResult>
  listAccounts(args: Fields): Promise<ClientResult>
  syncAudiences(args: Fields): Promise<ClientResult>
}

interface ClientLibrary {
  readonly ADCPMultiAgentClient: new (
    agents: readonly {
      readonly id: string
      readonly name: string
      readonly agent_uri: string
      readonly protocol: 'mcp'
      readonly auth_token: string
    }[]
  ) => { agent(id: string): AgentClient }
}

interface ServerLibrary {
  readonly serve: (
    factory: () => unknown,
    options: { readonly port: number; readonly path?: string; readonly authenticate: unknown }
  ) => Server
  readonly verifyApiKey: (options: {
    readonly keys: Readonly<Record<string, { readonly principal: string }>>
  }) => unknown
  readonly InMemoryStateStore: new () => unknown
}

interface HandlersLibrary {
  readonly createAdcpServer: (options: Fields) => unknown
}

interface SigningLibrary {
  readonly verifyWebhookSignature: (request: Fields, options: Fields) => Promise<Fields>
  readonly StaticJwksResolver: new (keys: readonly unknown[]) => unknown
  readonly InMemoryReplayStore: new () => unknown
  readonly InMemoryRevocationStore: new (snapshot?: unknown) => unknown
}

export interface Library {
  readonly client: ClientLibrary
  readonly server: ServerLibrary
  readonly handlers: HandlersLibrary
  readonly signing: SigningLibrary
  /** The program of its command line. */
  readonly program: string
}

/** `undefined` where it is not installed. */
export function loadLibrary(): Library | undefined {
  const folder = join(import.meta.dirname, 'node_modules/@adcp/sdk')
  if (!existsSync(folder)) return undefined
  const load = createRequire(join(import.meta.dirname, 'package.json'))
  return {
    client: load('@adcp/sdk') as ClientLibrary,
    server: load('@adcp/sdk/server') as ServerLibrary,
    handlers: load('@adcp/sdk/server/legacy/v5') as HandlersLibrary,
    signing: load('@adcp/sdk/signing') as SigningLibrary,
    program: join(folder, 'bin/adcp.js')
  }
}
