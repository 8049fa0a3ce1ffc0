import { free } from '../src/store/buffers.ts'

export interface BytesSize {
  /** Most bytes that there may be. */
  readonly limit: number
  /** There are no more than that, or nobody knows. */
  readonly expected: number
}

/**
 * The bytes of a stream in a buffer of their own, which may be longer, so that it can be given to
 * another thread; or `undefined` if there are more than the limit. Reads to the end either way.
 * @param stream of a request; its chunks are gone afterwards.
 */
export async function readBytes(
  stream: AsyncIterable<Uint8Array>,
  { limit, expected }: BytesSize
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  // Pages of a large buffer that are never written take no memory: the system gives them when needed.
  let buffer = new Uint8Array(expected)
  let size = 0
  for await (const chunk of stream) {
    const end = size + chunk.byteLength
    if (end <= limit) {
      if (end > buffer.byteLength) buffer = lengthened(buffer, Math.min(limit, 2 * end))
      buffer.set(chunk, size)
    }
    size = end
    // Nothing else was read into the buffer of a chunk that fills it.
    if (chunk.byteLength === chunk.buffer.byteLength) free(chunk.buffer)
  }
  return size > limit ? undefined : buffer.subarray(0, size)
}

function lengthened(bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  const longer = new Uint8Array(length)
  longer.set(bytes)
  free(bytes.buffer)
  return longer
}
