import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Test } from 'tap'

/** With what ends, what was started for it ends: a test, or a bench. */
export type Owner = Pick<Test, 'teardown'>

export interface CommandOptions {
  /** Options of Node itself. */
  readonly nodeOptions?: readonly string[]
  readonly args?: readonly string[]
  /** The whole environment of the process. */
  readonly env?: Readonly<Record<string, string>>
  /**
   * Without what tap puts into every process: that ends it at signals which Node itself ignores, as
   * the one for a file that may not grow.
   */
  readonly isBare?: boolean
  /** Where it runs; by default a folder without any configuration. */
  readonly cwd?: string
}

export interface Command {
  readonly pid: number
  readonly stdout: () => string
  readonly stderr: () => string
  /**
   * Waits until the standard output matches.
   * @throws Error with the output where the process ends before.
   */
  find(pattern: RegExp): Promise<RegExpExecArray>
  kill(signal: NodeJS.Signals): void
  /** The exit code; `null` where a signal ended the process. */
  exitCode(): Promise<number | null>
}

/** Runs a file of ours as a process of its own; it is killed with its owner. */
export function startCommand(owner: Owner, file: string, options: CommandOptions = {}): Command {
  const { nodeOptions = [], args = [], env = {}, isBare = false } = options
  const { cwd = import.meta.dirname } = options
  const [program, ...before]: readonly [string, ...string[]] = isBare
    ? ['/usr/bin/env', '-u', 'NODE_OPTIONS', process.execPath]
    : [process.execPath]
  const path = join(import.meta.dirname, '../..', file)
  const child = spawn(program, [...before, ...nodeOptions, path, ...args], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe']
  })
  owner.teardown(() => child.kill('SIGKILL'))
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const closed = once(child, 'close')

  return {
    pid: child.pid ?? 0,
    stdout: () => stdout,
    stderr: () => stderr,
    async find(pattern) {
      for (;;) {
        const found = pattern.exec(stdout)
        if (found !== null) return found
        if (child.stdout.closed)
          throw new Error(`ended before ${pattern} came:\n${stdout}${stderr}`)
        await Promise.race([once(child.stdout, 'data'), closed])
      }
    },
    kill: (signal) => void child.kill(signal),
    async exitCode() {
      await closed
      return child.exitCode
    }
  }
}
