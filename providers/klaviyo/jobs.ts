import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import { ProviderError } from '../errors.ts'
import { type KlaviyoContext, readAnswer, send } from './api.ts'

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
export type Job = Static<typeof Job>['data']

/** The latest jobs that fill a list, kept with it: whoever removes somebody waits for their end. */
const Notes = Type.Object({
  jobs: Type.Array(Type.Object({ id: Type.String(), at: Type.Integer() }))
})

const NOTED_FOR_MS = 24 * 3_600_000
const MAX_NOTED_JOBS = 100
/** Jobs take from seconds to minutes. */
const JOB_WAIT_MS = 5_000

const ENDED: ReadonlySet<string> = new Set(['complete', 'cancelled'])

/** `undefined` where Klaviyo does not know it any more. */
export async function getJob(id: string, context: KlaviyoContext): Promise<Job | undefined> {
  const jobCall = {
    method: 'GET',
    operation: 'profile-bulk-import-jobs.get',
    path: `/api/profile-bulk-import-jobs/${encodeURIComponent(id)}`,
    query: { include: 'lists', 'fields[list]': 'name' }
  } as const
  const answer = await send(jobCall, context)
  return answer.status === 404 ? undefined : readAnswer(Job, answer).data
}

export async function noteJob(id: string, context: KlaviyoContext): Promise<void> {
  const now = context.now()
  const known = notedJobs(context).filter(({ at }) => now - at < NOTED_FOR_MS)
  await context.notes.set({ jobs: [...known, { id, at: now }].slice(-MAX_NOTED_JOBS) })
}

/**
 * Jobs run after the upload that began them: whoever it adds would still come onto the list once they
 * were removed from it.
 * @throws ProviderError `transient` while one of the list's jobs is at work.
 */
export async function assertJobsEnded(context: KlaviyoContext): Promise<void> {
  const jobs = notedJobs(context)
  if (jobs.length === 0) return
  const underWay = []
  for (const job of jobs) {
    const status = (await getJob(job.id, context))?.attributes.status ?? 'complete'
    if (!ENDED.has(status)) underWay.push(job)
  }
  await context.notes.set({ jobs: underWay })
  if (underWay.length === 0) return
  throw new ProviderError('transient', 'Klaviyo still imports users of an earlier upload', {
    waitMs: JOB_WAIT_MS
  })
}

function notedJobs({ notes }: KlaviyoContext): Static<typeof Notes>['jobs'] {
  const noted = notes.get()
  return Value.Check(Notes, noted) ? noted.jobs : []
}
