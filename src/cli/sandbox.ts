import { styleText } from 'node:util'
import closeWithGrace from 'close-with-grace'
import { providers } from '../../providers/registry.ts'
import { closeSandboxes, environmentOf, startSandboxes } from './sandboxes.ts'

/**
 * `npm run sandbox` and `audience sandbox`: a stand-in of every platform on this machine, until it is stopped. Reads `HOST`
 * (default 127.0.0.1) and `SANDBOX_PORT_BASE` (default 9101, the port of the first platform).
 */

const CONTROL_API = `
Each of them, below its address:
  GET  /_sandbox/state     what it holds
  GET  /_sandbox/requests  the calls that it got
  POST /_sandbox/faults    how next calls fail, e.g. {"times":2,"answer":{"status":500,"body":""}}
  POST /_sandbox/settings  {"delayMs":200}, {"rate":{"requests":10,"perMs":1000}} or
                           {"segments":{"*":{"state":"processing"}}}
  POST /_sandbox/reset     forgets everything`

function readPortBase(text: string): number {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 0 || port > 65_535 - providers.length) {
    throw new RangeError('SANDBOX_PORT_BASE must be a port, or 0 for free ones')
  }
  return port
}

async function start() {
  const sandboxes = await startSandboxes(providers, {
    host: process.env['HOST'] || '127.0.0.1',
    portBase: readPortBase(process.env['SANDBOX_PORT_BASE'] || '9101')
  })
  closeWithGrace(async ({ err }) => {
    if (err !== undefined) console.error(err)
    await closeSandboxes(sandboxes)
  })
  if (process.argv.includes('--json')) {
    const all = sandboxes.map((sandbox) => ({
      name: sandbox.name,
      url: sandbox.url,
      environment: environmentOf(sandbox)
    }))
    console.log(JSON.stringify({ sandboxes: all }))
    return
  }
  console.log('Start the service with the variables of those platforms that it is to serve.\n')
  for (const sandbox of sandboxes) {
    console.log(`${styleText('bold', sandbox.name)} ${sandbox.url}\n  ${environmentOf(sandbox)}`)
  }
  console.log(CONTROL_API)
}

start().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
})
