import type { DestinationStatus, SessionStatus } from '../api/answers.ts'
import { adviceFor } from '../client/advice.ts'
import type { Client } from '../client/client.ts'
import { EXIT, type ExitCode } from './exit.ts'
import { createProgress } from './progress.ts'
import { count } from './table.ts'
import { onError } from './terminal.ts'

export interface FollowLimits {
  readonly waitMs: number
  readonly signal: AbortSignal
}

/**
 * Shows how a session comes on until nothing of it is under way or the wait is over. Tells why tags
 * are held or tried again.
 * @throws the signal's reason.
 */
export async function followSession(
  client: Client,
  sessionId: number,
  { waitMs, signal }: FollowLimits
): Promise<SessionStatus> {
  const progress = createProgress(process.stderr)
  const told = new Set<string>()
  const limit = new AbortController()
  const timer = setTimeout(() => limit.abort(), Math.min(waitMs, LONGEST_TIMER_MS))
  let latest: SessionStatus | undefined
  try {
    const both = AbortSignal.any([signal, limit.signal])
    const onTrouble = (error: unknown) =>
      progress.show(error instanceof Error ? error.message : 'The service does not answer')
    for await (const status of client.follow(sessionId, { signal: both, onTrouble })) {
      latest = status
      progress.show(progressOf(status), newsOf(status))
      for (const destination of status.destinations) {
        const text = troubleOf(destination)
        if (text === undefined || told.has(text)) continue
        told.add(text)
        progress.note(onError('yellow', text))
      }
    }
  } catch (error) {
    if (signal.aborted || !limit.signal.aborted) throw error
  } finally {
    clearTimeout(timer)
    progress.end()
  }
  return latest ?? client.session(sessionId, { limit: 1 }, signal)
}

/** A longer one would end at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

export function outcomeOf({ state }: Pick<SessionStatus, 'state'>): ExitCode {
  if (state === 'delivered') return EXIT.delivered
  return state === 'failed' ? EXIT.failed : EXIT.unfinished
}

/** How far an upload has come, in one line. */
export function progressOf({ destinations }: Pick<SessionStatus, 'destinations'>): string {
  return destinations
    .map(({ provider, tag, state, users }) => `${provider}/${tag} ${count(users.sent)} ${state}`)
    .join(' · ')
}

/** In lines: a change of state, and every tenth of the deliveries. */
function newsOf({ destinations }: SessionStatus): string {
  return destinations
    .map(({ state, deliveries: { delivered, failed }, deliveries }) => {
      const all = Object.values(deliveries).reduce((sum, one) => sum + one, 0)
      return `${state} ${Math.floor(((delivered + failed) / all) * 10)}`
    })
    .join(' ')
}

function troubleOf({ provider, tag, state, lastError }: DestinationStatus): string | undefined {
  if (lastError === null || (state !== 'held' && state !== 'retrying')) return undefined
  const { code, message } = lastError
  return `${provider}/${tag} is ${state}: ${message}. ${adviceFor(code, false)}`
}
