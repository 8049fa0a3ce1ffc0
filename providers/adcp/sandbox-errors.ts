import type { PlatformAnswerTemplate } from '../sandbox.ts'

interface NamedError {
  readonly code: string
  readonly message: string
  readonly recovery?: string
  readonly retry_after?: number
}

/** A tool that failed, in both layers of AdCP. */
function toolError(error: NamedError): PlatformAnswerTemplate {
  const fields = { status: 'failed', adcp_error: error, errors: [error] }
  return rpcResult({
    isError: true,
    structuredContent: fields,
    content: [{ type: 'text', text: JSON.stringify(fields) }]
  })
}

/** A fault is planned before the call is known: its answer has no id. */
function rpcResult(result: object): PlatformAnswerTemplate {
  return { status: 200, body: { jsonrpc: '2.0', id: null, result } }
}

/** A tool that answers with these fields. */
const answer = (fields: object) =>
  rpcResult({
    structuredContent: fields,
    content: [{ type: 'text', text: JSON.stringify(fields) }]
  })

const page = (status: number): PlatformAnswerTemplate => ({
  status,
  headers: { 'content-type': 'text/html' },
  body: '<!DOCTYPE html><html><head><title>Error</title></head><body></body></html>'
})

const rpcError = (status: number, code: number, message: string): PlatformAnswerTemplate => ({
  status,
  body: { jsonrpc: '2.0', id: null, error: { code, message } }
})

export const UNAUTHORIZED: PlatformAnswerTemplate = {
  status: 401,
  headers: { 'www-authenticate': 'Bearer' },
  body: { error: 'invalid_token' }
}

export const RATE_LIMITED = toolError({
  code: 'RATE_LIMITED',
  message: 'Too many calls.',
  recovery: 'transient',
  retry_after: 7
})

const coded = (code: string, recovery: string, message: string) =>
  toolError({ code, message, recovery })

/** Sellers' answers by name. A message that repeats a customer's data does so here too. */
export const NAMED_ERRORS = {
  auth_missing: coded('AUTH_MISSING', 'correctable', 'No credentials.'),
  auth_invalid: coded('AUTH_INVALID', 'terminal', 'The credentials were revoked.'),
  permission_denied: coded('PERMISSION_DENIED', 'correctable', 'Not yours.'),
  account_not_found: coded('ACCOUNT_NOT_FOUND', 'terminal', 'No such account.'),
  account_suspended: coded('ACCOUNT_SUSPENDED', 'terminal', 'The account is suspended.'),
  account_setup_required: coded('ACCOUNT_SETUP_REQUIRED', 'correctable', 'Not set up.'),
  policy_violation: coded('POLICY_VIOLATION', 'correctable', 'Not allowed here.'),
  rate_limited: RATE_LIMITED,
  service_unavailable: toolError({
    code: 'SERVICE_UNAVAILABLE',
    message: 'Down for maintenance.',
    recovery: 'transient',
    retry_after: 30
  }),
  in_flight: coded('IDEMPOTENCY_IN_FLIGHT', 'transient', 'The first call still runs.'),
  conflict: coded('IDEMPOTENCY_CONFLICT', 'correctable', 'The key was used for another call.'),
  expired: coded('IDEMPOTENCY_EXPIRED', 'correctable', 'The key is too old.'),
  audience_gone: coded('REFERENCE_NOT_FOUND', 'correctable', 'No such audience.'),
  invalid_request: coded('INVALID_REQUEST', 'correctable', 'jane@example.com is not a hash.'),
  validation_error: toolError({
    code: 'VALIDATION_ERROR',
    message: '/audiences/0/add/0/hashed_email must match pattern'
  }),
  version_unsupported: coded('VERSION_UNSUPPORTED', 'correctable', 'Not that one.'),
  new_transient: coded('NEW_CODE', 'transient', 'Later.'),
  new_correctable: coded('NEW_CODE', 'correctable', 'Otherwise.'),
  new_terminal: coded('NEW_CODE', 'terminal', 'Never.'),
  new_code: toolError({ code: 'NEW_CODE', message: 'Something.' }),
  error_alone: rpcResult({
    isError: true,
    structuredContent: { adcp_error: { code: 'AUTH_INVALID', message: 'Revoked.' } },
    content: []
  }),
  errors_alone: answer({ errors: [{ code: 'PERMISSION_DENIED', message: 'Not yours.' }] }),
  error_in_text: rpcResult({
    isError: true,
    content: [{ type: 'text', text: 'MCP error -32602: Input validation error' }]
  }),
  unknown_text: rpcResult({ isError: true, content: [{ type: 'text', text: 'Oops' }] }),
  input_required: answer({ status: 'input-required', message: 'Please approve.' }),
  working: answer({ status: 'working' }),
  rejected: answer({ status: 'rejected' }),
  no_rows: answer({ status: 'completed', audiences: [] }),
  unreadable: answer({ status: 'completed', audiences: 'many' }),
  no_result: { status: 200, body: { jsonrpc: '2.0', id: null } },
  no_such_tool: rpcError(200, -32_602, 'Tool sync_audiences not found'),
  internal_rpc_error: rpcError(200, -32_603, 'Internal error'),
  unauthorized: UNAUTHORIZED,
  forbidden: page(403),
  not_found: page(404),
  too_large: page(413),
  too_many_requests: { ...page(429), headers: { 'retry-after': '3' } },
  internal_error: page(500),
  bad_gateway: page(502),
  unavailable: { ...page(503), headers: { 'retry-after': '9' } }
} satisfies Record<string, PlatformAnswerTemplate>
