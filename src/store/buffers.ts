import { isMarkedAsUntransferable } from 'node:worker_threads'

/**
 * Frees the memory of a buffer that is the caller's alone and that nobody needs any more; what Node
 * shares out among many stays. Left to the collector, it would stay until a lot has come together,
 * and the whole heap would be looked through for it.
 */
export function free(buffer: ArrayBufferLike): void {
  if (buffer instanceof ArrayBuffer && !isMarkedAsUntransferable(buffer)) buffer.transfer(0)
}
