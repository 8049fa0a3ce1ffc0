import { hash } from 'node:crypto'
import { adcpError, type AdcpErrorBody } from '../adcp/protocol.ts'
import { segmentName } from '../audience/segment-name.ts'
import { type Destination, destinationName, targetOf } from '../dispatch/destination.ts'
import type { SealedAudience, SealedMembers } from '../dispatch/read-call.ts'
import type { AudienceChange, AudienceDetails, MemberUpload } from '../store/ledger.ts'
import { type NewUpload, newSessionId, type Target } from '../store/store.ts'
import type { Account } from './accounts.ts'
import type { LeftOut, SyncNote } from './note.ts'
import { identifierTypes, type IdentifierType, targetingOf } from './targeting.ts'

/** What changes of one call have in common. */
export interface ChangesOf {
  readonly account: Account
  readonly principal: string
  readonly segmentPrefix: string
  readonly traceparent: string | undefined
  readonly now: number
}

/** What the store is asked to do with an audience of a call; `index`: its place in the call. */
export function toChange(audience: SealedAudience, index: number, call: ChangesOf): AudienceChange {
  const { audienceId } = audience
  if (audience.isDeleted) return { audienceId, action: 'delete', note: undefined }
  const error = audience.problem ?? refusal(audience, index, call.account)
  if (error !== undefined)
    return { audienceId, action: 'refuse', note: { error } satisfies SyncNote }

  const segment = segmentNameOf(audience, call)
  const able = call.account.destinations.filter((one) => identifierTypes(one).length > 0)
  const { add, remove } = audience
  const leftOut = leftOutOf(call.account.destinations, [add, remove])
  const note: SyncNote | undefined = leftOut.length === 0 ? undefined : { leftOut }
  return {
    audienceId,
    action: 'upsert',
    note,
    details: detailsOf(audience),
    add: uploadOf('add', add, audience, segment, call),
    remove: uploadOf('remove', remove, audience, segment, call),
    targets: able.map((destination) => toTarget(destination, segment)),
    addTo: able.filter((destination) => matchesAny(destination, add)).map(targetOf)
  }
}

/** What uploads that delete segments have in common. */
export function deletionOf({
  principal,
  traceparent,
  now
}: ChangesOf): Omit<NewUpload, 'sessionId' | 'audienceName' | 'segmentName' | 'managed'> {
  return {
    ...COMMON,
    mode: 'delete',
    owner: principal,
    totalUsers: 0,
    users: 0,
    contentHash: '',
    traceparent,
    acceptedAt: now
  }
}

/** Members have no session: each upload is a batch of its own. */
const COMMON = {
  sequence: 1,
  totalBatches: 1,
  pullDate: undefined,
  type: 'custom',
  ignoredFields: {},
  defaultCountry: undefined,
  // "Normalise before hashing": a phone number is E.164 with its `+`.
  phoneHashes: 'e164'
} as const

function uploadOf(
  mode: 'add' | 'remove',
  members: SealedMembers | undefined,
  { audienceId, name = audienceId }: SealedAudience,
  segment: string,
  { account, principal, traceparent, now }: ChangesOf
): MemberUpload | undefined {
  if (members === undefined || members.count === 0) return undefined
  const { count, contentHash, sealedUsers } = members
  const upload: NewUpload = {
    ...COMMON,
    mode,
    managed: { account: account.id, audienceId },
    owner: principal,
    sessionId: newSessionId(),
    totalUsers: count,
    audienceName: name,
    segmentName: segment,
    users: count,
    contentHash,
    traceparent,
    acceptedAt: now
  }
  return { upload, sealedUsers }
}

function detailsOf({
  name,
  description,
  type,
  tags,
  consentBasis
}: SealedAudience): AudienceDetails {
  return { name, description, type, tags, consentBasis }
}

function toTarget(destination: Destination, segment: string): Target {
  const { provider, variables } = destination
  return { ...targetOf(destination), segmentName: provider.storedName(segment, variables) }
}

/** Shorter than what any platform here keeps of a name: what it cuts off would be the hash. */
const MAX_SEGMENT_NAME = 64
const HASH_CHARACTERS = 8

/**
 * A name of the audience's own: the hash tells audiences of one name apart, and the service from
 * everybody else who calls something so. It counts when the name was made: an audience that is
 * created again must not get the people of a segment that its platform did not delete.
 */
function segmentNameOf(
  { audienceId, name = audienceId }: SealedAudience,
  { account, segmentPrefix, now }: ChangesOf
): string {
  const own = hash('sha256', JSON.stringify([account.id, audienceId, now])).slice(
    0,
    HASH_CHARACTERS
  )
  const full = segmentName(name, { prefix: segmentPrefix, disablePrefix: false })
  return `${cut(full, MAX_SEGMENT_NAME - HASH_CHARACTERS - 1)}_${own}`
}

/** Not through the middle of a character. */
function cut(text: string, length: number): string {
  const start = text.slice(0, length)
  return start.isWellFormed() ? start : start.slice(0, -1)
}

/** Why nothing can be done with an audience. */
function refusal(
  { add, remove, consentBasis }: SealedAudience,
  index: number,
  { destinations, requireConsentBasis }: Account
): AdcpErrorBody | undefined {
  const path = `audiences[${index}]`
  const accepted = targetingOf(destinations)?.identifiers ?? []
  if (accepted.length === 0) {
    const titles = [...new Set(destinations.map(({ provider }) => provider.title))].join(', ')
    return adcpError('UNSUPPORTED_FEATURE', `This account takes no hashed members (${titles}).`, {
      field: path
    })
  }
  if (requireConsentBasis && consentBasis === undefined && isSome(add)) {
    return adcpError(
      'INVALID_REQUEST',
      'This account asks for a consent_basis with members to add.',
      {
        field: `${path}.consent_basis`,
        issues: [
          {
            pointer: `/audiences/${index}/consent_basis`,
            message: 'is required',
            keyword: 'required'
          }
        ]
      }
    )
  }
  const lists = Object.entries({ add, remove })
  const [hopeless] =
    lists.find(([, list]) => isSome(list) && !destinations.some((one) => matchesAny(one, list))) ??
    []
  if (hopeless === undefined) return undefined
  return adcpError(
    'UNSUPPORTED_FEATURE',
    `This account matches members by ${accepted.join(' and ')} only; none of them has one.`,
    {
      field: `${path}.${hopeless}`,
      details: { accepted_values: accepted }
    }
  )
}

const isSome = (members: SealedMembers | undefined) => members !== undefined && members.count > 0

/** Members of a list with each type of identifier. */
function countsOf(members: SealedMembers | undefined): Readonly<Record<IdentifierType, number>> {
  return { hashed_email: members?.emails ?? 0, hashed_phone: members?.phones ?? 0 }
}

function matchesAny(destination: Destination, members: SealedMembers | undefined): boolean {
  const counts = countsOf(members)
  return identifierTypes(destination).some((type) => counts[type] > 0)
}

/** Hashes that tags cannot match. */
function leftOutOf(
  destinations: readonly Destination[],
  lists: readonly (SealedMembers | undefined)[]
): LeftOut[] {
  const counts = lists.map(countsOf)
  const sum = (type: IdentifierType) => counts.reduce((total, count) => total + count[type], 0)
  const came = (['hashed_email', 'hashed_phone'] as const).filter((type) => sum(type) > 0)
  return destinations.flatMap((destination) => {
    const takes = identifierTypes(destination)
    const not = came.filter((type) => !takes.includes(type))
    if (not.length === 0) return []
    return [
      {
        channel: destinationName(destination),
        hashes: Object.fromEntries(not.map((type) => [type, sum(type)]))
      }
    ]
  })
}
