import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { providers } from '../../providers/registry.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import { buildApp } from '../../src/app.ts'
import { type Config, loadConfig, type Tag } from '../../src/config.ts'
import type { Clock } from '../../src/dispatch/clock.ts'
import { createWorkers, type Workers } from '../../src/dispatch/workers.ts'
import { instantClock } from './clock.ts'
import { holdToContract } from './contract.ts'

export interface ServiceOptions {
  /** Environment of the service; nothing else is read. */
  readonly env?: Readonly<Record<string, string>>
  /** Sandboxes served as tag `default` of their provider. */
  readonly sandboxes?: readonly Sandbox[]
  /** Tags beyond those: `facebook/eu-shop` and its variables. */
  readonly tags?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** Waits of retries and polls; by default they take no time. */
  readonly clock?: Clock
  readonly config?: Partial<Config>
  /** Where its database is; by default a new one. */
  readonly folder?: string
  readonly uploadDeadlineMs?: number
  /** Changes the worker threads, e.g. to let one die. */
  readonly workers?: (real: Workers) => Workers
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Parsed where it is JSON. */
  readonly body: unknown
}

export interface Service {
  readonly url: string
  readonly app: FastifyInstance
  /** Everything the service logged so far. */
  log(): string
  /** The log's lines about finished spans and others, parsed. */
  lines(): Record<string, unknown>[]
  get(path: string, headers?: Record<string, string>): Promise<Answer>
  delete(path: string, headers?: Record<string, string>): Promise<Answer>
  /** Posts a form to `/audience`. */
  post(data: FormData, query?: string, headers?: Record<string, string>): Promise<Answer>
  /** Waits until every delivery of the session has settled; returns the session's status. */
  settled(sessionId: number): Promise<Record<string, unknown>>
}

const ASK_EVERY_MS = 10

/** A running service on a free loopback port, closed with the test. */
export async function startService(t: Test, options: ServiceOptions = {}): Promise<Service> {
  const { env = {}, sandboxes = [], tags = {}, clock = instantClock() } = options
  const { folder = temporaryFolder(t) } = options
  const own = { DATABASE_URL: `sqlite:${join(folder, 'audience.db')}`, ...env, ...NO_FILE }
  const config = loadConfig(own, providers)
  const configured = [
    ...sandboxes.map(({ name, variables }) => [`${name}/default`, variables] as const),
    ...Object.entries(tags)
  ].map(([path, variables]) => toTag(path, variables))
  let log = ''
  const logStream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      log += chunk.toString()
      done()
    }
  })
  const { uploadDeadlineMs, workers: changed = (real: Workers) => real } = options
  const app = await buildApp(
    { ...config, port: 0, tags: [...config.tags, ...configured], ...options.config },
    {
      clock,
      closeWithinMs: 0,
      logStream,
      workers: changed((sharedWorkers ??= createWorkers())),
      ...(uploadDeadlineMs !== undefined && { uploadDeadlineMs })
    }
  )
  holdToContract(t, app)
  const url = await app.listen({ host: config.host, port: 0 })
  t.teardown(() => app.close())

  async function call(path: string, init?: RequestInit): Promise<Answer> {
    const response = await fetch(url + path, init)
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.startsWith('application/json') === true
    const body: unknown = isJson ? JSON.parse(text) : text
    return { status: response.status, headers: response.headers, text, body }
  }
  // The checks made at start are over before a test plans faults or counts calls.
  await call('/providers?check=true')
  return {
    url,
    app,
    log: () => log,
    lines: () =>
      log
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    get: (path, headers = {}) => call(path, { headers }),
    delete: (path, headers = {}) => call(path, { method: 'DELETE', headers }),
    post: (data, query = '', headers = {}) =>
      call(`/audience${query}`, { method: 'POST', body: data, headers }),
    async settled(sessionId) {
      for (;;) {
        const { body } = await call(`/audience/sessions/${sessionId}`)
        const status = body as Record<string, unknown>
        if (status['state'] !== 'sending') return status
        // Asking without a pause would take the processor from what is asked about.
        await pause(ASK_EVERY_MS)
      }
    }
  }
}

/** A new folder, deleted with the test. */
export function temporaryFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'audience-test-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Starting a worker thread takes longer than most tests: one pool serves a whole test file. */
let sharedWorkers: Workers | undefined

/** The configuration file of whoever runs the tests is not read. */
const NO_FILE = { AUDIENCE_CONFIG: join(import.meta.dirname, 'empty-config.json') }

/** Goes through the service's own configuration, so that defaults and checks are the real ones. */
function toTag(path: string, variables: Readonly<Record<string, unknown>>): Tag {
  const [provider = '', tag = ''] = path.split('/')
  const name = provider.toUpperCase()
  const env = Object.fromEntries(
    Object.entries(variables).map(([variable, value]) => [
      `${name}_${variable.replace(/([A-Z])/g, '_$1').toUpperCase()}`,
      typeof value === 'string' ? value : JSON.stringify(value)
    ])
  )
  const [found] = loadConfig({ ...env, ...NO_FILE }, providers).tags
  if (found === undefined) throw new Error(`no such tag: ${path}`)
  return { ...found, name: tag }
}

export interface FormFields {
  readonly name?: string | undefined
  readonly type?: string | undefined
  readonly batch?: unknown
  readonly users?: unknown
}

export const BATCH = { sessionId: 1708531200, sequence: 1, totalBatches: 1, totalUsers: 1 }
export const USERS = [{ email: 'jane@example.com' }]

/** A valid form; give a field to change it, `undefined` to leave it out. */
export function form(fields: FormFields = {}): FormData {
  const all = { name: 'High Value Customers', batch: BATCH, users: USERS, ...fields }
  const data = new FormData()
  for (const [field, value] of Object.entries(all)) {
    if (value === undefined) continue
    data.append(field, typeof value === 'string' ? value : JSON.stringify(value))
  }
  return data
}
