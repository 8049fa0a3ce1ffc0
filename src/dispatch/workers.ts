import { availableParallelism } from 'node:os'
import { Piscina } from 'piscina'
import type { EncodeOutcome, EncodeTask, ReadOutcome, ReadTask } from './worker.ts'

/** Worker threads for what takes time in proportion to the number of users. */
export interface Workers {
  read(task: ReadTask): Promise<ReadOutcome>
  encode(task: EncodeTask): Promise<EncodeOutcome>
  close(): Promise<void>
}

const MAX_THREADS = 4

export function createWorkers(): Workers {
  const pool = new Piscina({
    filename: new URL('./worker.ts', import.meta.url).href,
    minThreads: 1,
    maxThreads: Math.min(MAX_THREADS, availableParallelism()),
    idleTimeout: 30_000
  })
  return {
    read: (task) => pool.run(task, { name: 'readUsers' }),
    encode: (task) => pool.run(task, { name: 'encodeUsers' }),
    close: () => pool.destroy()
  }
}
