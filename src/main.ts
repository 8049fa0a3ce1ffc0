import closeWithGrace from 'close-with-grace'
import { providers } from '../providers/registry.ts'
import { buildApp } from './app.ts'
import { faultOf } from './dispatch/tracing.ts'
import { type Config, ConfigError, loadConfig } from './config.ts'

/** The time from the signal to the end of the process, in milliseconds. */
const GRACE_MS = 25_000

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

const config = readConfig()
const app = await buildApp(config)

closeWithGrace({ delay: GRACE_MS }, async ({ signal, err }) => {
  if (err !== undefined) app.log.fatal({ fault: faultOf(err) }, 'unexpected error')
  else app.log.info({ signal }, 'closing')
  await app.close()
})

try {
  await app.listen({ host: config.host, port: config.port })
} catch (error) {
  // Nobody has sent anything yet: the text is about the address only.
  app.log.fatal(error instanceof Error ? error.message : 'cannot listen')
  process.exit(1)
}
