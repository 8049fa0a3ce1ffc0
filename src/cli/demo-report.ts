import { Type } from 'typebox'
import { Value } from 'typebox/value'
import type { Sandbox } from '../../providers/sandbox.ts'
import type { DestinationStatus, SessionStatus } from '../api/answers.ts'
import type { Batch, User } from '../audience/schemas.ts'
import { count, reasons, table } from './table.ts'

/** A tag's status beside what its platform really holds. */
export interface Outcome {
  readonly status: Pick<
    DestinationStatus,
    'provider' | 'tag' | 'segment' | 'state' | 'users' | 'leftOutBy' | 'lastError'
  >
  /** Distinct members of the segment. */
  readonly held: number
}

const SandboxState = Type.Object({
  segments: Type.Array(Type.Object({ name: Type.String(), members: Type.Array(Type.Unknown()) }))
})

/** Asks each tag's sandbox how many members its segment holds. */
export function outcomesOf(
  { destinations }: SessionStatus,
  sandboxes: readonly Sandbox[]
): Outcome[] {
  return destinations.map((status) => {
    const sandbox = sandboxes.find(({ name }) => name === status.provider)
    const { segments } = Value.Parse(SandboxState, sandbox?.state())
    const segment = segments.find(({ name }) => name === status.segment)
    return { status, held: segment?.members.length ?? 0 }
  })
}

/** What is not as it should be after an upload of so many users; empty if everything is. */
export function problemsOf(outcomes: readonly Outcome[], users: number): string[] {
  return outcomes.flatMap(({ status, held }) => {
    const name = `${status.provider}/${status.tag}`
    const { sent, leftOut } = status.users
    const lost = users - sent - leftOut
    return [
      ...(status.state === 'delivered' ? [] : [`${name} is ${stateOf(status)}`]),
      ...(lost === 0 ? [] : [`${name}: ${count(lost)} users were neither sent nor left out`]),
      ...(held > 0 && held <= sent ? [] : [`${name} holds ${count(held)} of ${count(sent)} users`])
    ]
  })
}

function stateOf({ state, lastError }: Outcome['status']): string {
  return lastError === null ? state : `${state}: ${lastError.message}`
}

const HEADINGS = [
  'Platform',
  'Tag',
  'Segment',
  'Sent',
  'Received',
  'Invalid',
  'Held',
  'Left out',
  'Why'
]
const NUMBERS = new Set(['Sent', 'Received', 'Invalid', 'Held', 'Left out'])

/** Lines of a table of the outcomes, the heading first. */
export const tableOf = (outcomes: readonly Outcome[]): string[] =>
  table(HEADINGS, outcomes.map(cellsOf), NUMBERS)

function cellsOf({ status, held }: Outcome): string[] {
  const { provider, tag, segment, users, leftOutBy } = status
  return [
    provider,
    tag,
    segment,
    count(users.sent),
    count(users.received),
    count(users.invalid),
    count(held),
    count(users.leftOut),
    reasons(leftOutBy)
  ]
}

const EXAMPLE_USER: User = {
  edgeTagId: 'et_abc123',
  email: 'jane@example.com',
  phone: '+1 415 555 2671',
  firstName: 'Jane',
  lastName: 'Doe',
  country: 'US',
  postalCode: '90202',
  purchase: [{ currency: 'USD', profit: 12.5, total7Days: 80 }]
}

export interface ManualOptions {
  readonly serviceUrl: string
  readonly audience: string
  /** The session that was uploaded; those of the commands follow it. */
  readonly sessionId: number
  /** A file with all users. */
  readonly file: string
  readonly users: number
}

/** Commands to repeat the upload by hand: one user, the whole file, and the session's status. */
export function curlCommands(options: ManualOptions): string[] {
  const { serviceUrl, audience, sessionId, file, users } = options
  const post = (nextSessionId: number, totalUsers: number, usersField: string) => {
    const batch: Batch = { sessionId: nextSessionId, sequence: 1, totalBatches: 1, totalUsers }
    return [
      `curl '${serviceUrl}/audience?sync=true'`,
      `-F 'name=${audience}'`,
      `-F 'type=custom'`,
      `-F 'batch=${JSON.stringify(batch)}'`,
      `-F 'users=${usersField}'`
    ].join(' \\\n  ')
  }
  return [
    post(sessionId + 1, 1, JSON.stringify([EXAMPLE_USER])),
    post(sessionId + 2, users, `@${file}`),
    `curl '${serviceUrl}/audience/sessions/${sessionId}'`
  ]
}
