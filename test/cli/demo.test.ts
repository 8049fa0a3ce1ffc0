import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import tap, { test, type Test } from 'tap'
import { providers } from '../../providers/registry.ts'
import { generateCustomers } from '../../src/cli/sample-customers.ts'
import { startCommand } from '../support/command.ts'

const LONG = Boolean(process.env['AUDIENCE_TEST_LONG'])
const TIMEOUT_MS = 240_000
/** Half of the time of a start. */
const COMPILE_CACHE = join(tmpdir(), 'audience-compile-cache')
tap.setTimeout(TIMEOUT_MS)

/** What the demo uploads: its number of customers, its seed. */
const customers = LONG ? generateCustomers(25_000, 1) : []

/** Users that a platform can match on, told by the truth about them. */
const withEmailOrPhone = customers.filter(({ truth }) => truth.email || truth.phone)
/** Klaviyo takes numbers of these countries only: AU, CA, GB, IE, NZ, US. */
const klaviyoPhone = /^\+(1|44|61|64|353)/
const atKlaviyo = withEmailOrPhone.filter(
  ({ truth }) => truth.email || klaviyoPhone.test(truth.phone ?? '')
)

/** One who is called by real credentials; nobody may. */
async function startTrap(t: Test) {
  let calls = 0
  const server = createServer((_request, response) => {
    calls += 1
    response.writeHead(500).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, calls: () => calls }
}

/** How many they are, without those, as the demo writes it. */
const count = (all: readonly unknown[], without: readonly unknown[] = []) =>
  (all.length - without.length).toLocaleString('en-US')

test(
  'the demo brings 25,000 users to every sandbox and nothing anywhere else',
  { skip: LONG ? false : 'takes half a minute', timeout: TIMEOUT_MS },
  async (t) => {
    const trap = await startTrap(t)
    const facebook = { accessToken: 'real-facebook', adAccountId: '42', baseUrl: trap.url }
    const file = JSON.stringify({ providers: { facebook: { real: facebook } } })
    const cwd = t.testdir({ 'audience.config.json': file, 'other.json': file, tmp: {} })
    const demo = startCommand(t, 'src/cli/demo.ts', {
      args: ['--once'],
      isBare: true,
      cwd,
      env: {
        NODE_COMPILE_CACHE: COMPILE_CACHE,
        TMPDIR: join(cwd, 'tmp'),
        AUDIENCE_CONFIG: join(cwd, 'other.json'),
        AUDIENCE_API_KEYS: 'shop:real-key-0123456789',
        AUDIENCE_SEGMENT_PREFIX: 'real_',
        FACEBOOK_ACCESS_TOKEN: 'real-facebook',
        FACEBOOK_AD_ACCOUNT_ID: '42',
        FACEBOOK_BASE_URL: trap.url,
        TIKTOK_ACCESS_TOKEN: 'real-tiktok',
        TIKTOK_ADVERTISER_ID: '42',
        TIKTOK_BASE_URL: trap.url,
        KLAVIYO_API_KEY: 'real-klaviyo',
        KLAVIYO_BASE_URL: trap.url,
        ADCP_AGENT_URL: `${trap.url}/mcp`,
        ADCP_TOKEN: 'real-adcp'
      }
    })
    t.equal(await demo.exitCode(), 0)
    t.equal(demo.stderr(), '')
    t.equal(trap.calls(), 0, 'real credentials are not used')
    t.notMatch(demo.stdout(), 'real')

    const lines = demo.stdout().split('\n')
    t.same(
      lines.filter((line) => line.startsWith('Batch')),
      [
        'Batch 1 of 3: 10,000 users accepted',
        'Batch 2 of 3: 10,000 users accepted',
        'Batch 3 of 3: 5,000 users accepted'
      ]
    )
    const start = lines.indexOf('What arrived') + 1
    const end = start + 1 + providers.length
    const rows = lines.slice(start, end).map((line) => line.split(/ {2,}/))
    // Klaviyo makes one profile of two with the same phone number.
    const [held = ''] = rows[3]?.splice(6, 1) ?? []
    const segment = 'blotout_High_Value_Customers'
    const all = count(customers)
    const some = count(withEmailOrPhone)
    const few = count(atKlaviyo)
    const nobody = `${count(customers, withEmailOrPhone)} no identifier`
    t.same(
      rows.map(([platform]) => platform),
      ['Platform', ...providers.map(({ name }) => name)]
    )
    const abroad = `${count(withEmailOrPhone, atKlaviyo)} phone region not supported`
    t.same(rows.slice(0, 5), [
      ['Platform', 'Tag', 'Segment', 'Sent', 'Received', 'Invalid', 'Held', 'Left out', 'Why'],
      ['facebook', 'demo', segment, all, all, '0', all, '0'],
      [
        'tiktok',
        'demo',
        segment,
        some,
        some,
        '0',
        some,
        count(customers, withEmailOrPhone),
        nobody
      ],
      [
        'klaviyo',
        'demo',
        segment,
        few,
        few,
        '0',
        count(customers, atKlaviyo),
        `${abroad}, ${nobody}`
      ],
      ['adcp', 'demo', segment, some, some, '0', some, count(customers, withEmailOrPhone), nobody]
    ])
    const merged = atKlaviyo.length - Number(held.replaceAll(',', ''))
    t.ok(merged >= 0 && merged <= sharedPhones(), `${merged} profiles were merged`)
    t.ok(lines.includes('Everything was delivered.'))

    const [, log = ''] = /its log: (.+)$/m.exec(demo.stdout()) ?? []
    t.ok(log.startsWith(join(cwd, 'tmp')))
    t.match(await readFile(log, 'utf8'), /"msg":"Server listening at /)
    t.notMatch(demo.stdout(), '"level":', 'the log does not mix with the output')
  }
)

/** How many people have a number that somebody before them has. */
function sharedPhones(): number {
  const phones = atKlaviyo.flatMap(({ truth: { phone = '' } }) =>
    klaviyoPhone.test(phone) ? [phone] : []
  )
  return phones.length - new Set(phones).size
}

test(
  'the printed commands work as they are until the demo is stopped',
  {
    skip: LONG ? false : 'takes half a minute',
    timeout: TIMEOUT_MS
  },
  async (t) => {
    const demo = startCommand(t, 'src/cli/demo.ts', { env: { TMPDIR: t.testdir() } })
    await demo.find(/Stop with Ctrl-C\.\n/)
    const [, commands = ''] = /^By hand\n(.*)\n\nStop/ms.exec(demo.stdout()) ?? []
    const [one = '', file = '', status = '', ...others] = commands.split('\n\n')
    t.same(others, [])
    t.equal(await shell(one), '{"success":true}')
    t.equal(await shell(file), '{"success":true}')
    t.match(JSON.parse(await shell(status)), {
      sessionId: 1708531200,
      audience: 'High Value Customers',
      state: 'delivered',
      batches: { received: [1, 2, 3], missing: [], total: 3 },
      users: { received: 25_000, total: 25_000 }
    })
    demo.kill('SIGINT')
    t.equal(await demo.exitCode(), 0)
    t.equal(demo.stderr(), '')
  }
)

async function shell(command: string): Promise<string> {
  const { stdout } = await promisify(execFile)('sh', ['-c', command])
  return stdout
}
