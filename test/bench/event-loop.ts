import { createHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { isMainThread } from 'node:worker_threads'

/**
 * Loaded into the service by `--import`: measures how late its event loop is, and prints that at
 * each SIGCONT (SIGUSR2 ends the service).
 */

const RESOLUTION_MS = 1
const NANOSECONDS = 1e6
const MICROSECONDS = 1e3

function measure(): void {
  const looks = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  looks.enable()
  // One look is missed for each millisecond in which the loop is blocked: callers who come then all
  // wait, and all of them count here (Gil Tene, coordinated omission).
  const callers = createHistogram()
  let last = performance.now()
  setInterval(() => {
    const now = performance.now()
    for (let late = now - last - RESOLUTION_MS; ; late -= RESOLUTION_MS) {
      callers.record(Math.max(1, Math.round(late * MICROSECONDS)))
      if (late < RESOLUTION_MS) break
    }
    last = now
  }, RESOLUTION_MS).unref()

  let asked = 0
  process.on('SIGCONT', () => {
    asked += 1
    // What is recorded is the time between two looks, the wait that was asked for included.
    const late = (nanoseconds: number) => Math.max(0, nanoseconds / NANOSECONDS - RESOLUTION_MS)
    const figures = {
      looks: {
        p50: late(looks.percentile(50)),
        p99: late(looks.percentile(99)),
        max: late(looks.max)
      },
      callers: {
        p50: callers.percentile(50) / MICROSECONDS,
        p99: callers.percentile(99) / MICROSECONDS,
        max: callers.max / MICROSECONDS
      }
    }
    looks.reset()
    callers.reset()
    process.stdout.write(`event loop ${asked}: ${JSON.stringify(figures)}\n`)
  })
}

if (isMainThread) measure()
