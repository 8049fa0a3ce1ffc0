import type { FastifyRequest } from 'fastify'
import { type Answer, completed, echoOf, failed } from '../src/adcp/answers.ts'
import { checkCall } from '../src/adcp/call.ts'
import type { Fields } from '../src/adcp/fields.ts'
import { adcpError, AdcpError, type AdcpErrorBody } from '../src/adcp/protocol.ts'
import { readAccountsQuery, readTaskQuery } from '../src/adcp/queries.ts'
import type { ReadCallOutcome, SealedSyncCall } from '../src/dispatch/read-call.ts'
import { faultOf, traceHeaders } from '../src/dispatch/tracing.ts'
import { ClosingError, OverloadedError, StoreUnavailableError } from '../src/errors.ts'
import type { Seller } from '../src/seller/seller.ts'
import { StoreError } from '../src/store/store.ts'
import { RETRY_AFTER_SECONDS } from './errors.ts'
import type { CallTool } from './mcp-server.ts'

/** Whoever is told this may send the very same call again. */
export const UNAVAILABLE: AdcpErrorBody = adcpError(
  'SERVICE_UNAVAILABLE',
  'The service cannot answer the call now. Please send it again later.',
  { retry_after: RETRY_AFTER_SECONDS }
)

export interface ToolsOptions {
  readonly seller: Seller
  /** Whose call it is. */
  readonly request: FastifyRequest
  /** What came of reading its message. */
  readonly read: Exclude<ReadCallOutcome, { readonly invalid: unknown }>
}

/** The tools, as one message calls them. */
export function createTools({ seller, request, read }: ToolsOptions): CallTool {
  const { keyName: principal, server: app } = request

  async function syncAudiences(call: SealedSyncCall): Promise<Fields> {
    if (call.audiences !== undefined && app.isOverloaded()) throw new OverloadedError()
    request.describe(callAttributes(call))
    const { traceparent } = traceHeaders(request.traceContext)
    const { status, isReplay, fields } = await seller.syncAudiences(principal, call, traceparent)
    return { status, ...fields, ...(isReplay && { replayed: true }) }
  }

  /** What a tool answers, without the envelope. */
  async function run(name: string, args: Fields): Promise<Fields> {
    if ('call' in read && read.call !== undefined) return syncAudiences(read.call)
    switch (name) {
      case 'get_adcp_capabilities':
        checkCall(args)
        return seller.capabilities(principal)
      case 'list_accounts':
        return seller.listAccounts(principal, readAccountsQuery(args))
      default:
        return seller.taskStatus(principal, readTaskQuery(args))
    }
  }

  function errorOf(raised: unknown): AdcpErrorBody {
    if (raised instanceof AdcpError) return raised.body
    if (!isPassing(raised)) request.log.error({ fault: faultOf(raised) }, 'a call failed')
    return UNAVAILABLE
  }

  return async (name, args): Promise<Answer> => {
    const echo = echoOf(args)
    request.describe({ 'gen_ai.tool.name': name, 'adcp.version': echo.adcp_version })
    try {
      if ('refusal' in read) return refused(read.refusal)
      const fields = await run(name, args)
      app.meter.calledTool(name, 'completed')
      return completed(echo, fields)
    } catch (error) {
      return refused(errorOf(error))
    }

    function refused(error: AdcpErrorBody): Answer {
      request.describe({ 'error.type': error.code })
      app.meter.calledTool(name, error.code)
      return failed(echo, error)
    }
  }
}

/** These are told elsewhere, and pass. */
const PASSING = [StoreError, OverloadedError, ClosingError, StoreUnavailableError] as const

const isPassing = (raised: unknown) => PASSING.some((Known) => raised instanceof Known)

function callAttributes({ audiences = [] }: SealedSyncCall) {
  const sum = (list: 'add' | 'remove') =>
    audiences.reduce((count, audience) => count + (audience[list]?.count ?? 0), 0)
  return {
    'adcp.audiences': audiences.length,
    'adcp.members.added': sum('add'),
    'adcp.members.removed': sum('remove')
  }
}
