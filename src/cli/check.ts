import { setTimeout as sleep } from 'node:timers/promises'
import { ProviderError } from '../../providers/errors.ts'
import { createHttpClient } from '../../providers/http-client.ts'
import type { CheckProblem, ProviderContext } from '../../providers/provider.ts'
import { providers } from '../../providers/registry.ts'
import { adviceFor } from '../client/advice.ts'
import { type Config, ConfigError, loadConfig, type Tag } from '../config.ts'
import { toLastError } from '../dispatch/retry.ts'
import { EXIT, type ExitCode } from './exit.ts'
import { onOut, print, printJson } from './terminal.ts'

/** `audience check`: is this machine's configuration right, and does it work at the platforms? */

export interface CheckOptions {
  readonly json?: boolean
}

interface Checked {
  readonly provider: string
  readonly tag: string
  readonly account: string
  readonly problems: readonly CheckProblem[]
}

export async function check({ json }: CheckOptions): Promise<ExitCode> {
  const config = readConfig()
  if (config instanceof ConfigError) {
    if (json === true) printJson({ success: false, configuration: config.problems, tags: [] })
    else printProblems(config.problems)
    return EXIT.wrongUse
  }
  const tags = await Promise.all(config.tags.map((tag) => checkTag(tag, config)))
  const isInOrder = tags.every(({ problems }) => problems.length === 0)
  if (json === true) printJson({ success: isInOrder, configuration: [], tags })
  else printTags(tags)
  return isInOrder ? EXIT.delivered : EXIT.failed
}

function readConfig(): Config | ConfigError {
  try {
    return loadConfig(process.env, providers)
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
}

/** Somebody waits for it; longer than a service that answers many. */
const CHECK_WITHIN_MS = 30_000

/** Asks the platform as the service would, outside of its limits: a check takes a few calls. */
async function checkTag(tag: Tag, { platformTimeoutMs }: Config): Promise<Checked> {
  const { provider, name, variables } = tag
  const { baseUrl } = variables
  const origin = typeof baseUrl === 'string' ? baseUrl : provider.origin(variables)
  const client = createHttpClient({ origin, timeoutMs: platformTimeoutMs })
  const signal = AbortSignal.timeout(CHECK_WITHIN_MS)
  const context: ProviderContext = {
    variables,
    signal,
    send: (call) => client.send(call, signal),
    pauseAccount: () => undefined,
    notes: { get: () => undefined, set: async () => undefined },
    runId: '',
    sleep: (ms) => sleep(ms, undefined, { signal }),
    now: () => Date.now()
  }
  const problems = await provider
    .check(context)
    .catch((error: unknown): CheckProblem[] => [explained(error, signal)])
    .finally(() => client.close())
  return { provider: provider.name, tag: name, account: provider.accountId(variables), problems }
}

/** What a check throws tells what is wrong, but not what to do. */
function explained(error: unknown, { aborted }: AbortSignal): CheckProblem {
  const { code, message } = toLastError(
    aborted ? new ProviderError('transient', 'no answer in time') : error
  )
  const advice = code === 'transient' ? UNREACHABLE : adviceFor(code, false)
  return { code, message: `${message}. ${advice}` }
}

const UNREACHABLE =
  "Can this machine reach the platform (network, proxy, firewall), and is the tag's baseUrl right?"

function printProblems(problems: readonly string[]): void {
  print(onOut('red', 'The configuration is wrong:'))
  for (const problem of problems) print(`- ${problem}`)
  print('See docs/configuration.md')
}

function printTags(tags: readonly Checked[]): void {
  print(onOut('green', 'The configuration can be used.'))
  if (tags.length === 0) print('No platform is configured: nothing would be sent.')
  for (const { provider, tag, account, problems } of tags) {
    const state = problems.length === 0 ? onOut('green', 'in order') : onOut('red', 'not in order')
    print(`${provider}/${tag} (account ${account}): ${state}`)
    for (const { code, message } of problems) print(`  ${message} (${code})`)
  }
}
