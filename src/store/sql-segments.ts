import { pageOf, readTextCursor } from './cursor.ts'
import type { LedgerKey } from './ledger.ts'
import type { Transaction } from './rows.ts'
import type { Row, SqlValue } from './sql.ts'
import {
  type ListedSegment,
  type Page,
  readSegmentKey,
  type Segment,
  type SegmentsQuery,
  type Target
} from './store.ts'

/** Everything of a segment that a row's document may lack. */
const UNKNOWN_SEGMENT = {
  id: undefined,
  createdAt: undefined,
  creatingSince: undefined,
  lostSince: undefined,
  deletedId: undefined,
  notes: undefined
} as const satisfies Segment

function readSegment({ data }: Row): Segment {
  const stored: Partial<Segment> = JSON.parse(String(data))
  return { ...UNKNOWN_SEGMENT, ...stored }
}

export async function segment({ sql }: Transaction, key: string): Promise<Segment | undefined> {
  const [row] = await sql.run('SELECT data FROM segments WHERE name = ?1', [key])
  return row && readSegment(row)
}

export async function changeSegment(
  { sql }: Transaction,
  key: string,
  change: Partial<Segment>,
  now: number
): Promise<void> {
  // Takes the row's lock also where it exists already.
  const [row] = await sql.run(
    `INSERT INTO segments (name, data, changed_at) VALUES (?1, '{}', ?2)
     ON CONFLICT (name) DO UPDATE SET changed_at = excluded.changed_at RETURNING data`,
    [key, now]
  )
  const after = { ...(row && readSegment(row)), ...change }
  const named = readSegmentKey(key)
  await sql.run(
    `UPDATE segments SET data = ?2, listed = ?3, provider = ?4, account_id = ?5, segment_name = ?6
     WHERE name = ?1`,
    [
      key,
      JSON.stringify(after),
      named !== undefined && isThere(after) ? 1 : 0,
      ...(named === undefined ? [null, null, null] : placeOf(named))
    ]
  )
}

/** As far as is known, or soon. */
function isThere({ id, createdAt, creatingSince }: Partial<Segment>): boolean {
  return id !== undefined || createdAt !== undefined || creatingSince !== undefined
}

/** What a segment is found by, whatever its kind, in the order of the columns. */
export function placeOf({
  provider,
  accountId,
  segmentName
}: Omit<Target, 'tag'>): readonly [string, string, string] {
  return [provider, accountId, JSON.stringify(segmentName)]
}

export async function segments(
  { sql }: Transaction,
  { provider, accountId, segmentName, cursor, limit }: SegmentsQuery
): Promise<Page<ListedSegment>> {
  const after = cursor === undefined ? '' : readTextCursor(cursor)
  const values: SqlValue[] = [after, limit + 1]
  const wanted = Object.entries({
    provider,
    account_id: accountId,
    segment_name: segmentName === undefined ? undefined : JSON.stringify(segmentName)
  }).flatMap(([column, value]) =>
    value === undefined ? [] : [`AND segments.${column} = ?${values.push(value)}`]
  )
  const rows = await sql.run(
    `SELECT name, data, account, audience_id FROM segments
     LEFT JOIN managed_segments USING (provider, account_id, segment_name)
     WHERE listed = 1 AND name > ?1 ${wanted.join(' ')}
     ORDER BY name LIMIT ?2`,
    values
  )
  const found = rows.map((row) => ({ key: String(row['name']), listed: readListed(row) }))
  const { items, next } = pageOf(found, limit, ({ key }) => [key])
  return { items: items.flatMap(({ listed }) => listed ?? []), next }
}

function readListed(row: Row): ListedSegment | undefined {
  const named = readSegmentKey(String(row['name']))
  return named && { ...named, ...readSegment(row), managed: readManaged(row) }
}

function readManaged(row: Row): LedgerKey | undefined {
  const account = row['account']
  if (typeof account !== 'string') return undefined
  return { account, audienceId: JSON.parse(String(row['audience_id'])) }
}

/** The platform's own id of a segment, of whatever kind it is. */
export async function segmentIdAt(
  { sql }: Transaction,
  target: Target
): Promise<string | undefined> {
  const rows = await sql.run(
    `SELECT data FROM segments
     WHERE provider = ?1 AND account_id = ?2 AND segment_name = ?3 AND listed = 1 ORDER BY name`,
    placeOf(target)
  )
  return rows.map(readSegment).find(({ id }) => id !== undefined)?.id
}

/** Notes which audience of the ledger a segment belongs to. */
export async function manageSegment(
  { sql }: Transaction,
  target: Target,
  { account, audienceId }: LedgerKey
): Promise<void> {
  await sql.run(
    `INSERT INTO managed_segments (provider, account_id, segment_name, account, audience_id)
     VALUES (?1, ?2, ?3, ?4, ?5)
     ON CONFLICT (provider, account_id, segment_name)
     DO UPDATE SET account = excluded.account, audience_id = excluded.audience_id`,
    [...placeOf(target), account, JSON.stringify(audienceId)]
  )
}

export async function unmanageSegment({ sql }: Transaction, target: Target): Promise<void> {
  await sql.run(
    'DELETE FROM managed_segments WHERE provider = ?1 AND account_id = ?2 AND segment_name = ?3',
    placeOf(target)
  )
}
