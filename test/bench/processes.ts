import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Value } from 'typebox/value'
import { facebook } from '../../providers/facebook/index.ts'
import { klaviyo } from '../../providers/klaviyo/index.ts'
import type { Provider } from '../../providers/provider.ts'
import { tiktok } from '../../providers/tiktok/index.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { OPEN_ACCOUNT, tagKey } from '../../src/store/store.ts'
import { type Command, startCommand } from '../support/command.ts'
import { launchService, temporaryFolder } from '../support/processes.ts'

/** The processes that a bench of the running service consists of; Linux only, for `/proc`. */

const endings: (() => unknown)[] = []
process.once('exit', () => {
  for (const end of endings.toReversed()) end()
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

/** In place of a test: what it started ends with this process. */
const owner = { teardown: (end: () => unknown) => void endings.push(end) }

export const folder = (): string => temporaryFolder(owner)

/** A platform as the service is configured for it. */
export interface Platform {
  readonly name: 'facebook' | 'tiktok' | 'klaviyo'
  readonly variables: Readonly<Record<string, unknown>>
}

const CREDENTIALS = {
  facebook: { accessToken: 'benchmark', adAccountId: '1234567890' },
  tiktok: { accessToken: 'benchmark', advertiserId: '7100000000000000001' },
  klaviyo: { apiKey: 'pk_benchmark' }
} as const

const PROVIDERS: Readonly<Record<Platform['name'], Provider>> = { facebook, tiktok, klaviyo }

/** Nothing listens there. */
const NOWHERE = 'http://127.0.0.1:1'

/** All platforms, at an address that nobody answers. */
export const UNREACHABLE: readonly Platform[] = Object.entries(CREDENTIALS).map(
  ([name, variables]) => ({
    name: name as Platform['name'],
    variables: { ...variables, baseUrl: NOWHERE }
  })
)

/** What a platform took so far. */
export interface Taken {
  readonly calls: number
  readonly users: number
  /** Most calls within any second. */
  readonly mostCallsInSecond: number
}

export interface StandIns {
  readonly pid: number
  readonly all: readonly Platform[]
  readonly facebook: Platform
  taken(): Promise<Readonly<Record<Platform['name'], Taken>>>
}

/** Starts the stand-ins of `stand-ins.ts`, which answer at once. */
export async function startStandIns(): Promise<StandIns> {
  const command = startCommand(owner, 'test/bench/stand-ins.ts', { isBare: true })
  const [, url = ''] = await command.find(/^listening at (\S+)$/m)
  const of = (name: Platform['name']): Platform => ({
    name,
    variables: { ...CREDENTIALS[name], baseUrl: url }
  })
  return {
    pid: command.pid,
    all: [of('facebook'), of('tiktok'), of('klaviyo')],
    facebook: of('facebook'),
    async taken() {
      const answer = await fetch(`${url}/taken`)
      return (await answer.json()) as Readonly<Record<Platform['name'], Taken>>
    }
  }
}

/** Milliseconds. */
export interface Delays {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export interface EventLoop {
  /** As `monitorEventLoopDelay` counts: each look once, however long it was late. */
  readonly looks: Delays
  /** As callers find it who come at any moment. */
  readonly callers: Delays
}

export interface Service {
  readonly pid: number
  readonly url: string
  /** Where its database lies. */
  readonly file: string
  /** How late its event loop was since it was asked last. */
  eventLoop(): Promise<EventLoop>
  /** SIGTERM; resolves when it has ended. */
  stop(): Promise<void>
}

export interface ServiceOptions {
  readonly platforms: readonly Platform[]
  /** Accounts are held, as after a refusal: uploads are accepted, and nothing else is done. */
  readonly isHeld?: boolean
}

/** That of `npm start`; the image brings its own along. */
const COMPILE_CACHE = join(import.meta.dirname, '../../node_modules/.cache/audience-api')

/** Starts the service as it runs in production, on a SQLite file of its own. */
export async function startService({
  platforms,
  isHeld = false
}: ServiceOptions): Promise<Service> {
  const file = join(folder(), 'audience.db')
  if (isHeld) await holdAccounts(file, platforms)
  const service = launchService(owner, {
    sandboxes: platforms,
    nodeOptions: ['--import', join(import.meta.dirname, 'event-loop.ts')],
    env: { DATABASE_URL: `sqlite:${file}`, NODE_COMPILE_CACHE: COMPILE_CACHE }
  })
  let asked = 0
  return {
    pid: service.pid,
    url: await service.listening(),
    file,
    async eventLoop() {
      asked += 1
      service.signal('SIGCONT')
      const [, text = ''] = await service.find(new RegExp(`^event loop ${asked}: (.*)$`, 'm'))
      return JSON.parse(text) as EventLoop
    },
    async stop() {
      service.signal('SIGTERM')
      await service.exitCode()
    }
  }
}

const AN_HOUR_MS = 3_600_000

async function holdAccounts(path: string, platforms: readonly Platform[]): Promise<void> {
  const store = await openSqlite({
    path,
    dedupMs: AN_HOUR_MS,
    retentionMs: AN_HOUR_MS,
    hookEndpoints: []
  })
  const now = Date.now()
  const held = { ...OPEN_ACCOUNT, status: 'held', until: now + AN_HOUR_MS, since: now } as const
  for (const { name, variables } of platforms) {
    const provider = PROVIDERS[name]
    const complete = Value.Default(provider.variables, { ...variables }) as Record<string, unknown>
    const accountId = provider.accountId(complete)
    await store.setAccount(tagKey({ provider: name, accountId, tag: 'default' }), held, now)
  }
  await store.close()
}

export interface Watcher {
  readonly pid: number
  /** Ends it. */
  result(): Promise<Watched>
}

/** What a caller saw who asked `/livez` every ten milliseconds. */
export interface Watched {
  readonly calls: number
  readonly failed: number
  readonly livez: Delays
  /** How late the watcher's own event loop was: it has to wait for a processor as well. */
  readonly own: Delays
}

export function watchLivez(url: string): Watcher {
  const command: Command = startCommand(owner, 'test/bench/livez.ts', {
    isBare: true,
    args: [url]
  })
  return {
    pid: command.pid,
    async result() {
      command.kill('SIGTERM')
      const [, text = ''] = await command.find(/^watched: (.*)$/m)
      return JSON.parse(text) as Watched
    }
  }
}

const statusOf = (pid: number, field: string): number => {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024
}

/** Resident memory now, in bytes. */
export const residentBytes = (pid: number): number => statusOf(pid, 'VmRSS')

/** The most resident memory since the start, or since `forgetPeak`, in bytes. */
export const peakBytes = (pid: number): number => statusOf(pid, 'VmHWM')

/** See proc(5), `/proc/pid/clear_refs`. */
export const forgetPeak = (pid: number): void => writeFileSync(`/proc/${pid}/clear_refs`, '5')

/** Linux counts in hundredths of a second, whatever the kernel's own ticks (proc(5), sysconf(3)). */
const TICKS_PER_SECOND = 100

/** Processor time so far, all threads, in seconds. */
export function cpuSeconds(pid: number): number {
  // The second field is a name in brackets that may hold blanks; user and system time are 14 and 15.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** Processor time that all processes of the machine took so far, in seconds. */
export function machineSeconds(): number {
  const [, user, nice, system, , , irq, softirq] =
    readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]?.split(/\s+/).map(Number) ?? []
  const ticks = [user, nice, system, irq, softirq].reduce<number>((sum, one) => sum + (one ?? 0), 0)
  return ticks / TICKS_PER_SECOND
}
