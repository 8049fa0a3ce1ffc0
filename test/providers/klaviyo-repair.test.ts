import * as fc from 'fast-check'
import Fastify from 'fastify'
import { type Test, test } from 'tap'
import { klaviyo } from '../../providers/klaviyo/index.ts'
import type { EncodedBody } from '../../providers/provider.ts'
import { audience, failureOf, providerContext } from '../support/provider-context.ts'

const JOBS = '/api/profile-bulk-import-jobs'

interface ImportJob {
  data: { attributes: { profiles: { data: { attributes: { email: string } }[] } } }
}

/** Where a refusal points: at nothing (`/data`), or at the first bad profile of the job. */
type Pointing = 'nowhere' | 'first'

const isBad = (email: string) => email.startsWith('bad')

/** A Klaviyo that refuses each job with a bad address in it, and tells who arrived. */
async function strictKlaviyo(t: Test, pointing: Pointing) {
  const seen = { calls: 0, arrived: [] as string[], refusedAlone: 0, jobs: [] as number[] }
  const app = Fastify({ bodyLimit: 5_000_000, forceCloseConnections: true })
  app.addContentTypeParser('application/vnd.api+json', { parseAs: 'string' }, (_call, body, done) =>
    done(null, JSON.parse(String(body)))
  )
  app.post<{ Body: ImportJob }>(JOBS, (request, reply) => {
    const { data: profiles } = request.body.data.attributes.profiles
    const emails = profiles.map(({ attributes }) => attributes.email)
    const first = emails.findIndex(isBad)
    seen.calls += 1
    if (first >= 0) {
      const place = `/data/attributes/profiles/data/${first}/attributes/email`
      const source = { pointer: pointing === 'first' ? place : '/data' }
      if (emails.length === 1) seen.refusedAlone += 1
      return reply.code(400).send({ errors: [{ code: 'invalid', source }] })
    }
    seen.arrived.push(...emails)
    seen.jobs.push(emails.length)
    return reply.code(202).send({ data: { id: `job-${seen.jobs.length}` } })
  })
  app.get<{ Params: { id: string } }>(`${JOBS}/:id`, ({ params }) => {
    const total = seen.jobs[Number(params.id.slice('job-'.length)) - 1]
    return { data: { attributes: { status: 'complete', total_count: total, failed_count: 0 } } }
  })

  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const variables = { apiKey: 'pk_1', revision: '2026-07-15', profileFields: [] }
  const platform = providerContext({ url }, variables)
  t.teardown(async () => {
    await platform.close()
    await app.close()
  })
  return {
    seen,
    upload: (emails: readonly string[]) =>
      klaviyo.upload(bodyOf(emails), audience, 'Xk4Rt9', platform.context),
    confirm: (ticket = '') => klaviyo.confirm?.(ticket, audience, platform.context)
  }
}

function bodyOf(emails: readonly string[]): EncodedBody {
  const profiles = emails.map((email) => ({ type: 'profile', attributes: { email } }))
  return { payload: new TextEncoder().encode(JSON.stringify(profiles)), users: emails.length }
}

/** So many addresses, bad where told. */
const addresses = (count: number, badAt: (index: number) => boolean) =>
  Array.from({ length: count }, (_, i) => `${badAt(i) ? 'bad' : 'good'}${i}@shop.example`)

const goodOf = (emails: readonly string[]) => emails.filter((email) => !isBad(email)).toSorted()

const REFUSED = {
  errorClass: 'invalid',
  message: 'Klaviyo refuses the request',
  platformCode: '400/invalid',
  status: 400,
  waitMs: undefined
}

const patterns: readonly [what: string, badAt: (index: number) => boolean][] = [
  ['every 40th', (i) => i % 40 === 0],
  ['the first 50', (i) => i < 50],
  ['the last 50', (i) => i >= 1950],
  ['25 at each end', (i) => i < 25 || i >= 1975],
  ['50 in the middle', (i) => i >= 975 && i < 1025],
  ['anywhere', (i) => (i * 769) % 2000 < 50]
]

for (const [what, badAt] of patterns) {
  test(`of 2,000 users with 50 bad ones that no refusal names (${what}), 1,950 arrive`, async (t) => {
    const { seen, upload, confirm } = await strictKlaviyo(t, 'nowhere')
    const users = addresses(2_000, badAt)
    const { ticket, warnings } = await upload(users)
    t.equal(goodOf(users).length, 1_950)
    t.strictSame(seen.arrived.toSorted(), goodOf(users))
    t.equal(seen.refusedAlone, 50)
    t.strictSame(warnings, ['profiles refused before the import: 50'])
    t.strictSame(await confirm(ticket), { received: 1_950, invalid: 50, warnings: [] })
  })
}

test('one bad user among 10,000 is found by 29 calls, wherever it is', async (t) => {
  for (const place of [0, 4_999, 9_999]) {
    const { seen, upload } = await strictKlaviyo(t, 'nowhere')
    await upload(addresses(10_000, (i) => i === place))
    t.equal(seen.arrived.length, 9_999)
    t.ok(seen.calls <= 29, `${seen.calls} calls`)
  }
})

test('150 bad users that are named one a round are dropped in 150 rounds', async (t) => {
  const { seen, upload, confirm } = await strictKlaviyo(t, 'first')
  const users = addresses(400, (i) => i >= 100 && i < 250)
  const { ticket, warnings } = await upload(users)
  t.strictSame(seen.arrived, [
    ...addresses(400, () => false).slice(0, 100),
    ...addresses(400, () => false).slice(250)
  ])
  t.equal(seen.calls, 151)
  t.strictSame(warnings, ['profiles refused before the import: 150'])
  t.strictSame(await confirm(ticket), { received: 250, invalid: 150, warnings: [] })
})

test('an import that is refused whatever is in it fails after 30 calls', async (t) => {
  const { seen, upload } = await strictKlaviyo(t, 'nowhere')
  t.strictSame(await failureOf(upload(addresses(10_000, () => true))), REFUSED)
  t.equal(seen.calls, 30)
})

test('what is unsent after 1,000 calls is never taken for delivered', async (t) => {
  const { seen, upload } = await strictKlaviyo(t, 'nowhere')
  const users = addresses(2_000, (i) => i % 2 === 0)
  const failure = await failureOf(upload(users))
  const unsent = 2_000 - seen.arrived.length - seen.refusedAlone
  t.strictSame(failure, {
    errorClass: 'invalid',
    message: `Klaviyo refused too many parts of an import: after 1000 calls ${unsent} users were not sent`,
    platformCode: undefined,
    status: undefined,
    waitMs: undefined
  })
  t.equal(seen.calls, 1_000)
  t.ok(unsent > 1_000 && seen.arrived.length > 200)

  const named = await strictKlaviyo(t, 'first')
  const failed = await failureOf(named.upload(addresses(2_000, (i) => i < 1_500)))
  t.match(failed, { message: /: after 1000 calls 1000 users were not sent$/ })
  t.strictSame(named.seen.arrived, [])
})

test('whoever is bad, all others arrive exactly once', async (t) => {
  const servers = [await strictKlaviyo(t, 'nowhere'), await strictKlaviyo(t, 'first')]
  const bad = fc.array(fc.boolean(), { minLength: 1, maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...servers), bad, async ({ seen, upload }, isBadAt) => {
      const users = addresses(isBadAt.length, (i) => isBadAt[i] === true)
      const good = goodOf(users)
      seen.arrived.length = 0
      if (good.length > 0) await upload(users)
      else t.strictSame(await failureOf(upload(users)), REFUSED)
      t.strictSame(seen.arrived.toSorted(), good)
    })
  )
})
