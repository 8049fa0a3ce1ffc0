import { type ReadMessage, readMessage } from '../adcp/message.ts'
import type { CalledAudience, MemberList, SyncCall } from '../adcp/sync-call.ts'
import { type KeyRing, keyedHash, sealMeanwhile } from '../store/sealing.ts'

/** Members of which the main thread knows nothing but their number. */
export interface SealedMembers extends Omit<MemberList, 'users'> {
  readonly sealedUsers: Uint8Array
  /** Keyed hash of the users, under which they are sealed. */
  readonly contentHash: string
}

export interface SealedAudience extends Omit<CalledAudience, 'add' | 'remove'> {
  readonly add?: SealedMembers
  readonly remove?: SealedMembers
}

export interface SealedSyncCall extends Omit<SyncCall, 'audiences'> {
  readonly audiences: readonly SealedAudience[] | undefined
}

export interface ReadCallTask {
  /** A message of MCP as it was sent; the thread gets its buffer. */
  readonly body: Uint8Array
  readonly keys: KeyRing
}

export type ReadCallOutcome = ReadMessage<SealedSyncCall>

/** Reads a message of MCP, and seals the members of a call for the store. */
export async function readCall({ body, keys }: ReadCallTask): Promise<ReadCallOutcome> {
  const read = readMessage(body)
  if ('invalid' in read || 'refusal' in read) return read
  const { message, call } = read
  return call === undefined ? { message } : { message, call: await sealCall(call, keys) }
}

async function sealCall(call: SyncCall, keys: KeyRing): Promise<SealedSyncCall> {
  const { audiences, ...rest } = call
  if (audiences === undefined) return { ...rest, audiences }
  // One after the other: a call may have a thousand, and each takes memory of its own meanwhile.
  const sealed: SealedAudience[] = []
  for (const audience of audiences) sealed.push(await sealAudience(audience, keys))
  return { ...rest, audiences: sealed }
}

async function sealAudience(
  { add, remove, ...details }: CalledAudience,
  keys: KeyRing
): Promise<SealedAudience> {
  return {
    ...details,
    ...(add !== undefined && { add: await sealMembers(add, keys) }),
    ...(remove !== undefined && { remove: await sealMembers(remove, keys) })
  }
}

async function sealMembers(
  { users, ...numbers }: MemberList,
  keys: KeyRing
): Promise<SealedMembers> {
  const contentHash = keyedHash(keys).update(users).digest('hex')
  const sealedUsers = await sealMeanwhile(users, contentHash, keys)
  return { ...numbers, contentHash, sealedUsers }
}

/** The bytes in an outcome, for whoever moves them to another thread. */
export function sealedIn(outcome: ReadCallOutcome): Uint8Array[] {
  if (!('call' in outcome)) return []
  const lists = outcome.call?.audiences?.flatMap(({ add, remove }) => [add, remove]) ?? []
  return lists.flatMap((list) => (list === undefined ? [] : [list.sealedUsers]))
}
