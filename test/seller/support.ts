import { hash } from 'node:crypto'
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Test } from 'tap'
import { providers } from '../../providers/registry.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import type { Clock } from '../../src/dispatch/clock.ts'
import { assertValid, assertValidResult } from '../adcp/validate.ts'
import { type Service, type ServiceOptions, startService } from '../support/service.ts'

export type Fields = Readonly<Record<string, unknown>>

/** When the clock of these tests begins. */
export const START = Date.parse('2026-11-22T08:00:00.000Z')

export interface MovableClock extends Clock {
  advance(byMs: number): void
}

/** A clock that stands still but for waits, which only move it forward. */
export function movableClock(): MovableClock {
  let now = START
  return {
    now: () => now,
    async sleep(forMs, signal) {
      now += forMs
      await turn(undefined, { signal })
    },
    advance(byMs) {
      now += byMs
    }
  }
}

export async function sandboxOf(t: Test, name: string): Promise<Sandbox> {
  const provider = providers.find((one) => one.name === name)
  if (provider === undefined) throw new RangeError(`no provider ${name}`)
  const sandbox = await provider.sandbox()
  t.teardown(() => sandbox.close())
  return sandbox
}

/** Segments of a sandbox with their members, as far as tests look at them. */
export function segmentsOf(sandbox: Sandbox): readonly Fields[] {
  return (sandbox.state() as { readonly segments: readonly Fields[] }).segments
}

/** An agent at a service: each message in either direction is validated. */
export interface Agent {
  /** Calls a tool; returns what it answered, success or not. */
  call(tool: string, args?: Fields): Promise<Fields>
  /** `sync_audiences` with a new key, unless there is one. */
  sync(args: Fields): Promise<Fields>
}

export interface SellerService extends Service {
  readonly clock: MovableClock
  agent(apiKey?: string): Promise<Agent>
  /** Waits until every delivery has settled. */
  delivered(): Promise<void>
  /** Lets time pass, then asks platforms how audiences stand where it is time to. */
  later(byMs: number): Promise<void>
}

/** The service as agents find it. */
export async function startSeller(t: Test, options: ServiceOptions = {}): Promise<SellerService> {
  const clock = movableClock()
  const service = await startService(t, { clock, ...options })

  async function agent(apiKey?: string): Promise<Agent> {
    const client = new Client({ name: 'test', version: '1.0.0' })
    const headers: Record<string, string> =
      apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }
    await client.connect(
      new StreamableHTTPClientTransport(new URL(`${service.url}/mcp`), { requestInit: { headers } })
    )
    t.teardown(() => client.close())

    async function call(tool: string, args: Fields = {}): Promise<Fields> {
      const result = await client.callTool({ name: tool, arguments: args })
      assertValidResult(t, tool, result)
      return result.structuredContent as Fields
    }
    return {
      call,
      sync(args) {
        const message = { idempotency_key: crypto.randomUUID(), ...args }
        assertValid(t, 'sync_audiences', 'request', message)
        return call('sync_audiences', message)
      }
    }
  }

  return {
    ...service,
    clock,
    agent,
    async delivered() {
      while ((await service.app.store.backlog()).deliveries > 0) await pause(5)
    },
    async later(byMs) {
      clock.advance(byMs)
      await service.app.statusPoller.look()
    }
  }
}

/** As the protocol hashes what identifies people. */
export const hashOf = (identifier: string): string => hash('sha256', identifier)

/** A member by e-mail address. */
export const byEmail = (id: string): Fields => ({
  external_id: id,
  hashed_email: hashOf(`${id}@example.com`)
})

/** A member by phone number. */
export const byPhone = (id: string, phone: string): Fields => ({
  external_id: id,
  hashed_phone: hashOf(phone)
})

/** One of the rows of an answer. */
export function row(answer: Fields, index = 0): Fields {
  return (answer['audiences'] as readonly Fields[])[index] ?? {}
}
