import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv, type ValidateFunction } from 'ajv'
import addFormats from 'ajv-formats'

/**
 * Validates messages against the protocol's official schemas (`schemas/ORIGIN.md`), and against rules
 * that stand only in their prose.
 */

/** A test, as far as it is needed here. */
interface Asserting {
  same(found: unknown, wanted: unknown, message: string): unknown
}

export type Direction = 'request' | 'response'

const RELEASES = [
  { release: '3.1.19', base: '/schemas/3.1.19/' },
  { release: '3.2.3', base: 'https://adcontextprotocol.org/schemas/3.2.3/' }
] as const

const SCHEMAS: Readonly<Record<string, string>> = {
  get_adcp_capabilities: 'protocol/get-adcp-capabilities',
  list_accounts: 'account/list-accounts',
  sync_audiences: 'media-buy/sync-audiences',
  get_task_status: 'protocol/get-task-status',
  tasks_get: 'protocol/get-task-status',
  'tasks/get': 'protocol/get-task-status'
}
/** Body of a push notification. */
const WEBHOOK = 'core/mcp-webhook-payload'
/** What every answer is, also one that failed where the tool's schema knows only success. */
const ENVELOPE = 'core/protocol-envelope'

const ajv = createAjv()

function createAjv(): Ajv {
  const made = new Ajv({ strict: false, allErrors: true })
  addFormats.default(made)
  for (const { release } of RELEASES) {
    const folder = join(import.meta.dirname, 'schemas', release)
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.json') || name.startsWith('bundled')) continue
      made.addSchema(JSON.parse(readFileSync(join(folder, name), 'utf8')) as object)
    }
  }
  made.addSchema({ $id: '/schemas/3.1.19/core/async-response-data.json' })
  return made
}

/** One for each release that has the schema. */
function validatorsOf(
  name: string
): { readonly release: string; readonly check: ValidateFunction }[] {
  return RELEASES.flatMap(({ release, base }) => {
    const check = ajv.getSchema(`${base}${name}.json`)
    return check === undefined ? [] : [{ release, check }]
  })
}

function violations(name: string, message: unknown): string[] {
  const validators = validatorsOf(name)
  if (validators.length === 0) throw new RangeError(`no schema ${name}`)
  return validators.flatMap(({ release, check }) =>
    check(message)
      ? []
      : (check.errors ?? []).map(
          ({ instancePath, message: text }) => `${release} ${name} ${instancePath || '/'} ${text}`
        )
  )
}

type Fields = Readonly<Record<string, unknown>>

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const fieldsIn = (value: unknown): Fields[] => (Array.isArray(value) ? value.filter(isFields) : [])

/** RFC 6901 as the path that `field` holds. */
const pathOf = (pointer: string) =>
  pointer
    .slice(1)
    .split('/')
    .reduce((path, part) => (/^\d+$/.test(part) ? `${path}[${part}]` : `${path}.${part}`), '')
    .replace(/^\./, '')

/** What 3.2 demands of who makes an error ("error.json", "3.1 to 3.2"). */
function errorViolations(error: Fields): string[] {
  const { recovery, retry_after: wait, issues, field } = error
  const [first] = fieldsIn(issues)
  return [
    ...violations('core/error', error),
    ...(recovery === undefined ? ['an error without recovery'] : []),
    ...(wait !== undefined && !Number.isInteger(wait) ? ['retry_after is no integer'] : []),
    ...(first !== undefined && field !== pathOf(String(first['pointer']))
      ? ['field is not that of the first issue']
      : [])
  ]
}

const SETTLED: ReadonlySet<unknown> = new Set(['deleted', 'failed'])

/** What the schema of the response says of its rows in words only. */
function rowViolations(row: Fields): string[] {
  const { action, status, errors, matched_count: matched, minimum_size: minimum } = row
  const problems = [
    [
      SETTLED.has(action) === (status === undefined),
      `${String(action)} with status ${String(status)}`
    ],
    [(action === 'failed') === (errors !== undefined), `${String(action)} and errors`],
    [status !== 'too_small' || minimum !== undefined, 'too_small without minimum_size'],
    [
      status !== 'ready' || minimum === undefined || Number(matched) >= Number(minimum),
      'ready below its minimum_size'
    ]
  ] as const
  return [
    ...problems.filter(([isRight]) => !isRight).map(([, problem]) => problem),
    ...fieldsIn(errors).flatMap(errorViolations)
  ]
}

function responseViolations(tool: string, message: unknown): string[] {
  if (!isFields(message)) return ['no object']
  const { adcp_error: failure, errors, audiences, result } = message
  const hasOwnErrors = tool === 'sync_audiences'
  const schema = failure !== undefined && !hasOwnErrors ? ENVELOPE : `${SCHEMAS[tool]}-response`
  return [
    ...violations(schema, message),
    ...(typeof message['adcp_version'] === 'string' ? [] : ['no adcp_version']),
    ...[...fieldsIn(errors), ...(isFields(failure) ? [failure] : [])].flatMap(errorViolations),
    ...fieldsIn(audiences).flatMap(rowViolations),
    // The result of a task is an answer of its own tool.
    ...(isFields(result) && message['task_type'] === 'sync_audiences'
      ? resultViolations(result)
      : [])
  ]
}

function resultViolations(result: Fields): string[] {
  return [
    ...violations('media-buy/sync-audiences-response', result),
    ...fieldsIn(result['audiences']).flatMap(rowViolations)
  ]
}

/** Everything in which a message breaks the protocol, in both releases. */
export function messageViolations(tool: string, direction: Direction, message: unknown): string[] {
  if (SCHEMAS[tool] === undefined) throw new RangeError(`no tool ${tool}`)
  return direction === 'request'
    ? violations(`${SCHEMAS[tool]}-request`, message)
    : responseViolations(tool, message)
}

/** The arguments of a tool's call, or what it answers in `structuredContent`, are as the protocol has it. */
export function assertValid(
  t: Asserting,
  tool: string,
  direction: Direction,
  message: unknown
): void {
  t.same(messageViolations(tool, direction, message), [], `${tool}: a valid ${direction}`)
}

/** The same of the body of a push notification. */
export function assertValidWebhook(t: Asserting, body: unknown): void {
  const result = isFields(body) && isFields(body['result']) ? body['result'] : undefined
  const found = [
    ...violations(WEBHOOK, body),
    ...(result === undefined ? [] : resultViolations(result))
  ]
  t.same(found, [], 'a valid push notification')
}

/** A tool's result of MCP: both of its forms say the same, and what they say is valid. */
export function assertValidResult(t: Asserting, tool: string, result: unknown): void {
  if (!isFields(result)) throw new TypeError('no result')
  const { structuredContent, content, isError } = result
  assertValid(t, tool, 'response', structuredContent)
  const [text] = fieldsIn(content)
  t.same(JSON.parse(String(text?.['text'])), structuredContent, `${tool}: the same as text`)
  const hasFailed = isFields(structuredContent) && structuredContent['adcp_error'] !== undefined
  t.same(isError === true, hasFailed, `${tool}: isError tells whether it failed`)
}
