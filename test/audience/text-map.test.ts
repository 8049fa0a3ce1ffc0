import * as fc from 'fast-check'
import { test } from 'tap'
import { numberOf, TextMap } from '../../src/audience/text-map.ts'

/** Texts that FNV-1a gives the same number (softwareengineering.stackexchange.com/a/145633). */
const TWINS = ['costarring', 'liquid', 'declinate', 'macallums', 'altarage', 'zinke']

test('a text keeps the number that it was given first', async (t) => {
  const map = new TextMap()
  t.equal(map.getOrAdd('ana', 7), 7)
  t.equal(map.getOrAdd('ana', 8), 7)
  t.equal(map.getOrAdd(['a', 'na'].join(''), 9), 7)
  t.equal(map.getOrAdd('Ana', 9), 9)
  t.equal(map.getOrAdd('', 0), 0)
  t.equal(map.getOrAdd('', 1), 0)
})

test('texts that are known by the same number or crowd in one place are told apart', async (t) => {
  const crowd = Array.from({ length: 400_000 }, (_, index) => `text ${index}`).filter((text) => {
    const number = numberOf(text)
    return ((number ^ (number >>> 15)) & 0x3f_ff) === 0
  })
  const texts = [...TWINS, ...crowd]
  t.ok(crowd.length > 16, `${crowd.length} texts have the same place among 16,384`)
  for (const count of [texts.length, 20_000]) {
    const map = new TextMap()
    // So many others that it grows in between.
    const others = Array.from({ length: count }, (_, index) => `other ${index}`)
    const all = [...texts, ...others]
    const added = all.map((text, index) => map.getOrAdd(text, index))
    t.strictSame(added, [...all.keys()])
    t.strictSame(
      all.map((text) => map.get(text)),
      [...all.keys()]
    )
    t.strictSame(
      texts.map((text) => map.getOrAdd(text, -1)),
      [...texts.keys()]
    )
    t.equal(map.get('unknown'), undefined)
  }
})

test('it holds what a plain map holds', async (t) => {
  const text = fc.oneof(fc.constantFrom(...TWINS), fc.string({ maxLength: 3 }))
  fc.assert(
    fc.property(fc.array(text, { size: 'large' }), (added) => {
      const map = new TextMap()
      const plain = new Map<string, number>()
      return added.every((one, index) => {
        plain.set(one, plain.get(one) ?? index)
        return map.getOrAdd(one, index) === plain.get(one)
      })
    })
  )
  t.pass()
})
