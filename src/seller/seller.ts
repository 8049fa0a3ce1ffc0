import type { AccountReference } from '../adcp/sync-call.ts'
import type { SealedSyncCall } from '../dispatch/read-call.ts'

/** A message's own fields, without its envelope (`status`, `adcp_version`, `context`, `replayed`). */
export type Fields = Readonly<Record<string, unknown>>

/** What a task answers with; `status` is that of the task (`enums/task-status.json`). */
export interface TaskAnswer {
  readonly status: 'completed' | 'submitted'
  readonly isReplay: boolean
  readonly fields: Fields
}

/**
 * The service as a seller of AdCP: what its tools do, whatever brings the calls.
 * @throws AdcpError from every function, StoreError where the store does not answer.
 */
export interface Seller {
  capabilities(principal: string): Fields
  listAccounts(
    principal: string,
    query: {
      readonly status?: string
      readonly sandbox?: boolean
      readonly maxResults?: number
      readonly cursor?: string
      readonly account?: AccountReference
    }
  ): Fields
  syncAudiences(
    principal: string,
    call: SealedSyncCall,
    traceparent: string | undefined
  ): Promise<TaskAnswer>
  taskStatus(
    principal: string,
    query: {
      readonly taskId: string
      readonly account?: AccountReference
      readonly includeResult: boolean
    }
  ): Promise<Fields>
}
