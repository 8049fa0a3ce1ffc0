import { mayPass, ServiceError, UnreachableError } from '../client/errors.ts'
import { IntakeError } from '../intake/intake.ts'
import { EXIT, ExitError } from './exit.ts'

/** What to do about an answer of the service, by its status. */
const ADVICE: ReadonlyMap<number, string> = new Map([
  [
    401,
    "Give one of the service's AUDIENCE_API_KEYS by the environment variable AUDIENCE_API_KEY."
  ],
  [403, 'This key may not do that: give another one of the service by AUDIENCE_API_KEY.'],
  [404, 'Is this the right service (--url or AUDIENCE_URL), and the right key?'],
  [413, 'Send smaller batches: --batch-size.'],
  [503, 'Try again later. The service is busy, closing or without its database.']
])

/** The right key, or time, may help. */
const MAY_HELP: ReadonlySet<number> = new Set([401, 403])

/** Repeating a call that is wrong in itself does not help. */
function isWrongUse(error: ServiceError): boolean {
  const { status } = error
  return status >= 400 && status < 500 && !MAY_HELP.has(status) && !mayPass(error)
}

/** What people are told of an error, and how the command ends with it. */
export function explainError(error: unknown): ExitError {
  if (error instanceof ExitError) return error
  if (error instanceof IntakeError) return new ExitError(EXIT.wrongUse, error.message)
  if (error instanceof UnreachableError) {
    return new ExitError(
      EXIT.refused,
      `${error.message}.\nIs the service running there? Start it with \`audience serve\`, or name its address by --url or AUDIENCE_URL.`
    )
  }
  if (error instanceof ServiceError) {
    const advice = ADVICE.get(error.status)
    const text = `The service refuses: ${error.message}`
    const exitCode = isWrongUse(error) ? EXIT.wrongUse : EXIT.refused
    return new ExitError(exitCode, advice === undefined ? text : `${text}\n${advice}`)
  }
  const message = error instanceof Error ? error.message : String(error)
  return new ExitError(EXIT.failed, `Unexpected error: ${message}`)
}
