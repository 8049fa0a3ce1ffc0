import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Value } from 'typebox/value'
import { providers } from '../../providers/registry.ts'
import { buildApp } from '../../src/app.ts'
import { createMembers } from '../support/members.ts'
import { parseUsers } from '../../src/audience/parse-users.ts'
import { generateCustomers } from '../../src/cli/sample-customers.ts'
import { loadConfig } from '../../src/config.ts'
import { OPEN_ACCOUNT } from '../../src/store/store.ts'

/**
 * How long the service itself takes for one upload of 10,000 made-up customers:
 *
 *     npx node test/bench/upload.ts
 *
 * Prints the median and the range of several runs in milliseconds.
 */

const USERS = 10_000
const RUNS = 15
/** The first runs are those of a cold compiler. */
const WARM_UP_RUNS = 5

const customers = generateCustomers(USERS, 1).map(({ user }) => user)
const bytes = new TextEncoder().encode(JSON.stringify(customers))

const batch = { sessionId: 1, sequence: 1, totalBatches: 1, totalUsers: USERS }
const audience = { ...batch, segmentName: 'benchmark', type: 'custom' } as const

async function measure(name: string, run: () => unknown): Promise<void> {
  const times: number[] = []
  for (let left = WARM_UP_RUNS + RUNS; left > 0; left -= 1) {
    const start = performance.now()
    await run()
    if (left <= RUNS) times.push(performance.now() - start)
  }
  const sorted = times.toSorted((a, b) => a - b).map((time) => time.toFixed(0))
  const median = sorted[Math.floor(sorted.length / 2)]
  console.log(`${name.padEnd(45)} ${median} (${sorted.at(0)}-${sorted.at(-1)})`)
}

/** The platforms with their default settings; encoding needs no credentials. */
const targets = providers.map((provider) => ({
  provider,
  settings: Value.Default(provider.variables, {}) as Record<string, unknown>
}))

let sessionId = 0

/** Posts all customers as an upload that the service has not seen. */
async function post(serviceUrl: string): Promise<void> {
  sessionId += 1
  const form = new FormData()
  form.append('name', 'benchmark')
  form.append('batch', JSON.stringify({ ...batch, sessionId }))
  form.append('users', new Blob([bytes]), 'users.json')
  const answer = await fetch(`${serviceUrl}/audience`, { method: 'POST', body: form })
  if (answer.status !== 200) throw new Error(await answer.text())
}

console.log(`${USERS} users, ${(bytes.byteLength / 1e6).toFixed(1)} MB of JSON; milliseconds`)
await measure('parse and check', () => parseUsers(bytes, { maxUsers: USERS }))
for (const { provider, settings } of targets) {
  await measure(`normalise, hash and encode for ${provider.name}`, () =>
    provider.encode(createMembers(customers), audience, settings)
  )
}
await measure('normalise, hash and encode for all of them', () => {
  const members = createMembers(customers)
  return targets.map(({ provider, settings }) => provider.encode(members, audience, settings))
})

const folder = await mkdtemp(join(tmpdir(), 'audience-bench-'))
const config = loadConfig(
  {
    AUDIENCE_CONFIG: join(import.meta.dirname, '../support/empty-config.json'),
    DATABASE_URL: `sqlite:${join(folder, 'audience.db')}`,
    LOG_LEVEL: 'silent',
    PORT: '0',
    FACEBOOK_ACCESS_TOKEN: 'token',
    FACEBOOK_AD_ACCOUNT_ID: '1',
    FACEBOOK_BASE_URL: 'http://127.0.0.1:1'
  },
  providers
)
const app = await buildApp(config)
// Accepting is measured, not preparing: nothing is sent meanwhile.
const until = Date.now() + 3_600_000
const held = { ...OPEN_ACCOUNT, status: 'held', until, since: Date.now() } as const
await app.store.setAccount('facebook/1 default', held, Date.now())
const serviceUrl = await app.listen({ host: config.host, port: config.port })
await measure('POST to answer, kept on disk', () => post(serviceUrl))
await app.close()
await rm(folder, { recursive: true })
