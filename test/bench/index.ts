import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/**
 * `npm run bench`: all benches one after the other, each in a process of its own.
 * `npm run bench -- <name> [arguments]`: one of them.
 */

const BENCHES = ['kernel', 'accept', 'deliver', 'stream', 'memory', 'growth', 'adcp']

const [, , name, ...args] = process.argv
if (name !== undefined && !BENCHES.includes(name)) {
  console.error(`There is no bench ${name}; there are ${BENCHES.join(', ')}.`)
  process.exit(1)
}
for (const bench of name === undefined ? BENCHES : [name]) {
  const file = join(import.meta.dirname, `${bench}.ts`)
  const child = spawn(process.execPath, [file, ...args], { stdio: 'inherit' })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) process.exitCode = 1
}
