import { cleanMessage, ProviderError } from '../errors.ts'
import type { Audience, EncodedBody, SegmentStatus, UploadResult } from '../provider.ts'
import { isFields } from '../../src/adcp/fields.ts'
import { TASK_TOOLS } from '../../src/adcp/tools.ts'
import { agentOf, accountOf, toolsOf } from './agent.ts'
import { audienceIdOf } from './audience-id.ts'
import { answered, toProviderError, unreadable } from './errors.ts'
import { callTool, firstError } from './mcp.ts'
import { sendable } from './sendable.ts'
import {
  assertGoesOn,
  listAudiences,
  type Outcome,
  outcomeOf,
  type Row,
  rowOf,
  syncAudience
} from './sync.ts'
import type { AdcpContext } from './variables.ts'

/** The id of the audience, if the account has it. */
export async function findAudience(
  { segmentName }: Pick<Audience, 'segmentName'>,
  context: AdcpContext
): Promise<string | undefined> {
  const id = audienceIdOf(segmentName)
  const rows = await listAudiences(context)
  return rows.find(({ audience_id: one }) => one === id)?.audience_id
}

/** What `sync_audiences` changes it creates where it is not there: the first members bring it along. */
export function newAudience({ segmentName }: Pick<Audience, 'segmentName'>): Promise<string> {
  return Promise.resolve(audienceIdOf(segmentName))
}

export function addMembers(
  body: EncodedBody,
  { segmentName }: Pick<Audience, 'segmentName'>,
  audienceId: string,
  context: AdcpContext
): Promise<UploadResult> {
  const { consentBasis } = context.variables
  const audience = {
    audience_id: audienceId,
    name: segmentName,
    audience_type: 'crm',
    ...(consentBasis !== undefined && { consent_basis: consentBasis })
  }
  return sendMembers('add', body, audience, context)
}

export function removeMembers(
  body: EncodedBody,
  audienceId: string,
  context: AdcpContext
): Promise<UploadResult> {
  return sendMembers('remove', body, { audience_id: audienceId }, context)
}

async function sendMembers(
  list: 'add' | 'remove',
  { payload, users }: EncodedBody,
  audience: { readonly audience_id: string },
  context: AdcpContext
): Promise<UploadResult> {
  const { unwanted } = await agentOf(context)
  const { members, sent, warnings } = sendable(payload, users, unwanted)
  if (sent === 0) return { received: 0, warnings }
  const outcome = await syncAudience({ audience, list, members }, context)
  const result = resultOf(outcome, audience.audience_id, list)
  return { ...result, warnings: [...warnings, ...(result.warnings ?? [])] }
}

const SUSPENDED = 'the seller has taken the audience out of use'

/** @throws ProviderError where the seller refuses the audience. */
function resultOf(outcome: Outcome, audienceId: string, list: Audience['mode']): UploadResult {
  if ('taskId' in outcome) return { ticket: outcome.taskId }
  const { status, uploaded_count: uploaded } = rowOf(outcome.rows, audienceId)
  return {
    // Those removed are not counted by any field.
    ...(list === 'add' && uploaded !== undefined && { received: uploaded }),
    ...(status === 'suspended' && { warnings: [SUSPENDED] })
  }
}

/** Follows a task to its end; where the seller has no tool for that, by the audiences that it lists. */
export async function confirmTask(
  taskId: string,
  { segmentName, mode }: Pick<Audience, 'segmentName' | 'mode'>,
  context: AdcpContext
): Promise<UploadResult | undefined> {
  const audienceId = audienceIdOf(segmentName)
  const tools = await toolsOf(context)
  const name = TASK_TOOLS.find((one) => tools.has(one))
  if (name === undefined) return confirmByList(audienceId, context)

  const { version } = await agentOf(context)
  const account = await accountOf(context)
  const asked = { ...version, task_id: taskId, account, include_result: true }
  const args = Buffer.from(JSON.stringify(asked))
  const task = await callTool({ name, args, operation: 'get_task_status' }, context).catch(lost)
  const { status, result, error } = task
  assertGoesOn(status)
  switch (status) {
    case 'completed':
      return isFields(result) ? resultOf(outcomeOf(result), audienceId, mode) : {}
    case 'failed':
    case 'rejected':
    case 'canceled': {
      const told = error ?? firstError(task) ?? (isFields(result) ? firstError(result) : undefined)
      if (told !== undefined) throw toProviderError(told)
      throw answered('invalid', 'the seller has given the task up')
    }
    case 'submitted':
    case 'working':
      return undefined
    default:
      throw unreadable()
  }
}

/** Not `not_found`: it is not the audience that is gone, and another one would be of no help. */
function lost(error: unknown): never {
  if (!(error instanceof ProviderError) || error.errorClass !== 'not_found') throw error
  throw answered('invalid', 'the seller does not know the task any more')
}

async function confirmByList(
  audienceId: string,
  context: AdcpContext
): Promise<UploadResult | undefined> {
  const rows = await listAudiences(context)
  const row = rows.find(({ audience_id: id }) => id === audienceId)
  return row === undefined || row.status === 'processing' ? undefined : {}
}

export async function deleteAudience(audienceId: string, context: AdcpContext): Promise<void> {
  try {
    const audience = { audience_id: audienceId, delete: true }
    const outcome = await syncAudience({ audience }, context)
    // A task of the seller's own is as good: nothing else is done with the audience. Nor does one that
    // is gone need a row.
    const isTold =
      'rows' in outcome && outcome.rows.some(({ audience_id: id }) => id === audienceId)
    if (isTold) rowOf(outcome.rows, audienceId)
  } catch (error) {
    if (!(error instanceof ProviderError) || error.errorClass !== 'not_found') throw error
  }
}

const STATES: ReadonlySet<string> = new Set(['processing', 'ready', 'too_small', 'suspended'])
const isState = (status: string): status is SegmentStatus['state'] => STATES.has(status)

export async function audienceStatus(
  audienceId: string,
  context: AdcpContext
): Promise<SegmentStatus> {
  const rows = await listAudiences(context)
  const row = rows.find(({ audience_id: id }) => id === audienceId)
  if (row === undefined || row.action === 'deleted') {
    throw answered('not_found', 'the seller does not have the audience')
  }
  return toStatus(row)
}

function toStatus(row: Row): SegmentStatus {
  const { status = '', matched_count: matched } = row
  const [error] = row.errors ?? []
  const text = isFields(error) && typeof error['message'] === 'string' ? error['message'] : ''
  const message = cleanMessage(text)
  return {
    state: isState(status) ? status : 'processing',
    ...(matched !== undefined && { matched }),
    ...(message !== '' && { message })
  }
}
