import { ProviderError } from '../../providers/errors.ts'
import { createHttpClient } from '../../providers/http-client.ts'
import type { Audience, ProviderContext } from '../../providers/provider.ts'
import type { Sandbox } from '../../providers/sandbox.ts'

/** A session of one batch. */
export const audience: Audience = {
  segmentName: 'blotout_VIP',
  type: 'custom',
  mode: 'add',
  sessionId: 1708531200,
  sequence: 1,
  totalBatches: 1,
  totalUsers: 1
}

export interface TestContext<V> {
  readonly context: ProviderContext<V>
  /** Waits asked for, in milliseconds; none is really waited. */
  readonly sleeps: number[]
  readonly pauses: number[]
  close(): Promise<void>
}

/**
 * What the `ProviderError` that this work ends in says.
 * @throws where it ends in anything else.
 */
export async function failureOf(work: Promise<unknown>) {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason
  )
  if (!(error instanceof ProviderError)) throw new Error('no ProviderError', { cause: error })
  const { errorClass, message, platformCode, waitMs, status } = error
  return { errorClass, message, platformCode, waitMs, status }
}

/** A provider's context against a running sandbox: real HTTP, no limits, no real waiting. */
export function providerContext<V>(
  sandbox: Pick<Sandbox, 'url'>,
  variables: V,
  { timeoutMs = 5_000, signal = new AbortController().signal } = {}
): TestContext<V> {
  const client = createHttpClient({ origin: sandbox.url, timeoutMs })
  const sleeps: number[] = []
  const pauses: number[] = []
  let notes: unknown
  return {
    sleeps,
    pauses,
    close: () => client.close(),
    context: {
      variables,
      signal,
      send: (call) => client.send(call, signal),
      pauseAccount: (forMs) => void pauses.push(forMs),
      notes: {
        get: () => notes,
        set: (value) => {
          notes = JSON.parse(JSON.stringify(value)) as unknown
          return Promise.resolve()
        }
      },
      sleep: (forMs) => {
        sleeps.push(forMs)
        return Promise.resolve()
      },
      runId: 'run 1',
      now: () => Date.now()
    }
  }
}
