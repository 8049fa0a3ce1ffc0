import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, styleText } from 'node:util'
import closeWithGrace from 'close-with-grace'
import pino from 'pino'
import { providers } from '../../providers/registry.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import type { SessionStatus } from '../api/answers.ts'
import { buildApp } from '../app.ts'
import type { User } from '../audience/schemas.ts'
import { createClient } from '../client/client.ts'
import { sendBatches } from '../client/send-batches.ts'
import { loadConfig } from '../config.ts'
import { curlCommands, outcomesOf, problemsOf, tableOf } from './demo-report.ts'
import { progressOf } from './follow.ts'
import { createProgress } from './progress.ts'
import { generateCustomers } from './sample-customers.ts'
import { closeSandboxes, startSandboxes } from './sandboxes.ts'
import { count } from './table.ts'

/**
 * `npm run demo`: the service and a stand-in of every platform on this machine, and an audience that
 * goes from the one to the others. Nothing of the environment or of the working directory is read:
 * real credentials stay untouched. With `--once` it ends after the upload, with exit code 0 if
 * everything was delivered.
 */

const AUDIENCE = 'High Value Customers'
const USERS = 25_000
const BATCH_USERS = 10_000
const SEED = 1
const SESSION_ID = 1708531200
/** With `--once`, the longest that deliveries may take. */
const SETTLE_WITHIN_MS = 5 * 60_000

const { once } = parseArgs({ options: { once: { type: 'boolean', default: false } } }).values

const heading = (text: string) => console.log(`\n${styleText('bold', text)}`)

/** Starts the service with one tag per sandbox, on a free port, with a log file. */
async function startService(folder: string, sandboxes: readonly Sandbox[]) {
  const configFile = join(folder, 'audience.config.json')
  const tags = sandboxes.map(({ name, variables }) => [name, { demo: variables }])
  await writeFile(configFile, JSON.stringify({ providers: Object.fromEntries(tags) }, undefined, 2))
  const database = `sqlite:${join(folder, 'audience.db')}`
  const env = { AUDIENCE_CONFIG: configFile, DATABASE_URL: database, PORT: '0' }
  const config = loadConfig(env, providers)
  const logStream = pino.destination(join(folder, 'service.log'))
  const app = await buildApp(config, { logStream })
  await app.listen({ host: config.host, port: config.port })
  return app
}

async function writeCustomers(file: string): Promise<User[]> {
  const users = generateCustomers(USERS, SEED).map(({ user }) => user)
  await writeFile(file, JSON.stringify(users))
  return users
}

async function* batchesOf(users: readonly User[]): AsyncGenerator<readonly User[]> {
  for (let start = 0; start < users.length; start += BATCH_USERS) {
    yield users.slice(start, start + BATCH_USERS)
  }
}

/** Uploads the users in batches and waits until all platforms are done with them. */
async function upload(serviceUrl: string, users: readonly User[]): Promise<SessionStatus> {
  const client = createClient({ url: serviceUrl })
  const totalBatches = Math.ceil(users.length / BATCH_USERS)
  const session = { sessionId: SESSION_ID, totalBatches, totalUsers: users.length }
  await sendBatches(client, { name: AUDIENCE, type: 'custom' }, session, batchesOf(users), {
    inFlight: 1,
    onSent: ({ sequence, users: { length } }) =>
      console.log(`Batch ${sequence} of ${totalBatches}: ${count(length)} users accepted`)
  })
  const progress = createProgress(process.stdout)
  const signal = once ? AbortSignal.timeout(SETTLE_WITHIN_MS) : undefined
  let latest: SessionStatus | undefined
  for await (const status of client.follow(SESSION_ID, { signal })) {
    latest = status
    progress.show(progressOf(status))
  }
  progress.end()
  if (latest === undefined) throw new Error('the session was never seen')
  return latest
}

/** Prints how the upload ended; true if everything was delivered. */
function report(status: SessionStatus, sandboxes: readonly Sandbox[]): boolean {
  heading('What arrived')
  const outcomes = outcomesOf(status, sandboxes)
  for (const line of tableOf(outcomes)) console.log(line)
  console.log('Held: distinct people in the segment at the sandbox')
  const problems = problemsOf(outcomes, status.users.total)
  for (const problem of problems) console.log(styleText('red', problem))
  if (problems.length === 0) console.log(styleText('green', '\nEverything was delivered.'))
  return problems.length === 0
}

const folder = await mkdtemp(join(tmpdir(), 'audience-demo-'))
const file = join(folder, 'customers.json')
const users = await writeCustomers(file)
const sandboxes = await startSandboxes(providers, { host: '127.0.0.1', portBase: 0 })
const app = await startService(folder, sandboxes)
const serviceUrl = app.listeningOrigin

const grace = closeWithGrace(async ({ err }) => {
  if (err !== undefined) console.error(err)
  await app.close()
  await closeSandboxes(sandboxes)
})

console.log(`Customers ${file}: ${count(users.length)} made-up people`)
console.log(`Service   ${serviceUrl}, its log: ${join(folder, 'service.log')}`)
for (const { name, url } of sandboxes) console.log(`Sandbox   ${url} stands in for ${name}`)

heading(`Uploading "${AUDIENCE}"`)
const delivered = report(await upload(serviceUrl, users), sandboxes)

heading(once ? 'By hand (without --once the service stays up for it)' : 'By hand')
const commands = curlCommands({
  serviceUrl,
  audience: AUDIENCE,
  sessionId: SESSION_ID,
  file,
  users: users.length
})
console.log(commands.join('\n\n'))

if (once) {
  // Its exit code is always 0.
  grace.uninstall()
  await app.close()
  await closeSandboxes(sandboxes)
  process.exitCode = delivered ? 0 : 1
} else {
  console.log('\nStop with Ctrl-C.')
}
