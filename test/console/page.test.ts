import { hash } from 'node:crypto'
import { request } from 'node:http'
import { join } from 'node:path'
import { test } from 'tap'
import { LONG_ONLY } from '../support/long.ts'
import { startCommand } from '../support/command.ts'
import { startService, temporaryFolder } from '../support/service.ts'

const LINK = /(?:href|src)="(?<path>[^"]+)"/g

test('the page is open, whole, and lets a browser talk to this service only', async (t) => {
  const service = await startService(t, { env: { AUDIENCE_API_KEYS: 'crm:0123456789abcdef' } })
  const page = await service.get('/console')
  t.equal(page.status, 200)
  t.equal(page.headers.get('content-type'), 'text/html; charset=utf-8')
  const [, importMap = ''] = /<script type="importmap">(.*)<\/script>/.exec(page.text) ?? []
  t.same(page.headers.get('content-security-policy')?.split('; '), [
    "default-src 'none'",
    `script-src 'self' 'sha256-${hash('sha256', importMap, 'base64')}'`,
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    'trusted-types lit-html'
  ])

  const links = [...page.text.matchAll(LINK)].map(({ groups }) => groups?.['path'] ?? '')
  const { imports } = JSON.parse(importMap) as { readonly imports: Record<string, string> }
  const paths = [...links, ...Object.values(imports)]
  t.ok(paths.length > 30)
  t.same(
    paths.filter((path) => path.startsWith('/') || path.includes(':')),
    [],
    'addresses are relative, for proxies that serve it below a path'
  )
  const types = new Map([
    ['css', 'text/css; charset=utf-8'],
    ['svg', 'image/svg+xml']
  ])
  for (const path of paths) {
    const asset = await service.get(new URL(path, `${service.url}/console`).pathname)
    const type = types.get(path.split('.').at(-1) ?? '') ?? 'text/javascript; charset=utf-8'
    t.same([asset.status, asset.headers.get('content-type')], [200, type], path)
  }
  t.equal((await service.get('/audience/sessions')).status, 401, 'data needs a key')
})

test('a browser that has it already is told so', async (t) => {
  const service = await startService(t)
  const first = await service.get('/console/src/console/main.ts')
  t.equal(first.headers.get('cache-control'), 'no-cache')
  const etag = first.headers.get('etag') ?? ''
  const again = await service.get('/console/src/console/main.ts', { 'if-none-match': etag })
  t.same([again.status, again.text], [304, ''])
})

/** As it is written: `fetch` would resolve the dots. */
function statusOf(url: string, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const call = request(url, { path }, (answer) => {
      answer.resume()
      resolve(answer.statusCode)
    })
    call.on('error', reject)
    call.end()
  })
}

test('nothing but what the console loads is served', async (t) => {
  const service = await startService(t)
  const paths = [
    'package.json',
    'src/main.ts',
    'src/config.ts',
    'src/audience/hash.ts',
    'src/console/tsconfig.json',
    'src/console/../config.ts',
    '../package.json',
    '%2e%2e/package.json',
    'node_modules/lit-html/package.json',
    'node_modules/fastify/fastify.js'
  ]
  for (const path of paths) t.equal(await statusOf(service.url, `/console/${path}`), 404, path)
  t.equal((await service.get('/console/')).text.includes('importmap'), true, 'leads to the page')
})

test('whoever runs the service sees no warning about it', LONG_ONLY, async (t) => {
  const folder = temporaryFolder(t)
  const service = startCommand(t, 'src/main.ts', {
    env: { PORT: '0', DATABASE_URL: `sqlite:${join(folder, 'audience.db')}` }
  })
  const [, url = ''] = await service.find(/listening at (http:[^"]+)"/)
  t.equal((await fetch(`${url}/console`)).status, 200)
  service.kill('SIGINT')
  t.equal(await service.exitCode(), 0)
  t.equal(service.stderr(), '')
})
