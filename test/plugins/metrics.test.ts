import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { facebook } from '../../providers/facebook/index.ts'
import type { Provider } from '../../providers/provider.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import { steppedClock } from '../support/clock.ts'
import { type Family, parseOpenMetrics } from '../support/open-metrics.ts'
import { BATCH, form, type Service, startService } from '../support/service.ts'

const OPEN_METRICS = 'application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.4'
const KEY = 'metrics0key0metrics0key'
const bearer = { authorization: `Bearer ${KEY}` }
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const env = { AUDIENCE_API_KEYS: `shop:${KEY}` }

async function sandboxOf(t: Test, provider: Pick<Provider, 'sandbox'>): Promise<Sandbox> {
  const sandbox = await provider.sandbox()
  t.teardown(() => sandbox.close())
  return sandbox
}

async function scrape(service: Service): Promise<Family[]> {
  const { text } = await service.get('/metrics', { ...bearer, accept: OPEN_METRICS })
  return parseOpenMetrics(text)
}

/** The lines of the older format whose names begin like this, without what is measured. */
async function linesOf(service: Service, ...starts: readonly string[]): Promise<string[]> {
  const { text } = await service.get('/metrics', bearer)
  return text
    .split('\n')
    .filter((line) => starts.some((start) => line.startsWith(start)))
    .filter((line) => !/_(?:bucket|sum)[{ ]/.test(line))
}

let session = 0
function upload(users: readonly object[], totalBatches = 1): FormData {
  session += 1
  const batch = { ...BATCH, sessionId: session, totalBatches, totalUsers: users.length }
  return form({ users, batch })
}

test('metrics need an API key, and come in the format that is asked for', async (t) => {
  const service = await startService(t, { sandboxes: [await sandboxOf(t, facebook)], env })
  const refused = await service.get('/metrics')
  t.equal(refused.status, 401)
  t.equal(refused.headers.get('x-error-code'), 'AUD_UNAUTHORIZED')

  const modern = await service.get('/metrics', { ...bearer, accept: OPEN_METRICS })
  t.equal(
    modern.headers.get('content-type'),
    'application/openmetrics-text; version=1.0.0; charset=utf-8'
  )
  t.ok(modern.text.endsWith('\n# EOF\n'))
  t.ok(modern.text.includes('\n# TYPE audience_deliveries counter\n'))
  const older = await service.get('/metrics', bearer)
  t.equal(older.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  t.notOk(older.text.includes('# EOF'))
  t.ok(older.text.includes('\n# TYPE audience_deliveries_total counter\n'))
  const series = (text: string) =>
    new Set(text.split('\n').flatMap((line) => /^[a-z][^ ]*/.exec(line)?.[0] ?? []))
  const names = (text: string) => [...series(text)].filter((name) => name.startsWith('audience_'))
  t.same(
    names(older.text).filter((name) => !name.includes('/metrics')),
    names(modern.text).filter((name) => !name.includes('/metrics')),
    'both have the same series'
  )
  t.same(
    parseOpenMetrics(modern.text)
      .map(({ name }) => name)
      .filter((name) => !/^(audience|process|nodejs)_/.test(name)),
    []
  )
})

test('uploads, deliveries, users and calls are counted, each once', async (t) => {
  const sandbox = await sandboxOf(t, facebook)
  const service = await startService(t, { sandboxes: [sandbox], env })
  await service.get('/providers?check=true', bearer)
  const people = [
    { email: 'jane@example.com' },
    { email: 'Jane@example.com ' },
    { email: 'ana@example.com', country: 'DE' },
    { email: 'n/a' }
  ]
  const repeated = upload(people)
  await service.post(repeated, '?sync=true', bearer)
  await service.post(repeated, '?sync=true', bearer)
  // Refused at the door, and by what it holds; a dry run is no upload.
  await service.post(upload([]), '', bearer)
  await service.post(upload(people), '')
  await service.post(upload([]), '?dryRun=true', bearer)
  // Once no answer, then taken; once refused for what it is.
  sandbox.failNext({ times: 1, path: '/users', answer: { status: 503, body: '' } })
  await service.post(upload([{ email: 'bob@example.com' }]), '?sync=true', bearer)
  const refusal = { error: { message: 'no', code: 100 } }
  sandbox.failNext({ times: 1, path: '/users', answer: { status: 400, body: refusal } })
  await service.post(upload([{ email: 'eve@example.com' }]), '?sync=true', bearer)
  await service.post(upload([{ email: 'jane@example.com' }]), '?sync=true&mode=remove', bearer)

  const lines = await linesOf(
    service,
    'audience_upload',
    'audience_delivery_',
    'audience_deliveries',
    'audience_users',
    'audience_platform',
    'audience_http'
  )
  t.same(
    lines.filter((line) => !/_slots|_room/.test(line)),
    [
      'audience_uploads_accepted_total{mode="add"} 3',
      'audience_uploads_accepted_total{mode="remove"} 1',
      'audience_uploads_duplicate_total 1',
      'audience_uploads_refused_total{error_code="AUD_NO_USERS"} 1',
      'audience_uploads_refused_total{error_code="AUD_UNAUTHORIZED"} 1',
      'audience_upload_users_total{mode="add"} 6',
      'audience_upload_users_total{mode="remove"} 1',
      'audience_upload_bytes_total 207',
      'audience_upload_duration_seconds_count 5',
      'audience_deliveries_total{provider="facebook",tag="default",outcome="delivered"} 3',
      'audience_deliveries_total{provider="facebook",tag="default",outcome="failed"} 1',
      'audience_delivery_failures_total{provider="facebook",tag="default",error_class="invalid"} 1',
      'audience_delivery_attempts_total{provider="facebook",tag="default"} 5',
      'audience_delivery_retries_total{provider="facebook",tag="default",error_class="transient"} 1',
      'audience_delivery_duration_seconds_count{provider="facebook",tag="default",outcome="delivered"} 3',
      'audience_delivery_duration_seconds_count{provider="facebook",tag="default",outcome="failed"} 1',
      'audience_users_sent_total{provider="facebook",tag="default"} 5',
      'audience_users_received_total{provider="facebook",tag="default"} 5',
      'audience_users_invalid_total{provider="facebook",tag="default"} 0',
      'audience_users_left_out_total{provider="facebook",tag="default",reason="no_identifier"} 1',
      ...[
        ['adaccount.read', '2xx', 1],
        ['customaudiences.list', '2xx', 1],
        ['customaudiences.create', '2xx', 1],
        ['users.add', '2xx', 2],
        ['users.add', '5xx', 1],
        ['users.add', '4xx', 1],
        ['users.remove', '2xx', 1]
      ].map(
        ([operation, outcome, count]) =>
          `audience_platform_call_duration_seconds_count{provider="facebook",operation="${operation}",outcome="${outcome}"} ${count}`
      ),
      'audience_platform_call_wait_seconds_count{provider="facebook",tag="default"} 8',
      ...[
        ['GET', '/providers', 401, 1],
        ['GET', '/providers', 200, 1],
        ['POST', '/audience', 200, 4],
        ['POST', '/audience', 400, 3],
        ['POST', '/audience', 401, 1]
      ].map(
        ([method, route, status, count]) =>
          `audience_http_request_duration_seconds_count{method="${method}",route="${route}",status="${status}"} ${count}`
      ),
      'audience_http_faults_total 0'
    ]
  )

  const other = await startService(t, { sandboxes: [sandbox], env })
  t.same(
    await linesOf(other, 'audience_uploads', 'audience_deliveries'),
    [
      'audience_uploads_accepted_total{mode="add"} 0',
      'audience_uploads_accepted_total{mode="remove"} 0',
      'audience_uploads_duplicate_total 0',
      'audience_deliveries_total{provider="facebook",tag="default",outcome="delivered"} 0',
      'audience_deliveries_total{provider="facebook",tag="default",outcome="failed"} 0'
    ],
    'another instance counts for itself'
  )
})

test('what another instance has settled meanwhile is not counted here', async (t) => {
  const sandbox = await facebook.sandbox()
  const service = await startService(t, { sandboxes: [sandbox], env })
  sandbox.failNext({ times: 1, path: '/users', hang: true })
  await service.post(upload([{ email: 'jane@example.com' }]), '', bearer)
  while (!sandbox.requests.some(({ path }) => path.endsWith('/users'))) await pause(5)
  const { store } = service.app
  const query = { owner: 'shop', sessionId: session, limit: 1 }
  const [delivery] = (await store.sessionDeliveries(query)).items
  await store.changeDelivery(delivery!.id, { state: 'failed', settledAt: 1 }, Date.now())
  await sandbox.close()
  const ended = 'audience_delivery_slots_busy{provider="facebook"} 0'
  while (!(await linesOf(service, ended)).includes(ended)) await pause(5)
  t.same(await linesOf(service, 'audience_deliveries', 'audience_delivery_attempts'), [
    'audience_deliveries_total{provider="facebook",tag="default",outcome="delivered"} 0',
    'audience_deliveries_total{provider="facebook",tag="default",outcome="failed"} 0',
    'audience_delivery_attempts_total{provider="facebook",tag="default"} 1'
  ])
})

test('an account that is held is told of, and what waits for it', async (t) => {
  const sandbox = await sandboxOf(t, facebook)
  const clock = steppedClock()
  const tags = { 'facebook/other': sandbox.variables }
  const service = await startService(t, { sandboxes: [sandbox], tags, env, clock })
  await service.get('/providers?check=true', bearer)
  sandbox.failNext({ times: 1_000, error: 'expired_token' })
  const users = [{ email: 'jane@example.com' }]
  await service.post(upload(users), '?sync=true&channels=facebook/default', bearer)
  const waiting = 'audience_backlog_deliveries 1'
  while (!(await linesOf(service, waiting)).includes(waiting)) await pause(10)
  const state = (tag: string, name: string, value: number) =>
    `audience_account_state{provider="facebook",tag="${tag}",state="${name}"} ${value}`
  t.same(
    await linesOf(service, 'audience_account', 'audience_delivery_retries', 'audience_store'),
    [
      'audience_delivery_retries_total{provider="facebook",tag="default",error_class="auth"} 1',
      state('default', 'open', 0),
      state('default', 'paused', 0),
      state('default', 'broken', 0),
      state('default', 'held', 1),
      state('other', 'open', 1),
      state('other', 'paused', 0),
      state('other', 'broken', 0),
      state('other', 'held', 0),
      'audience_accounts_held 1',
      'audience_store_up 1'
    ]
  )

  await service.app.store.close()
  while ((await service.get('/readyz')).status === 200) await pause(10)
  clock.advance(90_000)
  t.same(
    await linesOf(service, 'audience_store', 'audience_backlog_deliveries', 'audience_accounts'),
    ['audience_accounts_held 1', 'audience_backlog_deliveries 1', 'audience_store_up 0'],
    'what was known of a store that is away'
  )
  const families = await scrape(service)
  const ofAge = families.find(({ name }) => name === 'audience_backlog_oldest_age_seconds')
  const value = ofAge?.samples[0]?.value ?? 0
  t.ok(value > 60 && value <= 90, `its age grows: ${value}`)
})

test('what agents call and what webhooks get is counted', async (t) => {
  const service = await startService(t, {
    env: { ...env, AUDIENCE_WEBHOOK_PRIVATE_ADDRESSES: 'allow' },
    tags: {
      'klaviyo/shop': { apiKey: 'unused', baseUrl: 'http://127.0.0.1:1' }
    },
    // Nobody listens there either.
    config: {
      retryHours: 0,
      webhooks: [{ id: 'hook', url: 'http://127.0.0.1:1/', secret: SECRET }]
    }
  })
  const call = (name: string, args: object = {}) =>
    fetch(`${service.url}/mcp`, {
      method: 'POST',
      headers: { ...bearer, 'content-type': 'application/json' },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name, arguments: args }
      })
    })
  await call('get_adcp_capabilities')
  await call('list_accounts')
  await call('get_task_status', { task_id: 'there is none' })
  await call('there is no such tool')
  await service.post(upload([{ email: 'jane@example.com' }]), '', bearer)
  const retried = 'audience_webhook_attempts_total{kind="webhook",outcome="retry"} 2'
  while (!(await linesOf(service, retried)).includes(retried)) {
    service.app.nudgeWebhooks()
    await pause(10)
  }
  t.same(
    await linesOf(service, 'audience_adcp', 'audience_webhook_attempts', 'audience_delivery_f'),
    [
      'audience_delivery_failures_total{provider="klaviyo",tag="shop",error_class="transient"} 1',
      'audience_webhook_attempts_total{kind="webhook",outcome="delivered"} 0',
      retried,
      'audience_webhook_attempts_total{kind="webhook",outcome="give_up"} 0',
      'audience_webhook_attempts_total{kind="push",outcome="delivered"} 0',
      'audience_webhook_attempts_total{kind="push",outcome="retry"} 0',
      'audience_webhook_attempts_total{kind="push",outcome="give_up"} 0',
      'audience_adcp_calls_total{tool="get_adcp_capabilities",outcome="completed"} 1',
      'audience_adcp_calls_total{tool="list_accounts",outcome="completed"} 1',
      'audience_adcp_calls_total{tool="get_task_status",outcome="REFERENCE_NOT_FOUND"} 1'
    ]
  )
})

const ROOT = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

test('docs/metrics.md has every metric, as a scrape tells it', async (t) => {
  const service = await startService(t, { sandboxes: [await sandboxOf(t, facebook)], env })
  await service.post(upload([{ email: 'jane@example.com' }]), '?sync=true', bearer)
  const documented = new Map(
    read('docs/metrics.md')
      .matchAll(/^\| `((?:audience|process|nodejs)_\w+)` \| (\w+) \| (.*) \| (.+) \|$/gm)
      .map(([, name = '', type, labels = '', help]) => [
        name,
        { type, help, labels: new Set(labels.split(', ').map((label) => label.slice(1, -1))) }
      ])
  )
  const families = (await scrape(service)).map((family) => ({
    ...family,
    name: family.type === 'counter' ? `${family.name}_total` : family.name
  }))
  const isOurs = (name: string) => name.startsWith('audience_')
  t.same(
    families.map(({ name }) => name).filter(isOurs),
    [...documented.keys()].filter(isOurs),
    'in the same order'
  )
  for (const { name, type, help, samples } of families) {
    const row = documented.get(name)
    t.match(row, { type, help }, name)
    const labels = new Set(samples.flatMap((sample) => Object.keys(sample.labels)))
    labels.delete('le')
    t.same(
      [...labels].filter((label) => !row?.labels.has(label)),
      [],
      `labels of ${name}`
    )
  }
})

/** Names in an expression, without what histograms add to them. */
function namesIn(text: string): string[] {
  const names = text.match(/\b(?:audience|process|nodejs)_\w+/g) ?? []
  return names.map((name) => name.replace(/_seconds_(?:bucket|sum|count)$/, '_seconds'))
}

/** Each text that a JSON document has under this key, however deep. */
function textsUnder(key: string, value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]: [string, unknown]) =>
    name === key && typeof inner === 'string' ? [inner] : textsUnder(key, inner)
  )
}

test('dashboard and alerts ask for metrics that there are, and lead to their documentation', async (t) => {
  const documented = new Set(namesIn(read('docs/metrics.md')))
  const dashboard: unknown = JSON.parse(read('deploy/grafana/dashboards/audience-api.json'))
  const alerts = read('deploy/alerts.yml')
  const asked = [
    ...textsUnder('expr', dashboard).flatMap(namesIn),
    ...textsUnder('definition', dashboard).flatMap(namesIn),
    ...namesIn(alerts)
  ]
  t.ok(asked.length > 60)
  t.same(
    asked.filter((name) => !documented.has(name)),
    []
  )
  t.same(
    [...documented].filter((name) => name.startsWith('audience_') && !asked.includes(name)),
    [],
    'nothing is measured that nobody looks at'
  )
  t.same(
    [...new Set(textsUnder('uid', dashboard))].toSorted(),
    ['audience-api', 'prometheus'],
    'the data source is the one that is provisioned'
  )
  t.ok(read('deploy/grafana/provisioning/datasources/prometheus.yml').includes('uid: prometheus'))

  const names = [...alerts.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name)
  const runbooks = [...alerts.matchAll(/runbook: (\S+)/g)].map(([, link]) => link)
  t.equal(names.length, alerts.match(/summary: >-/g)?.length)
  t.same(
    runbooks,
    names.map((name) => `docs/metrics.md#${name.toLowerCase()}`)
  )
  const headings = [...read('docs/metrics.md').matchAll(/^### (Audience\w+)$/gm)]
  t.same(
    headings.map(([, name]) => name),
    names,
    'each has its section'
  )
  const jobs = [...alerts.matchAll(/job="([^"]+)"/g)].map(([, job]) => job)
  t.ok(
    jobs.length > 0 &&
      jobs.every((job) => read('deploy/prometheus.yml').includes(`job_name: ${job}\n`))
  )
})
