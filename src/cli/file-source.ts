import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdtemp, open, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Source } from '../intake/intake.ts'
import { EXIT, ExitError } from './exit.ts'

/** A file of customers on this machine. */
export interface FileSource extends Source {
  /** SHA-256 of its bytes. */
  hash(signal: AbortSignal): Promise<string>
  /** Whether it is still the file that was opened. */
  isUnchanged(): Promise<boolean>
  close(): Promise<void>
}

const CHUNK_BYTES = 256 * 1024

/**
 * Opens a file, or takes standard input (`-`) and pipes to a private temporary file first, since
 * customers are read twice.
 * @throws ExitError where it cannot be read.
 */
export async function openSource(file: string, signal: AbortSignal): Promise<FileSource> {
  try {
    if (file === '-') return await toSource('standard input', await spool(process.stdin, signal))
    const { isFile } = await kindOf(file)
    const handle = isFile ? await open(file) : await spool(createReadStream(file), signal)
    return await toSource(basename(file), handle)
  } catch (error) {
    if (signal.aborted) throw signal.reason
    const reason = error instanceof Error ? error.message : 'unknown'
    throw new ExitError(EXIT.wrongUse, `The file cannot be read: ${reason}`)
  }
}

async function kindOf(file: string) {
  const stats = await stat(file)
  if (stats.isDirectory()) throw new Error(`${file} is a folder`)
  return { isFile: stats.isFile() }
}

/**
 * Copies a stream to a file that nobody else can open. It has no name any more when this returns:
 * however the process ends, nothing of it stays.
 */
async function spool(stream: Readable, signal: AbortSignal): Promise<FileHandle> {
  const folder = await mkdtemp(join(tmpdir(), 'audience-upload-'))
  try {
    const path = join(folder, 'customers')
    const handle = await open(path, 'wx+', 0o600)
    await rm(folder, { recursive: true })
    await handle.writeFile(stream, { signal })
    return handle
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function toSource(name: string, handle: FileHandle): Promise<FileSource> {
  const { size, mtimeMs } = await handle.stat()

  /** Reads at places of its own, so that several passes do not get in each other's way. */
  async function* chunks(): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    for (let position = 0; ;) {
      const chunk = new Uint8Array(CHUNK_BYTES)
      const { bytesRead } = await handle.read(chunk, 0, CHUNK_BYTES, position)
      if (bytesRead === 0) return
      position += bytesRead
      yield chunk.subarray(0, bytesRead)
    }
  }
  return {
    name,
    bytes: size,
    open: () => ReadableStream.from(chunks()),
    async hash(signal) {
      const hash = createHash('sha256')
      const chunk = new Uint8Array(CHUNK_BYTES)
      for (let position = 0; ;) {
        signal.throwIfAborted()
        const { bytesRead } = await handle.read(chunk, 0, CHUNK_BYTES, position)
        if (bytesRead === 0) return hash.digest('hex')
        hash.update(chunk.subarray(0, bytesRead))
        position += bytesRead
      }
    },
    async isUnchanged() {
      const now = await handle.stat()
      return now.size === size && now.mtimeMs === mtimeMs
    },
    close: () => handle.close()
  }
}
