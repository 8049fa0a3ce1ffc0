import { type TSchema, type Static } from 'typebox'
import { Value } from 'typebox/value'
import { AdcpError, type AdcpIssue } from './protocol.ts'
import { PATTERN_WORDS } from './schemas.ts'

/** What is wrong with a message and where: never with a value of it, which may be somebody's data. */

/** Most issues that are told of one call. */
export const MAX_ISSUES = 10

const INDEX = /^\d+$/

/** `/audiences/0/add` as `audiences[0].add` ("error.json", `field`). */
export function fieldOf(pointer: string): string {
  let field = ''
  for (const part of pointer.split('/').slice(1)) {
    if (INDEX.test(part)) field += `[${part}]`
    else field += field === '' ? part : `.${part}`
  }
  return field
}

/** @param issues one or more; the first is told in words. */
export function invalidRequest(issues: readonly AdcpIssue[]): AdcpError {
  const told = issues.slice(0, MAX_ISSUES)
  const [first] = told
  if (first === undefined) throw new RangeError('nothing is wrong')
  const field = fieldOf(first.pointer)
  const more = told.length > 1 ? ` (and ${told.length - 1} more)` : ''
  return new AdcpError(
    'INVALID_REQUEST',
    `${field || 'The arguments'} ${first.message}${more}.`,
    // The arguments as a whole have no path.
    { ...(field !== '' && { field }), issues: told }
  )
}

/** @param pointer where the value stands in the arguments. */
export function issuesOf(schema: TSchema, value: unknown, pointer = ''): AdcpIssue[] {
  if (Value.Check(schema, value)) return []
  const issues = Value.Errors(schema, value).flatMap((error) => toIssues(error, pointer))
  // Of a closed object each property that it does not have is told, and the whole as well.
  return issues.filter(
    (one, index) =>
      index ===
      issues.findIndex((other) => one.pointer === other.pointer && one.keyword === other.keyword)
  )
}

type SchemaError = ReturnType<typeof Value.Errors>[number]

function toIssues(error: SchemaError, pointer: string): AdcpIssue[] {
  const at = pointer + error.instancePath
  switch (error.keyword) {
    case 'required':
      return error.params.requiredProperties.map((name) => ({
        pointer: `${at}/${name}`,
        message: 'is required',
        keyword: 'required'
      }))
    case 'pattern': {
      const message = PATTERN_WORDS.get(String(error.params.pattern)) ?? 'has a wrong form'
      return [{ pointer: at, message, keyword: 'pattern' }]
    }
    case 'additionalProperties':
      return [unknownProperty(at)]
    case 'boolean':
      // The name of such a property is the caller's, and may be anything.
      return [unknownProperty(at.slice(0, at.lastIndexOf('/')))]
    default:
      return [{ pointer: at, message: error.message, keyword: error.keyword }]
  }
}

const unknownProperty = (pointer: string): AdcpIssue => ({
  pointer,
  message: 'has a property that does not belong there',
  keyword: 'additionalProperties'
})

/** Whether a value is as a schema has it; if not, `issues` get what is wrong. */
export function fits<S extends TSchema>(
  schema: S,
  value: unknown,
  { pointer, issues }: { readonly pointer: string; readonly issues: AdcpIssue[] }
): value is Static<S> {
  const found = issuesOf(schema, value, pointer)
  issues.push(...found)
  return found.length === 0
}

/** @throws AdcpError */
export function expect<S extends TSchema>(
  schema: S,
  value: unknown,
  pointer = ''
): asserts value is Static<S> {
  const issues = issuesOf(schema, value, pointer)
  if (issues.length > 0) throw invalidRequest(issues)
}
