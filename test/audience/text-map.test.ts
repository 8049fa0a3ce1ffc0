import * as fc from 'fast-check'
import { test } from 'tap'
import { TextMap } from '../../src/audience/text-map.ts'

/** Texts that FNV-1a gives the same number (softwareengineering.stackexchange.com/a/145633). */
const TWINS = ['costarring', 'liquid', 'declinate', 'macallums', 'altarage', 'zinke']

test('a text keeps the number that it was given first', async (t) => {
  const map = new TextMap()
  t.equal(map.get('ana'), undefined)
  t.equal(map.getOrAdd('ana', 7), 7)
  t.equal(map.getOrAdd('ana', 8), 7)
  t.equal(map.get(['a', 'na'].join('')), 7)
  t.equal(map.get('Ana'), undefined)
  t.equal(map.getOrAdd('', 0), 0)
  t.equal(map.get(''), 0)
})

test('texts that are known by the same number are told apart', async (t) => {
  const map = new TextMap()
  for (const [index, text] of TWINS.entries()) {
    t.equal(map.get(text), undefined, text)
    t.equal(map.getOrAdd(text, index), index, text)
  }
  t.strictSame(
    TWINS.map((text) => map.get(text)),
    [0, 1, 2, 3, 4, 5]
  )
  t.strictSame(
    TWINS.map((text) => map.getOrAdd(text, 9)),
    [0, 1, 2, 3, 4, 5]
  )
})

test('it holds what a plain map holds', async (t) => {
  const text = fc.oneof(fc.constantFrom(...TWINS), fc.string({ maxLength: 3 }))
  fc.assert(
    fc.property(fc.array(text), fc.array(text), (added, asked) => {
      const map = new TextMap()
      const plain = new Map<string, number>()
      for (const [index, one] of added.entries()) {
        plain.set(one, plain.get(one) ?? index)
        if (map.getOrAdd(one, index) !== plain.get(one)) return false
      }
      return [...added, ...asked].every((one) => map.get(one) === plain.get(one))
    })
  )
  t.pass()
})
