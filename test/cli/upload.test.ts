import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, request as call } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import tap, { test, type Test } from 'tap'
import { facebook } from '../../providers/facebook/index.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import {
  audience,
  type AudienceProcess,
  BIN,
  environment,
  startAudience
} from '../support/audience-command.ts'
import { startService, temporaryFolder } from '../support/service.ts'

const LONG = Boolean(process.env['AUDIENCE_TEST_LONG'])
tap.setTimeout(600_000)

/** The service with a stand-in of one platform. */
async function start(t: Test) {
  const sandbox = await facebook.sandbox()
  t.teardown(() => sandbox.close())
  const service = await startService(t, { sandboxes: [sandbox] })
  return { sandbox, service, url: service.url }
}

interface Segment {
  readonly name: string
  readonly members: readonly unknown[]
}

/** Distinct people in a segment. */
function membersOf(sandbox: Sandbox, name: string): number {
  const { segments } = sandbox.state() as { segments: readonly Segment[] }
  return segments.find((segment) => segment.name === name)?.members.length ?? 0
}

/** Users in all calls that brought them there, whoever came twice counted twice. */
function rowsSent(sandbox: Sandbox): number {
  return sandbox.requests
    .filter(({ method, path }) => method === 'POST' && path.endsWith('/users'))
    .reduce((sum, { body }) => {
      const { payload } = body as { payload: { data: readonly unknown[] } }
      return sum + payload.data.length
    }, 0)
}

const csv = (users: number) =>
  `email,country\n${Array.from({ length: users }, (_, index) => `user${index}@web.de,DE`).join('\n')}\n`

const fileOf = (t: Test, name: string, content: string | Buffer) => {
  const path = join(temporaryFolder(t), name)
  writeFileSync(path, content)
  return path
}

/** Stands before the service, notes the sequences that it took, and can let batches wait. */
async function startTurnstile(t: Test, target: string) {
  const sequences: number[] = []
  const waiting: (() => void)[] = []
  let free = Infinity
  const arrived: (() => void)[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      const pass = (sequence = '') => {
        const { method, headers } = request
        call(target + request.url, { method, headers }, (answer) => {
          // A service that is busy is asked again: that is no second batch.
          if (sequence !== '' && answer.statusCode === 200) sequences.push(Number(sequence))
          response.writeHead(answer.statusCode ?? 500, answer.headers)
          answer.pipe(response)
        }).end(body)
      }
      if (request.method !== 'POST') return pass()
      const [, sequence = ''] = /"sequence":(\d+)/.exec(body.toString()) ?? []
      if (free > 0) {
        free -= 1
        return pass(sequence)
      }
      // One that goes away before it is let through was never there.
      waiting.push(() => {
        if (!request.socket.destroyed) pass(sequence)
      })
      for (const tell of arrived) tell()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sequences,
    /** Only so many more pass. */
    close(after: number) {
      free = after
    },
    open() {
      free = Infinity
      for (const pass of waiting.splice(0)) pass()
    },
    /** Resolves when so many wait. */
    async waitFor(number: number) {
      while (waiting.length < number) {
        await new Promise<void>((resolve) => arrived.push(resolve))
      }
    }
  }
}

test('customers arrive from files and pipes as people have them', async (t) => {
  const { sandbox, url } = await start(t)
  // What a European spreadsheet writes, compressed: semicolons and Windows-1252.
  const text =
    'E-Mail;Vorname;Land;Notiz\r\njane@web.de;J\u00fcrgen;DE;x\r\n\r\njoe@web.de;Zo\u00eb;DE;y\r\n'
  const file = fileOf(t, 'kunden.csv.gz', gzipSync(Buffer.from(text, 'latin1')))
  const stateHome = temporaryFolder(t)
  const [fromFile, fromPipe] = await Promise.all([
    audience(t, ['upload', file, '--name', 'From file'], { url, stateHome }),
    audience(t, ['upload', '-', '--name', 'From pipe', '--json', '--map', 'email=mail'], {
      url,
      stateHome: temporaryFolder(t),
      input: '{"mail":"ann@web.de"}\n{"mail":"bob@web.de"}\n{"mail":"cy@web.de"}\n'
    })
  ])
  t.equal(fromFile.exitCode, 0, fromFile.stderr)
  t.match(fromFile.stderr, 'kunden.csv.gz: 2 customers, CSV with semicolons, windows-1252, gzip\n')
  t.match(fromFile.stderr, /^ {2}email +E-Mail\n {2}firstName +Vorname\n {2}country +Land\n/m)
  t.match(fromFile.stderr, /^ {2}not used: Notiz\n/m)
  t.match(fromFile.stderr, /100 % {2}2 of 2 customers/)
  t.match(
    fromFile.stdout,
    /^Platform +Tag +Segment +State +Sent +Received +Invalid +Left out +Why\nfacebook +default +blotout_From_file +delivered +2 +2 +0 +0\n\nEverything was delivered/m
  )
  t.equal(membersOf(sandbox, 'blotout_From_file'), 2)
  t.same(readdirSync(join(stateHome, 'audience')), [], 'nothing is left to be resumed')
  t.equal(statSync(join(stateHome, 'audience')).mode & 0o777, 0o700)
  t.same(readdirSync(stateHome), ['audience'], 'nothing of the customers stays')

  t.equal(fromPipe.exitCode, 0, fromPipe.stderr)
  t.match(JSON.parse(fromPipe.stdout), {
    success: true,
    file: { format: 'ndjson', mapping: { email: 'mail' }, users: 3 },
    batches: { sent: 1, skipped: 0 },
    status: {
      audience: 'From pipe',
      state: 'delivered',
      users: { received: 3, total: 3 },
      destinations: [{ provider: 'facebook', users: { sent: 3 } }]
    }
  })
  t.equal(membersOf(sandbox, 'blotout_From_pipe'), 3)
})

test('a dry run tells how good the data is, and sends nothing', async (t) => {
  const { sandbox, url, service } = await start(t)
  const file = fileOf(t, 'list.csv', 'email,country\njane@web.de,DE\nnobody,DE\njoe@web.de,XX\n')
  const { exitCode, stdout } = await audience(
    t,
    ['upload', file, '--name', 'VIP', '--dry-run', '--batch-size', '2'],
    { url }
  )
  t.equal(exitCode, 0)
  t.match(stdout, /^email +3 +2 +0 +1 +1 not an address$/m)
  t.match(stdout, /^email +not an address +1 +n\*\*\* +2$/m)
  t.match(stdout, /^country +unknown country +1 +X\*\*\* +3$/m)
  t.match(stdout, /^facebook +default +blotout_VIP +\d/m)
  t.match(stdout, 'Nothing was sent and nothing was kept.')
  t.equal(rowsSent(sandbox), 0)
  t.match((await service.get('/audience/sessions')).body, { sessions: [] })
})

test('wrong use ends with 2, no service with 3, and each says what to do', async (t) => {
  const file = fileOf(t, 'list.csv', csv(1))
  const nowhere = 'http://127.0.0.1:2'
  const [noName, noFile, wrongMap, away, wrongUrl, wrongKey, wrongCountry] = await Promise.all([
    audience(t, ['upload', file, '--json']),
    audience(t, ['upload', `${file}x`, '--name', 'VIP', '--json'], { url: nowhere }),
    audience(t, ['upload', file, '--name', 'VIP', '--map', 'mail=E-Mail']),
    audience(t, ['upload', file, '--name', 'VIP'], { url: nowhere }),
    audience(t, ['status', '--url', 'http://user:hunter2@localhost']),
    audience(t, ['status'], { env: { AUDIENCE_API_KEY: 'secretA\nsecretB' } }),
    audience(t, ['upload', file, '--name', 'VIP', '--default-country', 'Germany'])
  ])
  t.same(
    [noName, noFile, wrongMap, away, wrongUrl, wrongKey, wrongCountry].map(
      ({ exitCode }) => exitCode
    ),
    [2, 2, 2, 3, 2, 2, 2]
  )
  t.equal(
    noName.stderr,
    "error: required option '--name <name>' not specified\nSee: audience upload --help\n"
  )
  t.match(JSON.parse(noName.stdout), { success: false, error: /^error: required option/ })
  t.match(wrongUrl.stderr, /^--url or AUDIENCE_URL: it must be an address /)
  t.notMatch(wrongUrl.stderr, 'hunter2')
  t.match(wrongKey.stderr, /^--api-key or AUDIENCE_API_KEY: a key has no /)
  t.notMatch(wrongKey.stderr, 'secret')
  t.match(wrongCountry.stderr, /^--default-country: "Germany" is not an ISO 3166-1 alpha-2 code/)
  t.match(JSON.parse(noFile.stdout), { success: false, error: /^The file cannot be read: ENOENT/ })
  t.match(wrongMap.stderr, 'phone= takes it from no column. Fields: edgeTagId, email')
  t.match(away.stderr, /^No answer from http:\/\/127\.0\.0\.1:2: .*ECONNREFUSED/)
  t.match(away.stderr, 'Start it with `audience serve`, or name its address by --url')
  t.notMatch(away.stderr, '    at ')
})

test('what a platform refuses ends with 1, its reason and what to do', async (t) => {
  const { sandbox, url } = await start(t)
  sandbox.failNext({
    times: 1,
    path: '/users',
    answer: { status: 400, body: '{"error":{"message":"no","code":100}}' }
  })
  const file = fileOf(t, 'list.csv', csv(3))
  const failed = await audience(t, ['upload', file, '--name', 'VIP'], { url })
  t.equal(failed.exitCode, 1, failed.stderr)
  t.match(failed.stdout, /^facebook +default +blotout_VIP +failed +0/m)
  t.match(failed.stdout, /^facebook\/default failed: .*100.*\n {2}Correct what the message names/m)
  const [id = ''] = /\d{16}/.exec(failed.stderr) ?? []
  const [status, unknown] = await Promise.all([
    audience(t, ['status', id, '--json'], { url }),
    audience(t, ['status', '17'], { url })
  ])
  t.equal(status.exitCode, 1)
  t.match(JSON.parse(status.stdout), { sessionId: Number(id), state: 'failed' })
  t.equal(unknown.exitCode, 2)
  t.match(unknown.stderr, 'There is no session 17.')
})

/** Stops an upload of 8 batches when 3 have passed, and goes on with it. */
async function interruptAndResume(t: Test, signal: 'SIGINT' | 'SIGKILL', fromPipe: boolean) {
  const { sandbox, url } = await start(t)
  const turnstile = await startTurnstile(t, url)
  const stateHome = temporaryFolder(t)
  const input = csv(80)
  const file = fromPipe ? '-' : fileOf(t, 'list.csv', input)
  const args = ['upload', file, '--name', 'VIP', '--batch-size', '10']
  const options = { url: turnstile.url, stateHome, ...(fromPipe && { input }) }
  turnstile.close(3)
  const first = startAudience(t, args, options)
  await turnstile.waitFor(3)
  first.kill(signal)
  if (signal === 'SIGINT') {
    await first.told(/Stopping behind what is under way/)
    turnstile.open()
  }
  const { exitCode, stderr } = await first.end()
  turnstile.open()
  if (signal === 'SIGINT') {
    t.equal(exitCode, 130)
    t.match(stderr, /Go on with the same command and --resume \(session \d+\)\.\n$/)
    t.same(
      turnstile.sequences.toSorted((a, b) => a - b),
      [1, 2, 3, 4, 5, 6],
      'what was under way has ended'
    )
  } else {
    t.same(
      turnstile.sequences.toSorted((a, b) => a - b),
      [1, 2, 3]
    )
  }
  // The same address in another form.
  const again = { ...options, url: `${options.url}/` }
  const other = await audience(t, [...args, '--resume', '--name', 'Others'], again)
  t.equal(other.exitCode, 2)
  t.match(other.stderr, 'but with other options: --name.')
  const resumed = await audience(t, [...args, '--resume'], again)
  t.equal(resumed.exitCode, 0, resumed.stderr)
  t.match(resumed.stderr, /Going on with session \d+: the service has [36] batches\./)
  t.same(
    turnstile.sequences.toSorted((a, b) => a - b),
    [1, 2, 3, 4, 5, 6, 7, 8],
    'each was sent once'
  )
  t.same([membersOf(sandbox, 'blotout_VIP'), rowsSent(sandbox)], [80, 80])
  t.same(readdirSync(join(stateHome, 'audience')), [])
}

test('an interrupted upload goes on where it was: everybody arrives, no batch is sent twice', (t) =>
  interruptAndResume(t, 'SIGINT', false))

test(
  'a crashed upload of a pipe goes on where it was',
  { skip: LONG ? false : 'a rarer case: long form only' },
  (t) => interruptAndResume(t, 'SIGKILL', true)
)

test('what the service lost is not sent twice, and what it took is not sent again', async (t) => {
  const { url } = await start(t)
  const turnstile = await startTurnstile(t, url)
  const stateHome = temporaryFolder(t)
  const folder = join(stateHome, 'audience')
  const file = fileOf(t, 'list.csv', csv(20))
  const args = ['upload', file, '--name', 'VIP', '--batch-size', '10', '--wait', '0']
  const options = { url: turnstile.url, stateHome }
  turnstile.close(1)
  const first = startAudience(t, args, options)
  await turnstile.waitFor(1)
  await first.told(/50 %|10 of 20/)
  first.kill('SIGKILL')
  await first.end()
  turnstile.open()
  // As if the session belonged to another API key.
  const [name = ''] = readdirSync(folder)
  const state: Record<string, unknown> = JSON.parse(readFileSync(join(folder, name), 'utf8'))
  writeFileSync(join(folder, name), JSON.stringify({ ...state, sessionId: 17, hasArrived: true }))
  const lost = await audience(t, [...args, '--resume'], options)
  t.equal(lost.exitCode, 2)
  t.match(lost.stderr, 'The service took batches of session 17, but does not know it')
  t.equal(turnstile.sequences.length, 1)
  // Everything is accepted, and the wait is over at once.
  writeFileSync(join(folder, name), JSON.stringify(state))
  const resumed = await audience(t, [...args, '--resume'], options)
  t.ok(resumed.exitCode === 0 || resumed.exitCode === 4, resumed.stderr)
  t.same(readdirSync(folder), [], 'nothing is left to be resumed')
})

const HALF = /█+░+ {2}50 % {2}20 of 40 customers {2}[\d,]+\/s {2}\d+ s left/

test('a terminal shows a bar, the rate and the time left in place', async (t) => {
  const pty = await import('@lydell/node-pty').catch(() => undefined)
  if (pty === undefined && process.env['CI'] === undefined) {
    return t.comment('no pseudo-terminal on this machine: not tested')
  }
  if (pty === undefined) return t.fail('no pseudo-terminal on this machine')
  const { url } = await start(t)
  const turnstile = await startTurnstile(t, url)
  turnstile.close(2)
  const file = fileOf(t, 'list.csv', csv(40))
  const args = [BIN, 'upload', file, '--name', 'VIP', '--batch-size', '10']
  const terminal = pty.spawn(process.execPath, args, {
    cols: 120,
    rows: 30,
    cwd: import.meta.dirname,
    env: environment(t, { url: turnstile.url })
  })
  t.teardown(() => {
    // It has ended by then, unless the test failed.
    if (ended === undefined) terminal.kill('SIGKILL')
  })
  let ended: number | undefined
  let output = ''
  const half = new Promise<void>((resolve) => {
    terminal.onData((text) => {
      output += text
      if (HALF.test(output)) resolve()
    })
  })
  const exit = new Promise<number>((resolve) => {
    terminal.onExit(({ exitCode }) => resolve((ended = exitCode)))
  })
  await Promise.race([half, exit])
  turnstile.open()
  t.equal(await exit, 0, output)
  t.match(output, HALF)
  t.match(output, /█{24} 100 % {2}40 of 40 customers/)
  // oxlint-disable-next-line no-control-regex
  t.match(output, /\u001b\[2K\u001b\[1G/, 'in place')
  t.match(output, /blotout_VIP +delivered +40/)
})

/** The most memory that a process has had until it ended, in megabytes. */
async function peakOf(started: AudienceProcess): Promise<number> {
  let peak = 0
  const timer = setInterval(() => {
    const status = `/proc/${started.pid}/status`
    const text = existsSync(status) ? readFileSync(status, 'utf8') : ''
    peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(text)?.[1] ?? 0) / 1024)
  }, 20)
  await started.end()
  clearInterval(timer)
  return peak
}

test(
  'a million customers arrive once each through an interruption, in little memory',
  { skip: LONG ? false : 'takes a minute', timeout: 600_000 },
  async (t) => {
    const { sandbox, url } = await start(t)
    const turnstile = await startTurnstile(t, url)
    const stateHome = temporaryFolder(t)
    const file = fileOf(t, 'million.csv', csv(1_000_000))
    const args = ['upload', file, '--name', 'VIP']
    const options = { url: turnstile.url, stateHome }
    turnstile.close(60)
    const first = startAudience(t, args, options)
    const firstPeak = peakOf(first)
    await turnstile.waitFor(3)
    first.kill('SIGINT')
    await first.told(/Stopping behind what is under way/)
    turnstile.open()
    t.equal((await first.end()).exitCode, 130)
    const second = startAudience(t, [...args, '--resume'], options)
    const secondPeak = peakOf(second)
    const { exitCode, stderr } = await second.end()
    t.equal(exitCode, 0, stderr)
    t.same(
      turnstile.sequences.toSorted((a, b) => a - b),
      Array.from({ length: 100 }, (_, index) => index + 1),
      'each batch was sent once'
    )
    t.same([membersOf(sandbox, 'blotout_VIP'), rowsSent(sandbox)], [1_000_000, 1_000_000])
    const peaks = await Promise.all([firstPeak, secondPeak])
    t.comment(`peak memory: ${peaks.map(Math.round).join(' and ')} MB`)
    t.ok(existsSync('/proc/self/status') === peaks.every((peak) => peak > 0))
    t.ok(
      peaks.every((peak) => peak < 250),
      `less than 250 MB: ${peaks.join(', ')}`
    )
  }
)
