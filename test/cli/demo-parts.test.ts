import { test } from 'tap'
import { type Outcome, problemsOf, tableOf } from '../../src/cli/demo-report.ts'

const DELIVERED: Outcome = {
  status: {
    provider: 'klaviyo',
    tag: 'demo',
    segment: 'blotout_VIP',
    state: 'delivered',
    users: { sent: 1900, received: 1899, invalid: 1, leftOut: 100 },
    leftOutBy: { no_identifier: 60, duplicate: 40, profile_too_large: 0 },
    lastError: null
  },
  held: 1899
}

const changed = (status: Partial<Outcome['status']>, held = DELIVERED.held): Outcome => ({
  status: { ...DELIVERED.status, ...status },
  held
})

test('the demo is content only if every user is accounted for at every platform', async (t) => {
  t.same(problemsOf([DELIVERED], 2000), [])
  const wrong = [
    changed({ state: 'failed', lastError: { code: 'auth', message: 'the token is expired' } }),
    changed({ state: 'retrying' }),
    changed({ users: { sent: 1900, received: 1900, invalid: 0, leftOut: 98 } }),
    changed({}, 0),
    changed({}, 1901)
  ]
  t.same(problemsOf(wrong, 2000), [
    'klaviyo/demo is failed: the token is expired',
    'klaviyo/demo is retrying',
    'klaviyo/demo: 2 users were neither sent nor left out',
    'klaviyo/demo holds 0 of 1,900 users',
    'klaviyo/demo holds 1,901 of 1,900 users'
  ])
})

test('the table aligns numbers and gives every reason for users left out', async (t) => {
  t.same(tableOf([DELIVERED]), [
    'Platform  Tag   Segment       Sent  Received  Invalid   Held  Left out  Why',
    'klaviyo   demo  blotout_VIP  1,900     1,899        1  1,899       100  60 no identifier, 40 duplicate'
  ])
})
