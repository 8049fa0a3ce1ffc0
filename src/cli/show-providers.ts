import type { ProviderStatus } from '../api/answers.ts'
import { createClient } from '../client/client.ts'
import { EXIT, type ExitCode } from './exit.ts'
import type { ServiceOptions } from './options.ts'
import { onOut, print, printJson, printTable } from './terminal.ts'

/** `audience providers`: what the running service sends to. */

export interface ProvidersOptions extends ServiceOptions {
  readonly check?: boolean
}

export async function showProviders(options: ProvidersOptions): Promise<ExitCode> {
  const answer = await createClient(options).providers(options.check === true)
  const { providers } = answer
  if (options.json === true) printJson(answer)
  else if (providers.length === 0) {
    print('No platform is configured at the service. See docs/configuration.md')
  } else {
    printTable(
      ['Platform', 'Tag', 'Account', 'Matches on', 'State', ...(options.check ? ['Check'] : [])],
      providers.map(cellsOf)
    )
    for (const problem of providers.flatMap(problemsOf)) print(onOut('red', problem))
  }
  return providers.every(({ check }) => check?.ok !== false) ? EXIT.delivered : EXIT.failed
}

function cellsOf({
  provider,
  tag,
  accountId,
  identifiers,
  account,
  check
}: ProviderStatus): string[] {
  const checked = check === undefined ? [] : [check.ok ? 'in order' : 'not in order']
  return [provider, tag, accountId, identifiers.join(', '), account.status, ...checked]
}

function problemsOf({ provider, tag, account, check }: ProviderStatus): string[] {
  const name = `${provider}/${tag}`
  const { status, error, until } = account
  const waits = until === null ? '' : `, looked at again ${until}`
  return [
    ...(error === null ? [] : [`${name} is ${status}${waits}: ${error.message}`]),
    ...(check?.problems ?? []).map(({ code, message }) => `${name}: ${message} (${code})`)
  ]
}
