import { hash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Piscina } from 'piscina'
import { RouteNotFoundError } from '../src/errors.ts'
import type { ConsoleModules } from './console-modules.ts'

/** Something that browsers are served, as it is sent. */
interface Asset {
  readonly type: string
  readonly etag: string
  readonly body: string
}

interface Console {
  readonly page: Asset
  /** The inline import map is the only script that is not a file of ours. */
  readonly policy: string
  /** By their paths from the root of the project. */
  readonly assets: ReadonlyMap<string, Asset>
}

const SCRIPT_TYPE = 'text/javascript; charset=utf-8'
/** Files beside the modules. */
const FILES: readonly (readonly [path: string, type: string])[] = [
  ['src/console/console.css', 'text/css; charset=utf-8'],
  ['src/console/icon.svg', 'image/svg+xml']
]
const ROOT = join(import.meta.dirname, '..')

/**
 * The console at `/console`: a page and the modules that a browser loads for it, which hold no data.
 * They are read when somebody opens it for the first time, so that no start waits for them.
 */
export default fp(
  async (app) => {
    let loading: Promise<Console> | undefined
    const load = () =>
      (loading ??= loadConsole().catch((error: unknown) => {
        loading = undefined
        throw error
      }))
    // No part of the API, so that its reference does not tell of it.
    const open = { config: { open: true }, schema: { hide: true } }

    app.get('/console', open, async (request, reply) => {
      const { page, policy } = await load()
      void reply.header('content-security-policy', policy)
      return send(request, reply, page)
    })
    // Relative addresses in the page would be others below it.
    app.get('/console/', open, async (_request, reply) => reply.redirect('../console', 308))
    app.get<{ Params: { '*': string } }>('/console/*', open, async (request, reply) => {
      const { assets } = await load()
      const asset = assets.get(request.params['*'])
      if (asset === undefined) throw new RouteNotFoundError()
      return send(request, reply, asset)
    })
  },
  { name: 'console', fastify: '5.x', dependencies: ['auth', 'errors'] }
)

/** Browsers ask each time whether it is still the same, and load it anew after an update. */
function send({ headers }: FastifyRequest, reply: FastifyReply, asset: Asset): FastifyReply {
  void reply.header('cache-control', 'no-cache').header('etag', asset.etag)
  if (headers['if-none-match'] === asset.etag) return reply.code(304).send()
  return reply.type(asset.type).send(asset.body)
}

async function loadConsole(): Promise<Console> {
  const [{ modules, packages }, files] = await Promise.all([
    readModules(),
    Promise.all(FILES.map(async ([path, type]) => [path, assetOf(type, await read(path))] as const))
  ])
  const importMap = JSON.stringify({
    imports: Object.fromEntries(
      Object.entries(packages).map(([name, path]) => [name, `./${addressOf(path)}`])
    )
  })
  const scripts = modules.map(({ path, source }) => [path, assetOf(SCRIPT_TYPE, source)] as const)
  return {
    page: assetOf(
      'text/html; charset=utf-8',
      pageOf(
        importMap,
        modules.map(({ path }) => path)
      )
    ),
    policy: policyOf(importMap),
    assets: new Map([...scripts, ...files])
  }
}

const read = (path: string) => readFile(join(ROOT, path), 'utf8')

/** In a thread that ends afterwards. Both of what it needs of Node is marked experimental there. */
async function readModules(): Promise<ConsoleModules> {
  const thread = new Piscina<undefined, ConsoleModules>({
    filename: new URL('./console-modules.ts', import.meta.url).href,
    maxThreads: 1,
    execArgv: ['--disable-warning=ExperimentalWarning', '--experimental-vm-modules']
  })
  try {
    return await thread.run(undefined)
  } finally {
    await thread.destroy()
  }
}

function assetOf(type: string, body: string): Asset {
  return { type, body, etag: `"${hash('sha256', body, 'base64url')}"` }
}

/** Relative, so that a proxy may serve everything below a path of its own. */
const addressOf = (path: string) => `console/${path}`

/** https://www.w3.org/TR/CSP3/: nothing but what the page is made of, and calls of this service. */
function policyOf(importMap: string): string {
  return [
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
  ].join('; ')
}

/** Naming all modules here lets a browser load them side by side instead of one import at a time. */
function pageOf(importMap: string, [entry = '', ...imported]: readonly string[]): string {
  const preloads = imported.map((path) => `<link rel="modulepreload" href="${addressOf(path)}">`)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Audience console</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" type="image/svg+xml" href="${addressOf('src/console/icon.svg')}">
<link rel="stylesheet" href="${addressOf('src/console/console.css')}">
<script type="importmap">${importMap}</script>
${preloads.join('\n')}
<script type="module" src="${addressOf(entry)}"></script>
</head>
<body>
<noscript>The console needs JavaScript. Everything that it shows is in the HTTP API as well.</noscript>
</body>
</html>
`
}
