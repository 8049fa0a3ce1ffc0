import { type TSchema, Type } from 'typebox'
import { Failure } from './answers.ts'
import { type DocumentedError, documentedErrors, type ErrorName } from './errors.ts'
import {
  type Answer,
  type ErrorBody,
  type HeaderName,
  HEADERS,
  type Operation
} from './operations.ts'

/** All answers of an operation by their status, those of errors among them, as OpenAPI has them. */
export function describeAnswers(
  { answers, errors, ownBodies = {} }: Operation,
  common: readonly ErrorName[]
) {
  const failures = Map.groupBy(
    [...errors, ...common].map((name): DocumentedError => documentedErrors[name]),
    ({ example }) => example.statusCode ?? 500
  )
  const statuses = new Set([...Object.keys(answers).map(Number), ...failures.keys()])
  return Object.fromEntries(
    [...statuses].map((status) => [
      status,
      describeAnswer(answers[status], failures.get(status), ownBodies[status])
    ])
  )
}

/** What one media type of an answer holds. */
interface Shown {
  readonly type: string
  readonly schema: TSchema
  readonly examples: Readonly<
    Record<string, { readonly summary?: string; readonly value: unknown }>
  >
}

function describeAnswer(
  answer: Answer | undefined,
  errors: readonly DocumentedError[] = [],
  body = USUAL_BODY
) {
  const shown = [
    ...(answer === undefined ? [] : showAnswer(answer)),
    ...errors.map((error) => showError(error, body))
  ]
  const byType = Map.groupBy(shown, ({ type }) => type)
  return {
    description: [answer?.description ?? [], errors.map(describeError)].flat(2).join('\n\n'),
    headers: describeHeaders(answer, errors),
    ...(byType.size > 0 && {
      content: Object.fromEntries([...byType].map(([type, parts]) => [type, merge(parts)]))
    }),
    // The plugin's word for an answer without a body.
    ...(byType.size === 0 && { type: 'null' })
  }
}

const describeError = ({ example, meaning }: DocumentedError) => `\`${example.code}\`: ${meaning}`

function showAnswer({ content }: Answer): Shown[] {
  return Object.entries(content).map(([type, { schema, examples }]) => ({
    type,
    schema,
    examples: Object.fromEntries(Object.entries(examples).map(([name, value]) => [name, { value }]))
  }))
}

const USUAL_BODY: ErrorBody = {
  schema: Failure,
  show: (message) => ({ success: false, errors: [message] })
}
const TEXT_BODY: ErrorBody = {
  schema: Type.String({ description: 'What is wrong, in words.' }),
  show: (message) => message
}

function showError({ example, meaning, isText }: DocumentedError, body: ErrorBody): Shown {
  const { schema, show } = isText === true ? TEXT_BODY : body
  return {
    type: isText === true ? 'text/plain' : 'application/json',
    schema,
    examples: { [example.code]: { summary: meaning, value: show(example.message) } }
  }
}

function merge(parts: readonly Shown[]) {
  const schemas = [...new Set(parts.map(({ schema }) => schema))]
  const [schema] = schemas
  return {
    schema: schemas.length === 1 ? schema : Type.Union(schemas),
    examples: Object.fromEntries(parts.flatMap(({ examples }) => Object.entries(examples)))
  }
}

function describeHeaders(answer: Answer | undefined, errors: readonly DocumentedError[]) {
  const status = errors[0]?.example.statusCode
  const names = new Set<HeaderName>(answer?.headers)
  if (status === 503) names.add('retry-after')
  if (status === 401) names.add('www-authenticate')
  const codes = errors.map(({ example }) => example.code)
  return {
    'x-request-id': { type: 'string', description: 'Names the request in the log.' },
    ...Object.fromEntries(
      [...names].map((name) => [name, { type: 'string', description: HEADERS[name] }])
    ),
    ...(codes.length > 0 && {
      'x-error-code': { type: 'string', enum: codes, description: HEADERS['x-error-code'] }
    })
  }
}
