import { setTimeout as wait } from 'node:timers/promises'
import { DatabaseError, Pool, type PoolClient, type QueryResult, TypeOverrides } from 'pg'
import type { Database, Row, Sql, SqlValue } from './sql.ts'
import { StoreError } from './store.ts'

const INT8 = 20
const NUMERIC = 1700

const types = new TypeOverrides()
// Counts, times and sums: all of them within the safe integers.
types.setTypeParser(INT8, Number)
types.setTypeParser(NUMERIC, Number)

/** A transaction that got into another one's way is repeated this often. */
const ATTEMPTS = 6
const LONGEST_PAUSE_MS = 50

/**
 * Connections to a database, made when they are needed. What the URL sets goes before what is set
 * here; `sslmode` and its fellows mean what pg takes them to mean.
 */
export function createPool(url: string, connections: number): Pool {
  const pool = new Pool({
    connectionString: url,
    max: connections,
    fallback_application_name: 'audience-api',
    types,
    connectionTimeoutMillis: 10_000,
    statement_timeout: 30_000,
    // For a server that does not even answer that it gave up.
    query_timeout: 40_000,
    // Whoever stops in the middle, or vanishes without a word, must not hold locks for long.
    idle_in_transaction_session_timeout: 30_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000
  })
  // A connection that breaks while nobody uses it is replaced by the next that is needed.
  pool.on('error', ignore)
  // It may also break between two statements, or after it was given back as broken: then nobody
  // waits for it, and an error that nobody listens to would end the process.
  pool.on('connect', (client) => client.on('error', ignore))
  return pool
}

/**
 * Runs one statement, or several without values, by itself.
 * @throws StoreError as `Database` does.
 */
export async function query(
  pool: Pool | PoolClient,
  text: string,
  values?: readonly unknown[]
): Promise<QueryResult> {
  try {
    return await pool.query(text, values === undefined ? undefined : [...values])
  } catch (error) {
    throw toStoreError(error)
  }
}

/** PostgreSQL as the store sees it. */
export function createPostgresDatabase(pool: Pool): Database {
  return {
    dialect: 'postgres',

    async transaction(work) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await transact(pool, work)
        } catch (error) {
          if (attempt === ATTEMPTS || !isConflict(error)) throw error
          await wait(Math.random() * LONGEST_PAUSE_MS)
        }
      }
    },

    close: () => pool.end()
  }
}

async function transact<T>(pool: Pool, work: (sql: Sql) => Promise<T>): Promise<T> {
  const client = await connect(pool)
  let isSound = true
  try {
    // What the locks of the store rely on, whatever the database's own default is.
    await query(client, 'BEGIN ISOLATION LEVEL READ COMMITTED')
    const result = await work({ run: (statement, values) => run(client, statement, values) })
    const { command } = await query(client, 'COMMIT')
    if (command !== 'COMMIT') throw new Error('a failed statement was passed over')
    return result
  } catch (error) {
    isSound = isOfStatement(error) && (await rollBack(client))
    throw error
  } finally {
    client.release(!isSound)
  }
}

async function connect(pool: Pool): Promise<PoolClient> {
  try {
    return await pool.connect()
  } catch (error) {
    throw toStoreError(error)
  }
}

async function run(
  client: PoolClient,
  statement: string,
  values?: readonly SqlValue[]
): Promise<readonly Row[]> {
  const { rows } = await query(client, toPostgres(statement), values)
  return rows
}

/** Whether the connection is as good as new. */
async function rollBack(client: PoolClient): Promise<boolean> {
  try {
    await client.query('ROLLBACK')
    return true
  } catch {
    return false
  }
}

const QUOTED_OR_VALUE = /'(?:[^']|'')*'|"(?:[^"]|"")*"|\?(\d+)/g

/** `?1` becomes `$1`, but not within quotes. */
export function toPostgres(statement: string): string {
  return statement.replace(QUOTED_OR_VALUE, (text: string, place: string | undefined) =>
    place === undefined ? text : `$${place}`
  )
}

/**
 * Classes of errors in which the database, not the statement, is at fault: connection, read-only
 * after a failover, transaction ended for its time, authorisation, no such database, conflict,
 * resources, lock not available, operator, system, configuration, internal.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const AT_FAULT = /^(?:08|25006|25P03|25P04|28|3D|40|53|55P03|57|58|F0|XX)/
const CONFLICTS: ReadonlySet<string | undefined> = new Set(['40001', '40P01'])

/** Errors of statements, and of programs, stay what they are. */
function toStoreError(error: unknown): unknown {
  if (error instanceof DatabaseError && !AT_FAULT.test(error.code ?? '')) return error
  if (error instanceof TypeError || !(error instanceof Error)) return error
  return new StoreError(`PostgreSQL: ${reasonOf(error)}`, { cause: error })
}

/** Several addresses that all refused make an error without a message of its own. */
function reasonOf(error: Error): string {
  if (!(error instanceof AggregateError)) return error.message
  return error.errors.map((one: unknown) => (one instanceof Error ? one.message : '')).join(', ')
}

/**
 * Otherwise the connection is given up. It may be lost, or lead to a server that does not write any
 * more because another one took its place.
 */
function isOfStatement(error: unknown): boolean {
  return !(error instanceof StoreError) || isConflict(error)
}

function isConflict(error: unknown): boolean {
  return (
    error instanceof StoreError &&
    error.cause instanceof DatabaseError &&
    CONFLICTS.has(error.cause.code)
  )
}

function ignore(): void {}
