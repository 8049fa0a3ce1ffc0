import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import { ProviderError } from '../errors.ts'
import { type PlatformAnswer, parseJson } from '../http-client.ts'
import type { EncodedBody, UploadResult } from '../provider.ts'
import { type KlaviyoContext, readAnswer, readPages, send } from './api.ts'
import { importJobBody } from './encode.ts'
import { codeOf, readComplaint, toProviderError } from './errors.ts'

/**
 * Calls that one body may take, repairs included. Finding one bad profile among 10,000 by halving
 * takes 28.
 */
const MAX_CALLS_PER_BODY = 100

/** The jobs that one body became; `refused` counts its profiles that are in none of them. */
const Ticket = Type.Object({
  list: Type.String(),
  jobs: Type.Array(Type.String()),
  refused: Type.Integer()
})
type Ticket = Static<typeof Ticket>

const JobId = Type.Object({ data: Type.Object({ id: Type.String() }) })

const count = Type.Optional(Type.Union([Type.Integer(), Type.Null()]))
const Reference = Type.Object({ id: Type.String() })
const Job = Type.Object({
  data: Type.Object({
    attributes: Type.Object({
      status: Type.String(),
      total_count: Type.Integer(),
      failed_count: count
    }),
    relationships: Type.Optional(
      Type.Object({
        lists: Type.Optional(Type.Object({ data: Type.Optional(Type.Array(Reference)) }))
      })
    )
  })
})
type Job = Static<typeof Job>['data']

const ImportError = Type.Object({
  attributes: Type.Object({ code: Type.Optional(Type.String()) })
})

/**
 * Imports the profiles of a body and puts them on the list. One bad value makes Klaviyo refuse the
 * whole job with a 400: profiles that it names are dropped and the rest is sent again; where it names
 * none, the job is halved. Sending a profile twice does no harm, jobs are upserts.
 * @throws ProviderError `invalid` where not one profile was taken.
 */
export async function uploadProfiles(
  body: EncodedBody,
  listId: string,
  context: KlaviyoContext
): Promise<UploadResult> {
  const jobs: string[] = []
  const waiting = [body]
  let accepted = 0
  let refusal: PlatformAnswer | undefined
  for (let calls = 0; calls < MAX_CALLS_PER_BODY; calls += 1) {
    const piece = waiting.shift()
    if (piece === undefined) break
    const answer = await postJob(piece, listId, context)
    if (answer.status === 400) {
      refusal = answer
      waiting.push(...mend(piece, answer))
    } else {
      jobs.push(readAnswer(JobId, answer).data.id)
      accepted += piece.users
    }
  }
  if (jobs.length === 0 && refusal !== undefined) throw toProviderError(refusal)

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
 * What is left to send of a refused body.
 * @throws ProviderError where the refusal is not about its profiles.
 */
function mend({ payload }: EncodedBody, answer: PlatformAnswer): readonly EncodedBody[] {
  const complaint = readComplaint(answer)
  if (complaint.about === 'other') throw toProviderError(answer)
  const profiles = parseProfiles(payload)
  if (complaint.about === 'unnamed') return halve(profiles)
  const { indexes } = complaint
  const kept = profiles.filter((_profile, index) => !indexes.has(index))
  // Indexes beyond the end name nobody, and would be named again.
  return kept.length < profiles.length ? toBodies([kept]) : halve(profiles)
}

function halve(profiles: readonly unknown[]): readonly EncodedBody[] {
  if (profiles.length === 1) return []
  const middle = Math.ceil(profiles.length / 2)
  return toBodies([profiles.slice(0, middle), profiles.slice(middle)])
}

const Profiles = Type.Array(Type.Unknown())

function parseProfiles(payload: Uint8Array): readonly unknown[] {
  return Value.Parse(Profiles, JSON.parse(new TextDecoder().decode(payload)))
}

function toBodies(pieces: readonly (readonly unknown[])[]): readonly EncodedBody[] {
  const encoder = new TextEncoder()
  return pieces
    .filter((profiles) => profiles.length > 0)
    .map((profiles) => ({
      payload: encoder.encode(JSON.stringify(profiles)),
      users: profiles.length
    }))
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
  const jobs: Job[] = []
  for (const id of ticket.jobs) {
    const job = await getJob(id, context)
    if (job.attributes.status === 'cancelled') throw cancelled()
    if (job.attributes.status !== 'complete') return undefined
    jobs.push(job)
  }

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

async function getJob(id: string, context: KlaviyoContext): Promise<Job> {
  const jobCall = {
    method: 'GET',
    operation: 'profile-bulk-import-jobs.get',
    path: `/api/profile-bulk-import-jobs/${encodeURIComponent(id)}`,
    query: { include: 'lists', 'fields[list]': 'name' }
  } as const
  const answer = await send(jobCall, context)
  if (answer.status === 404) throw lost()
  return readAnswer(Job, answer).data
}

function cancelled(): ProviderError {
  return new ProviderError('invalid', 'the import job was cancelled at Klaviyo')
}

/** Not `not_found`: it is not the list that is gone, and another one would be of no help. */
function lost(): ProviderError {
  const message = 'the import job is no longer known, its outcome is unclear'
  return new ProviderError('invalid', message, { status: 404 })
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
