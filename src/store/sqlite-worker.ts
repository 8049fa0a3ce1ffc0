import { setTimeout as wait } from 'node:timers/promises'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { migrate } from './migrations.ts'
import { createSqlStore, type SqlStore } from './sql-store.ts'
import type { Database } from './sql.ts'
import { type Answer, type Call, movable, type ThreadOptions, writeError } from './sqlite-calls.ts'
import { isBusy, openFile, type SqliteFile } from './sqlite-file.ts'
import { StoreError } from './store.ts'

const LOCK_WAIT_MS = 10_000
const LOCK_POLL_MS = 200
/** Calls that one transaction takes on. */
const MAX_GROUP = 100

/** A file with the store on it. */
interface Opened {
  readonly file: SqliteFile
  readonly store: SqlStore
}

/** Answers the calls that come in on a port, those that wait together in one transaction. */
export function serve(port: MessagePort, options: ThreadOptions): void {
  const waiting: Call[] = []
  let opened: Opened | undefined
  let { mustExist } = options
  let isRunning = false
  let isUntidy = false

  port.on('message', (call: Call) => {
    waiting.push(call)
    // After all messages that are there already.
    if (!isRunning) setImmediate(run)
    isRunning = true
  })

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const group = waiting.splice(0, groupSize(waiting))
      for (const answer of await answerGroup(group)) {
        port.postMessage(answer, 'value' in answer ? movable([answer.value]) : [])
      }
      if (group.some(({ name }) => name === 'sweepSome')) isUntidy = true
    }
    isRunning = false
    tidy()
  }

  async function answerGroup(group: readonly Call[]): Promise<readonly Answer[]> {
    if (group[0]?.name === 'close') return close(group[0])
    try {
      const { file, store } = await ensureOpen()
      return await runGroup(file, store, group)
    } catch (error) {
      return group.map(({ id }) => ({ id, error: writeError(error) }))
    }
  }

  async function ensureOpen(): Promise<Opened> {
    if (opened?.file.isLost() === true) {
      const { file } = opened
      opened = undefined
      file.close()
    }
    opened ??= await open({ ...options, mustExist })
    mustExist = true
    return opened
  }

  function close({ id }: Call): readonly Answer[] {
    opened?.file.close()
    opened = undefined
    return [{ id, value: undefined }]
  }

  /** Gives space back in small portions for as long as nobody calls. */
  function tidy(): void {
    if (!isUntidy || isRunning || opened === undefined) return
    isUntidy = opened.file.tidy()
    if (isUntidy) setImmediate(tidy)
  }
}

/** A closing stands alone: nothing comes after it. */
function groupSize(waiting: readonly Call[]): number {
  const closing = waiting.findIndex(({ name }) => name === 'close')
  return closing < 0 ? MAX_GROUP : Math.min(MAX_GROUP, Math.max(1, closing))
}

/** Opens the file and brings its schema up to date; waits for another process to let it go. */
async function open(options: ThreadOptions): Promise<Opened> {
  const file = await openUnlocked(options, Date.now() + (options.lockWaitMs ?? LOCK_WAIT_MS))
  const database: Database = {
    dialect: 'sqlite',
    transaction: (work) => inSavepoint(file, work),
    close: async () => file.close()
  }
  try {
    await migrate(database)
  } catch (error) {
    file.close()
    throw error
  }
  return { file, store: createSqlStore(database, options) }
}

async function openUnlocked(options: ThreadOptions, until: number): Promise<SqliteFile> {
  try {
    return openFile(options)
  } catch (error) {
    if (!isBusy(error)) throw error
    if (Date.now() > until) {
      throw new StoreError(
        `the database ${options.path} is in use by another process: ` +
          'one process has it for itself. Stop the other one, or let several share PostgreSQL',
        { cause: error }
      )
    }
  }
  await wait(LOCK_POLL_MS)
  return openUnlocked(options, until)
}

/** A transaction of its own, or a part of the group's that can be taken back alone. */
async function inSavepoint<T>(
  { sql, exec, isInTransaction }: SqliteFile,
  work: (sql: SqliteFile['sql']) => Promise<T>
): Promise<T> {
  exec('SAVEPOINT call')
  try {
    const result = await work(sql)
    exec('RELEASE call')
    return result
  } catch (error) {
    // After some failures SQLite has taken back everything by itself.
    if (isInTransaction()) exec('ROLLBACK TO call; RELEASE call')
    throw error
  }
}

/**
 * Answers a group of calls once all of them are on the disk. Where the database fails each call is
 * tried by itself, so that one that is too much for the disk does not take the others with it.
 */
async function runGroup(
  file: SqliteFile,
  store: SqlStore,
  group: readonly Call[]
): Promise<readonly Answer[]> {
  try {
    return await runTogether(file, store, group)
  } catch (error) {
    if (file.isInTransaction()) file.exec('ROLLBACK')
    const [first] = group
    if (first !== undefined && group.length === 1) {
      return [{ id: first.id, error: writeError(error) }]
    }
  }
  const answers: Answer[] = []
  for (const call of group) answers.push(...(await runGroup(file, store, [call])))
  return answers
}

async function runTogether(
  file: SqliteFile,
  store: SqlStore,
  group: readonly Call[]
): Promise<readonly Answer[]> {
  file.exec('BEGIN IMMEDIATE')
  const answers: Answer[] = []
  for (const call of group) answers.push(await answerCall(store, call))
  file.exec('COMMIT')
  return answers
}

async function answerCall(store: SqlStore, { id, name, args }: Call): Promise<Answer> {
  try {
    const value: unknown = await Reflect.apply(store[name], store, args)
    return { id, value }
  } catch (error) {
    if (error instanceof StoreError) throw error
    return { id, error: writeError(error) }
  }
}

if (parentPort !== null) serve(parentPort, workerData)
