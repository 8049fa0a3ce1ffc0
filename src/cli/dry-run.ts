import type { DryRun, DryRunDestination, FieldPreview } from '../api/answers.ts'
import type { Client, Upload } from '../client/client.ts'
import { type Outgoing, sendEach } from '../client/send-batches.ts'
import { newSessionId } from '../client/session-id.ts'
import type { Survey } from '../intake/intake.ts'
import { readBatches } from '../intake/read-users.ts'
import { EXIT, type ExitCode } from './exit.ts'
import type { FileSource } from './file-source.ts'
import { bar, createProgress } from './progress.ts'
import { reportLines } from './quality-report.ts'
import { count, reasons } from './table.ts'
import { onError, onOut, print, printJson, printTable } from './terminal.ts'

/** `audience upload --dry-run`: how good the data is and who could be matched, before money is spent. */

export interface DryRunOptions {
  readonly client: Client
  readonly source: FileSource
  readonly survey: Survey
  readonly upload: Upload
  readonly batchSize: number
  readonly json?: boolean
  readonly signal: AbortSignal
}

const IN_FLIGHT = 3

export async function dryRun(options: DryRunOptions): Promise<ExitCode> {
  const { client, source, survey, upload, batchSize, json, signal } = options
  const { users: totalUsers, layout } = survey
  const session = {
    sessionId: newSessionId(),
    totalBatches: Math.ceil(totalUsers / batchSize),
    totalUsers
  }
  const sum = new DryRunSum(batchSize)
  const progress = createProgress(process.stderr)
  try {
    await sendEach(
      readBatches(source, survey, { batchUsers: batchSize }),
      ({ sequence, users }) => client.dryRun(upload, { ...session, sequence }, users, signal),
      {
        inFlight: IN_FLIGHT,
        signal,
        onSent: (batch: Outgoing, answer: DryRun) => {
          sum.add(batch.sequence, answer)
          const share = sum.users / totalUsers
          const text = `${bar(share)}  ${count(sum.users)} of ${count(totalUsers)} customers checked`
          progress.show(text, String(Math.floor(share * 10)))
        },
        onTrouble: (error: unknown) =>
          progress.note(onError('yellow', error instanceof Error ? error.message : 'no answer'))
      }
    )
  } finally {
    progress.end()
  }
  signal.throwIfAborted()
  const total = sum.total()
  if (json === true) printJson({ success: true, file: layout, ...total })
  else printDryRun(total)
  return EXIT.delivered
}

/** Why values of a field cannot be used, in customers of the file counted from 1. */
export interface WhyInFile {
  users: number
  customers: readonly number[]
  readonly examples: string[]
}

export interface FieldSum {
  given: number
  usable: number
  repaired: number
  unusable: number
  hashed: number
  readonly why: Record<string, WhyInFile>
}

export interface DestinationSum {
  readonly provider: string
  readonly tag: string
  readonly segment: string
  readonly mode: string
  readonly users: { matchable: number; leftOut: number }
  readonly leftOutBy: Record<string, number>
  readonly notes: Record<string, number>
  readonly identifiers: Record<string, number>
  requests: number
}

const MAX_CUSTOMERS = 20
const MAX_EXAMPLES = 3

/** Adds up the reports of the batches of one file; they may come in any order. */
export class DryRunSum {
  readonly #batchUsers: number
  readonly #fields: Record<string, FieldSum> = {}
  readonly #ignoredFields: Record<string, number> = {}
  readonly #destinations = new Map<string, DestinationSum>()
  users = 0

  constructor(batchUsers: number) {
    this.#batchUsers = batchUsers
  }

  add(sequence: number, { users, report, destinations }: DryRun): void {
    this.users += users
    for (const [name, field] of Object.entries(report.fields)) this.#addField(name, field, sequence)
    addCounts(this.#ignoredFields, report.ignoredFields)
    for (const destination of destinations) this.#addDestination(destination)
  }

  #addField(name: string, field: FieldPreview, sequence: number): void {
    const sum = (this.#fields[name] ??= {
      given: 0,
      usable: 0,
      repaired: 0,
      unusable: 0,
      hashed: 0,
      why: {}
    })
    sum.given += field.given
    sum.usable += field.usable
    sum.repaired += field.repaired
    sum.unusable += field.unusable
    sum.hashed += field.hashed
    for (const [reason, { users, rows, examples }] of Object.entries(field.why)) {
      const why = (sum.why[reason] ??= { users: 0, customers: [], examples: [] })
      why.users += users
      const hit = rows.map(({ row }) => (sequence - 1) * this.#batchUsers + row + 1)
      why.customers = [...why.customers, ...hit].toSorted((a, b) => a - b).slice(0, MAX_CUSTOMERS)
      const fresh = examples.filter((example) => !why.examples.includes(example))
      why.examples.push(...fresh.slice(0, MAX_EXAMPLES - why.examples.length))
    }
  }

  #addDestination(one: DryRunDestination): void {
    const { provider, tag, segment, mode } = one
    const key = `${provider}/${tag}`
    const sum = this.#destinations.get(key) ?? {
      provider,
      tag,
      segment,
      mode,
      users: { matchable: 0, leftOut: 0 },
      leftOutBy: {},
      notes: {},
      identifiers: {},
      requests: 0
    }
    this.#destinations.set(key, sum)
    sum.users.matchable += one.users.matchable
    sum.users.leftOut += one.users.leftOut
    sum.requests += one.requests
    addCounts(sum.leftOutBy, one.leftOutBy)
    addCounts(sum.notes, one.notes)
    addCounts(sum.identifiers, one.identifiers)
  }

  total() {
    return {
      users: this.users,
      report: { fields: this.#fields, ignoredFields: this.#ignoredFields },
      destinations: [...this.#destinations.values()]
    }
  }
}

function addCounts(sum: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [name, users] of Object.entries(more)) sum[name] = (sum[name] ?? 0) + users
}

function printDryRun({ users, report, destinations }: ReturnType<DryRunSum['total']>): void {
  print(onOut('bold', `How good the data is (${count(users)} customers)`))
  for (const line of reportLines(report)) print(line)
  const bad = Object.entries(report.fields).flatMap(([field, { why }]) =>
    Object.entries(why).map(([reason, { users: hit, examples, customers }]) => [
      field,
      reason.replaceAll('_', ' '),
      count(hit),
      examples.join('  '),
      listed(customers, hit)
    ])
  )
  if (bad.length > 0) {
    print(`\n${onOut('bold', 'Values that cannot be matched on')}`)
    printTable(
      ['Field', 'Why', 'Customers', 'Examples, masked', 'In the file (customer 1 is the first)'],
      bad,
      new Set(['Customers'])
    )
  }
  print(`\n${onOut('bold', 'Who can be matched where')}`)
  if (destinations.length === 0) print('No platform is configured at the service.')
  else {
    printTable(
      ['Platform', 'Tag', 'Segment', 'Matchable', 'By identifiers', 'Left out', 'Why', 'Calls'],
      destinations.map(cellsOf),
      new Set(['Matchable', 'Left out', 'Calls'])
    )
  }
  print('\nNothing was sent and nothing was kept.')
}

/** The first few; there may be more. */
const SHOWN_CUSTOMERS = 8

function listed(customers: readonly number[], users: number): string {
  const shown = customers.slice(0, SHOWN_CUSTOMERS).join(', ')
  return users > SHOWN_CUSTOMERS ? `${shown}, …` : shown
}

function cellsOf(destination: DestinationSum): string[] {
  const { provider, tag, segment, mode, users, identifiers, leftOutBy, requests } = destination
  const byNumber = Object.entries(identifiers)
    .filter(([, hit]) => hit > 0)
    .map(([number, hit]) => `${number}: ${count(hit)}`)
  return [
    provider,
    tag,
    mode === 'add' ? segment : `${segment} (${mode})`,
    count(users.matchable),
    byNumber.join('  '),
    count(users.leftOut),
    reasons(leftOutBy),
    count(requests)
  ]
}
