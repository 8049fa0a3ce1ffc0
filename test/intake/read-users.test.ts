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

test('where the best column of a field is empty the next one of the same meaning is read', async (t) => {
  const file = [
    'Customer ID,Phone,Mobile,Work Phone,Zip,Shipping Zip',
    '1,+14155552671,,,,28001',
    '2,+14155552672,+14155552673,,1,',
    '3, ,,+14155552674,,'
  ].join('\n')
  const found = await survey(sourceOf(file))
  t.same(found.mapping, { edgeTagId: 'Customer ID', phone: 'Mobile', postalCode: 'Zip' })
  t.same(found.fallbacks, { phone: ['Mobile', 'Phone'] })
  t.same(found.unusedColumns, ['Work Phone', 'Shipping Zip'])
  t.same(await usersOf(intake, file), [
    { edgeTagId: '1', phone: '+14155552671' },
    { edgeTagId: '2', phone: '+14155552673', postalCode: '1' },
    { edgeTagId: '3' }
  ])
  const objects = '{"email":"a"}\n{"Email":"b"}\n{"e_mail":"c","email":""}\n'
  t.same(await usersOf(intake, objects), [{ email: 'a' }, { email: 'b' }, { email: 'c' }])
})

test('a column given by hand is read alone', async (t) => {
  const source = sourceOf('email,Phone,Mobile\na,1,\nb,2,3\n')
  const byHand = await survey(source, { mapping: { phone: 'Mobile' } })
  t.same(byHand.fallbacks, {})
  t.same(await batchesOf(intake, source, byHand, 9), [[{ email: 'a' }, { email: 'b', phone: '3' }]])
  const { layout, mapping, fallbacks } = await survey(source)
  const changed = { layout, fallbacks, mapping: { ...mapping, phone: 'Phone' } }
  t.same(await batchesOf(intake, source, changed, 9), [
    [
      { email: 'a', phone: '1' },
      { email: 'b', phone: '2' }
    ]
  ])
  const used = { layout, fallbacks, mapping: { ...mapping, edgeTagId: 'Phone' } }
  t.same(await batchesOf(intake, source, used, 9), [
    [
      { email: 'a', edgeTagId: '1' },
      { email: 'b', edgeTagId: '2', phone: '3' }
    ]
  ])
})

test('quotes that can be understood in one way only are read', async (t) => {
  const file = [
    'email,first name,last name',
    'a,Robert "Bob" X,Y',
    '"b", "c, ""d""" ,"e"',
    'f,"g"" h",I "J" K'
  ].join('\n')
  t.same(await usersOf(intake, file), [
    { email: 'a', firstName: 'Robert "Bob" X', lastName: 'Y' },
    { email: 'b', firstName: 'c, "d"', lastName: 'e' },
    { email: 'f', firstName: 'g" h', lastName: 'I "J" K' }
  ])
  for (const line of ['a,Robert "Bob, Jr" X', 'a,"b" c,d', 'a,19" x,d']) {
    await t.rejects(survey(sourceOf(`email,first name,last name\n${line}\n`)), {
      message: /^Line 2: /
    })
  }
})
