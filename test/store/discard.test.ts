import { markAsUntransferable } from 'node:worker_threads'
import { test } from 'tap'
import { discard } from '../../src/store/discard.ts'

test('large bytes are let go with their whole buffer', async (t) => {
  const bytes = new Uint8Array(100_000).subarray(10, 20)
  discard(bytes)
  t.same([bytes.length, bytes.buffer.byteLength, bytes.buffer.detached], [0, 0, true])
  discard(bytes)
})

test('bytes in memory that others have a part of are left as they are', async (t) => {
  const small = Buffer.from('from the memory that Node shares out')
  discard(small)
  t.equal(small.toString(), 'from the memory that Node shares out')
  const kept = new Uint8Array(100_000)
  markAsUntransferable(kept.buffer)
  discard(kept)
  t.equal(kept.length, 100_000)
  const shared = new Uint8Array(new SharedArrayBuffer(100_000))
  discard(shared)
  t.equal(shared.length, 100_000)
})
