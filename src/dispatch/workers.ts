import { availableParallelism } from 'node:os'
import PQueue from 'p-queue'
import { Piscina } from 'piscina'
import { moving } from './moving.ts'
import { readCall, type ReadCallOutcome, type ReadCallTask } from './read-call.ts'
import { createShares } from './shares.ts'
import type {
  EncodeOutcome,
  EncodeTask,
  InspectOutcome,
  InspectTask,
  ReadOutcome,
  ReadTask
} from './worker.ts'

/** Worker threads for what takes time in proportion to the number of users. */
export interface Workers {
  /** How many tasks run at once. */
  readonly threads: number
  /** Resolves once a thread is loaded. */
  ready(): Promise<void>
  /** Takes the users' buffer away: whatever comes of it, the bytes are gone. */
  read(task: ReadTask): Promise<ReadOutcome>
  /** Takes the users' buffer away. */
  inspect(task: InspectTask): Promise<InspectOutcome>
  /** Reads a message of MCP: here where it is small, else in a thread, which takes its buffer away. */
  readCall(task: ReadCallTask): Promise<ReadCallOutcome>
  /** Takes the sealed users' buffer away. */
  encode(task: EncodeTask): Promise<EncodeOutcome>
  /** How much there is to do now. */
  load(): WorkersLoad
  close(): Promise<void>
}

export interface WorkersLoad {
  /** Threads with a task. */
  readonly busy: number
  /** Tasks that wait for a thread. */
  readonly waiting: number
}

const MAX_THREADS = 4
/** A body that is made to take more ends its thread, not the process. */
const MAX_HEAP_MIB = 1024
/** How long a task may take, in milliseconds, with the time that it waits for a thread. */
const WITHIN_MS = { read: 60_000, encode: 300_000 }
/** A message of so many bytes is read sooner than it is handed to a thread and back. */
const SMALL_CALL_BYTES = 64 * 1024

/** Whether a task ended because it needed more memory than it may have. */
export function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY'
}

/** Whether a task ended because its time was over. */
export function isOutOfTime(error: unknown): boolean {
  return error instanceof Error && ['AbortError', 'TimeoutError'].includes(error.name)
}

export function createWorkers(withinMs = WITHIN_MS): Workers {
  const threads = Math.min(MAX_THREADS, availableParallelism())
  const pool = new Piscina({
    filename: new URL('./worker.ts', import.meta.url).href,
    minThreads: 1,
    maxThreads: threads,
    idleTimeout: 30_000,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MIB }
  })
  // A thread that is ended because its task's time was over may run out of memory before it is gone.
  pool.on('error', () => undefined)
  const shares = createShares(threads)
  // One at a time: all bodies of an upload are there at once, and nothing else counts what they take.
  const inspections = new PQueue({ concurrency: 1 })
  /** Tasks that the pool has, those in its own queue among them. */
  let given = 0

  async function run<T>(work: () => Promise<T>): Promise<T> {
    given += 1
    try {
      return await work()
    } finally {
      given -= 1
    }
  }
  return {
    threads,
    ready: () => pool.run(undefined, { name: 'ready' }),
    read(task) {
      const signal = AbortSignal.timeout(withinMs.read)
      const read = () => pool.run(moving(task, [task.users]), { name: 'read', signal })
      return shares.read(() => run(read), signal)
    },
    inspect(task) {
      const signal = AbortSignal.timeout(withinMs.read)
      const inspect = () => pool.run(moving(task, [task.users]), { name: 'inspect', signal })
      return inspections.add(() => shares.read(() => run(inspect), signal), { signal })
    },
    async readCall(task) {
      if (task.body.byteLength <= SMALL_CALL_BYTES) return readCall(task)
      const signal = AbortSignal.timeout(withinMs.read)
      const read = () => pool.run(moving(task, [task.body]), { name: 'readLargeCall', signal })
      return shares.read(() => run(read), signal)
    },
    encode(task) {
      const signal = AbortSignal.timeout(withinMs.encode)
      const encode = () => pool.run(moving(task, [task.sealed]), { name: 'encode', signal })
      return shares.prepare(() => run(encode))
    },
    load: () => ({ busy: given - pool.queueSize, waiting: pool.queueSize + shares.waiting }),
    close: () => pool.destroy()
  }
}
