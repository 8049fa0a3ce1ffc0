import { readAccount } from './account.ts'
import { requestHash } from './canonical.ts'
import { checkCall } from './call.ts'
import { refuseCredentials } from './credentials.ts'
import { type Fields, isFields } from './fields.ts'
import { expect, fieldOf, fits, invalidRequest, MAX_ISSUES } from './issues.ts'
import { noRemoved, readMembers, type ReadMembers, type ReadMembersOptions } from './members.ts'
import {
  adcpError,
  AdcpError,
  type AdcpErrorBody,
  type AdcpIssue,
  MAX_MEMBERS
} from './protocol.ts'
import { Audience, MAX_AUDIENCES, type PushNotificationConfig, SyncAudiences } from './schemas.ts'
import { isWithin } from './size.ts'
import type { CalledAudience, PushConfig, SyncCall } from './sync-call.ts'

/**
 * Reads the arguments of `sync_audiences`.
 * @param args values of `JSON.parse`
 * @throws AdcpError with at most `MAX_ISSUES` of what is wrong, never with a value.
 */
export function readSyncCall(args: Fields): SyncCall {
  const { audiences, ...rest } = args
  checkCall(rest)
  expect(SyncAudiences, args)
  const { idempotency_key, delete_missing = false, push_notification_config } = args
  if (delete_missing && audiences === undefined) throw invalidRequest([MISSING_WITH_NOTHING])
  return {
    idempotencyKey: idempotency_key,
    account: readAccount(args.account),
    audiences: audiences === undefined ? undefined : readAudiences(audiences),
    deleteMissing: delete_missing,
    push: push_notification_config && toPush(push_notification_config, args['context']),
    requestHash: requestHash(args)
  }
}

const MISSING_WITH_NOTHING: AdcpIssue = {
  pointer: '/audiences',
  message: 'is required with delete_missing',
  keyword: 'required'
}

function toPush(config: PushNotificationConfig, context: unknown): PushConfig {
  const { url, operation_id: operationId, token, authentication } = config
  const [scheme] = authentication?.schemes ?? []
  return {
    url,
    ...(operationId !== undefined && { operationId }),
    ...(token !== undefined && { token }),
    ...(context !== undefined && { context }),
    ...(authentication !== undefined &&
      scheme !== undefined && {
        authentication: { scheme, credentials: authentication.credentials }
      })
  }
}

/**
 * A list with something in it, or what is wrong with it. Schemas would look at each entry, which may be
 * millions.
 */
function asList(value: unknown, pointer: string): readonly unknown[] | AdcpIssue {
  if (!Array.isArray(value)) return { pointer, message: 'must be array', keyword: 'type' }
  if (value.length > 0) return value
  return { pointer, message: 'must not be empty', keyword: 'minItems' }
}

const isIssue = (list: readonly unknown[] | AdcpIssue): list is AdcpIssue => 'keyword' in list

function readAudiences(value: unknown): readonly CalledAudience[] {
  const audiences = asList(value, '/audiences')
  if (isIssue(audiences)) throw invalidRequest([audiences])
  refuseTooMany(audiences)
  const issues: AdcpIssue[] = []
  const ids = new Set<string>()
  const read: CalledAudience[] = []
  for (const [index, audience] of audiences.entries()) {
    if (issues.length >= MAX_ISSUES) break
    const pointer = `/audiences/${index}`
    const one = readAudience(audience, pointer, issues)
    if (one === undefined) continue
    if (ids.has(one.audienceId)) issues.push(takenTwice(pointer))
    ids.add(one.audienceId)
    read.push(one)
  }
  if (issues.length > 0) throw invalidRequest(issues)
  return read
}

const takenTwice = (pointer: string): AdcpIssue => ({
  pointer: `${pointer}/audience_id`,
  message: 'is that of another audience of the call',
  keyword: 'uniqueItems'
})

const LISTS = ['add', 'remove'] as const

/** @throws AdcpError */
function refuseTooMany(audiences: readonly unknown[]): void {
  if (audiences.length > MAX_AUDIENCES) throw tooMany(audiences.length, 'audiences', MAX_AUDIENCES)
  let members = 0
  for (const audience of audiences) {
    if (!isFields(audience)) continue
    for (const name of LISTS) {
      const list = audience[name]
      if (Array.isArray(list)) members += list.length
    }
  }
  if (members > MAX_MEMBERS) throw tooMany(members, 'members', MAX_MEMBERS)
}

function tooMany(count: number, what: string, max: number): AdcpError {
  const message = `has ${count} ${what}; at most ${max} are allowed in a call`
  return invalidRequest([{ pointer: '/audiences', message, keyword: 'maxItems' }])
}

/** What an audience may have besides its members. */
const LIMITS = { characters: 32 * 1024, levels: 64 }

/** `undefined` where something is wrong with it. */
function readAudience(
  value: unknown,
  pointer: string,
  issues: AdcpIssue[]
): CalledAudience | undefined {
  const { add, remove, ...details } = isFields(value) ? value : {}
  if (!isWithin(details, LIMITS)) {
    issues.push({ pointer, message: 'is too large besides its members', keyword: 'maxLength' })
    return undefined
  }
  if (!fits(Audience, value, { pointer, issues })) return undefined
  refuseCredentials(details, fieldOf(pointer))
  const removed = add !== undefined && remove !== undefined ? noRemoved() : undefined
  const removing = readList(remove, { pointer: `${pointer}/remove`, issues, collect: removed })
  const adding = readList(add, { pointer: `${pointer}/add`, issues, without: removed })

  const isDeleted = value.delete === true
  const common = { audienceId: value.audience_id, isDeleted, ...detailsOf(value) }
  if (isDeleted) return common
  const problem = unsupported(value.source, pointer, adding?.uids ?? removing?.uids)
  if (problem !== undefined) return { ...common, problem }
  return {
    ...common,
    ...(adding !== undefined && { add: adding.list }),
    ...(removing !== undefined && { remove: removing.list })
  }
}

function readList(value: unknown, options: ReadMembersOptions): ReadMembers | undefined {
  if (value === undefined) return undefined
  const list = asList(value, options.pointer)
  if (!isIssue(list)) return readMembers(list, options)
  options.issues.push(list)
  return undefined
}

function detailsOf(audience: Audience) {
  const { name, description, audience_type: type, tags, consent_basis: consentBasis } = audience
  return {
    ...(name !== undefined && { name }),
    ...(description !== undefined && { description }),
    ...(type !== undefined && { type }),
    ...(tags !== undefined && { tags }),
    ...(consentBasis !== undefined && { consentBasis })
  }
}

/** What the protocol allows and nobody here can do: the audience's own problem, not the call's. */
function unsupported(
  source: unknown,
  pointer: string,
  uids: string | undefined
): AdcpErrorBody | undefined {
  if (source !== undefined) {
    return adcpError('UNSUPPORTED_FEATURE', 'Members are taken from calls only.', {
      field: `${fieldOf(pointer)}.source`,
      suggestion: 'Send the members themselves, with add and remove.'
    })
  }
  if (uids === undefined) return undefined
  return adcpError('UNSUPPORTED_FEATURE', 'No platform of the account takes universal ids.', {
    field: uids,
    suggestion: 'Leave uids out, and send hashed_email or hashed_phone.',
    details: { accepted_values: ['hashed_email', 'hashed_phone'] }
  })
}
