import { isMarkedAsUntransferable } from 'node:worker_threads'

/** Fewer bytes may lie in memory that Node shares out among many, and wait for the collector. */
const MANY_BYTES = 64 * 1024

/**
 * Frees large bytes that nobody needs any more, their whole buffer; whoever looks finds them empty. V8
 * would keep them for long: of what lies outside of its heap it sees no more than a small object.
 */
export function discard({ buffer }: Uint8Array): void {
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength < MANY_BYTES) return
  if (!isMarkedAsUntransferable(buffer)) buffer.transfer(0)
}
