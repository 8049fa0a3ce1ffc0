import { addDryRun } from '../client/dry-run.ts'
import type { DryRun } from '../api/answers.ts'
import type { Client, Upload } from '../client/client.ts'
import { sendBatches, sendEach } from '../client/send-batches.ts'
import type { Mapping, Source, Survey } from '../intake/intake.ts'
import { readBatches } from '../intake/read-users.ts'

/** Reading a file batch by batch, to try it or to send it. */

export const BATCH_USERS = 10_000
/** Batches on their way at once: browsers open six connections to a host, and others need one. */
const IN_FLIGHT = 3

/** A file, and how it is read. */
export interface Reading {
  readonly source: Source
  readonly survey: Survey
  readonly mapping: Mapping
}

/** How far it is. */
export interface Progress {
  /** When the first batch that was not skipped began. */
  startedAt: number
  /** Users whose batches are done. */
  users: number
  /** Of those, users who were sent before. */
  skipped: number
  /** Why something had to be repeated, as long as it is. */
  trouble: unknown
}

export const newProgress = (): Progress => ({
  startedAt: Date.now(),
  users: 0,
  skipped: 0,
  trouble: undefined
})

interface Watched {
  readonly progress: Progress
  readonly onProgress: () => void
  readonly signal: AbortSignal
}

function batchesOf({ source, survey, mapping }: Reading, signal: AbortSignal) {
  return readBatches(
    source,
    { layout: survey.layout, mapping, fallbacks: survey.fallbacks },
    { batchUsers: BATCH_USERS, signal }
  )
}

export const batchesIn = ({ survey }: Reading) => Math.ceil(survey.users / BATCH_USERS)

function totalsOf(reading: Reading, sessionId: number) {
  return { sessionId, totalBatches: batchesIn(reading), totalUsers: reading.survey.users }
}

/**
 * Tries all batches without sending them anywhere. Once the signal ends it, what was found so far is
 * the result.
 */
export async function tryOut(
  client: Client,
  upload: Upload,
  reading: Reading,
  { progress, onProgress, signal }: Watched
): Promise<DryRun | undefined> {
  const totals = totalsOf(reading, 0)
  let sum: DryRun | undefined
  try {
    await sendEach(
      batchesOf(reading, signal),
      ({ sequence, users }) => client.dryRun(upload, { ...totals, sequence }, users, signal),
      {
        inFlight: IN_FLIGHT,
        signal,
        onSent({ users }, found) {
          sum = addDryRun(sum, found)
          progress.users += users.length
          progress.trouble = undefined
          onProgress()
        },
        onTrouble(error) {
          progress.trouble = error
          onProgress()
        }
      }
    )
  } catch (error) {
    if (!signal.aborted) throw error
  }
  return sum
}

/** Sends all batches but those that were sent; those that are done are added to them. */
export async function sendAll(
  client: Client,
  upload: Upload,
  reading: Reading,
  { sessionId, sent }: { readonly sessionId: number; readonly sent: Set<number> },
  { progress, onProgress, signal }: Watched
): Promise<void> {
  await sendBatches(client, upload, totalsOf(reading, sessionId), batchesOf(reading, signal), {
    inFlight: IN_FLIGHT,
    skip: sent,
    signal,
    onSkipped({ users }) {
      if (progress.users === progress.skipped) progress.startedAt = Date.now()
      progress.users += users.length
      progress.skipped += users.length
      onProgress()
    },
    onSent({ sequence, users }) {
      sent.add(sequence)
      progress.users += users.length
      progress.trouble = undefined
      onProgress()
    },
    onTrouble(error) {
      progress.trouble = error
      onProgress()
    }
  }).catch((error: unknown) => {
    if (!signal.aborted) throw error
  })
}
