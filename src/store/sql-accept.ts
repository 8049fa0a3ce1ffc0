import { hash, randomUUID } from 'node:crypto'
import { orUndefined, type Transaction } from './rows.ts'
import { countUpload, inSession, lockSession, openSession } from './session-record.ts'
import type { SessionRecord } from './session-record.ts'
import {
  addDelivery,
  DELIVERY,
  isCancelled,
  readDelivery,
  readUpload,
  startAnew
} from './sql-deliveries.ts'
import {
  type Accepted,
  type Delivery,
  FRESH,
  type NewUpload,
  type Restarted,
  type Target,
  turnOf,
  type Upload
} from './store.ts'

export async function accept(
  transaction: Transaction,
  given: NewUpload,
  sealedUsers: Uint8Array | undefined,
  targets: readonly Target[]
): Promise<Accepted> {
  const now = given.acceptedAt
  const record = await openSession(transaction, given)
  return inSession(transaction, record, now, async () => {
    const identity = identityOf(given)
    const known = await recognised(transaction, identity, now)
    const upload = known ?? (await keep(transaction, record, identity, given, targets.length))
    const had = known === undefined ? [] : await deliveriesOf(transaction, upload.id)
    const outcomes: Outcome[] = []
    for (const target of targets) {
      outcomes.push(await deliver(transaction, record, upload, had, target, now))
    }
    const deliveries = outcomes.map(({ delivery }) => delivery)
    const started = outcomes.filter(({ starts }) => starts).map(({ delivery }) => delivery)
    if (started.length > 0 && sealedUsers !== undefined) {
      await keepUsers(transaction, upload.id, sealedUsers)
    }
    await transaction.enqueue(turnsOf(started))
    // Also of those under way: who sends again may not have heard of them, and no queue either.
    return { upload, duplicate: known !== undefined, deliveries, turns: turnsOf(deliveries) }
  })
}

/** The delivery to one target, and whether it starts now. */
interface Outcome {
  readonly delivery: Delivery
  readonly starts: boolean
}

const turnsOf = (deliveries: readonly Delivery[]) =>
  deliveries.flatMap((delivery) => turnOf(delivery) ?? [])

/** What makes two uploads the same. The default country changes what is sent, so it counts. */
function identityOf(upload: NewUpload): string {
  return hash(
    'sha256',
    JSON.stringify([
      upload.owner,
      upload.sessionId,
      upload.sequence,
      upload.segmentName,
      upload.type,
      upload.defaultCountry ?? '',
      upload.contentHash,
      // Adding was all there was once, and what was accepted then is still recognised.
      ...(upload.mode === 'add' ? [] : [upload.mode])
    ])
  )
}

/** The same upload as it was accepted before, if that was not too long ago. */
async function recognised(
  { sql, options }: Transaction,
  identity: string,
  now: number
): Promise<Upload | undefined> {
  const [row] = await sql.run(
    `SELECT settled_at, data, report FROM uploads WHERE identity = ?1
     ORDER BY revision DESC LIMIT 1`,
    [identity]
  )
  if (row === undefined) return undefined
  const settledAt = orUndefined(row['settled_at'])
  const isRemembered = settledAt === undefined || settledAt + options.dedupMs > now
  return isRemembered ? readUpload(row) : undefined
}

/** Writes an upload that was not accepted before. */
async function keep(
  transaction: Transaction,
  record: SessionRecord,
  identity: string,
  given: NewUpload,
  targets: number
): Promise<Upload> {
  const { sql } = transaction
  const rows = await sql.run(
    `SELECT data, report FROM uploads WHERE owner = ?1 AND session_id = ?2 AND sequence = ?3
     ORDER BY revision`,
    [given.owner, given.sessionId, given.sequence]
  )
  const earlier = rows.map(readUpload)
  const replacesSequence = earlier.some(
    ({ contentHash, mode, segmentName }) =>
      (contentHash !== given.contentHash || mode !== given.mode) &&
      segmentName === given.segmentName
  )
  const upload = { ...given, id: randomUUID(), replacesSequence, report: undefined }
  record.revision += 1
  await sql.run(
    `INSERT INTO uploads (id, identity, owner, session_id, sequence, revision, settled_at, data)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)`,
    [
      upload.id,
      identity,
      upload.owner,
      upload.sessionId,
      upload.sequence,
      record.revision,
      // Without a delivery there is nothing to wait for.
      targets === 0 ? upload.acceptedAt : null,
      JSON.stringify(upload)
    ]
  )
  await countUpload(transaction, record, upload, earlier.at(-1))
  return upload
}

async function deliveriesOf({ sql }: Transaction, uploadId: string): Promise<Delivery[]> {
  const rows = await sql.run(`SELECT ${DELIVERY} FROM deliveries WHERE upload_id = ?1`, [uploadId])
  return rows.map(readDelivery)
}

/** The upload's delivery to a target, made or started anew where needed. */
async function deliver(
  transaction: Transaction,
  record: SessionRecord,
  upload: Upload,
  had: readonly Delivery[],
  target: Target,
  now: number
): Promise<Outcome> {
  const { id: uploadId, sequence } = upload
  const before = had.find(({ provider, tag }) => provider === target.provider && tag === target.tag)
  if (before === undefined) {
    const times = { queuedAt: now, targetedAt: now }
    const fresh = { ...target, ...FRESH, ...times, id: randomUUID(), uploadId, sequence }
    const delivery = await addDelivery(transaction, record, upload, fresh)
    await transaction.sql.run('UPDATE uploads SET settled_at = NULL WHERE id = ?1', [uploadId])
    return { delivery, starts: true }
  }
  if (before.state !== 'failed') return { delivery: before, starts: false }
  return { delivery: await startAnew(transaction, record, before, now), starts: true }
}

/** Keeps them anew also where they are there: a new key may have sealed them. */
async function keepUsers(
  { sql }: Transaction,
  uploadId: string,
  sealedUsers: Uint8Array
): Promise<void> {
  await sql.run(
    `INSERT INTO payloads (upload_id, bytes, sealed) VALUES (?1, ?2, ?3)
     ON CONFLICT (upload_id) DO UPDATE SET bytes = excluded.bytes, sealed = excluded.sealed`,
    [uploadId, sealedUsers.byteLength, sealedUsers]
  )
}

export async function restart(
  transaction: Transaction,
  owner: string,
  sessionId: number,
  channels: readonly string[] | undefined,
  now: number
): Promise<Restarted | undefined> {
  const record = await lockSession(transaction, owner, sessionId)
  if (record === undefined) return undefined
  return inSession(transaction, record, now, async () => {
    const rows = await transaction.sql.run(
      `SELECT ${DELIVERY}, EXISTS (
         SELECT 1 FROM payloads WHERE payloads.upload_id = deliveries.upload_id
       ) AS has_users
       FROM deliveries WHERE owner = ?1 AND session_id = ?2 AND state = 'failed' AND deletes = 0
         AND NOT EXISTS (${LATER_DELETION})
         AND (removes = 1 OR NOT EXISTS (${LATER_REMOVAL}))
       ORDER BY position`,
      [owner, sessionId]
    )
    const wanted = rows
      .map((row) => ({ failed: readDelivery(row), hasUsers: Boolean(row['has_users']) }))
      .filter(({ failed }) => isOf(channels, failed) && !isCancelled(failed))
    const started: Delivery[] = []
    for (const { failed, hasUsers } of wanted) {
      if (hasUsers) started.push(await startAnew(transaction, record, failed, now))
    }
    const turns = turnsOf(started)
    await transaction.enqueue(turns)
    return { deliveries: started, expired: wanted.length - started.length, turns }
  })
}

/** What a segment held before it was deleted does not come back. */
const LATER_DELETION = `SELECT 1 FROM deliveries AS later
  WHERE later.lock = deliveries.lock AND later.deletes = 1
    AND later.position > deliveries.position`

/** Who has been removed meanwhile, or is about to be, does not come back. */
const LATER_REMOVAL = `SELECT 1 FROM deliveries AS later
  WHERE later.lock = deliveries.lock AND later.removes = 1
    AND later.position > deliveries.position AND later.state <> 'failed'`

function isOf(channels: readonly string[] | undefined, { provider, tag }: Target): boolean {
  return (
    channels === undefined || channels.includes(provider) || channels.includes(`${provider}/${tag}`)
  )
}
