import {
  type AudienceChange,
  type LedgerAudience,
  type MemberUpload,
  stateOf,
  type SyncedAudience,
  type SyncOutcome,
  type SyncRequest
} from './ledger.ts'
import { targetOf, type Upsert, upserted } from './ledger-record.ts'
import type { Turn } from './queue.ts'
import type { Transaction } from './rows.ts'
import { accept } from './sql-accept.ts'
import { audiences, lockLedger, manageSegments, putAudience, removeAudience } from './sql-ledger.ts'
import { addTask, stopWaitingFor } from './sql-tasks.ts'
import { newSessionId, type Target } from './store.ts'
import { recall, remember, untilNextList } from './sync-records.ts'

/** A call that is being done; its ledger is locked. */
interface Call {
  readonly transaction: Transaction
  readonly request: SyncRequest
  readonly revision: number
  /** The ledger, as far as the call has come. */
  readonly ledger: Map<string, LedgerAudience>
  readonly turns: Turn[]
}

export async function syncAudiences(
  transaction: Transaction,
  request: SyncRequest
): Promise<SyncOutcome> {
  const { account, changes, now } = request
  const revision = await lockLedger(transaction, account)
  const known = await recall(transaction, request)
  if (known !== undefined) return known
  const againInMs = changes === undefined ? await untilNextList(transaction, request) : 0
  if (againInMs > 0) return { kind: 'too_many_lists', againInMs }
  const all = await audiences(transaction, account)
  const ledger = new Map(all.map((audience) => [audience.audienceId, audience]))
  const call: Call = { transaction, request, revision, ledger, turns: [] }
  const synced = await changeAll(call)
  const taskId = await followUp(call, synced)
  const { turns } = call
  return remember(transaction, request, { kind: 'done', audiences: synced, taskId, at: now, turns })
}

/** Does what is asked for, and tells of all audiences in the order of the answer. */
async function changeAll(call: Call): Promise<readonly SyncedAudience[]> {
  const { changes = [] } = call.request
  const deletesOthers = call.request.deleteMissing && call.request.changes !== undefined
  const synced: SyncedAudience[] = []
  const named = new Set(changes.map(({ audienceId }) => audienceId))
  const others = [...call.ledger.values()].filter(({ audienceId }) => !named.has(audienceId))
  // That makes room for others.
  if (deletesOthers) for (const audience of others) await deleteOne(call, audience)
  for (const change of changes) synced.push(await changeOne(call, change))
  for (const audience of others) {
    synced.push(
      deletesOthers
        ? told(audience, { action: 'deleted', audience: undefined })
        : told(audience, { action: 'unchanged', audience })
    )
  }
  return synced
}

/** What is said of an audience; of one that was not changed by default. */
function told(
  { audienceId, note }: { readonly audienceId: string; readonly note?: unknown },
  what: Pick<SyncedAudience, 'action' | 'audience'> & { readonly uploaded?: number }
): SyncedAudience {
  return { audienceId, note, uploaded: 0, ...what }
}

async function changeOne(call: Call, change: AudienceChange): Promise<SyncedAudience> {
  const before = call.ledger.get(change.audienceId)
  if (change.action === 'refuse') return told(change, { action: 'refused', audience: before })
  if (change.action === 'upsert') {
    const canCreate = change.add !== undefined || change.remove === undefined
    const isFull = before === undefined && call.ledger.size >= call.request.maxAudiences
    if (canCreate && isFull) return told(change, { action: 'too_many', audience: undefined })
    if (before !== undefined || canCreate) return upsertOne(call, before, change)
  } else if (before !== undefined) {
    await deleteOne(call, before)
    return told(change, { action: 'deleted', audience: undefined })
  }
  return told(change, { action: 'not_found', audience: undefined })
}

async function upsertOne(
  call: Call,
  before: LedgerAudience | undefined,
  change: Upsert
): Promise<SyncedAudience> {
  const { transaction, request, revision } = call
  const { account, now } = request
  const key = { account, audienceId: change.audienceId }
  const { action, audience, addTo, removeFrom } = upserted(key, before, change, { now, revision })
  if (action !== 'unchanged') {
    await putAudience(transaction, audience)
    await manageSegments(transaction, audience)
    call.ledger.set(change.audienceId, audience)
  }
  // Who is in both is not among those to add.
  await send(call, change.remove, removeFrom)
  await send(call, change.add, addTo)
  return told(change, { action, uploaded: change.add?.upload.users ?? 0, audience })
}

async function send(
  call: Call,
  members: MemberUpload | undefined,
  targets: readonly Target[]
): Promise<void> {
  const [first] = targets
  if (members === undefined || first === undefined) return
  const { sealedUsers } = members
  // It may have been made under another name.
  const upload = { ...members.upload, segmentName: first.segmentName }
  const accepted = await accept(call.transaction, upload, sealedUsers, targets.map(targetOf))
  call.turns.push(...accepted.turns)
}

/** Removes an audience from the ledger and has its segments deleted. */
async function deleteOne(call: Call, audience: LedgerAudience): Promise<void> {
  const { account, audienceId, name = audienceId, targets } = audience
  const [first] = targets
  if (first !== undefined) {
    const upload = {
      ...call.request.deletion,
      mode: 'delete' as const,
      managed: { account, audienceId },
      sessionId: newSessionId(),
      audienceName: name,
      segmentName: first.segmentName
    }
    const accepted = await accept(call.transaction, upload, undefined, targets.map(targetOf))
    call.turns.push(...accepted.turns)
  }
  await removeAudience(call.transaction, audience)
  call.ledger.delete(audienceId)
}

/** Completes tasks that waited for what is gone, and makes the call's own where it needs one. */
async function followUp(
  { transaction, request }: Call,
  synced: readonly SyncedAudience[]
): Promise<string | undefined> {
  const { principal, account, changes = [], push, keys, now } = request
  const gone = synced.filter(({ action }) => action === 'deleted')
  await stopWaitingFor(
    transaction,
    account,
    gone.map(({ audienceId }) => audienceId),
    now
  )
  const waitsFor = synced
    .slice(0, changes.length)
    .filter(({ action, audience }) => action !== 'refused' && audience && isInProcess(audience))
    .map(({ audienceId }) => audienceId)
  if (push === undefined || waitsFor.length === 0) return undefined
  return addTask(transaction, { principal, account, audiences: synced, waitsFor, push, keys, now })
}

const isInProcess = (audience: LedgerAudience) => stateOf(audience) === 'processing'
