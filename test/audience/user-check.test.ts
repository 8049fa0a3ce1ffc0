import * as fc from 'fast-check'
import { test } from 'tap'
import { Compile } from 'typebox/compile'
import { User } from '../../src/audience/schemas.ts'
import { isUser, KNOWN_FIELDS, userProblem } from '../../src/audience/user-check.ts'

const schema = Compile(User)

const text = fc.string()
/** JSON has no infinity, but `1e999`. */
const number = fc.constantFrom(0, -1.5, 2 ** 60, Number.POSITIVE_INFINITY)
const any = fc.oneof(text, number, fc.jsonValue({ maxDepth: 2 }))

/** What it should be, but for some. */
const mostly = <T>(fitting: fc.Arbitrary<T>) =>
  fc.oneof(
    { weight: 16, arbitrary: fitting },
    { weight: 2, arbitrary: fc.constant(null) },
    { weight: 2, arbitrary: any }
  )

const textOrNumber = mostly(fc.oneof(text, fc.integer()))
const purchase = fc.record(
  { currency: mostly(text), profit: mostly(fc.double()), total7Days: mostly(fc.integer()) },
  { requiredKeys: [] }
)
const user = mostly(
  fc.record(
    {
      edgeTagId: textOrNumber,
      email: mostly(text),
      phone: textOrNumber,
      firstName: mostly(text),
      lastName: mostly(text),
      country: mostly(text),
      postalCode: textOrNumber,
      purchase: mostly(fc.oneof(purchase, fc.array(mostly(purchase), { maxLength: 3 }))),
      other: any
    },
    { requiredKeys: [] }
  )
)

test('a user is what the schema says', async (t) => {
  const seen = { users: 0, others: 0 }
  fc.assert(
    fc.property(user, (value) => {
      const isWanted = schema.Check(value)
      seen[isWanted ? 'users' : 'others'] += 1
      return isUser(value) === isWanted
    }),
    { numRuns: 5_000 }
  )
  t.ok(seen.users > 500 && seen.others > 500, 'there are enough of both')
  t.same([...KNOWN_FIELDS], Object.keys(User.properties))
})

test('the place where an entry is no user is one that the schema complains of', async (t) => {
  fc.assert(
    fc.property(
      user.filter((value) => !schema.Check(value)),
      (value) => {
        const [place = ''] = userProblem(value).split(' must be ')
        const path = place.replaceAll(/\[(\d+)\]/g, '/$1').replaceAll('.', '/')
        return schema.Errors(value).some(({ instancePath }) => instancePath === path)
      }
    ),
    { numRuns: 2_000 }
  )
  t.throws(() => userProblem({ email: 'jane@example.com' }), { message: /nothing is wrong/ })
})
