import * as fc from 'fast-check'
import { test } from 'tap'
import { Utf8Writer } from '../../src/audience/utf8-writer.ts'

const utf8 = (text: string) => new TextEncoder().encode(text)

/** Of one to four bytes a character, some longer than what is encoded at once. */
const texts = fc.array(
  fc
    .tuple(fc.string({ unit: 'grapheme' }), fc.constantFrom(0, 1, 3, 5_000))
    .map(([text, times]) => text.repeat(times)),
  { maxLength: 20 }
)

test('many texts give the bytes of one, body after body', async (t) => {
  const writer = new Utf8Writer()
  fc.assert(
    fc.property(texts, (body) => {
      for (const text of body) writer.write(text)
      return Buffer.compare(writer.take(), utf8(body.join(''))) === 0
    })
  )
  t.strictSame(writer.take(), new Uint8Array(0), 'nothing is left over')
})

test('bytes that were taken share their memory with nothing', async (t) => {
  const writer = new Utf8Writer()
  for (const length of [0, 3, 5_000, 100_000]) {
    for (let written = 0; written < length; written += 1) writer.write('x')
    const { byteOffset, byteLength, buffer } = writer.take()
    t.strictSame([byteOffset, byteLength, buffer.byteLength], [0, length, length])
  }
})

test('whether a text still fits is counted in bytes', async (t) => {
  for (const character of ['u', 'ü', '李', '😀']) {
    const size = utf8(character).length
    for (const count of [1, 9, 6_000]) {
      const writer = new Utf8Writer()
      writer.write(character.repeat(count))
      const full = size * (count + 2)
      const label = `${character} ${count}`
      t.ok(writer.hasRoomFor(character.repeat(2), full), label)
      t.notOk(writer.hasRoomFor(character.repeat(2), full - 1), label)
      t.notOk(writer.hasRoomFor(`${character.repeat(2)}u`, full), label)
      writer.write(character)
      t.ok(writer.hasRoomFor(character, full), label)
      t.notOk(writer.hasRoomFor(character, full - 1), label)
      t.equal(writer.take().byteLength, full - size, label)
      t.ok(writer.hasRoomFor(character, size), 'the next body is empty')
    }
  }
})
