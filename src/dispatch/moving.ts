import { isMarkedAsUntransferable } from 'node:worker_threads'
import { move, transferableSymbol, valueSymbol } from 'piscina'

/**
 * A task or a result whose bytes move to the other thread instead of being copied: here they are gone
 * from then on. Bytes in a buffer that Node shares out among many are copied all the same.
 */
export function moving(value: object, bytes: readonly Uint8Array[]) {
  const buffers = new Set(bytes.map(({ buffer }) => buffer))
  const own = [...buffers].filter(
    (buffer) => buffer instanceof ArrayBuffer && !isMarkedAsUntransferable(buffer)
  )
  return move({ [transferableSymbol]: own, [valueSymbol]: value })
}
