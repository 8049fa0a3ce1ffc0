import type { Database, Sql } from './sql.ts'
import { readSegmentKey, StoreError } from './store.ts'

/** One step from a schema to the next. */
export interface Migration {
  /** Counts from 1, without gaps. */
  readonly version: number
  /**
   * The oldest schema version that a service may be written for and still run on this one. During
   * a rolling deploy the version before must run on: a change that it cannot live with takes two
   * releases.
   */
  readonly oldestUser: number
  /** For both dialects, in the words of SQLite. */
  readonly statements: readonly string[]
  /** For PostgreSQL only, before the others. */
  readonly postgres?: readonly string[]
  /** What statements alone cannot do, after them. */
  readonly fill?: (sql: Sql) => Promise<void>
}

/** Never change one that was released: add another one. */
export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    oldestUser: 1,
    postgres: ['CREATE SEQUENCE positions'],
    statements: [
      `CREATE TABLE sessions (
         owner TEXT NOT NULL,
         session_id INTEGER NOT NULL,
         revision INTEGER NOT NULL,
         state TEXT NOT NULL,
         changed_at INTEGER NOT NULL,
         data TEXT NOT NULL,
         PRIMARY KEY (owner, session_id)
       )`,
      'CREATE INDEX sessions_by_change ON sessions (owner, changed_at, session_id)',
      'CREATE INDEX sessions_by_state ON sessions (owner, state, changed_at, session_id)',
      `CREATE INDEX sessions_at_rest ON sessions (changed_at) WHERE state <> 'sending'`,

      `CREATE TABLE uploads (
         id TEXT NOT NULL PRIMARY KEY,
         identity TEXT NOT NULL,
         owner TEXT NOT NULL,
         session_id INTEGER NOT NULL,
         sequence INTEGER NOT NULL,
         revision INTEGER NOT NULL,
         settled_at INTEGER,
         data TEXT NOT NULL,
         report TEXT
       )`,
      'CREATE INDEX uploads_by_identity ON uploads (identity)',
      'CREATE INDEX uploads_by_sequence ON uploads (owner, session_id, sequence, revision)',
      'CREATE INDEX uploads_settled ON uploads (settled_at) WHERE settled_at IS NOT NULL',

      `CREATE TABLE payloads (
         upload_id TEXT NOT NULL PRIMARY KEY,
         bytes INTEGER NOT NULL,
         sealed BLOB NOT NULL
       )`,
      // Adds up the bytes without reading the payloads.
      'CREATE INDEX payloads_by_size ON payloads (bytes)',

      `CREATE TABLE deliveries (
         id TEXT NOT NULL PRIMARY KEY,
         upload_id TEXT NOT NULL,
         owner TEXT NOT NULL,
         session_id INTEGER NOT NULL,
         account TEXT NOT NULL,
         lock TEXT NOT NULL,
         position INTEGER NOT NULL UNIQUE,
         state TEXT NOT NULL,
         waiting INTEGER NOT NULL,
         queued_at INTEGER NOT NULL,
         next_attempt_at INTEGER,
         settled_at INTEGER,
         revision INTEGER NOT NULL,
         data TEXT NOT NULL
       )`,
      'CREATE INDEX deliveries_by_upload ON deliveries (upload_id)',
      'CREATE INDEX deliveries_waiting ON deliveries (lock, position) WHERE waiting = 1',
      // Has every column that the backlog asks for.
      `CREATE INDEX deliveries_unsettled ON deliveries (position, queued_at, settled_at)
       WHERE settled_at IS NULL`,
      'CREATE INDEX deliveries_of_session ON deliveries (owner, session_id, position)',
      'CREATE INDEX deliveries_by_revision ON deliveries (owner, session_id, revision)',

      `CREATE TABLE segments (
         name TEXT NOT NULL PRIMARY KEY,
         data TEXT NOT NULL,
         changed_at INTEGER NOT NULL
       )`,
      `CREATE TABLE accounts (
         name TEXT NOT NULL PRIMARY KEY,
         status TEXT NOT NULL,
         until INTEGER NOT NULL,
         data TEXT NOT NULL
       )`,
      `CREATE TABLE hooks (
         id TEXT NOT NULL PRIMARY KEY,
         endpoint TEXT NOT NULL,
         type TEXT NOT NULL,
         created_at INTEGER NOT NULL,
         due_at INTEGER NOT NULL,
         attempts INTEGER NOT NULL,
         body TEXT NOT NULL
       )`,
      'CREATE INDEX hooks_due ON hooks (endpoint, due_at)',
      'CREATE INDEX hooks_by_age ON hooks (created_at)'
    ]
  },
  {
    version: 2,
    oldestUser: 1,
    // One process that has the store for itself counts its calls in memory.
    postgres: [
      `CREATE TABLE calls (
         id TEXT NOT NULL PRIMARY KEY,
         account TEXT NOT NULL,
         started_at INTEGER NOT NULL,
         ended INTEGER NOT NULL
       )`,
      'CREATE INDEX calls_by_start ON calls (account, started_at)'
    ],
    statements: []
  },
  {
    version: 3,
    // An older service would send an upload that deletes a segment as one that adds users to it.
    oldestUser: 3,
    statements: [
      'ALTER TABLE deliveries ADD COLUMN deletes INTEGER NOT NULL DEFAULT 0',
      'ALTER TABLE deliveries ADD COLUMN removes INTEGER NOT NULL DEFAULT 0',
      'ALTER TABLE deliveries ADD COLUMN managed INTEGER NOT NULL DEFAULT 0',
      'CREATE INDEX deliveries_deleting ON deliveries (lock, position) WHERE deletes = 1',
      'CREATE INDEX deliveries_removing ON deliveries (lock, position) WHERE removes = 1',
      `CREATE INDEX deliveries_confirming ON deliveries (lock, position)
       WHERE state = 'confirming'`,
      'CREATE INDEX deliveries_managed ON deliveries (lock, settled_at) WHERE managed = 1',

      // What is in their names, to be asked for. A segment's own name is kept as JSON, as it is in a
      // lock: PostgreSQL's texts hold neither NUL nor half of a surrogate pair.
      'ALTER TABLE segments ADD COLUMN provider TEXT',
      'ALTER TABLE segments ADD COLUMN account_id TEXT',
      'ALTER TABLE segments ADD COLUMN segment_name TEXT',
      'ALTER TABLE segments ADD COLUMN listed INTEGER NOT NULL DEFAULT 0',
      'CREATE INDEX segments_by_name ON segments (provider, account_id, segment_name)',

      // One of each account, locked by whoever changes what hangs on it.
      `CREATE TABLE ledgers (
         account TEXT NOT NULL PRIMARY KEY,
         revision INTEGER NOT NULL
       )`,
      // The ids of audiences are JSON, as the names of segments.
      `CREATE TABLE audiences (
         account TEXT NOT NULL,
         audience_id TEXT NOT NULL,
         look_at INTEGER,
         data TEXT NOT NULL,
         PRIMARY KEY (account, audience_id)
       )`,
      'CREATE INDEX audiences_due ON audiences (look_at) WHERE look_at IS NOT NULL',
      `CREATE TABLE managed_segments (
         provider TEXT NOT NULL,
         account_id TEXT NOT NULL,
         segment_name TEXT NOT NULL,
         account TEXT NOT NULL,
         audience_id TEXT NOT NULL,
         PRIMARY KEY (provider, account_id, segment_name)
       )`,
      `CREATE TABLE syncs (
         id TEXT NOT NULL PRIMARY KEY,
         principal TEXT NOT NULL,
         account TEXT NOT NULL,
         is_list INTEGER NOT NULL,
         called_at INTEGER NOT NULL,
         replay_until INTEGER NOT NULL,
         outcome BLOB
       )`,
      'CREATE INDEX syncs_lists ON syncs (principal, account, called_at) WHERE is_list = 1',
      'CREATE INDEX syncs_kept ON syncs (replay_until) WHERE outcome IS NOT NULL',
      'CREATE INDEX syncs_expired ON syncs (replay_until) WHERE outcome IS NULL',
      `CREATE TABLE tasks (
         id TEXT NOT NULL PRIMARY KEY,
         principal TEXT NOT NULL,
         account TEXT NOT NULL,
         created_at INTEGER NOT NULL,
         updated_at INTEGER NOT NULL,
         completed_at INTEGER,
         waits_for TEXT NOT NULL,
         data TEXT NOT NULL,
         push BLOB
       )`,
      'CREATE INDEX tasks_open ON tasks (account, created_at) WHERE completed_at IS NULL',
      'CREATE INDEX tasks_completed ON tasks (completed_at) WHERE completed_at IS NOT NULL'
    ],
    fill: fillSegments
  }
]

/** Of those that were known before there were columns for it. */
async function fillSegments(sql: Sql): Promise<void> {
  for (const { name, data } of await sql.run('SELECT name, data FROM segments')) {
    const key = readSegmentKey(String(name))
    const known: { id?: string; creatingSince?: number } = JSON.parse(String(data))
    if (key === undefined) continue
    await sql.run(
      `UPDATE segments SET provider = ?2, account_id = ?3, segment_name = ?4, listed = ?5
       WHERE name = ?1`,
      [
        String(name),
        key.provider,
        key.accountId,
        JSON.stringify(key.segmentName),
        known.id === undefined && known.creatingSince === undefined ? 0 : 1
      ]
    )
  }
}

const CREATE_META =
  'CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL)'

/** Any number that nothing else in this database locks by. */
const MIGRATION_LOCK = 7_120_331

/**
 * Brings the schema up to this version of the service, one migration a transaction. A newer schema
 * that this version can live with stays as it is.
 * @throws StoreError where the schema is too new.
 */
export async function migrate(
  database: Pick<Database, 'dialect' | 'transaction'>,
  migrations: readonly Migration[] = MIGRATIONS
): Promise<void> {
  const oneStep = () => database.transaction((sql) => step(sql, database.dialect, migrations))
  let version = await oneStep()
  while (version < migrations.length) version = await oneStep()
}

/** Applies the next migration, if there is one. Returns the version of the schema then. */
async function step(
  sql: Sql,
  dialect: Database['dialect'],
  migrations: readonly Migration[]
): Promise<number> {
  if (dialect === 'postgres') await sql.run(`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`)
  await sql.run(inDialect(CREATE_META, dialect))
  const rows = await sql.run('SELECT name, value FROM meta')
  const meta = new Map(rows.map(({ name, value }) => [name, Number(value)]))
  const version = meta.get('version') ?? 0
  refuseTooNew(meta.get('oldest_user') ?? 0, migrations.length)
  const next = migrations[version]
  if (next === undefined) return version
  const special = dialect === 'postgres' ? (next.postgres ?? []) : []
  for (const statement of [...special, ...next.statements]) {
    await sql.run(inDialect(statement, dialect))
  }
  await next.fill?.(sql)
  await setMeta(sql, 'version', next.version)
  await setMeta(sql, 'oldest_user', next.oldestUser)
  return next.version
}

function refuseTooNew(oldestUser: number, own: number): void {
  if (oldestUser <= own) return
  throw new StoreError(
    `the database was migrated by a newer version of the service: it needs schema ${oldestUser}, ` +
      `this version knows ${own}. Start the newer version, or restore the backup from before.`
  )
}

async function setMeta(sql: Sql, name: string, value: number): Promise<void> {
  await sql.run(
    'INSERT INTO meta (name, value) VALUES (?1, ?2) ' +
      'ON CONFLICT (name) DO UPDATE SET value = excluded.value',
    [name, value]
  )
}

/** SQLite's integers have 64 bits, and its blobs are called otherwise. */
function inDialect(statement: string, dialect: Database['dialect']): string {
  if (dialect === 'sqlite') return statement
  return statement.replace(/\bINTEGER\b/g, 'BIGINT').replace(/\bBLOB\b/g, 'BYTEA')
}
