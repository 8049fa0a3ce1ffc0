import type { Sql } from './sql.ts'
import type { StoreOptions } from './store.ts'
import type { Turn } from './queue.ts'

/** What one function of the store works with. */
export interface Transaction {
  readonly sql: Sql
  /** An expression for a position behind all others. */
  readonly nextPosition: string
  readonly options: StoreOptions
  /** Hands out turns as soon as the transaction is committed. */
  readonly enqueue: (turns: readonly Turn[]) => Promise<void>
}

/** A time or number that may be absent. */
export function orUndefined(column: unknown): number | undefined {
  return column === null ? undefined : Number(column)
}
