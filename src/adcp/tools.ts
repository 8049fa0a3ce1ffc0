import type { TSchema } from 'typebox'
import {
  CapabilitiesArguments,
  ListAccountsArguments,
  SyncAudiencesArguments,
  TaskStatusArguments
} from './schemas.ts'

/** A task of the protocol as a tool of MCP. */
export interface Tool {
  readonly name: string
  readonly title: string
  /** For agents: when to call it, and what comes back. */
  readonly description: string
  readonly inputSchema: TSchema
  readonly annotations: {
    readonly readOnlyHint: boolean
    readonly destructiveHint?: boolean
    readonly idempotentHint: boolean
    readonly openWorldHint: boolean
  }
}

const READS = { readOnlyHint: true, idempotentHint: true, openWorldHint: false }

/**
 * All names under which callers ask how a task stands: that of 3.1 and later, the only one that
 * the official TypeScript client knows, and that of 3.0.
 */
export const TASK_TOOLS = ['get_task_status', 'tasks_get', 'tasks/get'] as const

export const TOOLS: readonly Tool[] = [
  {
    name: 'get_adcp_capabilities',
    title: 'Capabilities',
    description:
      'What this agent serves of AdCP: releases, the identifiers that its platforms match members ' +
      'by, the smallest audience that can be used, and how long matching takes. Call it first.',
    inputSchema: CapabilitiesArguments,
    annotations: READS
  },
  {
    name: 'list_accounts',
    title: 'Accounts',
    description:
      'The accounts that the caller may use. Every other call names one of them, by its account_id ' +
      'or by its brand and operator.',
    inputSchema: ListAccountsArguments,
    annotations: READS
  },
  {
    name: 'sync_audiences',
    title: 'Sync audiences',
    description:
      'Creates, changes and deletes audiences of an account at its advertising platforms, and lists ' +
      'them. Members are deltas: add and remove, each with an external_id and a SHA-256 hash of the ' +
      'e-mail address (trimmed, in lower case) or of the phone number (E.164 with "+"); at most ' +
      '100,000 in a call. Without audiences nothing is changed, and all audiences are returned with ' +
      'their status: processing, ready, too_small or suspended. Matching takes hours: list again ' +
      'later. delete and delete_missing cannot be undone. After an unclear failure repeat the very ' +
      'same call with the same idempotency_key.',
    inputSchema: SyncAudiencesArguments,
    annotations: {
      readOnlyHint: false,
      destructiveHint: true,
      idempotentHint: true,
      openWorldHint: true
    }
  },
  ...TASK_TOOLS.map((name) => ({
    name,
    title: 'Task status',
    description:
      'How a task stands that sync_audiences answered with: submitted, working or completed. With ' +
      'include_result also what came of it.' +
      (name === 'get_task_status' ? '' : ' The same as get_task_status.'),
    inputSchema: TaskStatusArguments,
    annotations: READS
  }))
]
