import multipart from '@fastify/multipart'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { MalformedBodyError, PayloadError, TooLargeError } from '../src/errors.ts'
import { readBytes } from './read-bytes.ts'

export interface FormOptions {
  /** Largest request body, preamble and epilogue included, in bytes. */
  readonly maxBodyBytes: number
  /** Fields that are read; others are skipped. Each may be there once. */
  readonly fields: readonly string[]
  /** The field that may be as large as the body. */
  readonly largeField: string
  /** What is wrong with a field that is not read; nothing if it may be there. */
  problemOf(name: string): string | undefined
}

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * Looks at the headers alone: refuses what is no form, and tells how many bytes reading it takes
     * at the most.
     * @throws MalformedBodyError, TooLargeError
     */
    formBytes(): number
    /**
     * Reads the whole form. Text fields and files are the same: bytes, not decoded. Each field has a
     * buffer of its own, which may be longer than the field, so that it can be given to another thread.
     * @throws MalformedBodyError, PayloadError, TooLargeError
     */
    readForm(): Promise<Form>
  }
}

export type Form = ReadonlyMap<string, Uint8Array<ArrayBuffer>>

const MAX_PARTS = 20
const MAX_SMALL_FIELD_BYTES = 64 * 1024
/** The first buffer for a field of unknown length; each further one is twice as long. */
const FIRST_BUFFER_BYTES = 256 * 1024

/** Reads `multipart/form-data` within strict limits, chunked bodies included. */
export default fp<FormOptions>(
  async (app, options) => {
    // Whatever is not a form reaches the handler unread and is refused there.
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', (_request, _payload, done) => done(null))
    await app.register(multipart, {
      // Text fields would be cut and decoded by the parser; as files they arrive as they are.
      isPartAFile: () => true,
      throwFileSizeLimit: false,
      limits: { parts: MAX_PARTS, fileSize: options.maxBodyBytes, headerPairs: 100 }
    })
    app.decorateRequest('formBytes', function formBytes() {
      return expectForm(this, options)
    })
    app.decorateRequest('readForm', function readForm() {
      return read(this, options)
    })
  },
  { name: 'form', fastify: '5.x' }
)

function expectForm(request: FastifyRequest, { maxBodyBytes }: FormOptions): number {
  if (!request.isMultipart()) throw new MalformedBodyError('expected multipart/form-data')
  const encoding = request.headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') throw new MalformedBodyError('a compressed body is not read here')
  const bytes = lengthOf(request) ?? maxBodyBytes
  if (bytes > maxBodyBytes) throw bodyTooLarge(maxBodyBytes)
  return bytes
}

/** What the caller says; nothing in a chunked body. */
function lengthOf({ headers }: FastifyRequest): number | undefined {
  const length = headers['content-length']
  return length === undefined ? undefined : Number(length)
}

function bodyTooLarge(maxBodyBytes: number): Error {
  return new TooLargeError(
    `the request body is over the limit of ${maxBodyBytes} bytes (AUDIENCE_MAX_BODY_BYTES)`
  )
}

async function read(request: FastifyRequest, options: FormOptions): Promise<Form> {
  expectForm(request, options)
  const overLimit = Promise.withResolvers<never>()
  const delimiters = delimiterCounter(request.headers['content-type'] ?? '')
  const stopWatching = watchBytes(request, options.maxBodyBytes, {
    onBytes: delimiters.see,
    onOver: () => overLimit.reject(bodyTooLarge(options.maxBodyBytes))
  })
  try {
    const { form, parts } = await Promise.race([collect(request, options), overLimit.promise])
    if (parts !== delimiters.count()) {
      throw new MalformedBodyError('a part cannot be read; an empty line follows its headers')
    }
    if (parts === 0) throw new MalformedBodyError('the form is empty')
    return form
  } catch (error) {
    throw translate(error)
  } finally {
    stopWatching()
  }
}

interface Watchers {
  onBytes(chunk: Buffer): void
  onOver(): void
}

/**
 * Watches the bytes as they arrive: the parser's own limits see neither what stands before the
 * first part nor what follows the last. Node reads and drops the rest once the answer is sent.
 */
function watchBytes({ raw }: FastifyRequest, limit: number, watchers: Watchers): () => void {
  let bytes = 0
  const watch = (chunk: Buffer): void => {
    bytes += chunk.byteLength
    if (bytes <= limit) {
      watchers.onBytes(chunk)
      return
    }
    raw.unpipe()
    watchers.onOver()
  }
  raw.on('data', watch)
  return () => raw.off('data', watch)
}

/**
 * Counts the delimiters that open a part (RFC 2046, 5.1.1): the parser drops a part whose headers
 * it cannot read without a word, and an upload must not lose a field like that.
 */
function delimiterCounter(contentType: string) {
  const [, quoted, unquoted] = /;\s*boundary=(?:"([^"]*)"|([^\s;]+))/i.exec(contentType) ?? []
  const delimiter = Buffer.from(`\r\n--${quoted ?? unquoted ?? ''}`)
  // Enough of the end of a chunk for a delimiter that is cut in two, with the two bytes behind it.
  const overlap = delimiter.byteLength + 1
  // The first delimiter may stand at the very beginning, without the line break before it.
  let rest: Buffer = Buffer.from('\r\n')
  let count = 0
  let isClosed = false

  /** Counts whole delimiters; returns where the last of them ended, or `from`. */
  function countIn(bytes: Buffer, from: number): number {
    let seen = from
    while (!isClosed) {
      const found = bytes.indexOf(delimiter, seen)
      const end = found + delimiter.byteLength
      if (found < 0 || end + 2 > bytes.byteLength) break
      isClosed = bytes.toString('latin1', end, end + 2) === '--'
      if (!isClosed) count += 1
      seen = end
    }
    return seen
  }

  // A copy: the memory of a chunk is freed once its part is read.
  const endOf = (bytes: Buffer, seen: number) =>
    Buffer.from(bytes.subarray(Math.max(seen, bytes.byteLength - overlap)))

  function see(chunk: Buffer): void {
    if (isClosed) return
    // Only the seam of two chunks is copied.
    const seam = Buffer.concat([rest, chunk.subarray(0, overlap)])
    const seen = countIn(seam, 0)
    const isSeen = chunk.byteLength <= overlap
    const from = Math.max(0, seen - rest.byteLength)
    rest = isSeen ? endOf(seam, seen) : endOf(chunk, countIn(chunk, from))
  }

  return { see, count: () => count }
}

async function collect(
  request: FastifyRequest,
  options: FormOptions
): Promise<{ readonly form: Form; readonly parts: number }> {
  const form = new Map<string, Uint8Array<ArrayBuffer>>()
  const { fields, largeField, maxBodyBytes } = options
  // The first problem is told after the whole body was read: until then the caller does not listen.
  let problem: Error | undefined
  let parts = 0
  for await (const part of request.parts()) {
    if (part.type !== 'file') throw new MalformedBodyError('a part is not readable')
    parts += 1
    const name = part.fieldname
    if (fields.includes(name) && form.has(name)) {
      problem ??= new PayloadError(`The field "${name}" was sent twice.`)
    }
    const misplaced = fields.includes(name) ? undefined : options.problemOf(name)
    if (misplaced !== undefined) problem ??= new PayloadError(misplaced)
    if (!fields.includes(name) || problem !== undefined) {
      await readBytes(part.file, { limit: 0, expected: 0 })
      continue
    }
    const limit = name === largeField ? maxBodyBytes : MAX_SMALL_FIELD_BYTES
    const expected = Math.min(limit, lengthOf(request) ?? FIRST_BUFFER_BYTES)
    const bytes = await readBytes(part.file, { limit, expected })
    if (bytes === undefined) {
      problem = new TooLargeError(`the field "${name}" is over the limit of ${limit} bytes`)
    } else {
      form.set(name, bytes)
    }
  }
  if (problem !== undefined) throw problem
  return { form, parts }
}

/** The parser's own errors carry no status or one that is not the contract's. */
function translate(error: unknown): Error {
  const own = [MalformedBodyError, PayloadError, TooLargeError]
  if (error instanceof Error && own.some((Own) => error instanceof Own)) return error
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'FST_PARTS_LIMIT')
    return new TooLargeError(`the form has more than ${MAX_PARTS} parts`)
  if (code === 'FST_PROTO_VIOLATION') return new MalformedBodyError('a part has a forbidden name')
  return new MalformedBodyError(error instanceof Error ? plain(error.message) : 'unreadable')
}

/** The parser's messages are fixed texts; anything else stays inside. */
function plain(message: string): string {
  return /^[\w .:,()'-]{1,120}$/.test(message) ? message : 'unreadable'
}
