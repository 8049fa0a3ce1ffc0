import { IntakeError, type Source } from './intake.ts'

export interface Watch {
  readonly signal?: AbortSignal | undefined
  /** Hears of the bytes read so far, as they are stored. */
  readonly onProgress?: ((bytes: number) => void) | undefined
}

type Bytes = Uint8Array<ArrayBuffer>

/** RFC 1952, section 2.3.1. */
const GZIP = [0x1f, 0x8b]

export function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, index) => bytes[index] === byte)
}

/** By a reader: not every browser iterates over streams. One that stops early lets go of the file. */
async function* chunksOf(stream: ReadableStream<Bytes>): AsyncGenerator<Bytes> {
  const reader = stream.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

/** The first bytes, at least `count` of them unless there are fewer. */
async function firstBytes(chunks: AsyncIterable<Bytes>, count: number): Promise<Bytes> {
  let head: Bytes = new Uint8Array(0)
  for await (const chunk of chunks) {
    const longer = new Uint8Array(head.length + chunk.length)
    longer.set(head)
    longer.set(chunk, head.length)
    head = longer
    if (head.length >= count) break
  }
  return head
}

export async function isGzip(source: Source): Promise<boolean> {
  return startsWith(await firstBytes(chunksOf(source.open()), GZIP.length), GZIP)
}

/** Counts before anything is unpacked. */
function counting({ signal, onProgress }: Watch): TransformStream<Bytes, Bytes> {
  let bytes = 0
  return new TransformStream({
    transform(chunk, controller) {
      signal?.throwIfAborted()
      bytes += chunk.byteLength
      onProgress?.(bytes)
      controller.enqueue(chunk)
    }
  })
}

async function* unpack(stream: ReadableStream<Bytes>): AsyncGenerator<Bytes> {
  try {
    yield* chunksOf(stream.pipeThrough(new DecompressionStream('gzip')))
  } catch (error) {
    // Of these the Compression Standard makes TypeErrors, without a word of what it was.
    if (!(error instanceof TypeError)) throw error
    throw new IntakeError(
      'The gzip file is cut off or damaged, or consists of several gzip files; unpack it first'
    )
  }
}

/** The bytes of the file, unpacked. */
export function readBytes(
  source: Source,
  isPacked: boolean,
  watch: Watch = {}
): AsyncGenerator<Bytes> {
  const stream = source.open().pipeThrough(counting(watch))
  return isPacked ? unpack(stream) : chunksOf(stream)
}

/** The first bytes of the unpacked file, at least `count` of them unless there are fewer. */
export function readHead(source: Source, isPacked: boolean, count: number): Promise<Bytes> {
  return firstBytes(readBytes(source, isPacked), count)
}
