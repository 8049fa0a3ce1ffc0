import { Type, type Static } from 'typebox'
import { PayloadError, SessionNotFoundError } from '../errors.ts'

export const SessionParams = Type.Object({ sessionId: Type.String() })

/** @throws SessionNotFoundError where it is none. */
export function readSessionId({ sessionId }: Static<typeof SessionParams>): number {
  const id = Number(sessionId)
  // Other texts may be anything: they are not repeated in the answer.
  if (!/^\d{1,16}$/.test(sessionId) || !Number.isSafeInteger(id)) {
    throw new SessionNotFoundError('with this id')
  }
  return id
}

/** Query parameters of a list that is read page by page, as text; unknown ones are ignored. */
export const PageQuery = Type.Object({
  limit: Type.Optional(Type.String()),
  cursor: Type.Optional(Type.String()),
  state: Type.Optional(Type.String())
})

export interface PageQueryValues<State> {
  readonly limit: number
  readonly cursor: string | undefined
  readonly state: State | undefined
}

/** Entries on a page. */
export interface PageLimits {
  readonly byDefault: number
  readonly most: number
}

const LIMITS: PageLimits = { byDefault: 50, most: 200 }

/** @throws PayloadError naming the parameter. */
export function readPageQuery<State extends string>(
  { limit, cursor, state }: Static<typeof PageQuery>,
  states: readonly State[]
): PageQueryValues<State> {
  return {
    limit: readLimit(limit, LIMITS),
    cursor,
    state: readState(state, states)
  }
}

/** @throws PayloadError */
export function readLimit(text: string | undefined, { byDefault, most }: PageLimits): number {
  if (text === undefined) return byDefault
  const limit = /^\d{1,3}$/.test(text) ? Number(text) : 0
  if (limit < 1 || limit > most) {
    throw new PayloadError(`The query parameter "limit" must be a whole number from 1 to ${most}.`)
  }
  return limit
}

function readState<State extends string>(
  text: string | undefined,
  states: readonly State[]
): State | undefined {
  if (text === undefined) return undefined
  const state = states.find((one) => one === text)
  if (state === undefined) {
    throw new PayloadError(`The query parameter "state" must be one of ${states.join(', ')}.`)
  }
  return state
}
