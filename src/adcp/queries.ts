import { readOptionalAccount } from './account.ts'
import { checkCall } from './call.ts'
import type { Fields } from './fields.ts'
import { expect } from './issues.ts'
import { ListAccounts, TaskStatus } from './schemas.ts'
import type { AccountReference } from './sync-call.ts'

/** A call of `list_accounts`. */
export interface AccountsQuery {
  readonly account?: AccountReference
  readonly status?: string
  readonly sandbox?: boolean
  readonly maxResults?: number
  readonly cursor?: string
}

/** @throws AdcpError */
export function readAccountsQuery(args: Fields): AccountsQuery {
  checkCall(args)
  expect(ListAccounts, args)
  const { status, sandbox, pagination } = args
  const { max_results: maxResults, cursor } = pagination ?? {}
  return {
    ...readOptionalAccount(args.account),
    ...(status !== undefined && { status }),
    ...(sandbox !== undefined && { sandbox }),
    ...(maxResults !== undefined && { maxResults }),
    ...(cursor !== undefined && { cursor })
  }
}

/** A call of `get_task_status`, whatever name it goes by. */
export interface TaskQuery {
  readonly taskId: string
  readonly account?: AccountReference
  readonly includeResult: boolean
}

/** @throws AdcpError */
export function readTaskQuery(args: Fields): TaskQuery {
  checkCall(args)
  expect(TaskStatus, args)
  const { task_id: taskId, include_result: includeResult = false } = args
  return { taskId, includeResult, ...readOptionalAccount(args.account) }
}
