import type { Pool } from 'pg'
import type { PgBoss } from 'pg-boss'
import { migrate } from './migrations.ts'
import { enqueue, startBoss } from './postgres-boss.ts'
import { createPool, createPostgresDatabase, query } from './postgres-database.ts'
import { createPostgresPermits } from './postgres-permits.ts'
import { createPostgresQueue } from './postgres-queue.ts'
import type { KeyRing } from './sealing.ts'
import { createSqlStore } from './sql-store.ts'
import type { Storage, StorageOptions, StoreLog } from './storage.ts'
import { StoreError } from './store.ts'

/** Connections of one instance at most: for what is stored, and for sharing the work. */
const STORE_CONNECTIONS = 10
/** Of their own, so that turns and permits never wait for large uploads to be written. */
const SHARING_CONNECTIONS = 5

const OLDEST_VERSION = 15

/**
 * Opens a PostgreSQL database, which several instances may share, and brings its schema up to date.
 * @throws StoreError
 */
export async function openPostgres(options: StorageOptions, log: StoreLog): Promise<Storage> {
  const keys = keyRingOf(options.encryptionKeys)
  const pool = createPool(options.databaseUrl, STORE_CONNECTIONS)
  const sharing = createPool(options.databaseUrl, SHARING_CONNECTIONS)
  try {
    await refuseOldServer(pool)
    const database = createPostgresDatabase(pool)
    await migrate(database)
    const boss = await startBoss(
      { executeSql: (text, values) => query(sharing, text, values) },
      log
    )
    const store = createSqlStore(
      { ...database, close: () => closeAll(boss, [pool, sharing]) },
      { ...options, enqueue: (sql, turns) => enqueue(boss, sql, turns) }
    )
    const shared = createPostgresDatabase(sharing)
    return {
      store,
      keys,
      queue: createPostgresQueue({ boss, database: shared, store, log }),
      permits: createPostgresPermits(shared)
    }
  } catch (error) {
    await Promise.all([pool.end(), sharing.end()])
    throw error
  }
}

function keyRingOf([first, ...more]: readonly Uint8Array[]): KeyRing {
  if (first !== undefined) return [first, ...more]
  throw new StoreError(
    'AUDIENCE_ENCRYPTION_KEY is missing: PostgreSQL needs it, the same one for all instances. ' +
      'Make one with: openssl rand -base64 32'
  )
}

async function refuseOldServer(pool: Pool): Promise<void> {
  const { rows } = await query(pool, 'SHOW server_version_num')
  const version = Math.floor(Number(rows[0]?.server_version_num) / 10_000)
  if (version >= OLDEST_VERSION) return
  throw new StoreError(`PostgreSQL ${OLDEST_VERSION} or newer is needed, this is ${version}`)
}

async function closeAll(boss: PgBoss, pools: readonly Pool[]): Promise<void> {
  await boss.stop({ graceful: false })
  await Promise.all(pools.map((pool) => pool.end()))
}
