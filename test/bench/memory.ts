import { createClient, formOf } from './client.ts'
import { benchBytes } from './data.ts'
import { type Figure, report, spread } from './measure.ts'
import {
  forgetPeak,
  peakBytes,
  residentBytes,
  type Service,
  startService,
  startStandIns
} from './processes.ts'

/**
 * The memory of the service's process: 100,000 users in one call until all three platforms have them,
 * several such calls one after the other, and 100 uploads of 10,000 users at once.
 *
 *     npm run bench -- memory [calls one after the other]
 */

const CALLS = Number(process.argv[2] ?? 10)
const MANY_USERS = 100_000
const UPLOADS = 100
const USERS = 10_000
const MEGABYTE = 1e6

/** The most memory that the work takes, in bytes. */
async function peakOf(service: Service, work: () => Promise<unknown>): Promise<number> {
  forgetPeak(service.pid)
  await work()
  return peakBytes(service.pid)
}

async function oneAfterTheOther() {
  const users = benchBytes(MANY_USERS)
  const standIns = await startStandIns()
  const service = await startService({ platforms: standIns.all })
  const client = createClient(service.url)
  const atStart = residentBytes(service.pid)
  const peaks: number[] = []
  for (let call = 1; call <= CALLS; call += 1) {
    const form = formOf({ sessionId: call, sequence: 1, users })
    peaks.push(
      await peakOf(service, async () => {
        await client.post(form)
        await client.delivered(call)
      })
    )
  }
  const atEnd = residentBytes(service.pid)
  await service.stop()
  return { body: users.byteLength, atStart, peaks, atEnd }
}

async function atOnce() {
  const lists = [0, 1, 2, 3].map((list) => benchBytes(USERS, list * USERS))
  const forms = Array.from({ length: UPLOADS }, (_, index) => {
    const users = lists[index % lists.length] ?? Buffer.alloc(0)
    return formOf({ sessionId: 1, sequence: index + 1, totalBatches: UPLOADS, users })
  })
  const standIns = await startStandIns()
  const service = await startService({ platforms: [standIns.facebook] })
  const client = createClient(service.url)
  const accepting = await peakOf(service, () => Promise.all(forms.map((form) => client.post(form))))
  const delivering = await peakOf(service, () => client.delivered(1, { batches: UPLOADS }))
  const refusals = client.refusals()
  await service.stop()
  const bodies = forms.reduce((sum, form) => sum + form.byteLength, 0)
  return { bodies, accepting, delivering, refusals }
}

const row = await oneAfterTheOther()
const crowd = await atOnce()
const [first = Number.NaN, ...more] = row.peaks

const flat: Figure[] =
  more.length < 2
    ? []
    : [
        {
          name: `${CALLS} calls one after the other: peak of the last / of the second`,
          value: (more.at(-1) ?? Number.NaN) / (more[0] ?? Number.NaN),
          wanted: 'flat: ≤ 1.1'
        },
        {
          name: 'peaks after the first',
          value: spread(more.map((one) => one / MEGABYTE)),
          unit: 'MB'
        }
      ]

report('memory', [
  {
    name: `${MANY_USERS} users in one call: peak of the process / body`,
    value: first / row.body,
    wanted: '≤ 12'
  },
  {
    name: 'the same without what the process takes at its start',
    value: (first - row.atStart) / row.body
  },
  { name: 'most in any of the calls / body', value: Math.max(...row.peaks) / row.body },
  ...flat,
  {
    name: `${UPLOADS} uploads of ${USERS} at once: peak / all bodies`,
    value: Math.max(crowd.accepting, crowd.delivering) / crowd.bodies
  },
  { name: 'body of one call', value: row.body / MEGABYTE, unit: 'MB' },
  { name: 'memory at the start', value: row.atStart / MEGABYTE, unit: 'MB' },
  { name: 'peak of the first call', value: first / MEGABYTE, unit: 'MB' },
  { name: 'memory at the end', value: row.atEnd / MEGABYTE, unit: 'MB' },
  { name: `${UPLOADS} at once: all bodies`, value: crowd.bodies / MEGABYTE, unit: 'MB' },
  {
    name: `${UPLOADS} at once: peak until all were accepted`,
    value: crowd.accepting / MEGABYTE,
    unit: 'MB'
  },
  {
    name: `${UPLOADS} at once: peak from then until all were delivered`,
    value: crowd.delivering / MEGABYTE,
    unit: 'MB'
  },
  { name: `${UPLOADS} at once: refusals (503)`, value: crowd.refusals }
])
process.exit()
