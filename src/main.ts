import closeWithGrace from 'close-with-grace'
import { providers } from '../providers/registry.ts'
import { buildApp } from './app.ts'
import { faultOf } from './dispatch/tracing.ts'
import { type Config, ConfigError, loadConfig } from './config.ts'

/** The time from the signal to the end of the process, in milliseconds. */
const GRACE_MS = 25_000
/** Of that, what is left for giving back deliveries and closing the store. */
const LAST_STEPS_MS = 2_000

function readConfig(): Config {
  try {
    return loadConfig(process.env, providers)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    console.error('The configuration is wrong:')
    for (const problem of error.problems) console.error(`- ${problem}`)
    process.exit(1)
  }
}

/** Nobody has sent anything yet: the text is about a file, a database or an address. */
function tellWhy(error: unknown): void {
  console.error(`The service cannot start: ${error instanceof Error ? error.message : 'unknown'}`)
}

const config = readConfig()
const { host, port, drainMs } = config
const closeWithinMs = GRACE_MS - drainMs - LAST_STEPS_MS

const app = await buildApp(config, { closeWithinMs }).catch((error: unknown) => {
  tellWhy(error)
  process.exit(1)
})

closeWithGrace(
  {
    delay: GRACE_MS,
    logger: false,
    onSecondSignal: (signal) => app.log.error({ signal }, 'told to stop again: ends at once'),
    onSecondError: (error) => app.log.fatal({ fault: faultOf(error) }, 'unexpected error'),
    onTimeout: () => app.log.error('not closed in time: ends at once')
  },
  async ({ signal, err }) => {
    if (err !== undefined) app.log.fatal({ fault: faultOf(err) }, 'unexpected error')
    else app.log.info({ signal }, 'closing')
    // That is how load balancers and orchestrators stop a service; a person does not want to wait.
    if (signal === 'SIGTERM') await app.drain(drainMs)
    await app.close()
  }
)

try {
  await app.listen({ host, port })
} catch (error) {
  tellWhy(error)
  // Deliveries of an earlier run may have begun: they are given back, not broken off.
  await app.close()
  process.exit(1)
}
