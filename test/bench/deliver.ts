import { createClient, formOf } from './client.ts'
import { benchBytes } from './data.ts'
import { type Figure, ratio, report, spread } from './measure.ts'
import { cpuSeconds, type Platform, startService, startStandIns } from './processes.ts'

/**
 * `POST /audience` of 10,000 users until they have arrived at stand-ins that answer at once: at
 * Facebook alone, and at all three platforms.
 *
 *     npm run bench -- deliver
 *
 * TikTok takes ten calls of 1,000 users a second and Klaviyo's job is looked at after a second: the
 * service keeps these limits here as it does with the real ones, and they are most of the time.
 */

const USERS = 10_000
const ROUNDS = { warmUp: 3, counted: 5 }
const UPLOADS = 10
const SECOND_MS = 1_000

const users = benchBytes(USERS)
let sessions = 0

async function took(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

/** One after the other, each alone; then several at once. */
async function measure(platforms: readonly Platform[]) {
  const service = await startService({ platforms })
  const client = createClient(service.url)
  const times = { sync: [] as number[], delivered: [] as number[] }
  for (let round = -ROUNDS.warmUp; round < ROUNDS.counted; round += 1) {
    const sync = { sessionId: (sessions += 1), sequence: 1, users }
    const async = { sessionId: (sessions += 1), sequence: 1, users }
    const forms = { sync: formOf(sync), async: formOf(async) }
    const waited = await took(() => client.post(forms.sync, '?sync=true'))
    // What a platform still works on takes calls of those that are measured next.
    await client.delivered(sync.sessionId)
    const arrived = await took(async () => {
      await client.post(forms.async)
      await client.delivered(async.sessionId)
    })
    if (round < 0) continue
    times.sync.push(waited)
    times.delivered.push(arrived)
  }
  const cpu = cpuSeconds(service.pid)
  const session = (sessions += 1)
  const forms = Array.from({ length: UPLOADS }, (_, index) =>
    formOf({ sessionId: session, sequence: index + 1, totalBatches: UPLOADS, users })
  )
  const allTook = await took(async () => {
    await Promise.all(forms.map((form) => client.post(form)))
    await client.delivered(session, { batches: UPLOADS })
  })
  const busy = cpuSeconds(service.pid) - cpu
  await service.stop()
  return { ...times, allTook, busy }
}

const standIns = await startStandIns()
const alone = await measure([standIns.facebook])
const aloneTaken = await standIns.taken()
const all = await measure(standIns.all)
const taken = await standIns.taken()

const perSecond = (count: number, milliseconds: number) => (count * SECOND_MS) / milliseconds
const figuresOf = (name: string, measured: typeof all): Figure[] => [
  { name: `sync=true to the answer, ${name}`, value: spread(measured.sync), unit: 'ms' },
  { name: `POST to delivered, ${name}`, value: spread(measured.delivered), unit: 'ms' },
  {
    name: `end to end, one upload alone, ${name}`,
    value: perSecond(USERS, spread(measured.delivered).median),
    unit: 'users/s'
  },
  {
    name: `end to end, ${UPLOADS} uploads at once, ${name}`,
    value: perSecond(UPLOADS * USERS, measured.allTook),
    unit: 'users/s'
  },
  {
    name: `processor time of the service meanwhile, ${name}`,
    value: (measured.busy * SECOND_MS) / measured.allTook,
    unit: 'cores'
  }
]

report('deliver', [
  {
    name: 'POST to delivered: all three platforms / Facebook alone (limits of the platforms)',
    value: ratio(all.delivered, alone.delivered)
  },
  ...figuresOf('Facebook alone', alone),
  ...figuresOf('all three', all),
  { name: 'calls to Facebook, most in a second', value: taken.facebook.mostCallsInSecond },
  {
    name: 'calls to TikTok, most in a second',
    value: taken.tiktok.mostCallsInSecond,
    wanted: '≤ 10'
  },
  {
    name: 'calls to Klaviyo, most in a second',
    value: taken.klaviyo.mostCallsInSecond,
    wanted: '≤ 10'
  },
  {
    name: 'users that arrived at Facebook',
    value: taken.facebook.users - aloneTaken.facebook.users
  },
  { name: 'users that arrived at TikTok', value: taken.tiktok.users },
  { name: 'users that arrived at Klaviyo', value: taken.klaviyo.users }
])
process.exit()
