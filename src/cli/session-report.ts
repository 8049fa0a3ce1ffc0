import type { DestinationStatus, SessionStatus } from '../api/answers.ts'
import { adviceFor } from '../client/advice.ts'
import { reportLines } from './quality-report.ts'
import { count, reasons } from './table.ts'
import { onOut, print, printTable } from './terminal.ts'

const HEADINGS = [
  'Platform',
  'Tag',
  'Segment',
  'State',
  'Sent',
  'Received',
  'Invalid',
  'Left out',
  'Why'
]
const NUMBERS = new Set(['Sent', 'Received', 'Invalid', 'Left out'])

/** How a session stands at every tag, what went wrong, and what to do about it. */
export function printSession(status: SessionStatus): void {
  const { destinations, report, warnings } = status
  for (const line of reportLines(report)) print(line)
  if (destinations.length > 0) {
    print()
    printTable(HEADINGS, destinations.map(cellsOf), NUMBERS)
  }
  const problems = destinations.flatMap(problemsOf)
  if (problems.length > 0) print()
  for (const problem of problems) print(onOut('red', problem))
  for (const warning of warnings) print(onOut('yellow', `Warning: ${warning}`))
  print(`\n${closingLine(status)}`)
}

function cellsOf(destination: DestinationStatus): string[] {
  const { provider, tag, segment, mode, users, leftOutBy } = destination
  const { sent, received, invalid, leftOut } = users
  return [
    provider,
    tag,
    mode === 'add' ? segment : `${segment} (${mode})`,
    stateOf(destination),
    count(sent),
    count(received),
    count(invalid),
    count(leftOut),
    reasons(leftOutBy)
  ]
}

/** Where batches stand differently, how many of them. */
function stateOf({ state, deliveries }: DestinationStatus): string {
  const all = Object.values(deliveries).reduce((sum, one) => sum + one, 0)
  return deliveries[state] === all ? state : `${state} (${count(deliveries[state])} of ${all})`
}

function problemsOf({ provider, tag, state, lastError, deliveries }: DestinationStatus): string[] {
  if (lastError === null || state === 'delivered') return []
  const { code, message } = lastError
  const isFinal = state === 'failed' || deliveries.failed > 0
  return [`${provider}/${tag} ${state}: ${message}\n  ${adviceFor(code, isFinal)}`]
}

function closingLine({ sessionId, state, batches, users }: SessionStatus): string {
  switch (state) {
    case 'delivered':
      return onOut('green', `Everything was delivered (session ${sessionId}).`)
    case 'failed':
      return onOut(
        'red',
        `Not everything was delivered. Start what failed again: POST /audience/sessions/${sessionId}/retry`
      )
    case 'receiving':
      return `The service has ${count(users.received)} of ${count(users.total)} customers, ${batches.received.length} of ${batches.total} batches.`
    case 'sending':
      return `Not finished; the service goes on by itself: audience status ${sessionId} --watch`
  }
}
