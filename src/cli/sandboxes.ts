import type { Provider } from '../../providers/provider.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import { environmentName } from '../config.ts'

export interface SandboxesOptions {
  readonly host: string
  /** Port of the first sandbox, the others follow in order; 0 gives each a free one. */
  readonly portBase: number
}

/** Starts the sandbox of every provider, each on a port of its own. */
export function startSandboxes(
  providers: readonly Provider[],
  { host, portBase }: SandboxesOptions
): Promise<Sandbox[]> {
  return Promise.all(
    providers.map((provider, index) =>
      provider.sandbox({ host, port: portBase === 0 ? 0 : portBase + index })
    )
  )
}

export async function closeSandboxes(sandboxes: readonly Sandbox[]): Promise<void> {
  await Promise.all(sandboxes.map((sandbox) => sandbox.close()))
}

/** The environment that points the service at a sandbox: `KLAVIYO_API_KEY=… KLAVIYO_BASE_URL=…`. */
export function environmentOf({ name, variables }: Sandbox): string {
  return Object.entries(variables)
    .map(([variable, value]) => `${environmentName(name, variable)}=${String(value)}`)
    .join(' ')
}
