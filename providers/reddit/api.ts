import type { Static, TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { ProviderError } from '../errors.ts'
import type { PlatformAnswer, PlatformCall } from '../http-client.ts'
import { errorOf, type Target } from './errors.ts'
import { type Context, forgetToken, type Token, tokenFor } from './token.ts'

const ROOT = '/api/v3'

/** A call of the API, e.g. `/custom_audiences/ca.1`, and what it is about. */
export type Call = PlatformCall & { readonly target: Target }

/**
 * Sends one call. A token may end before its time; one that is refused is replaced once, as nothing
 * was done with it.
 * @throws ProviderError unless the answer is a success.
 */
export async function send(context: Context, { target, ...call }: Call): Promise<PlatformAnswer> {
  const token = await tokenFor(context)
  let answer = await sendWith(token, call, context)
  if (answer.status === 401 && forgetToken(context, token)) {
    answer = await sendWith(await tokenFor(context), call, context)
  }
  if (answer.status < 200 || answer.status > 299) throw errorOf(answer, target)
  return answer
}

function sendWith({ text }: Token, call: PlatformCall, context: Context): Promise<PlatformAnswer> {
  return context.send({
    ...call,
    path: `${ROOT}${call.path}`,
    headers: {
      authorization: `Bearer ${text}`,
      'user-agent': context.variables.userAgent,
      ...(call.body !== undefined && { 'content-type': 'application/json' })
    }
  })
}

/** @throws ProviderError unless the answer has this form. */
export function readAs<S extends TSchema>(schema: S, answer: PlatformAnswer): Static<S> {
  const body = answer.json()
  if (Value.Check(schema, body)) return body
  throw unreadable(answer.status)
}

export function unreadable(status: number): ProviderError {
  return new ProviderError('transient', 'Reddit gave an answer of an unknown form', { status })
}
