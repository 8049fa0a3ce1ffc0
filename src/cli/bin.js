#!/usr/bin/env node
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import module from 'node:module'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

/**
 * The command `audience`. In plain JavaScript, because it starts under whatever Node there is, and
 * goes on with the one that the package brings where that is too old.
 */

const OLDEST_NODE = 26
const root = new URL('../../', import.meta.url)

/** A process of its own with the same arguments, terminal and signals. */
function runWith(node) {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit'
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => child.kill(signal))
  }
  child.on('error', () => {
    process.stderr.write(`Node ${OLDEST_NODE} at ${node} does not start.\n`)
    process.exitCode = 1
  })
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal ?? 'SIGTERM'] ?? 0)
  })
}

if (Number.parseInt(process.versions.node, 10) >= OLDEST_NODE) {
  // Half of the time of a start.
  if (!process.env['NODE_COMPILE_CACHE']) {
    module.enableCompileCache(fileURLToPath(new URL('node_modules/.cache/audience-api', root)))
  }
  const { main } = await import('./audience.ts')
  await main(process.argv)
} else {
  const node = fileURLToPath(new URL('node_modules/.bin/node', root))
  if (existsSync(node)) {
    runWith(node)
  } else {
    process.stderr.write(
      `audience needs Node ${OLDEST_NODE}. Run \`npm ci\` in its folder, which brings it along.\n`
    )
    process.exitCode = 1
  }
}
