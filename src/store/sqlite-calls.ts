import type { SyncRequest } from './ledger.ts'
import type { SqlStore } from './sql-store.ts'
import { CursorError, StaleError, StoreError, type StoreOptions } from './store.ts'

/** What the thread of a SQLite file is started with. */
export interface ThreadOptions extends StoreOptions {
  readonly path: string
  /** The file was there before: one that is missing now is not made anew, empty as it would be. */
  readonly mustExist: boolean
  /** Most pages of the file: a small disk, for tests. */
  readonly maxPages?: number | undefined
  /** How long another process may take to let go of the file; default: 10 s, as in a restart. */
  readonly lockWaitMs?: number | undefined
}

/** One call of a function of the store, on its way to the thread. */
export interface Call {
  readonly id: number
  readonly name: keyof SqlStore
  readonly args: readonly unknown[]
}

/** What became of a call. Errors lose their class between threads, so it goes by name. */
export type Answer<T = unknown> = { readonly id: number } & (
  | { readonly value: T }
  | { readonly error: { readonly name: string; readonly message: string } }
)

const ERRORS = { StoreError, CursorError, StaleError }

export function writeError(error: unknown): { name: string; message: string } {
  return error instanceof Error
    ? { name: error.name, message: error.message }
    : { name: 'Error', message: String(error) }
}

export function readError({ name, message }: { name: string; message: string }): Error {
  const known = Object.entries(ERRORS).find(([own]) => own === name)
  return known === undefined ? new Error(message) : new known[1](message)
}

/** Buffers among the values that nobody else has a part of: they can be moved instead of copied. */
export function movable(values: readonly unknown[]): ArrayBuffer[] {
  return values.flatMap((value) =>
    value instanceof Uint8Array &&
    value.buffer instanceof ArrayBuffer &&
    value.byteLength === value.buffer.byteLength
      ? [value.buffer]
      : []
  )
}

/** The sealed users of a call, which lie within it beside keys that must stay where they are. */
export function usersOf({ changes = [] }: Pick<SyncRequest, 'changes'>): Uint8Array[] {
  return changes
    .filter((change) => change.action === 'upsert')
    .flatMap(({ add, remove }) => [add, remove])
    .flatMap((members) => members?.sealedUsers ?? [])
}
