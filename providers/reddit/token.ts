import { Type } from 'typebox'
import { Value } from 'typebox/value'
import type { ProviderContext } from '../provider.ts'
import { errorOf } from './errors.ts'
import type { RedditVariables } from './variables.ts'

export type Context = ProviderContext<RedditVariables>

export interface Token {
  readonly text: string
  /** Milliseconds since 1970. */
  readonly endsAt: number
  /** What Reddit says that it may do; `undefined` where it was not Reddit who gave it to us. */
  readonly scopes: readonly string[] | undefined
}

/** Tokens are given out at another origin than the one that they are for. */
const TOKEN_ORIGIN = 'https://www.reddit.com'

/** Sources tell an hour and a day; so long where Reddit itself does not say. */
const SHORTEST_LIFE_S = 3_600
/** No call begins with a token that ends before its answer. */
const MARGIN_MS = 60_000

const TokenAnswer = Type.Object({
  access_token: Type.String({ pattern: '^[!-~]+$' }),
  expires_in: Type.Optional(Type.Number()),
  scope: Type.Optional(Type.String())
})

/** In memory alone, by their tag: secrets are no notes, and a new one costs one call. */
const tokens = new WeakMap<RedditVariables, Token>()

/** @throws ProviderError where Reddit gives out none. */
export async function tokenFor(context: Context): Promise<Token> {
  const { accessToken } = context.variables
  if (accessToken !== undefined) return { text: accessToken, endsAt: Infinity, scopes: undefined }
  const known = tokens.get(context.variables)
  if (known !== undefined && known.endsAt - MARGIN_MS > context.now()) return known
  const fetched = await fetchToken(context)
  tokens.set(context.variables, fetched)
  return fetched
}

/** Whether there may be another one in place of a token that Reddit refused. */
export function forgetToken({ variables }: Context, refused: Token): boolean {
  // Another call may have replaced it meanwhile.
  if (tokens.get(variables) === refused) tokens.delete(variables)
  return variables.accessToken === undefined
}

async function fetchToken(context: Context): Promise<Token> {
  const { clientId, clientSecret, refreshToken = '', userAgent, baseUrl } = context.variables
  const credentials = Buffer.from(`${clientId}:${clientSecret}`).toString('base64')
  const answer = await context.send({
    method: 'POST',
    operation: 'access_token.create',
    ...(baseUrl === undefined && { origin: TOKEN_ORIGIN }),
    path: '/api/v1/access_token',
    headers: {
      authorization: `Basic ${credentials}`,
      'content-type': 'application/x-www-form-urlencoded',
      'user-agent': userAgent
    },
    body: new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: refreshToken
    }).toString()
  })
  const body = answer.json()
  if (answer.status !== 200 || !Value.Check(TokenAnswer, body)) throw errorOf(answer, 'token')
  return {
    text: body.access_token,
    endsAt: context.now() + (body.expires_in ?? SHORTEST_LIFE_S) * 1_000,
    scopes: body.scope?.split(/[ ,]+/)
  }
}
