import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import { facebook } from '../../providers/facebook/index.ts'
import { klaviyo } from '../../providers/klaviyo/index.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import { tiktok } from '../../providers/tiktok/index.ts'
import { closeSandboxes, startSandboxes } from '../../src/cli/sandboxes.ts'
import { environmentName } from '../../src/config.ts'
import { type CommandOptions, type Owner, startCommand } from './command.ts'

export interface ServiceProcess {
  readonly pid: number
  /**
   * Its address, once it listens.
   * @throws Error with its output where it ends before.
   */
  listening(): Promise<string>
  /** Everything it logged so far. */
  log(): string
  /** Waits until what it logs matches. */
  find(pattern: RegExp): Promise<RegExpExecArray>
  /** SIGKILL. Resolves when it has ended. */
  kill(): Promise<void>
  signal(signal: NodeJS.Signals): void
  /** `null` where a signal ended it. */
  exitCode(): Promise<number | null>
}

export interface LaunchOptions {
  /** Served as tag `default` of their provider. */
  readonly sandboxes?: readonly Pick<Sandbox, 'name' | 'variables'>[]
  /** Further environment; `DATABASE_URL` must be in it. */
  readonly env: Readonly<Record<string, string>> & { readonly DATABASE_URL: string }
  readonly nodeOptions?: CommandOptions['nodeOptions']
}

/** Half of the time of a start; written by processes that end by themselves. */
const COMPILE_CACHE = join(tmpdir(), 'audience-compile-cache')

/** Starts the service as a process of its own on a free port; it is killed with its owner. */
export function launchService(owner: Owner, options: LaunchOptions): ServiceProcess {
  const { sandboxes = [], env, nodeOptions = [] } = options
  const command = startCommand(owner, 'src/main.ts', {
    nodeOptions,
    // What tap adds is a fifth of the work of a process that lives for a second.
    isBare: true,
    env: {
      PORT: '0',
      NODE_COMPILE_CACHE: COMPILE_CACHE,
      ...Object.assign({}, ...sandboxes.map(variablesOf)),
      ...env
    }
  })
  let address: Promise<string> | undefined
  async function listening(): Promise<string> {
    const [, url = ''] = await command.find(/Server listening at (http:\/\/127\.0\.0\.1:\d+)/)
    return url
  }
  return {
    pid: command.pid,
    listening: () => (address ??= listening()),
    log: () => command.stdout() + command.stderr(),
    find: (pattern) => command.find(pattern),
    async kill() {
      command.kill('SIGKILL')
      await command.exitCode()
    },
    signal: (signal) => command.kill(signal),
    exitCode: () => command.exitCode()
  }
}

export interface Platforms {
  readonly facebook: Sandbox
  readonly tiktok: Sandbox
  readonly klaviyo: Sandbox
  readonly all: readonly Sandbox[]
}

/** Stand-ins that outlive the processes of the service; closed with the test. */
export async function startPlatforms(t: Test): Promise<Platforms> {
  const all = await startSandboxes([facebook, tiktok, klaviyo], { host: '127.0.0.1', portBase: 0 })
  t.teardown(() => closeSandboxes(all))
  const [first, second, third] = all
  if (first === undefined || second === undefined || third === undefined) throw new Error('few')
  return { facebook: first, tiktok: second, klaviyo: third, all }
}

/** The environment that makes a sandbox the one account of its platform. */
export function variablesOf({
  name,
  variables
}: Pick<Sandbox, 'name' | 'variables'>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).map(([variable, value]) => [
      environmentName(name, variable),
      String(value)
    ])
  )
}

/** A folder of its own, deleted with its owner. */
export function temporaryFolder(owner: Owner): string {
  const folder = mkdtempSync(join(tmpdir(), 'audience-'))
  owner.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** How long is waited between two looks at something that is to become true, in milliseconds. */
const LOOK_AGAIN_MS = 50

/** Waits until there is a value; the test's own time limit is the only one. */
export async function eventually<T>(
  look: () => Promise<T | undefined> | T | undefined
): Promise<T> {
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    await pause(LOOK_AGAIN_MS)
  }
}

/** Something that stands in front of a server and can be shut. */
export interface Gate {
  readonly url: string
  /** Cuts all connections; new ones are refused. */
  shut(): Promise<void>
  open(): Promise<void>
}

/** Listens on a port of its own and passes everything on to a server on this machine. */
export async function startGate(t: Test, target: string): Promise<Gate> {
  const sockets = new Set<Socket>()
  const { port: targetPort } = new URL(target)
  const server = createServer((near) => {
    const far = connect(Number(targetPort), '127.0.0.1')
    for (const [socket, other] of [
      [near, far],
      [far, near]
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
    near.pipe(far).pipe(near)
  })
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }
  const port = await listen(0)

  async function shut(): Promise<void> {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  t.teardown(shut)
  return {
    url: `http://127.0.0.1:${port}`,
    shut,
    open: async () => void (await listen(port))
  }
}

/** A stand-in as the service sees it through a gate. */
export async function behindGate(t: Test, sandbox: Sandbox) {
  const gate = await startGate(t, sandbox.url)
  const variables = { ...sandbox.variables, baseUrl: gate.url }
  return { gate, behind: { name: sandbox.name, variables } }
}
