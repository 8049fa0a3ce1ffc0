import { hash, randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { report, spread } from './measure.ts'
import { type Delays, peakBytes, startService, startStandIns } from './processes.ts'

/**
 * Calls of `sync_audiences` with 100,000 members, an e-mail and a phone hash each, one after the other,
 * to a stand-in of Facebook that answers at once: is the event loop free meanwhile?
 *
 *     npm run bench -- adcp [calls]
 */

const CALLS = Number(process.argv[2] ?? 8)
const MEMBERS = 100_000
/** Until the compiler knows the code. */
const WARM_UP_CALLS = 3
const LOOK_EVERY_MS = 20
const MEGABYTE = 1e6

const members = Array.from({ length: MEMBERS }, (_, index) => ({
  external_id: `crm-${index}`,
  hashed_email: hash('sha256', `user${index}@example.com`),
  hashed_phone: hash('sha256', `+49170${1_000_000 + index}`)
}))

const bodyOf = (audienceId: string) =>
  Buffer.from(
    JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: {
        name: 'sync_audiences',
        arguments: {
          adcp_version: '3.2',
          adcp_major_version: 3,
          idempotency_key: randomUUID(),
          account: { account_id: 'facebook/default' },
          audiences: [{ audience_id: audienceId, add: members }]
        }
      }
    })
  )

const standIns = await startStandIns()
const service = await startService({ platforms: [standIns.facebook] })
const dispatcher = new Agent({ headersTimeout: 600_000 })

async function post(body: Buffer): Promise<void> {
  const answer = await request(`${service.url}/mcp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    dispatcher
  })
  const text = await answer.body.text()
  if (!text.includes('"action":"created"')) throw new Error(`refused: ${text.slice(0, 1_000)}`)
}

async function arrived(users: number): Promise<void> {
  while ((await standIns.taken()).facebook.users < users) await pause(LOOK_EVERY_MS)
}

const accepting: number[] = []
const delivering: number[] = []
const looks: Delays[] = []
const callers: Delays[] = []
for (let call = 1; call <= WARM_UP_CALLS + CALLS; call += 1) {
  const body = bodyOf(`audience-${call}`)
  await service.eventLoop()
  const start = performance.now()
  await post(body)
  const accepted = performance.now() - start
  await arrived(call * MEMBERS)
  const delivered = performance.now() - start
  const late = await service.eventLoop()
  if (call <= WARM_UP_CALLS) continue
  accepting.push(accepted)
  delivering.push(delivered)
  looks.push(late.looks)
  callers.push(late.callers)
}

const of = (delays: readonly Delays[], name: keyof Delays) => spread(delays.map((one) => one[name]))
report('adcp', [
  {
    name: 'event loop, late at the 99th percentile',
    value: of(looks, 'p99'),
    unit: 'ms',
    wanted: '< 20'
  },
  { name: 'the same as callers find it', value: of(callers, 'p99'), unit: 'ms', wanted: '< 20' },
  { name: 'event loop, the latest', value: of(looks, 'max'), unit: 'ms' },
  { name: `${MEMBERS} members to the answer`, value: spread(accepting), unit: 'ms' },
  { name: 'until they have arrived', value: spread(delivering), unit: 'ms' },
  { name: 'a call', value: bodyOf('audience').byteLength / MEGABYTE, unit: 'MB' },
  { name: 'memory at its peak', value: peakBytes(service.pid) / MEGABYTE, unit: 'MB' }
])
await service.stop()
process.exit()
