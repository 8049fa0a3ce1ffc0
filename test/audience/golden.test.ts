import { test } from 'tap'
import { type Count, golden } from '../support/golden.ts'
import before from './golden.json' with { type: 'json' }

/** `golden.json` holds what the code made of them before it was made fast. */
const counts: readonly Count[] = process.env.AUDIENCE_TEST_LONG ? [5000, 100_000] : [5000]

for (const count of counts) {
  test(`${count} hostile users become what they always became`, async (t) => {
    const now = golden(count)
    const then: Record<string, unknown> = before[count]
    for (const [name, part] of Object.entries(then)) t.same(now[name], part, name)
    t.same(Object.keys(now), Object.keys(then))
  })
}
