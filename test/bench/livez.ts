import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Agent, request } from 'undici'

/**
 * Asks `/livez` of the address that is its argument every ten milliseconds, whether or not the last
 * answer is there, until SIGTERM.
 */

const EVERY_MS = 10
const RESOLUTION_MS = 1
const NANOSECONDS = 1e6

const [, , url = ''] = process.argv
const agent = new Agent()
const took: number[] = []
let failed = 0

async function ask(): Promise<void> {
  const start = performance.now()
  try {
    const { statusCode, body } = await request(`${url}/livez`, { dispatcher: agent })
    await body.dump()
    if (statusCode !== 200) failed += 1
  } catch {
    failed += 1
  }
  took.push(performance.now() - start)
}

const own = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
own.enable()
const asking = setInterval(() => void ask(), EVERY_MS)

process.once('SIGTERM', () => {
  clearInterval(asking)
  const sorted = took.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1] ?? 0
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / NANOSECONDS - RESOLUTION_MS)
  const watched = {
    calls: sorted.length,
    failed,
    livez: { p50: at(0.5), p99: at(0.99), max: at(1) },
    own: { p50: late(own.percentile(50)), p99: late(own.percentile(99)), max: late(own.max) }
  }
  process.stdout.write(`watched: ${JSON.stringify(watched)}\n`, () => process.exit())
})
