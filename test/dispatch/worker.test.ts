import { test } from 'tap'
import { encodeUsers, readUsers } from '../../src/dispatch/worker.ts'

const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
const audience = {
  segmentName: 'blotout_VIP',
  type: 'custom',
  sessionId: 1,
  sequence: 1,
  totalBatches: 1,
  totalUsers: 1
} as const

test("one platform's fault in encoding is not the others'", async (t) => {
  const { encodings, report } = encodeUsers({
    users: bytes([{ email: 'jane@example.com' }]),
    maxUsers: 10,
    defaultCountry: undefined,
    targets: [
      { provider: 'myspace', variables: {}, audience },
      { provider: 'facebook', variables: { batchSize: 10_000 }, audience }
    ]
  })
  t.match(encodings, [{ stack: /no provider myspace/ }, { bodies: [{ users: 1 }] }])
  t.equal(report.email.usable, 1)
})

test('users are counted, and what is wrong with them is told', async (t) => {
  t.match(readUsers({ users: bytes([{}, { a: 1 }]), maxUsers: 2 }), {
    count: 2,
    contentHash: /^[0-9a-f]{64}$/,
    ignoredFields: { a: 1 }
  })
  t.same(readUsers({ users: bytes([]), maxUsers: 2 }), { kind: 'empty', problem: 'users is empty' })
  t.throws(() =>
    encodeUsers({ users: bytes({}), maxUsers: 2, defaultCountry: undefined, targets: [] })
  )
})
