import { createHmac } from 'node:crypto'
import * as fc from 'fast-check'
import { test } from 'tap'
import {
  KEY_BYTES,
  keyedHash,
  type KeyRing,
  open,
  seal,
  SealError,
  sealMeanwhile
} from '../../src/store/sealing.ts'

const key = fc.uint8Array({ minLength: KEY_BYTES, maxLength: KEY_BYTES })
const differentKeys = fc.uniqueArray(key, {
  minLength: 3,
  maxLength: 3,
  selector: (bytes) => Buffer.from(bytes).toString('hex')
})
const bytes = fc.uint8Array({ maxLength: 2_000 })
const name = fc.string()

test('what is sealed opens under its name, with any ring that has its key', async (t) => {
  fc.assert(
    fc.property(bytes, name, differentKeys, (plain, as, [old, current, other]) => {
      if (old === undefined || current === undefined || other === undefined) return false
      const sealed = seal(plain, as, [old])
      t.same(new Uint8Array(open(sealed, as, [old])), plain)
      t.same(new Uint8Array(open(sealed, as, [current, old])), plain, 'after a rotation')
      t.throws(() => open(sealed, as, [current, other]), SealError, 'its key is gone')
      const anew = seal(plain, as, [current, old])
      t.throws(() => open(anew, as, [old]), SealError, 'the first key seals')
      return true
    }),
    { numRuns: 50 }
  )
})

test('nothing opens that was changed in any bit', async (t) => {
  fc.assert(
    fc.property(bytes, name, key, fc.nat(), fc.nat(7), (plain, as, own, at, bit) => {
      const sealed = seal(plain, as, [own])
      const index = at % sealed.length
      const changed = sealed.map((byte, position) =>
        position === index ? byte ^ (1 << bit) : byte
      )
      t.throws(() => open(changed, as, [own]), SealError)
    }),
    { numRuns: 300 }
  )
  const own = new Uint8Array(KEY_BYTES)
  const sealed = seal(Buffer.from('x'), 'name', [own])
  for (let at = 0; at < sealed.length; at += 1) {
    for (let bit = 0; bit < 8; bit += 1) {
      const changed = sealed.map((byte, position) => (position === at ? byte ^ (1 << bit) : byte))
      t.throws(() => open(changed, 'name', [own]), SealError, `byte ${at}, bit ${bit}`)
    }
    t.throws(() => open(sealed.subarray(0, at), 'name', [own]), SealError, `cut at ${at}`)
  }
})

test('nothing opens under another name', async (t) => {
  fc.assert(
    fc.property(bytes, name, name, key, (plain, as, other, own) => {
      fc.pre(as !== other)
      t.throws(() => open(seal(plain, as, [own]), other, [own]), SealError)
    }),
    { numRuns: 50 }
  )
})

test('the same text is never sealed twice to the same bytes, and is compressed', async (t) => {
  const own = new Uint8Array(KEY_BYTES).fill(3)
  const plain = Buffer.from('ada@example.com '.repeat(1_000))
  const [one, other] = [seal(plain, 'a', [own]), seal(plain, 'a', [own])]
  t.notSame(one, other)
  t.ok(one.length < plain.length / 10)
  t.notOk(Buffer.from(one).includes('ada@example.com'))
})

test('a keyed hash depends on the key that seals, which does not show in it', async (t) => {
  const [own, other] = [new Uint8Array(KEY_BYTES).fill(1), new Uint8Array(KEY_BYTES).fill(2)]
  const hashed = (text: string, ...ring: KeyRing) => keyedHash(ring).update(text).digest('hex')
  // As computed by OpenSSL's `kdf HKDF` and `dgst -mac HMAC`.
  t.equal(hashed('ada', own), '55b5d0dfb2b5799b048e2d0c025690858c04385d4000c4e22565b331fa775fdd')
  t.equal(hashed('ada', own, other), hashed('ada', own))
  t.not(hashed('ada', other, own), hashed('ada', own))
  t.not(hashed('bob', own), hashed('ada', own))
  t.not(hashed('ada', own), createHmac('sha256', own).update('ada').digest('hex'))
})

test('errors tell what to look at, and nothing of the content', async (t) => {
  const [own, other] = [new Uint8Array(KEY_BYTES).fill(1), new Uint8Array(KEY_BYTES).fill(2)]
  const sealed = seal(Buffer.from('secret'), 'a', [own])
  const messageOf = (run: () => unknown) => {
    try {
      run()
    } catch (error) {
      return error instanceof SealError ? error.message : 'another error'
    }
    return 'none'
  }
  t.equal(
    messageOf(() => open(sealed, 'a', [other])),
    'sealed with a key that is not listed in AUDIENCE_ENCRYPTION_KEY any more'
  )
  t.equal(
    messageOf(() => open(sealed, 'b', [own])),
    'the sealed bytes were changed'
  )
  t.equal(
    messageOf(() => open(new Uint8Array(), 'a', [own])),
    'not sealed by this service'
  )
})

test('users of any size open whole, however they were compressed', async (t) => {
  const ring = [new Uint8Array(KEY_BYTES).fill(1)] as const
  const text = Buffer.from('{"email":"jane@example.com"},'.repeat(10_000))
  for (const size of [0, 1, 255, 256, 65_535, 65_536, 65_792, 290_000]) {
    const plain = text.subarray(0, size)
    for (const sealed of [seal(plain, 'a', ring), await sealMeanwhile(plain, 'a', ring)]) {
      t.ok(Buffer.from(open(sealed, 'a', ring)).equals(plain), `${size} bytes`)
    }
  }
})
