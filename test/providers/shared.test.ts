import { test } from 'tap'
import { Value } from 'typebox/value'
import { cleanMessage } from '../../providers/errors.ts'
import { createHttpClient, parseJson, retryAfterMs } from '../../providers/http-client.ts'
import { providers } from '../../providers/registry.ts'

test("what may be personal is taken out of a platform's text", async (t) => {
  const cases: Record<string, string> = {
    'Invalid parameter': 'Invalid parameter',
    '(#100) Missing permission': '(#100) Missing permission',
    'Invalid value "Sean O\'Connor Doe" for LN': 'Invalid value … for LN',
    "Invalid value 'O'Brien' and 'Jane' here": 'Invalid value … here',
    'a “quoted” and „another“ word': 'a … word',
    "one 'open quote jane": 'one …',
    'mail jane.doe@example.com is wrong': 'mail … is wrong',
    'phone +49 (151) 234-567 is wrong': 'phone … is wrong',
    'id 12345 is wrong': 'id 12345 is wrong',
    'id 1234567 is wrong': 'id … is wrong',
    'see https://example.com/x?token=abc for more': 'see … for more',
    'hash f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79!': 'hash …!',
    '<html><body>Sorry</body></html>': 'Sorry'
  }
  for (const [text, cleaned] of Object.entries(cases)) t.equal(cleanMessage(text), cleaned)
  t.equal(cleanMessage('x y '.repeat(1_000)).length, 200)
  for (const piece of ['"', '‘“', '+1', '<', 'a@', '@', '1 ']) {
    t.ok(cleanMessage(piece.repeat(1_000_000)).length <= 200, 'however long the text is')
  }
})

test('a wait is read in every form that HTTP has', async (t) => {
  const now = Date.parse('2026-11-22T10:00:00Z')
  const wait = (header: string | undefined) =>
    retryAfterMs({ headers: { 'retry-after': header } }, now)
  t.equal(wait('7'), 7_000)
  t.equal(wait('0'), 0)
  t.equal(wait(' 1.5 '), 1_500)
  t.equal(wait('Sun, 22 Nov 2026 10:01:00 GMT'), 60_000)
  t.equal(wait('Sun, 22 Nov 2026 09:00:00 GMT'), 0)
  t.equal(wait('99999999999'), 86_400_000, 'at most a day')
  t.equal(wait('soon'), undefined)
  t.equal(wait(undefined), undefined)
})

test('ids keep all their digits', async (t) => {
  t.same(parseJson('{"id":7300000000000000001,"n":12,"f":1.5}'), {
    id: '7300000000000000001',
    n: 12,
    f: 1.5
  })
  t.equal(parseJson('<html>'), undefined)
})

test('a call that cannot be formed is no passing fault', async (t) => {
  const client = createHttpClient({ origin: 'http://127.0.0.1:9', timeoutMs: 1_000 })
  t.teardown(() => client.close())
  const call = { method: 'GET', operation: 'x', path: '/' } as const
  const { signal } = new AbortController()
  await t.rejects(client.send({ ...call, headers: { authorization: 'a\n' } }, signal), {
    errorClass: 'invalid',
    message: 'the request cannot be formed; check the settings of the tag'
  })
  await t.rejects(client.send(call, signal), {
    errorClass: 'transient',
    message: 'no answer (ECONNREFUSED)'
  })
})

test('a call that names another origin goes there', async (t) => {
  const [provider] = providers
  const sandbox = await provider!.sandbox()
  const client = createHttpClient({ origin: 'http://127.0.0.1:9', timeoutMs: 1_000 })
  t.teardown(() => Promise.all([client.close(), sandbox.close()]))
  const call = { method: 'GET', operation: 'x', path: '/_sandbox/requests' } as const
  const { signal } = new AbortController()
  t.equal((await client.send({ ...call, origin: sandbox.url }, signal)).status, 200)
  await t.rejects(client.send(call, signal), { message: 'no answer (ECONNREFUSED)' })
})

test('every platform can be called at another origin, which has no path to lose', async (t) => {
  const origins = [
    'http://127.0.0.1:9101',
    'http://[::1]:9101',
    'https://proxy.veloheim.example',
    'https://proxy.veloheim.example/'
  ]
  const others = [
    'http://127.0.0.1:9101/facebook',
    'https://proxy.veloheim.example//',
    'https://proxy.veloheim.example\\path',
    'https://proxy.veloheim.example?a=1',
    'https://proxy.veloheim.example#a',
    'https://user:secret@proxy.veloheim.example',
    'proxy.veloheim.example',
    'ftp://proxy.veloheim.example',
    'https://'
  ]
  t.not(providers.length, 0)
  for (const { name, variables } of providers) {
    const { baseUrl } = variables.properties
    for (const origin of origins) t.ok(Value.Check(baseUrl ?? {}, origin), `${name}: ${origin}`)
    for (const other of others) t.notOk(Value.Check(baseUrl ?? {}, other), `${name}: ${other}`)
  }
})

test('a sandbox fails a share of all calls, the same ones for the same seed', async (t) => {
  const [provider] = providers
  const sandbox = await provider!.sandbox()
  t.teardown(() => sandbox.close())
  const faults = [{ answer: { status: 500, body: '' } }, { path: '/elsewhere', reset: true }]

  async function failedOf(calls: number, share: number): Promise<number[]> {
    sandbox.configure({ failing: { share, faults, seed: 42 } })
    const failed: number[] = []
    for (let call = 0; call < calls; call += 1) {
      const answer = await fetch(sandbox.url)
      await answer.text()
      if (answer.status === 500) failed.push(call)
    }
    return failed
  }

  const failed = await failedOf(200, 0.2)
  t.ok(failed.length > 20 && failed.length < 60, `${failed.length} of 200`)
  t.same(await failedOf(200, 0.2), failed)
  t.equal((await failedOf(10, 1)).length, 10)
  t.same(await failedOf(10, 0), [])
  sandbox.configure({ failing: null })
  t.not((await fetch(sandbox.url)).status, 500)
  const unknown = { failing: { share: 1, faults: [{ error: 'no_such_error' }], seed: 1 } }
  t.throws(() => sandbox.configure(unknown), /knows only invalid_token/)
})
