import { createHmac, randomInt } from 'node:crypto'
import { Type, type Static, type TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { ProviderError } from '../errors.ts'
import type { PlatformAnswer, PlatformCall } from '../http-client.ts'
import type {
  Audience,
  CheckProblem,
  EncodedBody,
  ProviderContext,
  UploadResult
} from '../provider.ts'
import { asksForLessData, type CallScope, failureOf } from './errors.ts'
import { pauseFor, readUsage } from './usage.ts'
import { accountId, type FacebookVariables } from './variables.ts'

export type Context = ProviderContext<FacebookVariables>
/** A call below the version, e.g. `/act_1/customaudiences`. */
type GraphCall = PlatformCall & { readonly target: CallScope['target'] }

/** Meta advises 20; a longer page saves calls and, where it is too long, is asked for again. */
const PAGE_SIZES = [100, 20, 5] as const

const Id = Type.Union([Type.String(), Type.Integer()])
const Count = Type.Union([Type.Integer(), Type.String({ pattern: '^[0-9]+$' })])
const ListedAudience = Type.Object({
  id: Id,
  name: Type.Optional(Type.String()),
  subtype: Type.Optional(Type.String()),
  time_updated: Type.Optional(Type.Unknown()),
  is_value_based: Type.Optional(Type.Unknown())
})
type ListedAudience = Static<typeof ListedAudience>
const AudiencePage = Type.Object({
  data: Type.Array(ListedAudience),
  paging: Type.Optional(
    Type.Object({
      cursors: Type.Optional(Type.Object({ after: Type.Optional(Type.String()) })),
      next: Type.Optional(Type.String())
    })
  )
})
const Created = Type.Object({ id: Id })
const Received = Type.Object({
  num_received: Type.Optional(Count),
  num_invalid_entries: Type.Optional(Count)
})
const Account = Type.Object({ tos_accepted: Type.Optional(Type.Unknown()) })
const AcceptedTerms = Type.Record(Type.String(), Type.Number())
/** Kept between deliveries, so that rows of one kind never reach an audience of the other. */
const SegmentNote = Type.Object({ isValueBased: Type.Boolean() })

/**
 * The audience with exactly this name and subtype. Meta allows several of one name: the one updated
 * last wins. All pages are read and names are compared here, as filtering on names is not documented.
 * @throws ProviderError `invalid` where users are added and it is value-based and the tag is not, or the
 * other way round.
 */
export async function findSegment(
  audience: Audience,
  context: Context
): Promise<string | undefined> {
  const subtype = subtypeOf(audience, context)
  let found: ListedAudience | undefined
  for await (const listed of listAudiences(subtype, context)) {
    const isWanted = listed.name === audience.segmentName && listed.subtype === subtype
    if (isWanted && (found === undefined || updatedAt(listed) > updatedAt(found))) found = listed
  }
  if (found === undefined) return undefined
  const isValueBased = Boolean(found.is_value_based)
  await context.notes.set({ isValueBased })
  // Who is removed is identified alike in both kinds.
  if (audience.mode === 'add') assertSameKind(isValueBased, context)
  return String(found.id)
}

async function* listAudiences(subtype: string, context: Context): AsyncGenerator<ListedAudience> {
  let size = 0
  let after: string | undefined
  const seen = new Set<string>()
  for (;;) {
    const answer = await send(context, {
      method: 'GET',
      operation: 'customaudiences.list',
      target: 'account',
      path: `/act_${accountId(context.variables)}/customaudiences`,
      query: {
        fields: 'id,name,subtype,time_updated,is_value_based',
        limit: String(PAGE_SIZES[size]),
        ...(after !== undefined && { after }),
        // Undocumented beyond its name: without it, primary audiences may not be listed.
        ...(subtype === 'PRIMARY' && { fetch_primary_audience: 'true' })
      }
    })
    if (size < PAGE_SIZES.length - 1 && asksForLessData(answer)) {
      size += 1
      continue
    }
    const { data, paging } = readAs(AudiencePage, answer, 'account', context)
    yield* data
    // Pages may be short or empty; only the missing `next` tells the last one. The link itself is
    // not followed: it carries the access token.
    if (paging?.next === undefined) return
    const cursor = paging.cursors?.after
    if (cursor === undefined || seen.has(cursor)) throw unexpected(answer)
    seen.add(cursor)
    after = cursor
  }
}

/**
 * Creates the audience. Meta has no key for idempotency here: after a lost answer it has to be
 * searched for first.
 */
export async function createSegment(audience: Audience, context: Context): Promise<string> {
  const { customerFileSource, valueBased } = context.variables
  const isValueBased = valueBased !== undefined
  const answer = await send(context, {
    method: 'POST',
    operation: 'customaudiences.create',
    target: 'account',
    path: `/act_${accountId(context.variables)}/customaudiences`,
    body: JSON.stringify({
      name: audience.segmentName,
      subtype: subtypeOf(audience, context),
      customer_file_source: customerFileSource,
      description: DESCRIPTIONS[audience.type],
      ...(isValueBased && { is_value_based: true })
    })
  })
  const { id } = readAs(Created, answer, 'account', context)
  await context.notes.set({ isValueBased })
  return String(id)
}

const DESCRIPTIONS: Readonly<Record<Audience['type'], string>> = {
  custom: 'Customer list synced by Audience API',
  primary: 'Primary customer list synced by Audience API'
}

/** Adds the users of a body. */
export async function upload(
  body: EncodedBody,
  _audience: Audience,
  segmentId: string | undefined,
  context: Context
): Promise<UploadResult> {
  if (segmentId === undefined) throw new ProviderError('not_found', 'the audience has no id')
  assertKnownKind(context)
  return sendUsers(body, segmentId, { method: 'POST', operation: 'users.add' }, context)
}

/** Removes the users of a body: the same call with the method DELETE. */
export async function remove(
  body: EncodedBody,
  _audience: Audience,
  segmentId: string,
  context: Context
): Promise<UploadResult> {
  return sendUsers(body, segmentId, { method: 'DELETE', operation: 'users.remove' }, context)
}

/**
 * Sends one body in a session of its own. A fresh session for each attempt never collides with
 * another (ids must be unique in the ad account), never runs out of its 90 minutes and is never
 * found closed; and its `num_received`, cumulative for a session, is that of this body.
 */
async function sendUsers(
  { payload, users }: EncodedBody,
  segmentId: string,
  call: Pick<PlatformCall, 'method' | 'operation'>,
  context: Context
): Promise<UploadResult> {
  const session = {
    session_id: randomInt(1, 2 ** 48 - 1),
    batch_seq: 1,
    last_batch_flag: true,
    estimated_num_total: users
  }
  const answer = await send(context, {
    ...call,
    target: 'segment',
    path: `/${encodeURIComponent(segmentId)}/users`,
    body: Buffer.concat([
      Buffer.from('{"payload":'),
      payload,
      Buffer.from(`,"session":${JSON.stringify(session)}}`)
    ])
  })
  const result = readAs(Received, answer, 'segment', context)
  return {
    ...(result.num_received !== undefined && { received: Number(result.num_received) }),
    ...(result.num_invalid_entries !== undefined && {
      invalid: Number(result.num_invalid_entries)
    }),
    ...(answer.headers['x-ad-api-version-warning'] !== undefined && {
      warnings: [
        `Meta is about to end API version ${context.variables.apiVersion}; set apiVersion to a newer one`
      ]
    })
  }
}

/**
 * Reads the ad account, which proves token and access, and whether the terms are accepted. Meta
 * accepts value-based audiences by separate terms for each ad account.
 */
export async function check(context: Context): Promise<readonly CheckProblem[]> {
  const account = accountId(context.variables)
  const { tos_accepted: terms } = await readAccount(context)
  return [
    ...(isAccepted(terms, 'custom_audience_tos')
      ? []
      : [termsProblem('terms_not_accepted', 'Custom Audience', account)]),
    ...(context.variables.valueBased === undefined ||
    isAccepted(terms, 'value_based_custom_audience_tos')
      ? []
      : [termsProblem('value_based_terms_not_accepted', 'value-based Custom Audience', account)])
  ]
}

/** @throws ProviderError `permission` where the token does not reach the account. */
export async function readAccount(context: Context): Promise<Static<typeof Account>> {
  const answer = await send(context, {
    method: 'GET',
    operation: 'adaccount.read',
    target: 'account',
    path: `/act_${accountId(context.variables)}`,
    query: { fields: 'tos_accepted' }
  })
  return readAs(Account, answer, 'account', context)
}

function termsProblem(code: string, terms: string, account: string): CheckProblem {
  return {
    code,
    message: `the ${terms} terms are not accepted for ad account ${account}; a person (not the system user) has to accept them at https://business.facebook.com/ads/manage/customaudiences/tos/?act=${account}`
  }
}

/** Without any accepted terms Meta may answer with `[]` in place of an object. */
function isAccepted(terms: unknown, name: string): boolean {
  return Value.Check(AcceptedTerms, terms) && (terms[name] ?? 0) > 0
}

function subtypeOf({ type }: Audience, { variables }: Context): 'CUSTOM' | 'PRIMARY' {
  return type === 'primary' ? variables.primarySubtype : 'CUSTOM'
}

/** Seconds since 1970; 0 where Meta does not tell, as it only decides between equal names. */
function updatedAt({ time_updated: seconds }: ListedAudience): number {
  return Number(seconds) || 0
}

/** `is_value_based` can be set when an audience is created and never changed. */
function assertSameKind(isValueBased: boolean, { variables }: Context): void {
  if (isValueBased === (variables.valueBased !== undefined)) return
  throw new ProviderError(
    'invalid',
    isValueBased
      ? 'the audience of this name is value-based, but valueBased is not set; set it or use another name'
      : 'the audience of this name is not value-based, but valueBased is set; use another name'
  )
}

/** Where the tag's `valueBased` changed since the audience was found, it is looked up again. */
function assertKnownKind({ notes, variables }: Context): void {
  const note = notes.get()
  if (!Value.Check(SegmentNote, note)) return
  if (note.isValueBased === (variables.valueBased !== undefined)) return
  throw new ProviderError('not_found', 'the audience is to be looked up again: valueBased changed')
}

/** Sends one call below the version, with token and proof. */
export async function send(
  context: Context,
  { target: _target, ...call }: GraphCall
): Promise<PlatformAnswer> {
  const { accessToken, apiVersion, appSecret } = context.variables
  const answer = await context.send({
    ...call,
    path: `/${apiVersion}${call.path}`,
    query: {
      ...call.query,
      ...(appSecret && { appsecret_proof: proofOf(accessToken, appSecret) })
    },
    headers: {
      authorization: `Bearer ${accessToken}`,
      ...(call.body !== undefined && { 'content-type': 'application/json' })
    }
  })
  const pauseMs = pauseFor(readUsage(answer.headers))
  if (pauseMs > 0) context.pauseAccount(pauseMs)
  return answer
}

/** Hex HMAC-SHA256 of the token under the app's secret (Meta, Securing Graph API Requests). */
function proofOf(accessToken: string, appSecret: string): string {
  return createHmac('sha256', appSecret).update(accessToken).digest('hex')
}

/** @throws ProviderError unless the answer is a success of this form. */
export function readAs<S extends TSchema>(
  schema: S,
  answer: PlatformAnswer,
  target: CallScope['target'],
  { variables }: Context
): Static<S> {
  const failure = failureOf(answer, { accountId: accountId(variables), target })
  if (failure !== undefined) throw failure
  const body = answer.json()
  if (!Value.Check(schema, body)) throw unexpected(answer)
  return body
}

function unexpected({ status }: PlatformAnswer): ProviderError {
  return new ProviderError('transient', 'Meta gave an answer of an unknown form', { status })
}
