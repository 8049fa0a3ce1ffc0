import { gzipSync } from 'node:zlib'
import { test } from 'tap'
import { IntakeError, type Layout, UnrecognisedColumnsError } from '../../src/intake/intake.ts'
import { readBatches } from '../../src/intake/read-users.ts'
import { survey } from '../../src/intake/survey.ts'
import { sourceOf, usersOf } from './sources.ts'

const intake = { survey, readBatches }

const CSV: Layout = {
  format: 'csv',
  isGzip: false,
  encoding: 'utf-8',
  separator: ',',
  columns: ['email', 'name']
}

async function problemOf(content: string | Uint8Array, mapping = {}): Promise<string> {
  try {
    await survey(sourceOf(content), { mapping })
    return 'none'
  } catch (error) {
    if (!(error instanceof IntakeError)) throw error
    return error.message
  }
}

test('a survey tells how a file is written, what it has and what is sent', async (t) => {
  const file =
    '\ufeffE-Mail;Vorname;Nachname;Notiz\r\na@b.example;Jürgen;Möller;\r\n\r\n;;;\r\n;Ann;;x\r\n'
  t.same(await survey(sourceOf(file)), {
    layout: { ...CSV, separator: ';', columns: ['E-Mail', 'Vorname', 'Nachname', 'Notiz'] },
    mapping: { email: 'E-Mail', firstName: 'Vorname', lastName: 'Nachname' },
    fallbacks: {},
    otherTypes: new Map(),
    unusedColumns: ['Notiz'],
    users: 2,
    firstUsers: [
      { email: 'a@b.example', firstName: 'Jürgen', lastName: 'Möller' },
      { firstName: 'Ann' }
    ]
  })
})

test('only the first few customers are shown', async (t) => {
  const file = `email\n${Array.from({ length: 20 }, (_, row) => `${row}@b.example`).join('\n')}`
  const { users, firstUsers } = await survey(sourceOf(file, 16))
  t.equal(users, 20)
  t.same(
    firstUsers,
    ['0', '1', '2', '3', '4'].map((row) => ({ email: `${row}@b.example` }))
  )
})

test('the encoding is told by a mark, else by the whole file', async (t) => {
  const text = 'email,name\nä@b.example,€\n'
  const utf16 = Buffer.from(`\ufeff${text}`, 'utf16le')
  const latin = Buffer.from('email,name\n\xe4@b.example,\x80\n', 'latin1')
  const late = Buffer.concat([
    Buffer.from(`email,name\n${'x@b.example,x\n'.repeat(9000)}`),
    latin.subarray(11)
  ])
  const files: readonly (readonly [Uint8Array, string])[] = [
    [Buffer.from(text), 'utf-8'],
    [Buffer.from(`\ufeff${text}`), 'utf-8'],
    [utf16, 'utf-16le'],
    [Buffer.from(utf16).swap16(), 'utf-16be'],
    [latin, 'windows-1252'],
    [late, 'windows-1252'],
    [gzipSync(latin), 'windows-1252']
  ]
  for (const [bytes, encoding] of files) {
    const found = await survey(sourceOf(bytes, 1000))
    t.equal(found.layout.encoding, encoding)
    t.same(found.layout.columns, ['email', 'name'])
    t.same((await usersOf(intake, bytes)).at(-1), { email: 'ä@b.example' }, encoding)
  }
})

test('a few characters cut in two do not make Windows-1252 of a UTF-8 file', async (t) => {
  const rows = Buffer.from(`email;Vorname;Nachname\n${'a@b.example;Zoë;Möller\n'.repeat(3)}`)
  const file = Buffer.concat([rows, Buffer.from('c@d.example;Zo\xc3;Smith\n', 'latin1')])
  const { layout, users } = await survey(sourceOf(file))
  t.equal(layout.encoding, 'utf-8')
  t.equal(users, 4)
  const read = await usersOf(intake, file)
  t.same(read[0], { email: 'a@b.example', firstName: 'Zoë', lastName: 'Möller' })
  t.same(read[3], { email: 'c@d.example', firstName: 'Zo\ufffd', lastName: 'Smith' })
})

test('the separator is told by names, by lines of one length, and by Excel itself', async (t) => {
  const files: Readonly<Record<string, string>> = {
    'email,name\na@b.example,"x;y;z"\n': ',',
    'a,b,c,email\na@b.example\n': ',',
    'email;name\na@b.example;1,5\nc@d.example;2,5\n': ';',
    'E-Mail;"Umsatz, netto, EUR";Land\na@b.example;1,5;DE\n': ';',
    'email\tname\na@b.example\tx, y, z\n': '\t',
    'email|name|note\na@b.example|1,5|a;b\n': '|',
    'sep=;\nemail;name,with,commas\na@b.example;x\n': ';',
    '"sep=|"\r\nemail|name\r\na@b.example|x\r\n': '|',
    'sep=\t\nemail\tname\na@b.example\tx\n': '\t',
    '\ufeffsep=,\nemail,name\na@b.example,x\n': ',',
    '"e;m;a;i;l","email"\nx,a@b.example\n': ',',
    'email\na@b.example\n': ',',
    email: ','
  }
  for (const [file, separator] of Object.entries(files)) {
    const content = file === 'email' ? `${file}\nx@y.example` : file
    const { layout, users } = await survey(sourceOf(content))
    t.equal(layout.separator, separator, file)
    t.equal(users, content.includes('c@d') ? 2 : 1, file)
    t.notOk(layout.columns.some((name) => name.includes('sep=') || name.includes('\ufeff')))
  }
})

test('lines end by LF, CRLF or CR, or by several of them in one file', async (t) => {
  for (const end of ['\n', '\r\n', '\r']) {
    const lines = ['email,first name', 'a@b.example,x', '', ',', '"c@d.example","y ""z"""', '']
    t.same(
      await usersOf(intake, lines.join(end)),
      [
        { email: 'a@b.example', firstName: 'x' },
        { email: 'c@d.example', firstName: 'y "z"' }
      ],
      JSON.stringify(end)
    )
  }
  t.same(await usersOf(intake, 'email\r\na\nb\rc'), [
    { email: 'a' },
    { email: 'b' },
    { email: 'c' }
  ])
})

test('gzip is told by its bytes, not by its name', async (t) => {
  const { layout, users } = await survey(sourceOf(gzipSync('email\na@b.example\n'), 7))
  t.same(layout, { ...CSV, isGzip: true, columns: ['email'] })
  t.equal(users, 1)
})

test('JSON, NDJSON and an object around an array', async (t) => {
  const files: Readonly<Record<string, string>> = {
    '{"email":"a@b.example"}\n{"phone":1}\n': 'ndjson',
    '{"email":"a@b.example"}': 'ndjson',
    '{"email":"a@b.example","purchase":[{"profit":1}]}': 'ndjson',
    '[{"email":"a@b.example"},{"phone":1}]': 'json',
    ' [\n {"email":"a@b.example"}]\n': 'json',
    '{"users":[{"email":"a@b.example"}]}\n': 'json',
    '{\n  "meta": {"pages": 1, "list": [1, 2]},\n  "users": [\n {"email":"a@b.example"}]\n}':
      'json',
    '\ufeff[{"email":"a@b.example"}]': 'json'
  }
  for (const [file, format] of Object.entries(files)) {
    const found = await survey(sourceOf(file, 5))
    t.equal(found.layout.format, format, file)
    t.same(found.mapping['email'], 'email', file)
    t.same((await usersOf(intake, file))[0]?.email, 'a@b.example', file)
  }
  const columns = '[Email],[Phone]\na@b.example,1\n'
  t.same(await usersOf(intake, columns), [{ email: 'a@b.example', phone: '1' }])
})

test('names of objects are listed as they first appear, and a nested purchase is no unused one', async (t) => {
  const file =
    '[{"x":1,"email":"a@b.example"},{"purchase":{"profit":1},"email":"c@d.example","y":2}]'
  const { layout, unusedColumns } = await survey(sourceOf(file))
  t.same(layout.columns, ['x', 'email', 'purchase', 'y'])
  t.same(unusedColumns, ['x', 'y'])
})

test('a mapping by hand wins over the names', async (t) => {
  const file = 'Email,Contact,Name,Phone\na,b,c,d\n'
  const mappingOf = async (mapping: object) => (await survey(sourceOf(file), { mapping })).mapping
  t.same(await mappingOf({ email: 'Contact' }), { email: 'Contact', phone: 'Phone' })
  t.same(await mappingOf({ edgeTagId: 'Email' }), { edgeTagId: 'Email', phone: 'Phone' })
  t.same(await mappingOf({ phone: '', lastName: 'Name' }), { email: 'Email', lastName: 'Name' })
})

test('what is wrong with a file is told, and where, without a value', async (t) => {
  const long = `email,name\n${'a@b.example,x\n'.repeat(20_000)}`
  const gzip = gzipSync('email\na@b.example\n')
  const damaged = Buffer.from(gzip)
  damaged[damaged.length - 6] = 0
  const noJson = 'The JSON is broken, or cut off,'
  const files: readonly (readonly [string | Uint8Array, string])[] = [
    ['', 'The file is empty'],
    [gzipSync(''), 'The file is empty'],
    ['\ufeff', 'The file has nothing but blank lines'],
    [' \n\r\n', 'The file has nothing but blank lines'],
    ['email,name\n,\n', 'The file has names of columns, but no customers'],
    ['[]', 'The JSON has no customers'],
    ['[{}, {"email": ""}]', 'The JSON has no customers'],
    ['{"users": []}', 'The JSON has no customers'],
    [
      'email,name\na,"b" c\n',
      'Line 2: after a closing quote comes something else than a separator'
    ],
    [
      'email,name\n"a\r\nb",1\nc,d "e\n',
      'Line 4: there is a quote inside a value that is not in quotes'
    ],
    ['email,name\na,"b\nc,d\n', 'Line 2: a quote is opened and never closed'],
    [`${long}a,"b" c\n`, 'Line 20002: after a closing quote comes something else than a separator'],
    [
      `${long}"a,b\n${'c,d\n'.repeat(300_000)}`,
      'What begins in line 20002 has no end; a quote is opened there and never closed'
    ],
    [
      'email,name\n\n"a\nb",c\nd,e,f\n',
      'Line 5 has 3 values, but there are 2 columns; a value that holds the separator must be in quotes'
    ],
    ['email,email\na,b\n', 'Columns 1 and 2 are both named "email"; give them different names'],
    [
      'a@b.example,Ann\nc@d.example,Bob\n',
      'The first line holds values; put a line with the names of the columns above it, such as email,phone'
    ],
    [
      'Ann,+49 151 1234567\nBob,\n',
      'The first line holds values; put a line with the names of the columns above it, such as email,phone'
    ],
    [
      'cust_1,Ana,García,ES,28001\n',
      'The first line holds values; put a line with the names of the columns above it, such as email,phone'
    ],
    [
      '{"ana@b.example":{"x":1}}\n{"bob@b.example":{"x":1}}\n',
      'Objects have values as names; give their properties names, such as "email" and "phone"'
    ],
    ['email\nab\0c\n', 'Line 2 has a NUL byte: this is no text, or is cut off or damaged'],
    [`PK\u0003\u0004`, 'The file is an Excel workbook or a ZIP archive: save it as CSV'],
    [new Uint8Array([0xd0, 0xcf, 0x11, 0xe0]), 'The file is an old Excel workbook: save it as CSV'],
    [gzipSync(gzip), 'The file is a gzip file inside of a gzip file: unpack it once'],
    ['<table><tr>', 'The file is HTML or XML: export the customers as CSV, NDJSON or JSON'],
    ...[gzip.subarray(0, -9), damaged, Buffer.concat([gzip, gzip])].map(
      (bytes) =>
        [
          bytes,
          'The gzip file is cut off or damaged, or consists of several gzip files; unpack it first'
        ] as const
    ),
    ['[{"email":"a"},{"ema', `${noJson} after element 1 of the array`],
    ['[{"email":"a"},{"email":secret}]', `${noJson} after element 1 of the array`],
    ['[{"email":"a"}] x', `${noJson} after element 1 of the array`],
    ['{"users":', `${noJson} before the first element of an array ends`],
    ['[{"email":"a"}, "secret"]', 'Element 2 of the array is no object'],
    [
      '{"a":[{"x":1}],"b":[{"y":1}]}',
      'The JSON has several arrays; which of them holds the customers is not clear'
    ],
    ['{"email":"a"}\n\n{"email":secret}\n', 'Line 3 is no JSON'],
    ['{"email":"a"}\r\n"secret"\r\n', 'Line 2 is no JSON object'],
    [`{"email":"a"}\n{"email":"${'a'.repeat(1 << 21)}`, 'Line 2 is longer than 1048576 characters']
  ]
  for (const [content, problem] of files) t.equal(await problemOf(content), problem)
})

test('columns that do not help are told with the names that there are', async (t) => {
  t.equal(
    await problemOf('foo,bar\n1,2\n'),
    'No column is known to hold e-mail addresses, phone numbers or customer ids; say which one does, such as email=<column>. The columns are "foo", "bar"'
  )
  t.equal(
    await problemOf('email,bar\n1,2\n', { phone: 'Tel' }),
    'There is no column "Tel" for phone; the columns are "email", "bar"'
  )
  t.equal(
    await problemOf('foo,bar\n1,2\n', { email: 'foo', phone: 'foo' }),
    'The column "foo" cannot be both email and phone'
  )
  const columns = Array.from({ length: 60 }, (_, index) => `c${index}`)
  const problem = await problemOf(`${columns.join(',')}\n1\n`)
  t.match(problem, /"c49", …$/)
  await t.rejects(
    survey(sourceOf('foo,bar\n1,2\n')),
    new UnrecognisedColumnsError(await problemOf('foo,bar\n1,2\n'), ['foo', 'bar'])
  )
})

test('a name that may be a value is told by its place, and none commands a terminal', async (t) => {
  t.equal(
    await problemOf('foo,c 4711 08,\u001b]0;owned\u0007,x@y\n1,2,3,4\n'),
    'No column is known to hold e-mail addresses, phone numbers or customer ids; say which one does, such as email=<column>. The columns are "foo", "column 2", "]0;owned", "column 4"'
  )
  t.equal(
    await problemOf('{"email":"a","ana@b.example":1}', { phone: 'Tel' }),
    'There is no column "Tel" for phone; the columns are "email", "column 2"'
  )
})

test('Windows-1250 is told from Windows-1252', async (t) => {
  const files: readonly (readonly [string, string, string])[] = [
    ['Wa\xb3\xeasa-\xa3\xf3d\x9f', 'windows-1250', 'Wałęsa-Łódź'],
    ['R\xf3\xbfa\xf1ski', 'windows-1250', 'Różański'],
    ['Tom\xe1\x9aek Dvo\xf8\xe1k', 'windows-1250', 'Tomášek Dvořák'],
    ['J\xf8rgensen \xc5se', 'windows-1252', 'Jørgensen Åse'],
    ['Mu\xf1oz \xbfQu\xe9? 3 m\xb3, M\xaa, \xa35', 'windows-1252', 'Muñoz ¿Qué? 3 m³, Mª, £5'],
    ['L\x9cillet c\x9cur', 'windows-1252', 'Lœillet cœur'],
    [`${'M\xfcller '.repeat(50)}No\x9ei\xe6`, 'windows-1252', `${'Müller '.repeat(50)}Nožiæ`]
  ]
  for (const [name, encoding, lastName] of files) {
    const bytes = Buffer.from(`email;last name\na@b.example;${name}\n`, 'latin1')
    t.equal((await survey(sourceOf(bytes))).layout.encoding, encoding, lastName)
    t.same(await usersOf(intake, bytes), [{ email: 'a@b.example', lastName }])
  }
})

test('what JSON has in place of a text is counted', async (t) => {
  const rows = [
    { email: ['x@y.zz'], phone: 1, tags: ['x'] },
    { email: true, phone: { a: 1 } },
    { email: false, phone: null },
    { email: 'a@b.example' }
  ]
  const file = rows.map((row) => JSON.stringify(row)).join('\n')
  const { otherTypes } = await survey(sourceOf(file))
  t.same(Object.fromEntries(otherTypes), { email: 2, tags: 1, phone: 1 })
})

test('names and a postal code identify as well', async (t) => {
  t.equal(await problemOf('fn,ln,zip\na,b,c\n'), 'none')
})

test('repeated names matter only where they are used', async (t) => {
  t.equal(await problemOf('email,note,note\na,b,c\n'), 'none')
  const template = 'email,email,phone,phone,fn,ln,zip\na@b.example,c@d.example,1,2,x,y,z\n'
  t.same(await usersOf(intake, template), [
    { email: 'a@b.example', firstName: 'x', lastName: 'y', phone: '1', postalCode: 'z' }
  ])
})

test('progress is told in bytes as they are stored', async (t) => {
  const bytes = gzipSync(`email\n${'a@b.example\n'.repeat(1000)}`)
  const told: number[] = []
  await survey(sourceOf(bytes, 50), { onProgress: (count) => told.push(count) })
  t.equal(told[0], 50)
  t.equal(told.at(-1), bytes.length)
})

test('a survey and a reading can be given up', async (t) => {
  const source = sourceOf(`email\n${'a@b.example\n'.repeat(1000)}`, 100)
  const controller = new AbortController()
  const onProgress = () => controller.abort()
  await t.rejects(survey(source, { signal: controller.signal, onProgress }), { name: 'AbortError' })
  await t.rejects(survey(source, { signal: AbortSignal.abort() }), { name: 'AbortError' })
  const read = readBatches(source, await survey(source), {
    batchUsers: 1,
    signal: AbortSignal.abort()
  })
  await t.rejects(read.next(), { name: 'AbortError' })
})

test('what fails in reading the file itself comes through as it is', async (t) => {
  const broken = {
    ...sourceOf('email\n'),
    open: () => new ReadableStream({ pull: () => Promise.reject(new Error('EIO')) })
  }
  await t.rejects(survey(broken), { message: 'EIO' })
})
