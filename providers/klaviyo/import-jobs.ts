import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import { ProviderError } from '../errors.ts'
import { type PlatformAnswer, parseJson } from '../http-client.ts'
import type { EncodedBody, UploadResult } from '../provider.ts'
import { type KlaviyoContext, readAnswer, readPages, send } from './api.ts'
import { importJobBody } from './encode.ts'
import { codeOf } from './errors.ts'
import { getJob, type Job, noteJob } from './jobs.ts'
import { Repair } from './repair.ts'

/** The jobs that one body became; `refused` counts its profiles that are in none of them. */
const Ticket = Type.Object({
  list: Type.String(),
  jobs: Type.Array(Type.String()),
  refused: Type.Integer()
})
type Ticket = Static<typeof Ticket>

const JobId = Type.Object({ data: Type.Object({ id: Type.String() }) })

const ImportError = Type.Object({
  attributes: Type.Object({ code: Type.Optional(Type.String()) })
})

/**
 * Imports the profiles of a body, in several jobs where Klaviyo refuses some, and puts them on the
 * list. After a fault half-way a retry sends the whole body anew: that does no harm, jobs are upserts,
 * but costs the calls of the repair once more.
 * @throws ProviderError `invalid` where not one profile was taken, or where not all of them could be
 * tried; the jobs taken until then stay taken.
 */
export async function uploadProfiles(
  body: EncodedBody,
  listId: string,
  context: KlaviyoContext
): Promise<UploadResult> {
  const jobs: string[] = []
  let accepted = 0
  const repair = new Repair(body)
  for (let piece = repair.next(); piece !== undefined; piece = repair.next()) {
    const answer = await postJob(piece, listId, context)
    if (answer.status === 400) {
      repair.refused(piece, answer)
      continue
    }
    const { id } = readAnswer(JobId, answer).data
    await noteJob(id, context)
    jobs.push(id)
    accepted += piece.users
    repair.accepted()
  }

  const refused = body.users - accepted
  const ticket = JSON.stringify({ list: listId, jobs, refused } satisfies Ticket)
  if (refused === 0) return { ticket }
  return { ticket, warnings: [`profiles refused before the import: ${refused}`] }
}

function postJob(
  { payload }: EncodedBody,
  listId: string,
  context: KlaviyoContext
): Promise<PlatformAnswer> {
  const jobCall = {
    method: 'POST',
    operation: 'profile-bulk-import-jobs.create',
    path: '/api/profile-bulk-import-jobs',
    body: importJobBody(payload, listId)
  } as const
  return send(jobCall, context)
}

/**
 * How the jobs of a ticket ended, `undefined` while one of them is at work. The counts are those of
 * the whole body, profiles refused before the import included.
 * @throws ProviderError `invalid` where a job was cancelled or is no longer known.
 */
export async function followJobs(
  ticketText: string,
  context: KlaviyoContext
): Promise<UploadResult | undefined> {
  const ticket = readTicket(ticketText)
  // All are looked at, though one may be at work: stopping there would mean as many rounds as jobs.
  const jobs: Job[] = []
  for (const id of ticket.jobs) jobs.push((await getJob(id, context)) ?? lost())
  if (jobs.some(({ attributes }) => attributes.status === 'cancelled')) throw cancelled()
  if (jobs.some(({ attributes }) => attributes.status !== 'complete')) return undefined

  const failedIds = ticket.jobs.filter((_id, index) => failedCount(jobs[index]) > 0)
  const total = sum(jobs.map((job) => job.attributes.total_count))
  const failed = sum(jobs.map(failedCount))
  return {
    // Whether `completed_count` includes the failed ones is not documented.
    received: total - failed,
    invalid: failed + ticket.refused,
    warnings: [
      ...jobs.filter((job) => misses(ticket.list, job)).map(() => 'a job put nobody on the list'),
      ...(await importErrors(failedIds, context))
    ]
  }
}

function readTicket(text: string): Ticket {
  const ticket = parseJson(text)
  if (Value.Check(Ticket, ticket)) return ticket
  throw new ProviderError('invalid', 'the ticket is not of this provider')
}

function cancelled(): ProviderError {
  return new ProviderError('invalid', 'the import job was cancelled at Klaviyo')
}

/** Not `not_found`: it is not the list that is gone, and another one would be of no help. */
function lost(): never {
  const message = 'the import job is no longer known, its outcome is unclear'
  throw new ProviderError('invalid', message, { status: 404 })
}

const failedCount = (job: Job | undefined) => job?.attributes.failed_count ?? 0
const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)

/** A job was seen that made profiles and put none on the list (community.klaviyo.com topic 11100). */
function misses(listId: string, job: Job): boolean {
  const lists = job.relationships?.lists?.data
  return lists !== undefined && !lists.some(({ id }) => id === listId)
}

/** Why profiles failed, counted by code: all else in an import error repeats their data. */
async function importErrors(
  jobIds: readonly string[],
  context: KlaviyoContext
): Promise<readonly string[]> {
  const counts = new Map<string, number>()
  for (const id of jobIds) {
    const errorsCall = {
      method: 'GET',
      operation: 'profile-bulk-import-jobs.import-errors',
      path: `/api/profile-bulk-import-jobs/${encodeURIComponent(id)}/import-errors`,
      query: { 'fields[import-error]': 'code', 'page[size]': '100' }
    } as const
    for await (const errors of readPages(ImportError, errorsCall, context)) {
      for (const { attributes } of errors) {
        const code = codeOf(attributes.code) ?? 'unknown'
        counts.set(code, (counts.get(code) ?? 0) + 1)
      }
    }
  }
  return [...counts].map(([code, times]) => `profiles failed in the import (${code}): ${times}`)
}
