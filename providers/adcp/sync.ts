import { hash, randomUUID } from 'node:crypto'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import type { Fields } from '../../src/adcp/fields.ts'
import { ProviderError } from '../errors.ts'
import { accountOf, agentOf, forget } from './agent.ts'
import { answered, toProviderError, unreadable } from './errors.ts'
import { callTool, firstError } from './mcp.ts'
import type { AdcpContext } from './variables.ts'

/** Messages of `sync_audiences`, in all forms in which sellers answer them. */

export const Row = Type.Object({
  audience_id: Type.String(),
  action: Type.Optional(Type.String()),
  status: Type.Optional(Type.String()),
  uploaded_count: Type.Optional(Type.Integer({ minimum: 0 })),
  matched_count: Type.Optional(Type.Integer({ minimum: 0 })),
  errors: Type.Optional(Type.Array(Type.Unknown()))
})
/** One of `audiences`. */
export type Row = Static<typeof Row>

const Rows = Type.Object({ audiences: Type.Array(Row) })
const Task = Type.Object({ task_id: Type.String({ minLength: 1 }) })

/** What a call came to: the audiences of the account, or a task that will. */
export type Outcome = { readonly rows: readonly Row[] } | { readonly taskId: string }

/** Discovery lists everything that the account has: sellers want it rarely. */
export const LIST_OPERATION = 'sync_audiences.list'
const SYNC_OPERATION = 'sync_audiences'

/** All audiences of the account, without changing anything. */
export async function listAudiences(context: AdcpContext): Promise<readonly Row[]> {
  const outcome = await sync({}, randomUUID(), LIST_OPERATION, context)
  if ('rows' in outcome) return outcome.rows
  throw answered('transient', 'the seller does not list its audiences at once')
}

/** A change of one audience; `members` are the JSON of some, without brackets. */
export interface Change {
  readonly audience: Fields
  readonly list?: 'add' | 'remove'
  readonly members?: Uint8Array
}

/**
 * Changes one audience. All attempts of a delivery send the same arguments under the same key, so that
 * the seller does it once.
 */
export function syncAudience(change: Change, context: AdcpContext): Promise<Outcome> {
  return sync({ change }, undefined, SYNC_OPERATION, context)
}

async function sync(
  { change }: { readonly change?: Change },
  key: string | undefined,
  operation: string,
  context: AdcpContext
): Promise<Outcome> {
  try {
    const { version } = await agentOf(context)
    const common = { ...version, account: await accountOf(context) }
    const rest = change === undefined ? endOf(common) : withAudience(common, change)
    const args = Buffer.concat([
      Buffer.from(`{"idempotency_key":"${key ?? keyFor(rest, context)}",`),
      rest
    ])
    return outcomeOf(await callTool({ name: 'sync_audiences', args, operation }, context))
  } catch (error) {
    if (error instanceof ProviderError && MAY_BE_STALE.has(error.errorClass)) forget(context)
    throw error
  }
}

/** Of classes of errors: what another account, release or identifier may mend. */
const MAY_BE_STALE: ReadonlySet<string> = new Set(['permission', 'blocked', 'invalid'])

/** An object without its opening brace. */
const endOf = (fields: Fields) => Buffer.from(JSON.stringify(fields).slice(1))

function withAudience(common: Fields, { audience, list, members }: Change): Buffer {
  if (list === undefined || members === undefined)
    return endOf({ ...common, audiences: [audience] })
  const head = JSON.stringify({ ...common, audiences: [audience] }).slice(1, -'}]}'.length)
  return Buffer.concat([Buffer.from(`${head},"${list}":[`), members, Buffer.from(']}]}')])
}

/** Outside of deliveries nothing is repeated. */
function keyFor(rest: Uint8Array, { runId }: AdcpContext): string {
  return runId === ''
    ? randomUUID()
    : hash('sha256', Buffer.concat([Buffer.from(`${runId}\n`), rest]), 'hex')
}

/** What is over without having come to anything. */
const FAILED: ReadonlySet<unknown> = new Set(['failed', 'rejected', 'canceled'])
/** A task that goes on. */
const GOES_ON: ReadonlySet<unknown> = new Set(['submitted', 'working'])
/** A task that waits for a person. */
const WAITS: ReadonlySet<unknown> = new Set(['input-required', 'auth-required'])

/**
 * Sellers of 3.0 leave `status` out of a success, so that it is the other fields that decide.
 * @throws ProviderError where the whole call failed.
 */
export function outcomeOf(answer: Fields): Outcome {
  const { status, audiences } = answer
  if (GOES_ON.has(status) && audiences === undefined) {
    if (Value.Check(Task, answer)) return { taskId: answer.task_id }
    throw answered('transient', 'the seller is still at work on the call')
  }
  assertGoesOn(status)
  const error = firstError(answer)
  if (audiences === undefined && error !== undefined) throw toProviderError(error)
  if (FAILED.has(status)) throw answered('invalid', 'the seller has given the call up')
  if (!Value.Check(Rows, answer)) throw unreadable()
  return { rows: answer.audiences }
}

/** @throws ProviderError `blocked` where the seller waits for a person. */
export function assertGoesOn(status: unknown): void {
  if (!WAITS.has(status)) return
  throw answered('blocked', 'the seller wants a person to approve it: settle it with them')
}

/**
 * The row of an audience.
 * @throws ProviderError where it failed, or where there is none.
 */
export function rowOf(rows: readonly Row[], audienceId: string): Row {
  const row = rows.find(({ audience_id: id }) => id === audienceId)
  if (row === undefined) {
    throw answered('transient', 'the seller does not say what became of the audience')
  }
  if (row.action !== 'failed') return row
  const [error] = row.errors ?? []
  if (error !== undefined) throw toProviderError(error)
  throw answered('invalid', 'the seller refuses the audience without saying why')
}
