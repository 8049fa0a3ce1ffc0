import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test } from 'tap'
import { providers } from '../../providers/registry.ts'
import { startCommand } from '../support/command.ts'

test('every platform has a sandbox, and its line of variables makes calls work', async (t) => {
  const command = startCommand(t, 'src/cli/sandbox.ts', { env: { SANDBOX_PORT_BASE: '0' } })
  await command.find(/forgets everything\n/)
  const found = command.stdout().matchAll(/^\w+ (http:\/\/127\.0\.0\.1:\d+)$/gm)
  const urls = [...found].map(([, url = '']) => url)
  const [facebook = '', tiktok = '', klaviyo = '', adcp = ''] = urls
  const lines = command.stdout().split('\n')
  t.same(
    lines.flatMap((line) => /^(\w+) http:/.exec(line)?.[1] ?? []),
    providers.map(({ name }) => name)
  )
  t.same(lines.slice(0, 10), [
    'Start the service with the variables of those platforms that it is to serve.',
    '',
    `facebook ${facebook}`,
    `  FACEBOOK_ACCESS_TOKEN=sandbox-facebook-token FACEBOOK_AD_ACCOUNT_ID=1234567890 FACEBOOK_BASE_URL=${facebook}`,
    `tiktok ${tiktok}`,
    `  TIKTOK_ACCESS_TOKEN=sandbox-tiktok-token TIKTOK_ADVERTISER_ID=7100000000000000001 TIKTOK_BASE_URL=${tiktok}`,
    `klaviyo ${klaviyo}`,
    `  KLAVIYO_API_KEY=sandbox KLAVIYO_BASE_URL=${klaviyo}`,
    `adcp ${adcp}`,
    `  ADCP_AGENT_URL=https://seller.example/mcp ADCP_TOKEN=sandbox ADCP_BASE_URL=${adcp}`
  ])

  const account = await fetch(`${facebook}/v26.0/act_1234567890?fields=id`, {
    headers: { authorization: 'Bearer sandbox-facebook-token' }
  })
  t.same(await account.json(), { id: 'act_1234567890' })
  for (const url of urls) {
    const state = await fetch(`${url}/_sandbox/state`)
    t.match(await state.json(), { segments: [] })
  }
  const settings = await fetch(`${klaviyo}/_sandbox/settings`, {
    method: 'POST',
    body: '{"delayMs":0}'
  })
  t.same(await settings.json(), { ok: true })

  command.kill('SIGTERM')
  t.equal(await command.exitCode(), 0)
  t.equal(command.stderr(), '')
})

test('a wrong or taken port is told', async (t) => {
  const wrong = startCommand(t, 'src/cli/sandbox.ts', { env: { SANDBOX_PORT_BASE: '91o1' } })
  t.equal(await wrong.exitCode(), 1)
  t.equal(wrong.stderr(), 'SANDBOX_PORT_BASE must be a port, or 0 for free ones\n')

  const other = createServer().listen(0, '127.0.0.1')
  t.teardown(() => other.close())
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  const taken = startCommand(t, 'src/cli/sandbox.ts', { env: { SANDBOX_PORT_BASE: `${port}` } })
  t.equal(await taken.exitCode(), 1)
  t.equal(taken.stderr(), `listen EADDRINUSE: address already in use 127.0.0.1:${port}\n`)
})

test('docker-compose.yml points the service at the sandboxes by the same variables', async (t) => {
  const compose = await readFile(new URL('../../docker-compose.yml', import.meta.url), 'utf8')
  const command = startCommand(t, 'src/cli/sandbox.ts', { env: { SANDBOX_PORT_BASE: '0' } })
  await command.find(/forgets everything\n/)
  const variables = [...command.stdout().matchAll(/^ {2}([A-Z]+_.*)$/gm)].map(([, line = '']) =>
    line.split(' ')
  )
  t.equal(variables.length, providers.length)
  for (const [place, ofPlatform] of variables.entries()) {
    for (const variable of ofPlatform) {
      const [name = '', value = ''] = variable.split('=')
      const expected = name.endsWith('_BASE_URL') ? `http://sandbox:${9101 + place}` : value
      t.match(compose, new RegExp(`^ +${name}: '?${expected}'?$`, 'm'))
    }
  }
})
