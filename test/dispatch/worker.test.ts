import { test } from 'tap'
import { encodeUsers, readUsers } from '../../src/dispatch/worker.ts'
import { seal } from '../../src/store/sealing.ts'

const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
const keys = [new Uint8Array(32).fill(7)] as const
const audience = {
  segmentName: 'blotout_VIP',
  type: 'custom',
  sessionId: 1,
  sequence: 1,
  totalBatches: 1,
  totalUsers: 1
} as const
const sealed = (users: unknown) => ({
  sealed: seal(bytes(users), 'hash', keys),
  contentHash: 'hash',
  keys,
  defaultCountry: undefined,
  targets: []
})

test("one platform's fault in encoding is not the others'", async (t) => {
  const outcome = encodeUsers({
    ...sealed([{ email: 'jane@example.com' }]),
    targets: [
      { provider: 'myspace', variables: {}, audience },
      { provider: 'facebook', variables: { batchSize: 10_000 }, audience }
    ]
  })
  t.match(outcome, {
    encodings: [{ stack: /no provider myspace/ }, { bodies: [{ users: 1 }] }],
    report: { email: { usable: 1 } }
  })
})

test('users are counted and sealed, and what is wrong with them is told', async (t) => {
  const read = readUsers({ users: bytes([{}, { a: 1 }]), maxUsers: 2, keys })
  t.match(read, { count: 2, contentHash: /^[0-9a-f]{64}$/, ignoredFields: { a: 1 } })
  t.same(readUsers({ users: bytes([]), maxUsers: 2, keys }), {
    kind: 'empty',
    problem: 'users is empty'
  })
  t.throws(() => encodeUsers(sealed({})))
})

test('users that no key opens are told as that', async (t) => {
  const other = [new Uint8Array(32).fill(8)] as const
  t.same(encodeUsers({ ...sealed([{}]), keys: other }), {
    unreadable: 'sealed with a key that is not listed in AUDIENCE_ENCRYPTION_KEY any more'
  })
  t.same(encodeUsers({ ...sealed([{}]), contentHash: 'other' }), {
    unreadable: 'the sealed bytes were changed'
  })
})
