import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { FastifyInstance } from 'fastify'
import { type TSchema, Type } from 'typebox'
import { Failure } from '../../src/api/answers.ts'
import { COMMON_ERRORS } from '../../src/api/errors.ts'
import { HEADERS, operations } from '../../src/api/operations.ts'
import { describeAnswers } from '../../src/api/responses.ts'

/** Holds every answer of a service to what the reference says of it. */

/** A test, as far as it is needed here. */
interface Failing {
  fail(message: string): unknown
}

/** An answer on its way, whoever asked. */
interface Answered {
  readonly operationId: string
  readonly isOpen: boolean
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly text: string
}

type Answers = ReturnType<typeof describeAnswers>

const documented = new Map<string, Answers>()
const validators = new Map<TSchema, ValidateFunction>()
let ajv: Ajv2020 | undefined

function answersOf({ operationId, isOpen }: Answered): Answers {
  const operation = operations[operationId]
  if (operation === undefined) throw new RangeError(`no operation ${operationId}`)
  const answers =
    documented.get(operationId) ?? describeAnswers(operation, isOpen ? [] : COMMON_ERRORS)
  documented.set(operationId, answers)
  return answers
}

function createAjv(): Ajv2020 {
  const made = new Ajv2020({
    strict: false,
    validateSchema: false,
    // Few answers come for each schema: it is compiled faster as it is.
    code: { optimize: false }
  })
  addFormats.default(made)
  return made
}

/** Compiled when it is needed first: most test files see few of them. */
function validatorOf(schema: TSchema): ValidateFunction {
  const known = validators.get(schema)
  if (known !== undefined) return known
  const validator = (ajv ??= createAjv()).compile(schema)
  validators.set(schema, validator)
  return validator
}

/** In what a value breaks a schema; one of several is compiled only if those before it do not fit. */
export function violations(schema: TSchema, value: unknown): string[] {
  const found: string[] = []
  for (const one of Type.IsUnion(schema) ? schema.anyOf : [schema]) {
    const validate = validatorOf(one)
    if (validate(value)) return []
    for (const { instancePath, message = '', params } of validate.errors ?? []) {
      found.push(`${instancePath || '/'} ${message} ${JSON.stringify(params)}`)
    }
  }
  return found
}

/** In what an answer differs from what the reference says of its operation. */
export function differences(answered: Answered): string[] {
  const { status, headers, text } = answered
  const answer = answersOf(answered)[status]
  if (answer === undefined) return [`the status ${status} is not documented`]
  const type = headers['content-type']
  const mediaType = typeof type === 'string' ? type.split(';', 1)[0] : undefined
  const schema = mediaType === undefined ? undefined : answer.content?.[mediaType]?.schema
  const codes: readonly unknown[] = answer.headers['x-error-code']?.enum ?? []
  const code = headers['x-error-code']
  const undocumented = Object.keys(HEADERS).filter(
    (name) => headers[name] !== undefined && !Object.hasOwn(answer.headers, name)
  )
  return [
    ...undocumented.map((name) => `the header ${name} is not documented`),
    ...(code !== undefined && !codes.includes(code)
      ? [`${JSON.stringify(code)} is not documented`]
      : []),
    ...(mediaType !== undefined && schema === undefined ? [`${mediaType} is not documented`] : []),
    ...(answer.content !== undefined && mediaType === undefined ? ['there is no body'] : []),
    ...(schema === undefined ? [] : violations(schema, bodyOf(text, mediaType)))
  ]
}

const bodyOf = (text: string, mediaType: string | undefined): unknown =>
  mediaType === 'application/json' ? JSON.parse(text) : text

/** What is answered where there is no operation; who may not ask learns no more there than elsewhere. */
const REFUSALS: readonly number[] = [401, 403, 404, 405, 503]

function isRefusal(status: number, text: string): boolean {
  return REFUSALS.includes(status) && violations(Failure, JSON.parse(text)).length === 0
}

/**
 * Fails the test at every answer that is not as documented, however it was asked for; streams of events
 * are not seen.
 */
export function holdToContract(t: Failing, app: FastifyInstance): void {
  app.addHook('onSend', async (request, reply, payload) => {
    const { url, schema, config } = request.routeOptions
    if (schema?.hide === true || request.method === 'HEAD') return
    const text = typeof payload === 'string' || Buffer.isBuffer(payload) ? payload.toString() : ''
    const { statusCode: status } = reply
    const shown = `${request.method} ${url ?? 'an unknown address'} answered ${status}`
    const { operationId } = schema ?? {}
    if (operationId === undefined) {
      if (!isRefusal(status, text)) t.fail(`${shown}, which is not documented: ${text}`)
      return
    }
    const isOpen = config?.open === true
    const found = differences({ operationId, isOpen, status, headers: reply.getHeaders(), text })
    if (found.length > 0) t.fail(`${shown}: ${found.join('; ')}`)
  })
}
