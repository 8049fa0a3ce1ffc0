import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { temporaryFolder } from './service.ts'

/** Half of the time of a start. */
const COMPILE_CACHE = join(tmpdir(), 'audience-compile-cache')
export const BIN = join(import.meta.dirname, '../../src/cli/bin.js')

export interface AudienceOptions {
  /** Address of the service. */
  readonly url?: string
  /** Standard input. */
  readonly input?: string | Buffer
  /** Where states of uploads are kept; by default a new folder. */
  readonly stateHome?: string
  readonly env?: Readonly<Record<string, string>>
}

export interface Ended {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface AudienceProcess {
  readonly pid: number
  kill(signal: NodeJS.Signals): void
  /** Waits until what it tells people matches. */
  told(pattern: RegExp): Promise<void>
  end(): Promise<Ended>
}

/** The environment of the command: nothing of whoever runs the tests. */
export function environment(t: Test, options: AudienceOptions = {}): Record<string, string> {
  const { url, stateHome = temporaryFolder(t), env = {} } = options
  return {
    NODE_COMPILE_CACHE: COMPILE_CACHE,
    XDG_STATE_HOME: stateHome,
    TMPDIR: stateHome,
    ...(url !== undefined && { AUDIENCE_URL: url }),
    ...env
  }
}

/** Starts `audience` as a process of its own; it is killed with the test. */
export function startAudience(
  t: Test,
  args: readonly string[],
  options: AudienceOptions = {}
): AudienceProcess {
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd: import.meta.dirname,
    env: environment(t, options)
  })
  t.teardown(() => child.kill('SIGKILL'))
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  // It may end without having read everything.
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  const closed = once(child, 'close')
  return {
    pid: child.pid ?? 0,
    kill: (signal) => void child.kill(signal),
    async told(pattern) {
      while (!pattern.test(stderr)) {
        if (child.stderr.closed) throw new Error(`ended before ${pattern} came:\n${stderr}`)
        await Promise.race([once(child.stderr, 'data'), closed])
      }
    },
    async end() {
      await closed
      return { exitCode: child.exitCode, stdout, stderr }
    }
  }
}

export function audience(
  t: Test,
  args: readonly string[],
  options: AudienceOptions = {}
): Promise<Ended> {
  return startAudience(t, args, options).end()
}
