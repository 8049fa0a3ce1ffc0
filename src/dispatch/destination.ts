import { type Context, SpanKind, type Tracer } from '@opentelemetry/api'
import type { HttpClient, PlatformAnswer, PlatformCall } from '../../providers/http-client.ts'
import type { Provider, ProviderContext, SegmentNotes } from '../../providers/provider.ts'
import type { Permits } from '../store/permits.ts'
import { accountKey } from '../store/store.ts'
import { type Account, createAccount } from './account.ts'
import type { Clock } from './clock.ts'
import type { CallOutcome, Meter } from './meter.ts'
import { inSpan, traceHeaders } from './tracing.ts'

/** A configured tag with the connections to its platform. */
export interface Platform {
  readonly provider: Provider
  readonly tag: string
  readonly variables: Readonly<Record<string, unknown>>
  readonly client: HttpClient
}

/** A platform's tag together with its account's limits. */
export interface Destination extends Platform {
  readonly accountId: string
  readonly account: Account
}

/** Deliveries under way at once, over all accounts. */
const POOL_SIZE = 64

/**
 * Gives each account its own share of the pool, so that a hanging one cannot take the slots of
 * another. Tags of one account share its limits.
 */
export function createDestinations(
  platforms: readonly Platform[],
  options: {
    readonly clock: Clock
    readonly permits: Permits | undefined
    /** Longest time that one call takes, in milliseconds. */
    readonly callWithinMs: number
  }
): Destination[] {
  const keyOf = ({ provider, variables }: Platform) =>
    accountKey({ provider: provider.name, accountId: provider.accountId(variables) })
  const share = Math.max(1, Math.floor(POOL_SIZE / Math.max(1, new Set(platforms.map(keyOf)).size)))
  const accounts = new Map<string, Account>()
  return platforms.map((platform) => {
    const limits = platform.provider.limits(platform.variables)
    const key = keyOf(platform)
    const account =
      accounts.get(key) ??
      createAccount(limits, { ...options, key, slots: Math.min(share, limits.requestsInFlight) })
    accounts.set(key, account)
    return { ...platform, account, accountId: platform.provider.accountId(platform.variables) }
  })
}

/** A destination as the store names it. */
export const targetOf = ({ provider, tag, accountId }: Destination) => ({
  provider: provider.name,
  tag,
  accountId
})

export const destinationName = ({ provider, tag }: Pick<Destination, 'provider' | 'tag'>) =>
  `${provider.name}/${tag}`

export interface ContextOptions {
  readonly tracer: Tracer
  readonly clock: Clock
  /** Ends everything, calls under way included. */
  readonly signal: AbortSignal
  /** Ends what only waits. */
  readonly stop: AbortSignal
  /** Calls become children of its span. */
  readonly parent: Context
  readonly notes: SegmentNotes
  readonly meter: Meter
  /** See `ProviderContext`. */
  readonly runId: string
  /** No further call of this account starts within this time, in milliseconds. */
  readonly pause: (forMs: number) => void
  /** Of the calls that wait for their turn in the account, those with a higher one go first. */
  readonly priority?: number
}

/** What a provider's functions work with: calls within the account's limits, traced. */
export function providerContext(
  destination: Destination,
  { tracer, clock, signal, stop, parent, notes, meter, runId, pause, priority = 0 }: ContextOptions
): ProviderContext {
  const { provider, tag, account, client, variables } = destination
  const waiting = AbortSignal.any([signal, stop])
  const tagged = { provider: provider.name, tag }

  async function sendMetered(call: PlatformCall): Promise<PlatformAnswer> {
    const began = performance.now()
    let outcome: CallOutcome = 'no_answer'
    try {
      const answer = await client.send(call, signal)
      outcome = outcomeOf(answer)
      return answer
    } catch (error) {
      if (signal.aborted) outcome = 'aborted'
      throw error
    } finally {
      meter.called(provider.name, call.operation, outcome, performance.now() - began)
    }
  }

  async function send(call: PlatformCall): Promise<PlatformAnswer> {
    const attributes = {
      'audience.provider': provider.name,
      'audience.tag': tag,
      'audience.operation': call.operation,
      'http.request.method': call.method
    }
    const asked = performance.now()
    return account.call(
      () => {
        meter.waited(tagged, performance.now() - asked)
        return inSpan(
          tracer,
          `${call.method} ${call.operation}`,
          { parent, kind: SpanKind.CLIENT, attributes },
          async (span, context) => {
            const headers = { ...call.headers, ...traceHeaders(context) }
            const answer = await sendMetered({ ...call, headers })
            span.setAttribute('http.response.status_code', answer.status)
            return answer
          }
        )
      },
      { operation: call.operation, signal: waiting, priority }
    )
  }

  return {
    variables,
    signal,
    notes,
    runId,
    send,
    pauseAccount: pause,
    sleep: (forMs) => clock.sleep(forMs, waiting),
    now: () => clock.now()
  }
}

function outcomeOf({ status }: PlatformAnswer): CallOutcome {
  if (status >= 500) return '5xx'
  if (status >= 400) return '4xx'
  return status >= 300 ? '3xx' : '2xx'
}
