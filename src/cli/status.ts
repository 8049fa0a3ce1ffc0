import type { SessionOverview } from '../api/answers.ts'
import { type Client, createClient } from '../client/client.ts'
import { ServiceError } from '../client/errors.ts'
import { EXIT, type ExitCode, ExitError } from './exit.ts'
import { followSession, outcomeOf } from './follow.ts'
import { listenForInterruption } from './interruption.ts'
import type { ServiceOptions } from './options.ts'
import { printSession } from './session-report.ts'
import { count } from './table.ts'
import { print, printJson, printTable } from './terminal.ts'

/** `audience status`: the latest uploads, or one of them. */

export interface StatusOptions extends ServiceOptions {
  readonly watch?: boolean
}

const SHOWN_SESSIONS = 20

export async function status(
  sessionId: number | undefined,
  options: StatusOptions
): Promise<ExitCode> {
  const client = createClient(options)
  if (sessionId !== undefined) return showSession(client, sessionId, options)
  const page = await client.sessions({ limit: options.watch === true ? 1 : SHOWN_SESSIONS })
  const [latest] = page.sessions
  if (options.watch === true && latest !== undefined) {
    return showSession(client, latest.sessionId, options)
  }
  if (options.json === true) printJson(page)
  else printSessions(page.sessions)
  return EXIT.delivered
}

async function showSession(
  client: Client,
  sessionId: number,
  { watch, json }: StatusOptions
): Promise<ExitCode> {
  const interruption = listenForInterruption()
  const { signal } = interruption
  try {
    const found =
      watch === true
        ? await followSession(client, sessionId, { waitMs: Infinity, signal })
        : await client.session(sessionId, { limit: 1 }, signal)
    if (json === true) printJson(found)
    else {
      print(`"${found.audience}", session ${sessionId}: ${count(found.users.received)} customers`)
      printSession(found)
    }
    return outcomeOf(found)
  } catch (error) {
    if (!(error instanceof ServiceError) || error.status !== 404) throw error
    throw new ExitError(
      EXIT.wrongUse,
      `${error.message} Sessions belong to the API key that made them, and are forgotten some days after their last change. See: audience status`
    )
  } finally {
    interruption.end()
  }
}

function printSessions(sessions: readonly SessionOverview[]): void {
  if (sessions.length === 0) print('Nothing was uploaded yet.')
  else {
    printTable(
      ['Session', 'Audience', 'State', 'Customers', 'Batches', 'Deliveries', 'Changed'],
      sessions.map(cellsOf),
      new Set(['Customers', 'Batches'])
    )
  }
}

function cellsOf(session: SessionOverview): string[] {
  const { sessionId, audience, state, users, batches, deliveries, changedAt } = session
  const inStates = Object.entries(deliveries)
    .filter(([, number]) => number > 0)
    .map(([name, number]) => `${count(number)} ${name}`)
  return [
    String(sessionId),
    audience,
    state,
    `${count(users.received)} of ${count(users.total)}`,
    `${count(batches.received)} of ${count(batches.total)}`,
    inStates.join(', '),
    changedAt
  ]
}
