import { test } from 'tap'
import { startCommand } from '../support/command.ts'

const LISTENING = /Server listening at (http:\/\/127\.0\.0\.1:\d+)/

test('a wrong configuration is told with every problem, and no secret', async (t) => {
  const service = startCommand(t, 'src/main.ts', {
    env: {
      HOST: '0.0.0.0',
      PORT: '99999',
      LOG_LEVEL: 'loud',
      AUDIENCE_API_KEYS: 'shop:s3cret',
      AUDIENCE_DEFAULT_COUNTRY: 'Narnia',
      FACEBOOK_AD_ACCOUNT_ID: 'my-account',
      TIKTOK_ACCESS_TOKEN: 's3cret-token'
    }
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
  const service = startCommand(t, 'src/main.ts', { env: { PORT: '0' } })
  const [, url] = await service.find(LISTENING)
  for (const path of ['/livez', '/readyz']) {
    const response = await fetch(url + path)
    t.same([response.status, await response.json()], [200, { status: 'ok' }], path)
  }
  service.kill('SIGTERM')
  t.equal(await service.exitCode(), 0)
  t.match(service.stdout(), /"signal":"SIGTERM","msg":"closing"/)
  t.equal(service.stderr(), '', 'Node itself has nothing to warn about')
})

test('a port that is taken is named', async (t) => {
  const first = startCommand(t, 'src/main.ts', { env: { PORT: '0' } })
  const [, url = ''] = await first.find(LISTENING)
  const { port } = new URL(url)
  const second = startCommand(t, 'src/main.ts', { env: { PORT: port } })
  t.equal(await second.exitCode(), 1)
  t.match(second.stdout(), `listen EADDRINUSE: address already in use 127.0.0.1:${port}`)
})
