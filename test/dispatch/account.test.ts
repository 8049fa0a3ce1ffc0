import { test } from 'tap'
import { type Account, createAccount } from '../../src/dispatch/account.ts'
import { systemClock } from '../../src/dispatch/clock.ts'
import type { CallLimits, Permits } from '../../src/store/permits.ts'

const limits = {
  usersPerRequest: 1,
  requestsInFlight: 1,
  rates: [{ requests: 100, perMs: 60_000 }],
  operationRates: { count: [{ requests: 1, perMs: 60_000 }] }
}
const options = { key: 'klaviyo a1', slots: 1, clock: systemClock, callWithinMs: 1_000 }

/** Makes calls that only note that they are made. */
function caller(account: Account) {
  const made: string[] = []
  return {
    made,
    call: (operation: string, signal = new AbortController().signal) =>
      account.call(
        async () => {
          made.push(operation)
        },
        { operation, signal, priority: 0 }
      )
  }
}

test('an operation waits for its own rate and holds up no other', async (t) => {
  const { made, call } = caller(createAccount(limits, options))
  await call('count')
  const stop = new AbortController()
  const second = call('count', stop.signal)
  await call('upload')
  await call('upload')
  t.same(made, ['count', 'upload', 'upload'])
  stop.abort(new Error('stopped'))
  await t.rejects(second, { message: 'stopped' })
  t.same(made, ['count', 'upload', 'upload'])
})

test("several instances share an operation's rate beside the account's", async (t) => {
  const taken: (readonly [string, CallLimits['rates']])[] = []
  const givenBack: string[] = []
  const permits: Permits = {
    take: async (account, { rates }) => {
      taken.push([account, rates])
      return { id: account }
    },
    giveBack: async (id) => void givenBack.push(id)
  }
  const { made, call } = caller(createAccount(limits, { ...options, permits }))
  await call('upload')
  await call('count')
  t.same(made, ['upload', 'count'])
  const whole = ['klaviyo a1', limits.rates]
  t.same(taken, [whole, ['klaviyo a1 count', limits.operationRates.count], whole])
  t.same(givenBack, ['klaviyo a1', 'klaviyo a1', 'klaviyo a1 count'])
})
