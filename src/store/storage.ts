import type { Permits } from './permits.ts'
import type { Queue } from './queue.ts'
import type { KeyRing } from './sealing.ts'
import type { Store, StoreOptions } from './store.ts'

export interface StorageOptions extends StoreOptions {
  /** `sqlite:<path>` or `postgres://…`. */
  readonly databaseUrl: string
  /** The first one seals, all open; SQLite makes its own key where there is none. */
  readonly encryptionKeys: readonly Uint8Array[]
}

/** Where outages of the database are told; a logger of pino is one. */
export interface StoreLog {
  warn(details: object, message: string): void
  error(details: object, message: string): void
}

/** A store with what hangs on its kind. */
export interface Storage {
  readonly store: Store
  readonly keys: KeyRing
  /** Shared by several instances; absent where one process has the store for itself. */
  readonly queue?: Queue
  readonly permits?: Permits
}
