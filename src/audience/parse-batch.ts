import { Compile } from 'typebox/compile'
import { parseJson } from './json.ts'
import { Batch } from './schemas.ts'

const validator = Compile(Batch)

const WHOLE_NUMBER = `a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`
const EXPECTED: Readonly<Record<keyof Batch, string>> = {
  sessionId: WHOLE_NUMBER,
  sequence: WHOLE_NUMBER,
  totalBatches: WHOLE_NUMBER,
  totalUsers: WHOLE_NUMBER,
  pullDate: 'a calendar date like 2026-01-31'
}

function isField(name: string): name is keyof Batch {
  return Object.hasOwn(EXPECTED, name)
}

function schemaProblem(value: unknown): string {
  const [error] = validator.Errors(value)
  if (error?.keyword === 'required') return `batch.${error.params.requiredProperties[0]} is missing`
  const field = error?.instancePath.slice(1) ?? ''
  return isField(field) ? `batch.${field} must be ${EXPECTED[field]}` : 'batch must be an object'
}

/**
 * Reads the `batch` field: which part of which session an upload is. Says what is wrong first,
 * without quoting a value.
 */
export function parseBatch(text: string): { readonly batch: Batch } | { readonly problem: string } {
  const parsed = parseJson(text)
  if ('problem' in parsed) return { problem: `batch ${parsed.problem}` }
  const { value } = parsed
  if (!validator.Check(value)) return { problem: schemaProblem(value) }
  if (value.sequence > value.totalBatches) {
    return { problem: 'batch.sequence must not be greater than batch.totalBatches' }
  }
  return { batch: value }
}
