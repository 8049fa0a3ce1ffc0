import * as fc from 'fast-check'
import { test } from 'tap'
import { parseBatch } from '../../src/audience/parse-batch.ts'
import { readUsers } from '../../src/audience/parse-users.ts'
import { parseUsers } from '../support/members.ts'

const LIMITS = { maxUsers: 4 }

function parse(users: unknown) {
  const text = typeof users === 'string' ? users : JSON.stringify(users)
  return parseUsers(new TextEncoder().encode(text), LIMITS)
}

test('users are read into columns as they are, with numbers and null', async (t) => {
  t.same(
    parse([
      { edgeTagId: 17, email: 'jane@example.com', phone: 4915123456789, postalCode: 2134 },
      { edgeTagId: 'et_1', phone: '+4915123456789', country: null, purchase: { profit: 1.5 } },
      { edgeTagId: 2 ** 60, phone: 1.5, postalCode: 1e21 },
      { firstName: 'Jürgen', purchase: [{ currency: 'USD', profit: -1, total7Days: 0 }, {}] }
    ]),
    {
      count: 4,
      users: {
        size: 4,
        texts: {
          edgeTagId: ['17', 'et_1', '\ufffd', ''],
          email: ['jane@example.com', '', '', ''],
          phone: ['4915123456789', '+4915123456789', '\ufffd', ''],
          firstName: ['', '', '', 'Jürgen'],
          lastName: ['', '', '', ''],
          country: ['', '', '', ''],
          postalCode: ['2134', '', '\ufffd', '']
        },
        purchases: [[], [{ profit: 1.5 }], [], [{ currency: 'USD', profit: -1, total7Days: 0 }, {}]]
      },
      ignoredFields: {}
    }
  )
})

test('users are read from memory that threads share', async (t) => {
  const bytes = new TextEncoder().encode('[{"email":"jane@example.com"}]')
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length))
  shared.set(bytes)
  t.match(parseUsers(shared, LIMITS), { users: { texts: { email: ['jane@example.com'] } } })
})

test('a byte order mark before the users is allowed', async (t) => {
  t.match(parse('\ufeff[{"lastName":"Müller"}]'), { users: { texts: { lastName: ['Müller'] } } })
})

test('the first thing wrong is named by index and field', async (t) => {
  const cases: [users: unknown, problem: string][] = [
    ['', 'users is not valid JSON'],
    ['[{"a":1}', 'users is not valid JSON (line 1, column 9)'],
    ['[{"a":1},\n{"a":tru}]', 'users is not valid JSON'],
    ['[{"a":1}\n{"a":2}]', 'users is not valid JSON (line 2, column 1)'],
    ['null', 'users must be an array'],
    [{ email: 'jane@example.com' }, 'users must be an array'],
    [[{}, null], 'users[1] must be an object'],
    [['jane@example.com'], 'users[0] must be an object'],
    [[{}, [{}]], 'users[1] must be an object'],
    [[{}, {}, { email: 3 }], 'users[2].email must be a string'],
    [[{ firstName: ['Jane'] }], 'users[0].firstName must be a string'],
    [[{ lastName: {} }], 'users[0].lastName must be a string'],
    [[{ country: true }], 'users[0].country must be a string'],
    [[{ phone: false }], 'users[0].phone must be a string or a number'],
    [[{ postalCode: [] }], 'users[0].postalCode must be a string or a number'],
    [[{ edgeTagId: {} }], 'users[0].edgeTagId must be a string or a number'],
    [[{ purchase: 3 }], 'users[0].purchase must be an object or an array'],
    [[{ purchase: [3] }], 'users[0].purchase[0] must be an object'],
    [[{ purchase: { profit: '3' } }], 'users[0].purchase.profit must be a number'],
    [[{ purchase: [{}, { currency: 3 }] }], 'users[0].purchase[1].currency must be a string']
  ]
  for (const [users, problem] of cases) t.same(parse(users), { kind: 'payload', problem }, problem)
})

/** Texts that look like the borders between users, and everything that can stand in a user. */
const ANY_USER = fc.record(
  {
    email: fc.constantFrom('a@b.com', '},{', '"},{"', '\\', 'jürgen@müller.de', '\u2028', '[}],'),
    note: fc.jsonValue({ maxDepth: 2 }),
    purchase: fc.array(fc.record({ profit: fc.integer() }), { maxLength: 3 })
  },
  { requiredKeys: [] }
)

test('a list of any length is read like a short one', async (t) => {
  const property = fc.property(
    fc.array(ANY_USER, { minLength: 1, maxLength: 20 }),
    fc.constantFrom('', '  ', '\n\t'),
    (users, space) => {
      // Repeated, so that it is read in several parts.
      const text = users.map((user) => JSON.stringify(user, undefined, space)).join(`${space},`)
      const times = Math.ceil(2_500_000 / (text.length + 1))
      const list = new TextEncoder().encode(`${space}[${Array(times).fill(text).join()}]${space}`)
      const read = parseUsers(list, { maxUsers: 1e6 })
      const emails = users.map(({ email }) => email ?? '')
      return (
        'users' in read &&
        read.count === times * users.length &&
        read.users.texts.email.every((email, row) => email === emails[row % users.length])
      )
    }
  )
  t.doesNotThrow(() => fc.assert(property, { numRuns: 4, seed: 4 }))
})

test('a long list is read in parts, however its entries begin', async (t) => {
  const plain = Array(90_000).fill('{"email":"jane@example.com","country":"US"}').join()
  const lists: [what: string, users: string][] = [
    ['all alike', plain],
    ['the first has another name first', `{"edgeTagId":"x"},${plain}`],
    ['the first is written in another way', `{ "email":"x"},${plain}`],
    ['the first is empty', `{},${plain}`],
    ['entries within', plain.replaceAll('"US"', '"US","note":[0,{"email":"x"},{"email":"y"}]')],
    ['texts that look like entries', plain.replaceAll('"US"', '"},{\\"email\\":"')]
  ]
  for (const [what, users] of lists) {
    const sizes: number[] = []
    const bytes = new TextEncoder().encode(`[${users}]`)
    const read = readUsers(bytes, { maxUsers: 1e6 }, ({ size }) => sizes.push(size))
    t.match(read, { count: what.startsWith('the') ? 90_001 : 90_000 }, what)
    t.ok(sizes.length > 2, `${what}: ${sizes.length} parts`)
  }
})

test('what is wrong behind a hundred thousand users is told like what is wrong at first', async (t) => {
  const many = Array(100_000).fill('{"email":"jane@example.com"}').join()
  const limits = { maxUsers: 1e6 }
  const cases: [ending: string, problem: string][] = [
    [',{"email":3}]', 'users[100000].email must be a string'],
    [',]', 'users is not valid JSON'],
    [',,{}]', 'users is not valid JSON'],
    [',{]', 'users is not valid JSON'],
    [',{}', 'users is not valid JSON'],
    [']]', 'users is not valid JSON'],
    ['],[]', 'users is not valid JSON'],
    [',{}],{"a":[{}]', 'users is not valid JSON']
  ]
  const blank = new TextEncoder().encode(`[${' '.repeat(2_500_000)},{}]`)
  t.match(parseUsers(blank, limits), { kind: 'payload', problem: /^users is not valid JSON/ })
  for (const [ending, problem] of cases) {
    const refused = parseUsers(new TextEncoder().encode(`[${many}${ending}`), limits)
    t.match(refused, { kind: 'payload', problem: new RegExp(`^${RegExp.escape(problem)}`) }, ending)
  }
  const bytes = new TextEncoder().encode(`[{"email":3},${many}]`)
  t.match(parseUsers(bytes, { maxUsers: 99 }), {
    kind: 'too_many',
    problem: 'users has 100001 entries; at most 99 are allowed'
  })
  t.match(parseUsers(bytes, limits), { problem: 'users[0].email must be a string' })
})

test('an empty list and a list too long are problems of their own', async (t) => {
  t.same(parse([]), { kind: 'empty', problem: 'users is empty' })
  t.same(parse([{}, {}, {}, {}, {}]), {
    kind: 'too_many',
    problem: 'users has 5 entries; at most 4 are allowed'
  })
  t.match(parse([{}, {}, {}, {}]), { count: 4, users: { size: 4 } })
})

test('bytes that are not UTF-8 are refused, not replaced', async (t) => {
  // `[{"lastName":"Müller"}]` in Latin-1.
  const latin1 = Buffer.from('[{"lastName":"Müller"}]', 'latin1')
  t.same(parseUsers(latin1, LIMITS), { kind: 'payload', problem: 'users is not valid UTF-8' })
})

test('fields that the service does not know are counted by name, odd names together', async (t) => {
  const names = Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`field ${i}`, 1]))
  const { ignoredFields } = Object.assign(
    { ignoredFields: {} },
    parse([
      { city: 'Berlin', 'jane@example.com': 1, ['x'.repeat(65)]: 1 },
      { city: 'Bonn', ...names }
    ])
  )
  t.same(ignoredFields, {
    city: 2,
    '(other)': 8,
    ...Object.fromEntries(Array.from({ length: 19 }, (_, i) => [`field ${i}`, 1]))
  })
})

test('a field called __proto__ is a name like any other', async (t) => {
  const parsed = parse('[{"__proto__":{"email":"jane@example.com"}}]')
  t.ok('ignoredFields' in parsed && Object.hasOwn(parsed.ignoredFields, '__proto__'))
  t.match(parsed, { users: { texts: { email: [''] } } })
})

const BATCH = { sessionId: 1708531200, sequence: 1, totalBatches: 3, totalUsers: 25000 }

test('a batch is read, counted from 0 or from 1', async (t) => {
  for (const sequence of [0, 1, 3]) {
    const batch = { ...BATCH, sequence, pullDate: '2024-02-29' }
    t.same(parseBatch(JSON.stringify(batch)), { batch })
  }
  const none = { sessionId: 0, sequence: 0, totalBatches: 0, totalUsers: 0 }
  t.same(parseBatch(JSON.stringify(none)), { batch: none })
  t.same(parseBatch(`\ufeff${JSON.stringify({ ...BATCH, pullDate: null })}`), {
    batch: { ...BATCH, pullDate: null }
  })
})

test('what is wrong with a batch is named', async (t) => {
  const whole = `a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`
  const { sessionId, ...withoutSession } = BATCH
  const cases: [batch: unknown, problem: string][] = [
    ['{', 'batch is not valid JSON (line 1, column 2)'],
    ['x', 'batch is not valid JSON'],
    [[], 'batch must be an object'],
    ['null', 'batch must be an object'],
    [String(sessionId), 'batch must be an object'],
    [withoutSession, 'batch.sessionId is missing'],
    [{ ...BATCH, sessionId: '1708531200' }, `batch.sessionId must be ${whole}`],
    [{ ...BATCH, sequence: -1 }, `batch.sequence must be ${whole}`],
    [{ ...BATCH, sequence: 1.5 }, `batch.sequence must be ${whole}`],
    [{ ...BATCH, totalUsers: 2 ** 53 }, `batch.totalUsers must be ${whole}`],
    [{ ...BATCH, totalUsers: null }, `batch.totalUsers must be ${whole}`],
    [{ ...BATCH, totalBatches: -1 }, `batch.totalBatches must be ${whole}`],
    [{ ...BATCH, totalBatches: 0 }, 'batch.sequence must not be greater than batch.totalBatches'],
    [{ ...BATCH, sequence: 4 }, 'batch.sequence must not be greater than batch.totalBatches'],
    ...['2026-02-29', '2026-13-01', '01.02.2026', '2026-1-1', '2026-01-01T00:00:00Z', '', 3].map(
      (pullDate): [unknown, string] => [
        { ...BATCH, pullDate },
        'batch.pullDate must be a calendar date like 2026-01-31'
      ]
    )
  ]
  for (const [batch, problem] of cases) {
    const text = typeof batch === 'string' ? batch : JSON.stringify(batch)
    t.same(parseBatch(text), { problem }, `${text}: ${problem}`)
  }
})

const CANARY = 'canary@example.com'

test('no message quotes what was sent', async (t) => {
  const spoiltUser = fc.record(
    {
      email: fc.constantFrom(CANARY, { [CANARY]: CANARY }, [CANARY]),
      phone: fc.constantFrom(CANARY, [CANARY], 1.5),
      purchase: fc.constantFrom(CANARY, [CANARY], { currency: [CANARY] }, { profit: CANARY }),
      [CANARY]: fc.constantFrom(CANARY)
    },
    { requiredKeys: [] }
  )
  const texts = fc.array(fc.oneof(spoiltUser, fc.constant(CANARY)), { maxLength: 5 })
  fc.assert(
    fc.property(
      texts,
      fc.nat(),
      fc.constantFrom('', '"', '}', '\n', '\0', CANARY),
      (users, at, by) => {
        const text = JSON.stringify(users)
        const spoilt =
          text.slice(0, at % (text.length + 1)) + by + text.slice(at % (text.length + 1))
        const outcomes = [
          parse(text),
          parse(spoilt),
          parse(spoilt.slice(0, at % (spoilt.length + 1))),
          parseBatch(spoilt),
          parseBatch(
            JSON.stringify({ ...BATCH, sequence: CANARY, [CANARY]: CANARY, pullDate: CANARY })
          )
        ]
        return outcomes.every(
          (outcome) =>
            !/canary|example/.test('problem' in outcome ? outcome.problem : '') &&
            !(
              'ignoredFields' in outcome && JSON.stringify(outcome.ignoredFields).includes('canary')
            )
        )
      }
    ),
    { numRuns: 2000 }
  )
  t.pass()
})
