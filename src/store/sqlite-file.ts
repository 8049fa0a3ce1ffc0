import { chmodSync, closeSync, existsSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Sql, SqlValue } from './sql.ts'
import { StoreError } from './store.ts'
import type { ThreadOptions } from './sqlite-calls.ts'

/** An open file. Not for several users at once: it has one transaction at a time. */
export interface SqliteFile {
  readonly sql: Sql
  /** Statements without values and answers. */
  readonly exec: (statements: string) => void
  readonly isInTransaction: () => boolean
  /** It is no longer the file that its path names, or its disk failed: it has to be opened anew. */
  readonly isLost: () => boolean
  /** Gives some free space back to the disk. Returns whether there is more of it. */
  readonly tidy: () => boolean
  readonly close: () => void
}

export const IN_MEMORY = ':memory:'

const MIB = 1024 * 1024

/** In this order: the vacuum has to be chosen before the first page is written. */
const SETTINGS = `
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA auto_vacuum = INCREMENTAL;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA temp_store = MEMORY;
  PRAGMA journal_size_limit = ${16 * MIB};
`

/** Pages that are given back at once: a few milliseconds' work. */
const VACUUM_PAGES = 500

/** Primary result codes (https://sqlite.org/rescode.html). */
const BUSY = 5
const FAILURES: Readonly<Record<number, string>> = {
  [BUSY]: 'is in use by another process',
  6: 'is locked',
  7: 'found no memory',
  8: 'is read-only',
  9: 'was interrupted',
  10: 'cannot be read or written: its disk failed',
  11: 'is damaged: restore a backup',
  13: 'cannot grow: the disk is full',
  14: 'cannot be opened: look at its folder and the permissions',
  15: 'cannot be locked',
  22: 'is too large',
  26: 'is no database'
}
/** After these the file is opened anew; after a full disk it goes on as it is. */
const LOSSES: ReadonlySet<number> = new Set([8, 10, 11, 14, 15, 26])

/** The primary result code of an error of SQLite. */
function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined
  return Number(error.errcode) & 0xff
}

/** What the disk or another process did becomes a StoreError; our own mistakes stay as they are. */
function toStoreError(error: unknown, path: string): unknown {
  const problem = FAILURES[resultCode(error) ?? 0]
  return problem === undefined
    ? error
    : new StoreError(`the database ${path} ${problem}`, { cause: error })
}

/** Whether it is the lock of another process that an error tells of. */
export function isBusy(error: unknown): boolean {
  return error instanceof StoreError && resultCode(error.cause) === BUSY
}

/**
 * Opens a file, or makes it with its folder, readable for this user alone.
 * @throws StoreError
 */
export function openFile({ path, mustExist, maxPages }: ThreadOptions): SqliteFile {
  const isFile = path !== IN_MEMORY
  if (isFile) prepare(path, mustExist)
  const database = connect(path, maxPages)
  const opened = isFile ? fileId(path) : undefined
  const statements = new Map<string, StatementSync>()
  let isBroken = false

  function prepared(statement: string): StatementSync {
    const known = statements.get(statement) ?? database.prepare(statement)
    statements.set(statement, known)
    return known
  }

  function attempt<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      if (LOSSES.has(resultCode(error) ?? 0)) isBroken = isFile
      throw toStoreError(error, path)
    }
  }

  return {
    sql: {
      run: async (statement, values: readonly SqlValue[] = []) =>
        attempt(() => prepared(statement).all(...values))
    },
    exec: (text) => attempt(() => database.exec(text)),
    isInTransaction: () => database.isTransaction,
    isLost: () => isBroken || (isFile && fileId(path) !== opened),
    tidy: () => tidy(database),
    close: () => database.close()
  }
}

function tidy(database: DatabaseSync): boolean {
  try {
    const before = freePages(database)
    database.prepare(`PRAGMA incremental_vacuum(${VACUUM_PAGES})`).all()
    const after = freePages(database)
    if (after > 0 && after < before) return true
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  } catch {
    // It needs some space itself. There is a next time.
  }
  return false
}

function freePages(database: DatabaseSync): number {
  return Number(database.prepare('PRAGMA freelist_count').get()?.['freelist_count'])
}

function prepare(path: string, mustExist: boolean): void {
  if (existsSync(path)) return
  if (mustExist) throw new StoreError(`the database ${path} is gone`)
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    closeSync(openSync(path, 'a', 0o600))
    // Whatever the process' own mask adds or takes.
    chmodSync(path, 0o600)
  } catch (cause) {
    throw new StoreError(`the database ${path} cannot be made: ${String(cause)}`, { cause })
  }
}

function connect(path: string, maxPages: number | undefined): DatabaseSync {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { timeout: 0 })
    database.exec(SETTINGS)
    if (maxPages !== undefined) database.exec(`PRAGMA max_page_count = ${maxPages}`)
    // Takes the lock now, not with the first upload.
    database.exec('BEGIN EXCLUSIVE; COMMIT')
    return database
  } catch (error) {
    database?.close()
    throw toStoreError(error, path)
  }
}

/** Tells one file from another that takes its place; `undefined` where there is none. */
function fileId(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path)
    return `${dev}/${ino}`
  } catch {
    return undefined
  }
}
