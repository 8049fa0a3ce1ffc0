import { Worker } from 'node:worker_threads'
import { type SqlStore, sweepAll } from './sql-store.ts'
import {
  type Answer,
  type Call,
  movable,
  readError,
  type ThreadOptions,
  usersOf
} from './sqlite-calls.ts'
import { type Store, StoreError, type StoreOptions } from './store.ts'

export interface SqliteOptions extends StoreOptions {
  /** `:memory:` for none. */
  readonly path: string
  readonly maxPages?: ThreadOptions['maxPages']
  readonly lockWaitMs?: ThreadOptions['lockWaitMs']
}

const THREAD = new URL('./sqlite-worker.ts', import.meta.url)

/**
 * The store in a SQLite file, which lives in a thread of its own: its writes take milliseconds that
 * the event loop must not spend. Every function here is a message to that thread.
 * @throws StoreError where the file cannot be opened.
 */
export async function openSqlite(options: SqliteOptions): Promise<Store> {
  const thread = createThread(options)
  const call =
    <K extends keyof SqlStore>(name: K) =>
    (...args: Parameters<SqlStore[K]>): Promise<Awaited<ReturnType<SqlStore[K]>>> =>
      thread.call(name, args)
  const sweepSome = call('sweepSome')

  const store: Store = {
    accept: call('accept'),
    turns: call('turns'),
    work: call('work'),
    isUnconfirmed: call('isUnconfirmed'),
    startable: call('startable'),
    untried: call('untried'),
    sealedUsers: call('sealedUsers'),
    deliveries: call('deliveries'),
    changeDelivery: call('changeDelivery'),
    moveDelivery: call('moveDelivery'),
    setReport: call('setReport'),
    session: call('session'),
    sessions: call('sessions'),
    sessionDeliveries: call('sessionDeliveries'),
    changesSince: call('changesSince'),
    restart: call('restart'),
    segments: call('segments'),
    segment: call('segment'),
    changeSegment: call('changeSegment'),
    account: call('account'),
    accounts: call('accounts'),
    setAccount: call('setAccount'),
    claimProbe: call('claimProbe'),
    takeHooks: call('takeHooks'),
    settleHook: call('settleHook'),
    waitingHooks: call('waitingHooks'),
    syncAudiences: (request) => thread.call('syncAudiences', [request], movable(usersOf(request))),
    audiences: call('audiences'),
    takeDueAudiences: call('takeDueAudiences'),
    noteStatus: call('noteStatus'),
    task: call('task'),
    pushOf: call('pushOf'),
    backlog: call('backlog'),
    // The thread answers others in between.
    sweep: (now) => sweepAll(() => sweepSome(now)),
    close: () => thread.close()
  }
  try {
    await store.backlog()
  } catch (error) {
    await thread.close()
    throw error
  }
  thread.wasOpened()
  return store
}

interface Waiting {
  readonly resolve: (value: never) => void
  readonly reject: (error: Error) => void
}

/** Talks to the thread, and starts another one when it has died. */
function createThread(options: SqliteOptions) {
  const waiting = new Map<number, Waiting>()
  let worker: Worker | undefined
  let mustExist = false
  let isClosed = false
  let lastId = 0

  function start(): Worker {
    const workerData: ThreadOptions = { ...options, mustExist }
    // Loaders and inspectors of the process would only slow its start down.
    const started = new Worker(THREAD, { workerData, execArgv: [] })
    let cause: unknown
    started.on('message', settle)
    started.on('error', (error) => {
      cause = error
    })
    started.on('exit', () => {
      worker = undefined
      failAll(new StoreError('the thread of the database ended', { cause }))
    })
    return started
  }

  function settle(answer: Answer<never>): void {
    const asked = waiting.get(answer.id)
    waiting.delete(answer.id)
    if ('error' in answer) asked?.reject(readError(answer.error))
    else asked?.resolve(answer.value)
  }

  function failAll(error: StoreError): void {
    const failed = [...waiting.values()]
    waiting.clear()
    for (const { reject } of failed) reject(error)
  }

  function call<T>(
    name: keyof SqlStore,
    args: readonly unknown[],
    moved = movable(args)
  ): Promise<T> {
    return isClosed
      ? Promise.reject(new StoreError('the store is closed'))
      : send(name, args, moved)
  }

  function send<T>(
    name: keyof SqlStore,
    args: readonly unknown[],
    moved: readonly ArrayBuffer[] = []
  ): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const message: Call = { id: (lastId += 1), name, args }
    waiting.set(message.id, { resolve, reject })
    worker ??= start()
    worker.postMessage(message, moved)
    return promise
  }

  return {
    call,
    /** From now on the file must be there. */
    wasOpened() {
      mustExist = true
    },
    /** Lets everything that was called before end. */
    async close(): Promise<void> {
      if (isClosed) return
      isClosed = true
      if (worker !== undefined) await send('close', []).catch(() => undefined)
      await worker?.terminate()
    }
  }
}
