import type { DryRun, DryRunDestination } from '../api/answers.ts'
import type { Client, Upload } from '../client/client.ts'
import { addDryRun } from '../client/dry-run.ts'
import { type Outgoing, sendEach } from '../client/send-batches.ts'
import { newSessionId } from '../client/session-id.ts'
import type { Survey } from '../intake/intake.ts'
import { readBatches } from '../intake/read-users.ts'
import { shownNames } from './describe-file.ts'
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
  let sum: DryRun | undefined
  const progress = createProgress(process.stderr)
  try {
    await sendEach(
      readBatches(source, survey, { batchUsers: batchSize }),
      ({ sequence, users }) => client.dryRun(upload, { ...session, sequence }, users, signal),
      {
        inFlight: IN_FLIGHT,
        signal,
        onSent: (_batch: Outgoing, answer: DryRun) => {
          sum = addDryRun(sum, answer)
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
  if (sum === undefined) throw new Error('a file without customers')
  if (json === true)
    printJson({ ...sum, file: { ...layout, columns: shownNames(survey).columns }, batchSize })
  else printDryRun(sum, batchSize)
  return EXIT.delivered
}

function printDryRun({ users, report, destinations }: DryRun, batchSize: number): void {
  const inFile = ({ sequence, row }: { readonly sequence: number; readonly row: number }) =>
    (sequence - 1) * batchSize + row + 1
  print(onOut('bold', `How good the data is (${count(users)} customers)`))
  for (const line of reportLines(report)) print(line)
  const bad = Object.entries(report.fields).flatMap(([field, { why }]) =>
    Object.entries(why).map(([reason, { users: hit, examples, rows }]) => [
      field,
      reason.replaceAll('_', ' '),
      count(hit),
      examples.join('  '),
      listed(rows.map(inFile), hit)
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

function cellsOf(destination: DryRunDestination): string[] {
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
