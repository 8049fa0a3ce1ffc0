/** One row of an answer. Whole numbers are numbers, blobs are bytes, absent values are null. */
export type Row = Readonly<Record<string, unknown>>

export type SqlValue = string | number | Uint8Array | null

/** Statements within one transaction. */
export interface Sql {
  /** `?1`, `?2` … stand for the values. Returns the rows, of `RETURNING` too. */
  run(statement: string, values?: readonly SqlValue[]): Promise<readonly Row[]>
}

/** A database as the store sees it. The statements are those that SQLite and PostgreSQL share. */
export interface Database {
  readonly dialect: 'sqlite' | 'postgres'
  /**
   * Runs work in one transaction; when it rejects, nothing of it has happened.
   * @throws StoreError where the database cannot be reached or cannot write.
   */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>
  close(): Promise<void>
}
