import { randomBytes } from 'node:crypto'
import tap, { test } from 'tap'
import { startPostgres } from '../support/postgres.ts'
import { byEmail, type Fields, hashOf, row, sandboxOf, segmentsOf, startSeller } from './support.ts'

const FACEBOOK = { account_id: 'facebook/default' }
const skip = process.env['AUDIENCE_TEST_LONG'] ? false : 'starts a PostgreSQL server'

/** Without what only the later ones of equal answers have. */
const textOf = (answer: Fields) => JSON.stringify({ ...answer, replayed: undefined })

test('two instances answer as one', { skip }, async (t) => {
  const postgres = await startPostgres()
  tap.teardown(() => postgres.close())
  const facebook = await sandboxOf(t, 'facebook')
  const env = {
    DATABASE_URL: await postgres.createDatabase(),
    AUDIENCE_ENCRYPTION_KEY: randomBytes(32).toString('base64')
  }
  const config = { adcpDiscoveryPerMinute: 3 }
  const first = await startSeller(t, { sandboxes: [facebook], env, config })
  const second = await startSeller(t, { sandboxes: [facebook], env, config })
  const agents = [await first.agent(), await second.agent()] as const
  const [one, other] = agents

  const call = {
    idempotency_key: 'key-0000-0000-0001',
    account: FACEBOOK,
    audiences: [{ audience_id: 'vip', add: [byEmail('ann'), byEmail('bob')] }]
  }
  const twins = await Promise.all(
    Array.from({ length: 8 }, (_, index) => agents[index % 2 === 0 ? 0 : 1].sync(call))
  )
  t.equal(twins.filter(({ replayed }) => replayed === undefined).length, 1, 'it is done once')
  t.equal(new Set(twins.map(textOf)).size, 1)
  await first.delivered()
  t.match(segmentsOf(facebook), [
    { members: [{ EMAIL: hashOf('ann@example.com') }, { EMAIL: hashOf('bob@example.com') }] }
  ])

  await first.later(15_000)
  t.match(row(await other.sync({ account: FACEBOOK })), { status: 'too_small' })
  await other.sync({ account: FACEBOOK, audiences: [{ audience_id: 'vip', delete: true }] })
  await first.delivered()
  t.same(segmentsOf(facebook), [])
  t.same((await one.sync({ account: FACEBOOK }))['audiences'], [])
  await one.sync({ account: FACEBOOK })
  t.match(await other.sync({ account: FACEBOOK }), { adcp_error: { code: 'RATE_LIMITED' } })
})
