import { test } from 'tap'
import { parseAmount } from '../../src/intake/amount.ts'

test('an amount in any of the usual notations', async (t) => {
  const amounts: Readonly<Record<string, number>> = {
    '12': 12,
    '12.5': 12.5,
    '1234,5': 1234.5,
    '1,234.56': 1234.56,
    '1.234,56': 1234.56,
    '1 234,56': 1234.56,
    '1\u00a0234,56': 1234.56,
    '1\u202f234\u202f567,8': 1234567.8,
    "1'234.50": 1234.5,
    'CHF 1’234.50': 1234.5,
    '1,234,567': 1234567,
    '1.234.567': 1234567,
    '0.125': 0.125,
    '0,125': 0.125,
    '.5': 0.5,
    '12.': 12,
    '12,-': 12,
    '€ 12': 12,
    '12 €': 12,
    ' 12 ': 12,
    'R$ 1.234,56': 1234.56,
    '12 kr.': 12,
    '12,50 zł': 12.5,
    'USD 12.00': 12,
    '-12': -12,
    '−12': -12,
    '-$5': -5,
    '$-5': -5,
    '(12.50)': -12.5,
    '+3': 3,
    '0': 0,
    '-0': 0,
    '1.5E+3': 1500
  }
  for (const [text, amount] of Object.entries(amounts)) {
    t.equal(parseAmount(text, '.'), amount, text)
    t.equal(parseAmount(text, ','), amount, text)
  }
})

test('a single mark before three digits is what it is in such a file', async (t) => {
  t.equal(parseAmount('1,234', '.'), 1234)
  t.equal(parseAmount('1,234', ','), 1.234)
  t.equal(parseAmount('1.234', '.'), 1.234)
  t.equal(parseAmount('1.234', ','), 1234)
})

test('what is no amount is none', async (t) => {
  const texts = [
    '',
    ' ',
    'n/a',
    '.',
    ',',
    '-',
    '€',
    '1.2.3',
    '12,34,56',
    '1,234,56',
    'Order 12',
    '1e999'
  ]
  for (const text of [...texts, '12 34', '2026-01-01', `1${' '.repeat(100_000)}x1`]) {
    t.equal(parseAmount(text, '.'), undefined, text.slice(0, 20))
  }
})
