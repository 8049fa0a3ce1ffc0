import { Type, type Static, type TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { ProviderError } from '../errors.ts'
import type { PlatformAnswer, PlatformCall } from '../http-client.ts'
import type { ProviderContext } from '../provider.ts'
import { toProviderError } from './errors.ts'
import type { KlaviyoVariables } from './variables.ts'

export type KlaviyoContext = ProviderContext<KlaviyoVariables>

const MEDIA_TYPE = 'application/vnd.api+json'

const nullable = <T extends TSchema>(type: T) => Type.Optional(Type.Union([type, Type.Null()]))

const Links = nullable(Type.Object({ next: nullable(Type.String()) }))

/** A page of a JSON:API collection. */
export const pageOf = <T extends TSchema>(item: T) =>
  Type.Object({ data: Type.Array(item), links: Links })

/** Sends one call with the headers that Klaviyo asks for, whatever the answer. */
export function send(call: PlatformCall, context: KlaviyoContext): Promise<PlatformAnswer> {
  const { apiKey, revision } = context.variables
  return context.send({
    ...call,
    headers: {
      authorization: `Klaviyo-API-Key ${apiKey}`,
      revision,
      accept: MEDIA_TYPE,
      ...(call.body !== undefined && { 'content-type': MEDIA_TYPE })
    }
  })
}

/** @throws ProviderError unless the answer is a success of this shape. */
export function readAnswer<S extends TSchema>(schema: S, answer: PlatformAnswer): Static<S> {
  if (answer.status < 200 || answer.status > 299) throw toProviderError(answer)
  const body = answer.json()
  if (Value.Check(schema, body)) return body
  throw new ProviderError('transient', 'Klaviyo gave no readable answer', {
    status: answer.status
  })
}

/** Calls and reads the answer. */
export async function request<S extends TSchema>(
  schema: S,
  platformCall: PlatformCall,
  context: KlaviyoContext
): Promise<Static<S>> {
  return readAnswer(schema, await send(platformCall, context))
}

/** The items of a collection, page by page. */
export async function* readPages<T extends TSchema>(
  item: T,
  platformCall: PlatformCall,
  context: KlaviyoContext
): AsyncGenerator<Static<T>[]> {
  const seen = new Set<string>()
  let cursor: string | undefined
  do {
    const query = { ...platformCall.query, ...(cursor !== undefined && { 'page[cursor]': cursor }) }
    const page = await request(pageOf(item), { ...platformCall, query }, context)
    yield page.data
    cursor = nextCursor(page.links?.next)
    // A cursor that comes again would page for ever.
    if (cursor !== undefined && seen.has(cursor)) return
    if (cursor !== undefined) seen.add(cursor)
  } while (cursor !== undefined)
}

/** Only the cursor of the link is taken: its host is the platform's and not the tag's `baseUrl`. */
export function nextCursor(link: string | null | undefined): string | undefined {
  if (link == null) return undefined
  return URL.parse(link, 'https://a.klaviyo.com')?.searchParams.get('page[cursor]') ?? undefined
}
