import { test } from 'tap'
import { describeFile, shownNames } from '../../src/cli/describe-file.ts'
import { readMapping } from '../../src/cli/options.ts'

const SURVEY = {
  layout: {
    format: 'csv',
    isGzip: false,
    encoding: 'utf-8',
    separator: ',',
    columns: ['E-Mail', 'ana@example.com', '28001', 'Notes\u001b]0;owned\u0007', 'orders 2026']
  },
  mapping: { email: 'E-Mail' },
  fallbacks: {},
  otherTypes: new Map<string, number>(),
  unusedColumns: ['ana@example.com', '28001', 'Notes\u001b]0;owned\u0007', 'orders 2026'],
  users: 3,
  firstUsers: []
} as const

test('names that may be values are told by their places, and steer no terminal', async (t) => {
  t.same(describeFile('list\u001b[2J.csv', SURVEY), [
    'list[2J.csv: 3 customers, CSV with commas, utf-8',
    '  email               E-Mail',
    '  not used: column 2, column 3, Notes ]0;owned, orders 2026'
  ])
  t.same(shownNames(SURVEY).columns.slice(0, 3), ['E-Mail', 'column 2', 'column 3'])
})

test('a field can be taken from no column', async (t) => {
  t.same(readMapping('email=E-Mail, work,phone='), { email: 'E-Mail, work', phone: '' })
})
