import type { Turn } from './queue.ts'
import type { Transaction } from './rows.ts'
import { accept, restart } from './sql-accept.ts'
import { account, accounts, claimProbe, setAccount } from './sql-accounts.ts'
import {
  changeDelivery,
  deliveries,
  isUnconfirmed,
  moveDelivery,
  sealedUsers,
  setReport,
  startable,
  turns,
  untried,
  work
} from './sql-deliveries.ts'
import { settleHook, takeHooks, waitingHooks } from './sql-hooks.ts'
import { audiences } from './sql-ledger.ts'
import { changeSegment, segment, segments } from './sql-segments.ts'
import { changesSince, session, sessionDeliveries, sessions } from './sql-sessions.ts'
import { noteStatus, takeDueAudiences } from './sql-status.ts'
import {
  backlog,
  type Cutoffs,
  cutoffsOf,
  MAX_SESSIONS,
  sweepable,
  sweepHooks,
  sweepSession
} from './sql-sweep.ts'
import { syncAudiences } from './sql-sync.ts'
import { giveUpTask, overdueTasks, pushOf, sweepTasks, task } from './sql-tasks.ts'
import type { Database, Sql } from './sql.ts'
import type { Store, StoreOptions } from './store.ts'
import { sweepSyncs } from './sync-records.ts'

export interface SqlStoreOptions extends StoreOptions {
  /** Writes turns to a queue that lies in the same database, in the transaction that made them. */
  readonly enqueue?: (sql: Sql, turns: readonly Turn[]) => Promise<void>
}

export interface SqlStore extends Store {
  /** A part of a sweep that others can wait for. Returns whether there is more to do. */
  sweepSome(now: number): Promise<boolean>
}

/** SQLite's transactions run one after the other; in PostgreSQL only a sequence never repeats. */
const NEXT_POSITION = {
  sqlite: '(SELECT COALESCE(MAX(position), 0) + 1 FROM deliveries)',
  postgres: "nextval('positions')"
} as const satisfies Record<Database['dialect'], string>

/** The store over a database whose schema is up to date. */
export function createSqlStore(database: Database, options: SqlStoreOptions): SqlStore {
  const { enqueue } = options
  const nextPosition = NEXT_POSITION[database.dialect]

  function beginWith(sql: Sql): Transaction {
    return {
      sql,
      nextPosition,
      options,
      async enqueue(made) {
        if (made.length > 0) await enqueue?.(sql, made)
      }
    }
  }

  /** A function of the store, in a transaction of its own. */
  const inTransaction =
    <A extends readonly unknown[], R>(run: (transaction: Transaction, ...args: A) => Promise<R>) =>
    (...args: A): Promise<R> =>
      database.transaction((sql) => run(beginWith(sql), ...args))

  async function sweepSome(now: number): Promise<boolean> {
    const cutoffs = cutoffsOf(options, now)
    await inTransaction(sweepHooks)(now)
    await inTransaction(sweepTasks)(cutoffs.tasks)
    const overdue = await inTransaction(overdueTasks)(now)
    for (const one of overdue) await inTransaction(giveUpTask)(one, now)
    const hasMoreSyncs = await inTransaction(sweepSyncs)(now)
    const hasMoreSessions = await sweepSessions(cutoffs)
    return hasMoreSyncs || hasMoreSessions || overdue.length > 0
  }

  async function sweepSessions(cutoffs: Cutoffs): Promise<boolean> {
    const found = await inTransaction(sweepable)(cutoffs)
    let cleared = 0
    // Each session in a transaction of its own: nobody has to wait for all of them.
    for (const { owner, sessionId } of found) {
      if (await inTransaction(sweepSession)(owner, sessionId, cutoffs)) cleared += 1
    }
    return found.length === MAX_SESSIONS && cleared > 0
  }

  return {
    accept: inTransaction(accept),
    turns: inTransaction(turns),
    work: inTransaction(work),
    isUnconfirmed: inTransaction(isUnconfirmed),
    startable: inTransaction(startable),
    untried: inTransaction(untried),
    sealedUsers: inTransaction(sealedUsers),
    deliveries: inTransaction(deliveries),
    changeDelivery: inTransaction(changeDelivery),
    moveDelivery: inTransaction(moveDelivery),
    setReport: inTransaction(setReport),
    session: inTransaction(session),
    sessions: inTransaction(sessions),
    sessionDeliveries: inTransaction(sessionDeliveries),
    changesSince: inTransaction(changesSince),
    restart: inTransaction(restart),
    segments: inTransaction(segments),
    segment: inTransaction(segment),
    changeSegment: inTransaction(changeSegment),
    account: inTransaction(account),
    accounts: inTransaction(accounts),
    setAccount: inTransaction(setAccount),
    claimProbe: inTransaction(claimProbe),
    takeHooks: inTransaction(takeHooks),
    settleHook: inTransaction(settleHook),
    waitingHooks: inTransaction(waitingHooks),
    syncAudiences: inTransaction(syncAudiences),
    audiences: inTransaction(audiences),
    takeDueAudiences: inTransaction(takeDueAudiences),
    noteStatus: inTransaction(noteStatus),
    task: inTransaction(task),
    pushOf: inTransaction(pushOf),
    backlog: inTransaction(backlog),
    sweep: (now) => sweepAll(() => sweepSome(now)),
    sweepSome,
    close: () => database.close()
  }
}

/** Sweeps part after part, until there is nothing more to do. */
export async function sweepAll(sweepSome: () => Promise<boolean>): Promise<void> {
  while (await sweepSome());
}
