import { createHash } from 'node:crypto'
import { test } from 'tap'
import { readBatches } from '../../src/intake/read-users.ts'
import { survey } from '../../src/intake/survey.ts'
import { holdsObjects, holdsTables } from './roundtrip.ts'
import { batchesOf, sourceOf, usersOf } from './sources.ts'

const intake = { survey, readBatches }

test('a table comes through as it was, however it is written', async () => holdsTables(intake))

test('objects come through in every form of JSON', async () => holdsObjects(intake))

test('batches are exact', async (t) => {
  const rows = Array.from({ length: 25_000 }, (_, row) => `${row}@b.example`)
  const source = sourceOf(`email\n${rows.join('\n')}\n`, 1000)
  const plan = await survey(source)
  const batches = await batchesOf(intake, source, plan, 10_000)
  t.same(
    batches.map(({ length }) => length),
    [10_000, 10_000, 5000]
  )
  const emails = batches.flat().map(({ email }) => email)
  const digest = (texts: readonly unknown[]) =>
    createHash('sha256').update(texts.join()).digest('hex')
  t.equal(digest(emails), digest(rows))
})

test('who reads no further lets go of the file', async (t) => {
  let cancelled = 0
  const content = sourceOf(`email\n${'a@b.example\n'.repeat(5000)}`, 100)
  const source = {
    ...content,
    open: () => {
      const reader = content.open().getReader()
      return new ReadableStream<Uint8Array<ArrayBuffer>>({
        async pull(controller) {
          const { done, value } = await reader.read()
          if (done) controller.close()
          else controller.enqueue(value)
        },
        cancel() {
          cancelled += 1
        }
      })
    }
  }
  const plan = await survey(source)
  const before = cancelled
  for await (const batch of readBatches(source, plan, { batchUsers: 10 })) {
    t.equal(batch.length, 10)
    break
  }
  t.equal(cancelled, before + 1)
})

test('values of a CSV stay as they are', async (t) => {
  const file = [
    'email,phone,first name,zip,customer id',
    ' A@B.example ,4.91512E+12,  Ann,01234,007',
    "'@x,'+49151,'t Hooft,=\"0123\",'0042",
    '"=""a@b.example""",\'x,\'\',"=""""",\'',
    '   ,\t,\u00a0,1,'
  ].join('\n')
  t.same(await usersOf(intake, file), [
    {
      email: ' A@B.example ',
      phone: '4.91512E+12',
      firstName: '  Ann',
      postalCode: '01234',
      edgeTagId: '007'
    },
    { email: '@x', phone: '+49151', firstName: "'t Hooft", postalCode: '0123', edgeTagId: '0042' },
    { email: 'a@b.example', phone: "'x", firstName: "''", edgeTagId: "'" },
    { postalCode: '1' }
  ])
})

test('amounts become numbers, and are left out where they are none', async (t) => {
  const names = ['email', 'currency', 'profit', 'total 7 days']
  const rows = [
    ['a', 'EUR', '1.234,56', '€ 12'],
    ['b', '', '1.234', 'n/a'],
    ['c', '', '', 'n/a']
  ]
  const file = [names, ...rows].map((row) => row.join(';')).join('\n')
  t.same(await usersOf(intake, file), [
    { email: 'a', purchase: { currency: 'EUR', profit: 1234.56, total7Days: 12 } },
    { email: 'b', purchase: { profit: 1234 } },
    { email: 'c' }
  ])
  t.same(await usersOf(intake, 'email\tprofit\na\t1.234\nb\t1,234\n'), [
    { email: 'a', purchase: { profit: 1.234 } },
    { email: 'b', purchase: { profit: 1234 } }
  ])
})

test('values of JSON keep their types where a service takes them', async (t) => {
  const objects: readonly object[] = [
    { email: 1, phone: 4915112345678, firstName: true, lastName: ['x'], country: { a: 1 } },
    { email: ' A ', edgeTagId: 7, postalCode: 1234, phone: '', unknown: 1 },
    { email: null, purchase: { currency: 978, profit: '1,234.50', total7Days: 'n/a', further: 1 } },
    { email: 'a', purchase: [{ profit: 1 }, 'x', {}, { total7Days: 2, currency: 'EUR' }] },
    { email: 'b', purchase: [] },
    { email: 'c', purchase: 12 },
    { constructor: 'x', email: 'd' },
    { email: '', phone: null },
    {}
  ]
  const file = objects.map((one) => JSON.stringify(one)).join('\n')
  t.same(await usersOf(intake, `${file}\n{"email":"e","phone":1e999}`), [
    { email: '1', phone: 4915112345678 },
    { email: ' A ', edgeTagId: 7, postalCode: 1234 },
    { purchase: { currency: '978', profit: 1234.5 } },
    { email: 'a', purchase: [{ profit: 1 }, { currency: 'EUR', total7Days: 2 }] },
    { email: 'b' },
    { email: 'c' },
    { email: 'd' },
    { email: 'e' }
  ])
})

test('columns of a purchase are found in objects too', async (t) => {
  t.same(await usersOf(intake, '{"E-Mail":"a","purchase.profit":"1,5"}\n{"E-Mail":"b"}'), [
    { email: 'a', purchase: { profit: 1.5 } },
    { email: 'b' }
  ])
})
