import { createConfig, lintFromString } from '@redocly/openapi-core'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import Fastify from 'fastify'
import tap, { test } from 'tap'
import packageJson from '../../package.json' with { type: 'json' }
import { isObject, type Json, type JsonObject, nameSchemas } from '../../src/api/components.ts'
import { documentedErrors } from '../../src/api/errors.ts'
import { operations } from '../../src/api/operations.ts'
import { catalogue } from '../../src/errors.ts'
import { IN_BROWSER, openPage, startBrowser } from '../support/browser.ts'
import { differences, holdToContract } from '../support/contract.ts'
import { LONG_ONLY } from '../support/long.ts'
import { startService } from '../support/service.ts'

const METHODS: readonly string[] = ['get', 'post', 'put', 'patch', 'delete']
const service = await startService(tap, {
  env: {
    AUDIENCE_API_KEYS: `shop:${'k'.repeat(32)}`,
    // Without it the agent has no file to be found by.
    AUDIENCE_PUBLIC_URL: 'https://audience.example'
  }
})
const document = await service.app.openapi()

/** What stands at these names, one below the other. */
function at(node: Json | undefined, ...names: readonly string[]): JsonObject {
  const found = names.reduce<Json | undefined>(
    (inner, name) => (inner !== undefined && isObject(inner) ? inner[name] : undefined),
    node
  )
  return found !== undefined && isObject(found) ? found : {}
}

/** Each operation of the document and where it stands. */
function operationsOf(all: JsonObject) {
  return ['paths', 'webhooks'].flatMap((place) =>
    Object.entries(at(all, place)).flatMap(([path, item]) =>
      METHODS.filter((method) => at(item)[method] !== undefined).map((method) => ({
        place,
        path,
        method,
        operation: at(item, method)
      }))
    )
  )
}

test('the document is sound', async (t) => {
  const config = await createConfig({
    extends: ['recommended-strict'],
    rules: {
      // Health, keys and the document itself can refuse nothing.
      'operation-4xx-response': 'off'
    }
  })
  const problems = await lintFromString({
    source: JSON.stringify(document),
    absoluteRef: '/openapi.json',
    config
  })
  t.same(
    problems.map(({ ruleId, message, location: [place] }) => [ruleId, message, place?.pointer]),
    []
  )
})

/** Pages for people, which no program calls. */
const PAGES = /^\/(docs|console)/

/** Routes as Fastify prints them: a tree of pieces of their addresses, and the methods behind. */
function routesOf(tree: string): string[] {
  const pieces: string[] = []
  return tree.split('\n').flatMap((line) => {
    const [, indent = '', piece = '', methods = ''] =
      /^(.*?)── (\S+)(?: \((.*)\))?/.exec(line) ?? []
    pieces.splice(indent.length / 4, Infinity, piece)
    const url = pieces.join('')
    return methods
      .split(', ')
      .filter((method) => method !== '' && method !== 'HEAD')
      .map((method) => `${method} ${url}`)
  })
}

test('every route is in the document, and nothing else', async (t) => {
  const documented = operationsOf(document).filter(({ place }) => place === 'paths')
  t.same(
    documented
      .map(({ path, method }) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`)
      .toSorted(),
    routesOf(service.app.printRoutes({ commonPrefix: false }))
      .filter((route) => !PAGES.test(route.split(' ')[1] ?? ''))
      .toSorted()
  )
  t.same(
    documented.map(({ operation }) => JSON.stringify(operation['operationId'])).toSorted(),
    Object.keys(operations)
      .map((name) => JSON.stringify(name))
      .toSorted(),
    'no operation is left over'
  )
})

test('every error of the catalogue is told where it can happen', async (t) => {
  const codes = (all: readonly { readonly code: string }[]) =>
    [...new Set(all.map(({ code }) => code))].toSorted()
  const text = JSON.stringify(document)
  const all = catalogue.map((Constructor) => new Constructor())
  t.same(
    codes(all.filter(({ code }) => !text.includes(code))),
    [],
    'those of no operation stand in the introduction'
  )
  const told = Object.values(documentedErrors).map(({ example }) => example)
  t.same(
    codes([...told, { code: 'AUD_METHOD_NOT_ALLOWED' }, { code: 'AUD_ROUTE_NOT_FOUND' }]),
    codes(all)
  )
  const used = new Set(Object.values(operations).flatMap(({ errors }) => errors))
  t.same(
    Object.keys(documentedErrors).filter((name) => !new Set<string>(used).has(name)),
    ['unauthorized', 'foreignOrigin', 'internal', 'closing'],
    'those that all have in common'
  )
})

/** Every example below a node, with where the schema stands that it has to fulfil. */
function examplesIn(
  node: Json,
  pointer: string
): { readonly schema: string; readonly value: Json }[] {
  if (Array.isArray(node))
    return node.flatMap((item, index) => examplesIn(item, `${pointer}/${index}`))
  if (!isObject(node)) return []
  const { example, examples, ...rest } = node
  const schema = node['schema'] === undefined ? pointer : `${pointer}/schema`
  const values = [
    ...(example === undefined ? [] : [example]),
    ...(Array.isArray(examples) ? examples : []),
    ...(examples !== undefined && isObject(examples) && node['schema'] !== undefined
      ? Object.keys(examples).map((name) => at(examples, name)['value'] ?? null)
      : [])
  ]
  return [
    ...values.map((value) => ({ schema, value })),
    ...Object.entries(rest).flatMap(([name, inner]) =>
      examplesIn(inner, `${pointer}/${escaped(name)}`)
    )
  ]
}

/** RFC 6901, as a part of an address. */
const escaped = (name: string) =>
  encodeURIComponent(name.replaceAll('~', '~0').replaceAll('/', '~1'))

test('every example is what its schema says', async (t) => {
  const ajv = new Ajv2020({ strict: false, validateSchema: false, inlineRefs: false })
  addFormats.default(ajv)
  ajv.addSchema({ ...document, $id: 'api' })
  const broken = (schema: string, value: unknown) => {
    const validate = ajv.compile({ $ref: `api#${schema}` })
    return validate(value) ? [] : [schema, validate.errors]
  }
  const found = examplesIn(document, '')
  t.ok(found.length > 80, `${found.length} examples`)
  t.same(
    found.flatMap(({ schema, value }) => broken(schema, value)),
    []
  )
  const users = '/components/schemas/UploadForm/properties/users'
  for (const { value } of found.filter(({ schema }) => schema === users)) {
    t.same(broken(`${users}/contentSchema`, JSON.parse(typeof value === 'string' ? value : '')), [])
  }
  const withoutAnswers = operationsOf(document).flatMap(({ path, operation }) =>
    Object.entries(at(operation, 'responses'))
      .filter(([, answer]) =>
        Object.values(at(answer, 'content')).some(
          (content) => Object.keys(at(content, 'examples')).length === 0
        )
      )
      .map(([status]) => `${path} ${status}`)
  )
  t.same(withoutAnswers, [], 'every answer with a body has an example')
})

test('the event stream of the reference reads as one', async (t) => {
  const text = JSON.stringify(document)
  t.match(text, /event: delivery/)
  const schemas = at(document, 'components', 'schemas')
  const stream = at(schemas, 'EventStream')
  t.equal(stream['contentMediaType'], 'text/event-stream')
  t.same(
    at(stream, 'contentSchema', 'items')['anyOf'],
    ['delivery', 'session'].map((event) => ({
      type: 'object',
      required: ['id', 'event', 'data'],
      properties: {
        id: { type: 'string', description: 'Grows; `last-event-id` of a reader who comes back.' },
        event: { type: 'string', const: event },
        data: {
          type: 'string',
          contentMediaType: 'application/json',
          contentSchema: {
            $ref: `#/components/schemas/${event === 'session' ? 'SessionProgress' : 'DeliveryStatus'}`
          }
        }
      },
      additionalProperties: false
    }))
  )
})

test('the document tells what the service takes, and is told to everybody', async (t) => {
  const { status, headers, text } = await service.get('/openapi.json')
  t.equal(status, 200)
  t.equal(headers.get('content-type'), 'application/json; charset=utf-8')
  t.same(JSON.parse(text), document)
  t.equal(document['openapi'], '3.1.1')
  t.equal(at(document, 'info')['version'], packageJson.version)
  const upload = at(document, 'paths', '/audience', 'post')
  const parameters = upload['parameters']
  t.same(Array.isArray(parameters) ? parameters.map((one) => [one.name, one.schema]) : [], [
    ['sync', { type: 'string', enum: ['true', 'false', '1', '0', ''], default: 'false' }],
    ['dryRun', { type: 'string', enum: ['true', 'false', '1', '0', ''], default: 'false' }],
    ['disablePrefix', { type: 'string', enum: ['true', 'false', '1', '0', ''], default: 'false' }],
    ['mode', { type: 'string', enum: ['add', 'remove'], default: 'add' }],
    ['channels', { type: 'string' }],
    ['defaultCountry', { type: 'string', pattern: '^[A-Za-z]{2}$' }]
  ])
  t.same(at(upload, 'requestBody', 'content', 'multipart/form-data')['schema'], {
    $ref: '#/components/schemas/UploadForm'
  })
  const form = at(document, 'components', 'schemas', 'UploadForm')
  t.same(form['required'], ['name', 'batch', 'users'])
  t.same(Object.keys(at(form, 'properties')), ['name', 'type', 'batch', 'users'])
  const withoutKey = operationsOf(document)
    .filter(({ place, operation }) => place === 'paths' && operation['security'] !== undefined)
    .map(({ path }) => path)
  t.same(withoutKey, [
    '/.well-known/jwks.json',
    '/.well-known/brand.json',
    '/livez',
    '/readyz',
    '/openapi.json'
  ])
  for (const path of withoutKey) t.equal((await service.get(path)).status, 200, path)
  t.equal((await service.get('/metrics')).status, 401)
})

test('the pages need nothing from elsewhere, and loosen no policy', async (t) => {
  const own = "script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"
  const policy = `default-src 'none'; ${own}; base-uri 'none'; form-action 'none'; frame-ancestors 'none';`
  for (const path of ['/docs', '/docs/']) {
    const page = await service.get(path)
    t.equal(page.status, 200)
    t.equal(page.headers.get('content-security-policy'), policy)
    t.match(page.headers.get('x-request-id'), /./)
    const addresses = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(
      ([, found = '']) => found
    )
    t.equal(addresses.length, 7)
    for (const address of addresses) {
      const asset = new URL(address, `${service.url}${path}`)
      t.equal(asset.origin, service.url)
      const { status, headers, text } = await service.get(asset.pathname)
      t.equal(status, 200, asset.pathname)
      t.equal(headers.get('content-security-policy'), policy)
      const isCode = asset.pathname.endsWith('bundle.js') || asset.pathname.endsWith('preset.js')
      if (!isCode) t.notMatch(text, /(?:url\(|@import|fetch\()\s*["']?(?:https?:)?\/\//)
    }
  }
  const { status, text } = await service.get('/docs/json')
  t.equal(status, 200)
  t.same(JSON.parse(text), document)
  const etag = (await service.get('/docs/static/swagger-ui.css')).headers.get('etag') ?? ''
  t.equal((await service.get('/docs/static/swagger-ui.css', { 'if-none-match': etag })).status, 304)
  t.match(
    (await service.get('/docs/static/none.js')).headers.get('x-error-code'),
    'AUD_ROUTE_NOT_FOUND'
  )
  t.equal((await service.get('/docs/static/..%2f..%2fpackage.json')).status, 404)
  for (const path of ['/livez', '/openapi.json', '/providers']) {
    t.match(
      (await service.get(path)).headers.get('content-security-policy'),
      /^default-src 'self';base-uri 'self';/,
      path
    )
  }
})

test(
  'a browser shows every operation, and an upload can be tried out',
  LONG_ONLY.skip === false ? IN_BROWSER : LONG_ONLY,
  async (t) => {
    const local = await startService(t)
    const browser = await startBrowser(t)
    const { page, complaints, foreignRequests } = await openPage(browser, local.url)
    await page.goto('/docs')
    const shown = page.locator('.opblock-summary')
    await shown.first().waitFor()
    t.equal(await shown.count(), operationsOf(await local.app.openapi()).length)
    const upload = page.locator('#operations-Uploads-uploadAudience')
    await upload.locator('.opblock-summary').click()
    await upload.getByRole('button', { name: 'Try it out' }).click()
    await upload.locator('input[type=file]').setInputFiles({
      name: 'users.json',
      mimeType: 'application/json',
      buffer: Buffer.from('[{"email":"jane@example.com"}]')
    })
    await upload.getByRole('button', { name: 'Execute' }).click()
    const answer = upload.locator('.live-responses-table .highlight-code').first()
    t.match(await answer.textContent(), '"success": true')
    t.same([complaints, foreignRequests], [[], []])
  }
)

test('two schemas of one name are a mistake', async (t) => {
  const twice = { a: { title: 'A', type: 'string' }, b: { title: 'A', type: 'number' } }
  t.throws(() => nameSchemas({ paths: twice }), { message: 'two schemas are named A' })
})

const ANSWERED = {
  operationId: 'isReady',
  isOpen: true,
  status: 200,
  headers: { 'content-type': 'application/json; charset=utf-8' },
  text: '{"status":"ok"}'
}

test('an answer that is not as documented is noticed', async (t) => {
  t.same(differences(ANSWERED), [])
  t.same(differences({ ...ANSWERED, status: 418 }), ['the status 418 is not documented'])
  t.same(differences({ ...ANSWERED, text: '{"status":"ok","load":1}' }), [
    '/ must NOT have additional properties {"additionalProperty":"load"}'
  ])
  t.same(differences({ ...ANSWERED, headers: { 'content-type': 'text/html' } }), [
    'text/html is not documented'
  ])
  t.same(differences({ ...ANSWERED, headers: {} }), ['there is no body'])
  t.same(
    differences({
      ...ANSWERED,
      headers: { ...ANSWERED.headers, location: '/', 'x-error-code': 'AUD_PAYLOAD' }
    }),
    [
      'the header location is not documented',
      'the header x-error-code is not documented',
      '"AUD_PAYLOAD" is not documented'
    ]
  )
})

test('such an answer fails the test that asked for it', async (t) => {
  const failures: string[] = []
  const other = Fastify()
  holdToContract({ fail: (message) => failures.push(message) }, other)
  const schema = { operationId: 'isAlive' }
  other.get('/livez', { schema, config: { open: true } }, () => ({ status: 'fine' }))
  other.get('/page', { schema: { hide: true } }, () => 'anything')
  other.get('/forgotten', () => ({ status: 'ok' }))
  for (const url of ['/livez', '/page', '/forgotten']) await other.inject(url)
  t.same(failures, [
    'GET /livez answered 200: /status must be equal to one of the allowed values {"allowedValues":["ok","closing","store unavailable"]}',
    'GET /forgotten answered 200, which is not documented: {"status":"ok"}'
  ])
})
