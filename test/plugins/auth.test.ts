import { request } from 'node:http'
import { test } from 'tap'
import { BATCH, form, startService } from '../support/service.ts'

const KEY = '0123456789abcdef'
const OTHER = 'fedcba9876543210'
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

test('with API keys, only who has one is served', async (t) => {
  const service = await startService(t, {
    env: { AUDIENCE_API_KEYS: `crm:${KEY},shop:${OTHER}` }
  })
  const refused: Record<string, string>[] = [
    {},
    bearer('wrong'),
    bearer(''),
    { authorization: `Basic ${KEY}` },
    { authorization: KEY },
    bearer(`${KEY}x`)
  ]
  for (const headers of refused) {
    const answer = await service.post(form(), '', headers)
    t.equal(answer.status, 401)
    t.same(answer.body, {
      success: false,
      errors: ['A valid API key is required, sent as "Authorization: Bearer <key>".']
    })
    t.equal(answer.headers.get('www-authenticate'), 'Bearer')
    t.equal(answer.headers.get('x-error-code'), 'AUD_UNAUTHORIZED')
  }
  t.equal((await service.get('/providers')).status, 401)
  t.equal((await service.get('/unknown')).status, 401)
  t.equal((await service.post(form(), '', bearer(KEY))).status, 200)
  t.equal((await service.get('/livez')).status, 200)
  t.equal((await service.get('/readyz')).status, 200)
})

test('a session belongs to the key that made it', async (t) => {
  const service = await startService(t, {
    env: { AUDIENCE_API_KEYS: `crm:${KEY},shop:${OTHER}` }
  })
  await service.post(form(), '', bearer(KEY))
  const path = `/audience/sessions/${BATCH.sessionId}`
  t.equal((await service.get(path, bearer(KEY))).status, 200)
  t.equal((await service.get(path, bearer(OTHER))).status, 404)
})

/** `fetch` does not let a caller choose these headers. */
function statusFor(url: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const call = request(url, { headers, agent: false }, (answer) => {
      answer.resume()
      resolve(answer.statusCode)
    })
    call.on('error', reject)
    call.end()
  })
}

test('without API keys, web pages and rebound host names are refused', async (t) => {
  const service = await startService(t, { env: { AUDIENCE_ALLOWED_HOSTS: 'audience.internal' } })
  const { host, port } = new URL(service.url)
  const cases: [Record<string, string>, number][] = [
    [{ host }, 200],
    [{ host: `localhost:${port}` }, 200],
    [{ host: `app.localhost:${port}` }, 200],
    [{ host: `[::1]:${port}` }, 200],
    [{ host: '10.0.0.7:8080' }, 200],
    [{ host: 'audience.internal' }, 200],
    [{ host: 'AUDIENCE.internal:80' }, 200],
    [{ host, origin: `http://${host}` }, 200],
    [{ host: 'evil.example' }, 403],
    [{ host: 'localhost.evil.example' }, 403],
    [{ host: 'evil.example#localhost' }, 403],
    [{ host, origin: 'https://evil.example' }, 403],
    [{ host, origin: 'null' }, 403],
    [{ host, origin: `http://${host}.evil.example` }, 403]
  ]
  for (const [headers, status] of cases) {
    t.equal(await statusFor(`${service.url}/providers`, headers), status, JSON.stringify(headers))
  }
  t.equal(await statusFor(`${service.url}/livez`, { host: 'probe.example' }), 200)
})

test('answers carry the headers that keep browsers out', async (t) => {
  const service = await startService(t)
  const { headers } = await service.get('/providers')
  t.equal(headers.get('x-content-type-options'), 'nosniff')
  t.match(headers.get('content-security-policy'), /default-src 'self'/)
})
