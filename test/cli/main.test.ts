import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { startCommand } from '../support/command.ts'
import { form, temporaryFolder } from '../support/service.ts'

const LONG = Boolean(process.env['AUDIENCE_TEST_LONG'])
/** Half of the time of a start; written by processes that end by themselves. */
const COMPILE_CACHE = join(tmpdir(), 'audience-compile-cache')

/** The service as a process; without what tap adds, which is a fifth of its work. */
const startMain = (t: Test, env: Readonly<Record<string, string>>, cwd?: string) =>
  startCommand(t, 'src/main.ts', {
    isBare: true,
    env: { NODE_COMPILE_CACHE: COMPILE_CACHE, PORT: '0', ...env },
    ...(cwd !== undefined && { cwd })
  })

const LISTENING = /Server listening at (http:\/\/127\.0\.0\.1:\d+)/
/** Nobody listens there. */
const NOWHERE = 'http://127.0.0.1:9'

async function listening(t: Test, env: Readonly<Record<string, string>>, cwd = temporaryFolder(t)) {
  const service = startMain(t, env, cwd)
  const [, url = ''] = await service.find(LISTENING)
  return { service, url }
}

test('a wrong configuration is told with every problem, and no secret', async (t) => {
  const service = startMain(t, {
    HOST: '0.0.0.0',
    PORT: '99999',
    LOG_LEVEL: 'loud',
    AUDIENCE_API_KEYS: 'shop:s3cret',
    AUDIENCE_DEFAULT_COUNTRY: 'Narnia',
    FACEBOOK_AD_ACCOUNT_ID: 'my-account',
    TIKTOK_ACCESS_TOKEN: 's3cret-token'
  })
  t.equal(await service.exitCode(), 1)
  t.equal(service.stdout(), '')
  t.same(service.stderr().split('\n'), [
    'The configuration is wrong:',
    '- PORT: must be <= 65535',
    '- LOG_LEVEL: must be one of trace, debug, info, warn, error, fatal, silent',
    '- FACEBOOK_ACCESS_TOKEN: is missing',
    '- FACEBOOK_AD_ACCOUNT_ID: must match pattern "^(act_)?[0-9]+$"',
    '- TIKTOK_ADVERTISER_ID: is missing',
    '- AUDIENCE_API_KEYS: the key named shop must have 16 or more of A-Z a-z 0-9 - . _ ~ + /',
    '- AUDIENCE_DEFAULT_COUNTRY: must be an ISO 3166-1 alpha-2 code',
    ''
  ])
})

test('the service answers until it is told to stop, and then ends well', async (t) => {
  async function stopWith(signal: 'SIGTERM' | 'SIGINT', drainMs: string): Promise<void> {
    const { service, url } = await listening(t, { AUDIENCE_DRAIN_MS: drainMs })
    for (const path of ['/livez', '/readyz']) {
      const response = await fetch(url + path)
      t.same([response.status, await response.json()], [200, { status: 'ok' }], path)
    }
    service.kill(signal)
    t.equal(await service.exitCode(), 0)
    t.match(service.stdout(), `"signal":"${signal}","msg":"closing"`)
    t.equal(service.stderr(), '', 'Node itself has nothing to warn about')
  }
  await stopWith('SIGINT', '10000')
  // The other signal ends all those services well that other files start.
  if (LONG) await stopWith('SIGTERM', '0')
})

test('told to stop, the service is not ready, takes what still comes, and ends at once if told again', async (t) => {
  const { service, url } = await listening(t, { AUDIENCE_DRAIN_MS: '10000' })
  service.kill('SIGTERM')
  let ready = await fetch(`${url}/readyz`)
  while (ready.status === 200) ready = await fetch(`${url}/readyz`)
  t.same([ready.status, await ready.json()], [503, { status: 'closing' }])
  t.equal((await fetch(`${url}/livez`)).status, 200)
  const upload = await fetch(`${url}/audience`, { method: 'POST', body: form() })
  t.same([upload.status, await upload.json()], [200, { success: true }])
  service.kill('SIGTERM')
  t.equal(await service.exitCode(), 1)
  t.match(service.stdout(), '"msg":"told to stop again: ends at once"')
})

test('a start that fails says why in one line', async (t) => {
  const cwd = temporaryFolder(t)
  const { service, url } = await listening(
    t,
    { FACEBOOK_ACCESS_TOKEN: 'token', FACEBOOK_AD_ACCOUNT_ID: '1', FACEBOOK_BASE_URL: NOWHERE },
    cwd
  )
  async function refusal(env: Record<string, string>, folder: string): Promise<string> {
    const refused = startMain(t, env, folder)
    t.equal(await refused.exitCode(), 1)
    return refused.stderr()
  }
  const { port } = new URL(url)
  const [taken, unreachable] = await Promise.all([
    refusal({ PORT: port }, temporaryFolder(t)),
    refusal(
      {
        DATABASE_URL: 'postgres://audience:s3cret@127.0.0.1:9/audience',
        AUDIENCE_ENCRYPTION_KEY: Buffer.alloc(32).toString('base64')
      },
      temporaryFolder(t)
    )
  ])
  t.equal(
    taken,
    `The service cannot start: listen EADDRINUSE: address already in use 127.0.0.1:${port}\n`
  )
  t.match(unreachable, /^The service cannot start: .+\n$/)
  t.notMatch(unreachable, 's3cret')

  // It waits for the lock for ten seconds, and the key is missed by two more starts.
  if (!LONG) return
  t.match(await refusal({}, cwd), /^The service cannot start: .*audience\.db.*\n$/)
  t.equal((await fetch(`${url}/audience`, { method: 'POST', body: form() })).status, 200)
  service.kill('SIGKILL')
  await service.exitCode()
  rmSync(join(cwd, 'data/audience.db.key'))
  const keyless = await refusal({}, cwd)
  t.match(keyless, /^The service cannot start: the key .* is missing.*AUDIENCE_ENCRYPTION_KEY\n$/)
})
