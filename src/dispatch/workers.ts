import { availableParallelism } from 'node:os'
import { Piscina } from 'piscina'
import type { EncodeOutcome, EncodeTask, ReadOutcome, ReadTask } from './worker.ts'

/** Worker threads for what takes time in proportion to the number of users. */
export interface Workers {
  /** How many tasks run at once. */
  readonly threads: number
  /** Resolves once a thread is loaded. */
  ready(): Promise<void>
  read(task: ReadTask): Promise<ReadOutcome>
  encode(task: EncodeTask): Promise<EncodeOutcome>
  close(): Promise<void>
}

const MAX_THREADS = 4
/** A body that is made to take more ends its thread, not the process. */
const MAX_HEAP_MIB = 1024
const READ_WITHIN_MS = 60_000

/** Whether a task ended because it needed more memory or time than it may have. */
export function isOutOfBounds(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return (
    error.name === 'AbortError' || ('code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY')
  )
}

export function createWorkers(): Workers {
  const threads = Math.min(MAX_THREADS, availableParallelism())
  const pool = new Piscina({
    filename: new URL('./worker.ts', import.meta.url).href,
    minThreads: 1,
    maxThreads: threads,
    idleTimeout: 30_000,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MIB }
  })
  return {
    threads,
    ready: () => pool.run(undefined, { name: 'ready' }),
    read: (task) =>
      pool.run(task, { name: 'readUsers', signal: AbortSignal.timeout(READ_WITHIN_MS) }),
    encode: (task) => pool.run(task, { name: 'encodeUsers' }),
    close: () => pool.destroy()
  }
}
