import { randomBytes } from 'node:crypto'
import { makeKeyFile, readKeyFile } from './key-file.ts'
import { KEY_BYTES, type KeyRing } from './sealing.ts'
import { openSqlite } from './sqlite.ts'
import { IN_MEMORY } from './sqlite-file.ts'
import type { Storage, StorageOptions, StoreLog } from './storage.ts'
import { StoreError } from './store.ts'

const SQLITE = 'sqlite:'

/**
 * Opens the store that the address names, and brings its schema up to date.
 * @throws StoreError
 */
export async function openStorage(options: StorageOptions, log: StoreLog): Promise<Storage> {
  if (options.databaseUrl.startsWith(SQLITE)) return openSqliteStorage(options)
  // Only who uses PostgreSQL loads its client.
  const { openPostgres } = await import('./postgres.ts')
  return openPostgres(options, log)
}

async function openSqliteStorage(options: StorageOptions): Promise<Storage> {
  const path = options.databaseUrl.slice(SQLITE.length)
  const { dedupMs, retentionMs, hookEndpoints } = options
  const store = await openSqlite({ path, dedupMs, retentionMs, hookEndpoints })
  try {
    const hasUsers = (await store.backlog()).payloadBytes > 0
    return { store, keys: ownKeys(path, options.encryptionKeys, hasUsers) }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** A key of one's own is made for a file that holds nothing which it could not open. */
function ownKeys(path: string, given: readonly Uint8Array[], hasUsers: boolean): KeyRing {
  const kept = path === IN_MEMORY ? undefined : readKeyFile(`${path}.key`)
  // What a key file sealed before there were other keys is still opened by it.
  const [first, ...more] = [...given, ...(kept === undefined ? [] : [kept])]
  if (first !== undefined) return [first, ...more]
  if (path === IN_MEMORY) return [randomBytes(KEY_BYTES)]
  if (!hasUsers) return [makeKeyFile(`${path}.key`)]
  throw new StoreError(
    `the key that the users in ${path} are sealed with is missing: restore ${path}.key ` +
      'or set AUDIENCE_ENCRYPTION_KEY'
  )
}
