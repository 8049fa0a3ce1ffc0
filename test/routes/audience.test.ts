import { test, type Test } from 'tap'
import { providers } from '../../providers/registry.ts'
import { BATCH, form, startService, USERS } from '../support/service.ts'
import { BOUNDARY, END, FORM_TYPE, part, postRaw } from '../support/multipart.ts'

const FIELDS =
  part('name', 'High Value Customers') +
  part('type', 'custom') +
  part('batch', JSON.stringify(BATCH)) +
  part('users', JSON.stringify(USERS))

const payload = (whatAndWhere: string) => ({
  success: false,
  errors: [`Payload is corrupted or missing. Please send JSON string. ${whatAndWhere}`]
})

/** Nothing may reach a platform: each test that refuses something ends with this. */
async function withSandbox(t: Test, env: Record<string, string> = {}) {
  const facebook = await providers.find(({ name }) => name === 'facebook')!.sandbox()
  t.teardown(() => facebook.close())
  const service = await startService(t, { sandboxes: [facebook], env })
  const callsAtStart = facebook.requests.length
  return {
    service,
    facebook,
    untouched: () => t.equal(facebook.requests.length, callsAtStart, 'no platform was called')
  }
}

test('an upload is answered at once and nothing but success is said', async (t) => {
  const { service, facebook } = await withSandbox(t)
  const answer = await service.post(form())
  t.equal(answer.status, 200)
  t.equal(answer.text, '{"success":true}')
  t.equal(answer.headers.get('location'), '/audience/sessions/1708531200')
  t.match(answer.headers.get('x-request-id'), /^[\w-]{36}$/)
  await service.settled(1708531200)
  t.match(facebook.state(), { segments: [{ name: 'blotout_High_Value_Customers' }] })
})

test('what is no form, or a broken one, is refused in the words of the contract', async (t) => {
  const { service, untouched } = await withSandbox(t)
  const type = { 'content-type': FORM_TYPE }
  const cases: [string, Record<string, string>, string[], string][] = [
    [
      'JSON',
      { 'content-type': 'application/json' },
      ['{"name":"x"}'],
      'expected multipart/form-data'
    ],
    ['text', { 'content-type': 'text/plain' }, ['hello'], 'expected multipart/form-data'],
    [
      'urlencoded',
      { 'content-type': 'application/x-www-form-urlencoded' },
      ['name=x'],
      'expected multipart/form-data'
    ],
    [
      'another multipart',
      { 'content-type': `multipart/mixed; boundary=${BOUNDARY}` },
      [FIELDS, END],
      'expected multipart/form-data'
    ],
    ['no type', {}, [FIELDS, END], 'expected multipart/form-data'],
    [
      'a type that is none',
      { 'content-type': 'form' },
      [FIELDS, END],
      'expected multipart/form-data'
    ],
    ['no body and no type', { 'content-length': '0' }, [], 'expected multipart/form-data'],
    [
      'compressed',
      { 'content-type': FORM_TYPE, 'content-encoding': 'gzip' },
      [FIELDS, END],
      'a compressed body is not read here'
    ],
    [
      'no boundary',
      { 'content-type': 'multipart/form-data' },
      [FIELDS, END],
      'Multipart: Boundary not found'
    ],
    ['no end', type, [FIELDS], 'Unexpected end of multipart data'],
    ['torn inside a part', type, [FIELDS.slice(0, -10)], 'Unexpected end of multipart data'],
    ['nothing of the form', type, ['hello'], 'Unexpected end of multipart data'],
    ['an empty body', { ...type, 'content-length': '0' }, [], 'the form is empty'],
    [
      'a part without the empty line',
      type,
      [`--${BOUNDARY}\r\nContent-Disposition: form-data; name="type"\r\nprimary\r\n`, FIELDS, END],
      'a part cannot be read; an empty line follows its headers'
    ],
    [
      'a part without a name',
      type,
      [`--${BOUNDARY}\r\nContent-Type: text/plain\r\n\r\nprimary\r\n`, FIELDS, END],
      'a part cannot be read; an empty line follows its headers'
    ],
    [
      'a part named __proto__',
      type,
      [part('__proto__', '{}'), FIELDS, END],
      'a part has a forbidden name'
    ],
    [
      'a part named constructor',
      type,
      [part('constructor', '{}'), FIELDS, END],
      'a part has a forbidden name'
    ]
  ]
  for (const [what, headers, chunks, details] of cases) {
    const answer = await postRaw(`${service.url}/audience`, { headers, chunks })
    t.equal(answer.status, 400, what)
    t.equal(answer.text, `Malformed request body, must be form data (${details})`, what)
    t.equal(answer.headers['content-type'], 'text/plain; charset=utf-8', what)
    t.equal(answer.headers['x-error-code'], 'AUD_MALFORMED_BODY', what)
  }
  untouched()
})

test('a missing, doubled or wrong field is named with what is wrong about it', async (t) => {
  const { service, untouched } = await withSandbox(t)
  const batch = (change: object) => form({ batch: { ...BATCH, ...change } })
  const doubled = form()
  doubled.append('users', '[]')
  const cases: [FormData, string][] = [
    [form({ name: undefined }), 'The field "name" is missing.'],
    [form({ name: ' \t ' }), 'The field "name" is missing.'],
    [form({ name: 'a\nb' }), 'The field "name" has control characters.'],
    [form({ name: 'x'.repeat(256) }), 'The field "name" is longer than 255 characters.'],
    [form({ type: 'lookalike' }), 'The field "type" must be "custom" or "primary".'],
    [form({ batch: undefined }), 'The field "batch" is missing.'],
    [form({ batch: '{"sessionId":' }), 'batch is not valid JSON.'],
    [form({ batch: '[]' }), 'batch must be an object.'],
    [
      batch({ sessionId: '1' }),
      'batch.sessionId must be a whole number from 0 to 9007199254740991.'
    ],
    [
      batch({ sessionId: 1.5 }),
      'batch.sessionId must be a whole number from 0 to 9007199254740991.'
    ],
    [
      batch({ sessionId: 2 ** 53 }),
      'batch.sessionId must be a whole number from 0 to 9007199254740991.'
    ],
    [batch({ sequence: -1 }), 'batch.sequence must be a whole number from 0 to 9007199254740991.'],
    [batch({ sequence: 2 }), 'batch.sequence must not be greater than batch.totalBatches.'],
    [batch({ totalBatches: undefined }), 'batch.totalBatches is missing.'],
    [batch({ pullDate: '2026-02-30' }), 'batch.pullDate must be a calendar date like 2026-01-31.'],
    [form({ users: undefined }), 'The field "users" is missing.'],
    [
      form({ users: '[{"email":"jane@example.com"}' }),
      'users is not valid JSON (line 1, column 30).'
    ],
    [form({ users: { email: 'jane@example.com' } }), 'users must be an array.'],
    [form({ users: [{}, 'jane'] }), 'users[1] must be an object.'],
    [form({ users: [{ email: 7 }] }), 'users[0].email must be a string.'],
    [doubled, 'The field "users" was sent twice.']
  ]
  for (const [data, whatAndWhere] of cases) {
    const answer = await service.post(data)
    t.equal(answer.status, 400, whatAndWhere)
    t.same(answer.body, payload(whatAndWhere), whatAndWhere)
    t.equal(answer.headers.get('x-error-code'), 'AUD_PAYLOAD')
  }
  t.equal((await service.get('/audience/sessions/1708531200')).status, 404, 'no session was made')
  untouched()
})

test('a wrong query value is named', async (t) => {
  const { service, untouched } = await withSandbox(t)
  const cases: [string, string][] = [
    ['?sync=yes', 'The query parameter "sync" must be true, false, 1 or 0.'],
    ['?disablePrefix=TRUE', 'The query parameter "disablePrefix" must be true, false, 1 or 0.'],
    ['?sync=true&sync=false', 'The query parameter "sync" must be given once.'],
    [
      '?defaultCountry=Narnia',
      'The query parameter "defaultCountry" must be an ISO 3166-1 alpha-2 code.'
    ],
    [
      '?channels=facebook,myspace',
      'The query parameter "channels" names "myspace" that is not configured here.'
    ],
    [
      '?channels=facebook/us',
      'The query parameter "channels" names "facebook/us" that is not configured here.'
    ],
    ['?channels=', 'The query parameter "channels" names something that is not configured here.']
  ]
  for (const [query, whatAndWhere] of cases) {
    const answer = await service.post(form(), query)
    t.equal(answer.status, 400, query)
    t.same(answer.body, payload(whatAndWhere), query)
  }
  untouched()
})

test('an empty list of users is refused in the words of the contract', async (t) => {
  const { service, untouched } = await withSandbox(t)
  const answer = await service.post(form({ users: [] }))
  t.equal(answer.status, 400)
  t.equal(answer.text, 'No users in the segment. Segment cannot be created.')
  t.equal(answer.headers.get('content-type'), 'text/plain; charset=utf-8')
  untouched()
})

test('what is over a limit is refused and the limit named', async (t) => {
  const { service, untouched } = await withSandbox(t, {
    AUDIENCE_MAX_BODY_BYTES: '200000',
    AUDIENCE_MAX_USERS: '3'
  })
  const body =
    'Too large: the request body is over the limit of 200000 bytes (AUDIENCE_MAX_BODY_BYTES).'
  const big = 'x'.repeat(150_000)
  const cases: [string, Record<string, string>, string[], string][] = [
    [
      'by its length',
      { 'content-length': '300000' },
      [FIELDS, 'x'.repeat(300_000 - FIELDS.length)],
      body
    ],
    ['chunked', {}, [part('users', big + big), END], body],
    ['before the first part', {}, [big, big, '\r\n', FIELDS, END], body],
    ['after the last part', {}, [FIELDS, END, big, big], body],
    ['in a field that is not read', {}, [FIELDS, part('other', big + big), END], body],
    [
      'a small field',
      {},
      [part('batch', 'x'.repeat(65_537)), END],
      'Too large: the field "batch" is over the limit of 65536 bytes.'
    ],
    [
      'parts',
      {},
      [part('other', '').repeat(21), FIELDS, END],
      'Too large: the form has more than 20 parts.'
    ],
    [
      'users',
      {},
      [
        part('name', 'a'),
        part('batch', JSON.stringify(BATCH)),
        part('users', '[{},{},{},{}]'),
        END
      ],
      'Too large: the field "users" is over the limit of 3 users (AUDIENCE_MAX_USERS).'
    ]
  ]
  for (const [what, headers, chunks, error] of cases) {
    const answer = await postRaw(`${service.url}/audience`, {
      headers: { 'content-type': FORM_TYPE, ...headers },
      chunks
    })
    t.equal(answer.status, 413, what)
    t.same(JSON.parse(answer.text), { success: false, errors: [error] }, what)
  }
  untouched()
  const exact = 200_000 - FIELDS.length - END.length
  const fits = await postRaw(`${service.url}/audience`, {
    headers: { 'content-type': FORM_TYPE },
    chunks: ['x'.repeat(exact - 2), '\r\n', FIELDS, END]
  })
  t.equal(fits.status, 200, 'exactly at the limit')
})

test('every well-formed way to send a form is understood alike', async (t) => {
  const { service, facebook } = await withSandbox(t)
  const users = '[{"firstName":"Jürgen"}]'
  const base = part('name', 'Käufer') + part('batch', JSON.stringify(BATCH))
  const ways: [string, Record<string, string>, (string | Buffer)[]][] = [
    ['chunked', { 'content-type': FORM_TYPE }, [base + part('users', users) + END]],
    ['byte by byte', { 'content-type': FORM_TYPE }, (base + part('users', users) + END).split('')],
    [
      'quoted boundary',
      { 'content-type': `multipart/form-data; boundary="${BOUNDARY}"` },
      [base + part('users', users) + END]
    ],
    [
      'other case and parameter',
      { 'content-type': `Multipart/Form-Data; charset=utf-8; Boundary=${BOUNDARY}` },
      [base + part('users', users) + END]
    ],
    [
      'charset in the part',
      { 'content-type': FORM_TYPE },
      [base + part('users', users, 'Content-Type: application/json; charset=utf-8\r\n') + END]
    ],
    [
      'byte order mark',
      { 'content-type': FORM_TYPE },
      [base + part('users', `\ufeff${users}`) + END]
    ],
    [
      'a file',
      { 'content-type': FORM_TYPE },
      [
        base,
        `--${BOUNDARY}\r\nContent-Disposition: form-data; name="users"; filename="u.json"\r\nContent-Type: application/octet-stream\r\n\r\n${users}\r\n`,
        END
      ]
    ],
    [
      'any order, other parts, preamble, epilogue',
      { 'content-type': FORM_TYPE },
      ['preamble\r\n', part('users', users), part('other', '1'), base, END, 'epilogue']
    ]
  ]
  for (const [index, [what, headers, chunks]] of ways.entries()) {
    const answer = await postRaw(`${service.url}/audience?sync=true&defaultCountry=DE`, {
      headers,
      chunks: chunks.map((chunk) =>
        typeof chunk === 'string' ? chunk.replace('1708531200', String(index)) : chunk
      )
    })
    t.equal(
      answer.text,
      '{"success":false,"errors":["facebook/default: no usable user (no_identifier: 1)"]}',
      what
    )
  }
  const latin1 = await postRaw(`${service.url}/audience`, {
    headers: { 'content-type': FORM_TYPE },
    chunks: [base + part('users', '').slice(0, -2), Buffer.from(users, 'latin1'), '\r\n', END]
  })
  t.same(JSON.parse(latin1.text), payload('users is not valid UTF-8.'), 'never replaced silently')
  t.match(facebook.state(), { segments: [] })
})

test('a large form is the same upload into whatever pieces it is cut', async (t) => {
  const { service } = await withSandbox(t)
  const many = Array.from({ length: 10_000 }, (_, index) => ({ edgeTagId: `user ${index}` }))
  // Line breaks like those before a delimiter.
  const users = JSON.stringify(many, undefined, 1).replaceAll('\n', '\r\n')
  const whole = Buffer.from(
    part('name', 'Many') + part('batch', JSON.stringify(BATCH)) + part('users', users) + END
  )
  const cut = (size: number) =>
    Array.from({ length: Math.ceil(whole.length / size) }, (_, index) =>
      whole.subarray(index * size, (index + 1) * size)
    )
  const length = { 'content-length': String(whole.length) }
  const ways: [Record<string, string>, Buffer[]][] = [
    [length, [whole]],
    [{}, [whole]],
    [length, cut(1_000)],
    [{}, cut(997)],
    [{}, cut(65_536)]
  ]
  const answers: unknown[] = []
  for (const [headers, chunks] of ways) {
    const answer = await postRaw(`${service.url}/audience`, {
      headers: { 'content-type': FORM_TYPE, ...headers },
      chunks
    })
    answers.push([answer.text, answer.headers['x-duplicate']])
  }
  const [first, ...others] = answers
  t.same(first, ['{"success":true}', undefined])
  for (const other of others) t.same(other, ['{"success":true}', 'true'])
  t.equal(others.length, 4)
})

test('booleans of the query may be written in five ways', async (t) => {
  const { service, facebook } = await withSandbox(t)
  const ways: [string, string][] = [
    ['?disablePrefix=true', 'High Value Customers'],
    ['?disablePrefix=1', 'High Value Customers'],
    ['?disablePrefix', 'High Value Customers'],
    ['?disablePrefix=false', 'blotout_High_Value_Customers'],
    ['?disablePrefix=0', 'blotout_High_Value_Customers']
  ]
  for (const [index, [query, segment]] of ways.entries()) {
    await service.post(form({ batch: { ...BATCH, sessionId: index } }), query)
    const { destinations } = await service.settled(index)
    t.match(destinations, [{ segment, state: 'delivered' }], query)
  }
  t.match(facebook.state(), {
    segments: [{ name: 'High Value Customers' }, { name: 'blotout_High_Value_Customers' }]
  })
})

test('without any provider there is nothing to do, and that is said', async (t) => {
  const service = await startService(t)
  const answer = await service.post(form(), '?sync=true')
  t.equal(answer.status, 200)
  t.equal(answer.text, '{"success":true}')
  t.match(await service.settled(1708531200), {
    state: 'delivered',
    warnings: ['no provider is configured: nothing was sent'],
    destinations: []
  })
  t.ok(service.lines().some(({ msg }) => msg === 'no provider is configured: nothing to do'))
})

test('other methods and addresses get the envelope too', async (t) => {
  const service = await startService(t)
  for (const method of ['GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    const answer = await fetch(`${service.url}/audience`, { method })
    t.equal(answer.status, 405, method)
    t.equal(answer.headers.get('allow'), 'POST')
    t.same(await answer.json(), { success: false, errors: ['This address takes only POST.'] })
  }
  for (const path of [
    '/',
    '/audiences',
    '/audience/',
    '/audience/sessions/abc/x?email=jane@example.com',
    '/%zz/jane@example.com',
    `/audience/sessions/${'7'.repeat(200)}`
  ]) {
    const answer = await service.get(path)
    t.equal(answer.status, 404, path)
    t.same(answer.body, { success: false, errors: ['There is nothing at this address.'] })
  }
  t.same((await service.get('/audience/sessions/1')).body, {
    success: false,
    errors: ['There is no session 1.']
  })
  t.same((await service.get('/audience/sessions/jane@example.com')).body, {
    success: false,
    errors: ['There is no session with this id.']
  })
})

test('liveness and readiness are open and depend on no platform', async (t) => {
  const service = await startService(t, {
    env: { AUDIENCE_API_KEYS: 'crm:0123456789abcdef' },
    tags: {
      'facebook/down': { accessToken: 'x', adAccountId: '1', baseUrl: 'http://127.0.0.1:9' }
    }
  })
  t.same((await service.get('/livez')).body, { status: 'ok' })
  t.same((await service.get('/readyz')).body, { status: 'ok' })
})
