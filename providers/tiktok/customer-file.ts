import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import { FormData } from 'undici'
import { cleanMessage, ProviderError } from '../errors.ts'
import { parseJson } from '../http-client.ts'
import type { Audience, EncodedBody, UploadResult } from '../provider.ts'
import {
  type Answer,
  describeAudience,
  findAudience,
  isExpired,
  post,
  type AudienceDetails,
  type Context
} from './api.ts'

/** TikTok makes no Customer File audience of less, and lets none shrink below it. */
const MINIMUM_USERS = 1_000
const KEEPS_MINIMUM = `a customer file audience keeps at least ${MINIMUM_USERS} users; to empty it, delete it`

/** Matching takes TikTok hours; the next file waits for its end. */
const PROCESSING_WAIT_MS = 60_000

/** How long a new audience may be missing from TikTok's own lists. */
const SETTLING_MS = 10 * 60_000

/** How long the first batches of a session wait for the others, and are then remembered. */
const COLLECTING_MS = 24 * 3_600_000
const REMEMBERED_MS = 2 * COLLECTING_MS

const CALCULATE_TYPE = 'MULTIPLE_TYPES'

/** Takes less than 2 ms to hash; the file of 100,000 users at once would take 20. */
const HASHED_AT_ONCE_BYTES = 1_000_000

const Id = Type.Union([Type.String(), Type.Integer()])

/** The reference names it one way, one public client reads the other. */
const Created = Type.Union([
  Type.Object({ custom_audience_id: Id }),
  Type.Object({ audience_id: Id })
])

const Uploaded = Type.Object({ file_path: Type.String() })

/** A file that a body became: the MD5 of what it holds, and its users. */
const Ticket = Type.Object({ md5: Type.String(), users: Type.Integer() })
type Ticket = Static<typeof Ticket>

/** A file at TikTok that is in no audience yet. */
const WaitingFile = Type.Object({
  md5: Type.String(),
  path: Type.String(),
  users: Type.Integer()
})

const Session = Type.Object({
  startedAt: Type.Integer(),
  /** Batches that were announced; absent from what earlier versions noted. */
  totalBatches: Type.Optional(Type.Integer()),
  sequences: Type.Array(Type.Integer()),
  waiting: Type.Array(WaitingFile)
})
type Session = Static<typeof Session>

/** What is kept per account and segment. */
const Notes = Type.Object({
  created: Type.Optional(Type.Object({ id: Type.String(), at: Type.Integer() })),
  sessions: Type.Record(Type.String(), Session)
})
type Notes = Static<typeof Notes>

/**
 * Uploads one file and appends it to the audience. Where there is no audience yet, files wait at
 * TikTok (the result has a ticket) until those of the session hold enough to create one.
 * @throws ProviderError `transient` while TikTok still works on an earlier file; `invalid` with the
 * session's last batch where all of them are too few.
 */
export async function addFile(
  body: EncodedBody,
  audience: Audience,
  segmentId: string | undefined,
  context: Context
): Promise<UploadResult> {
  const audienceId = await readyAudience(segmentId, context)
  const md5 = await md5Of(body.payload)
  const session = await collect(body, md5, audience, context)
  if (audienceId !== undefined) return append(audienceId, session, audience, context)
  if (countUsers(session) < MINIMUM_USERS) {
    assertMoreToCome(session, audience)
    return { ticket: JSON.stringify({ md5, users: body.users } satisfies Ticket) }
  }
  // It may have come to be meanwhile: by hand, or by a creation whose answer was lost.
  const appeared = await readyAudience(await findAudience(audience, context), context)
  return appeared === undefined
    ? create(session, audience, context)
    : append(appeared, session, audience, context)
}

/**
 * What a collected file brought, `undefined` while the session's files still wait for more.
 * @throws ProviderError `invalid` where no more will come.
 */
export function confirmFile(
  ticketText: string,
  audience: Audience,
  context: Context
): UploadResult | undefined {
  const ticket = readTicket(ticketText)
  const session = readNotes(context).sessions[audience.sessionId]
  if (session === undefined) {
    throw new ProviderError('invalid', 'the collected files are no longer known: send them again')
  }
  // Files leave the waiting ones only when an audience takes them.
  if (!session.waiting.some(({ md5 }) => md5 === ticket.md5)) return { received: ticket.users }
  // Enough of them still wait while the batch that completed them makes the audience.
  const isEnough = countUsers(session) >= MINIMUM_USERS
  if (!isEnough) assertMoreToCome(session, audience)
  if (context.now() - session.startedAt <= COLLECTING_MS) return undefined
  throw isEnough ? notTaken() : tooFew(session, audience)
}

/**
 * Uploads one file and removes its users from the audience. Where TikTok would be left with fewer than
 * its minimum it refuses that.
 * @throws ProviderError `transient` while TikTok still works on an earlier file; `invalid` where files
 * of the segment wait for more, as they would bring back who is removed.
 */
export async function removeFile(
  { payload }: EncodedBody,
  segmentId: string,
  context: Context
): Promise<UploadResult> {
  await readyAudience(segmentId, context)
  assertNoFileWaits(context)
  const path = await uploadFile(payload, await md5Of(payload), context)
  try {
    const { warnings } = await update(segmentId, 'REMOVE', [path], context)
    return { warnings }
  } catch (error) {
    throw isRefusal(error) ? withMinimum(error) : error
  }
}

/**
 * The audience of this name, or the one that was created so lately that TikTok does not list it yet.
 * @throws ProviderError `invalid` where users are to be removed who wait for an audience.
 */
export async function findFileAudience(
  audience: Audience,
  context: Context
): Promise<string | undefined> {
  const id = (await findAudience(audience, context)) ?? readNotes(context).created?.id
  if (id === undefined && audience.mode === 'remove') assertNoFileWaits(context)
  return id
}

/** Files of sessions that are not complete wait at TikTok, and some audience takes them later. */
function assertNoFileWaits(context: Context): void {
  const isOpen = ({ startedAt, sequences, totalBatches = 0, waiting }: Session) =>
    waiting.length > 0 &&
    sequences.length < totalBatches &&
    context.now() - startedAt <= COLLECTING_MS
  if (!Object.values(readNotes(context).sessions).some(isOpen)) return
  throw new ProviderError(
    'invalid',
    'users of this segment wait at TikTok for the other batches of their session: send these, then remove users again'
  )
}

function isRefusal(error: unknown): error is ProviderError {
  return error instanceof ProviderError && error.errorClass === 'invalid'
}

/** TikTok has no code of its own for what would become too small. */
function withMinimum({ message, platformCode = '' }: ProviderError): ProviderError {
  return new ProviderError('invalid', `${message}: ${KEEPS_MINIMUM}`, { platformCode })
}

/** In parts, between which the thread is free for other work. */
async function md5Of(bytes: Uint8Array): Promise<string> {
  const sum = createHash('md5')
  for (let start = 0; start < bytes.byteLength; start += HASHED_AT_ONCE_BYTES) {
    sum.update(bytes.subarray(start, start + HASHED_AT_ONCE_BYTES))
    await setImmediate()
  }
  return sum.digest('hex')
}

function readTicket(text: string): Ticket {
  const ticket = parseJson(text)
  if (Value.Check(Ticket, ticket)) return ticket
  throw new ProviderError('invalid', 'the ticket is not of this provider')
}

/** The id of the audience once it takes a file; `undefined` where there is none. */
async function readyAudience(
  segmentId: string | undefined,
  context: Context
): Promise<string | undefined> {
  const { created, sessions } = readNotes(context)
  const id = segmentId ?? created?.id
  if (id === undefined) return undefined
  const details = await describeAudience(id, context)
  if (details !== undefined && !isExpired(details, context.now())) {
    assertReady(details)
    return id
  }
  if (id === created?.id) {
    if (context.now() - created.at < SETTLING_MS) throw stillProcessing()
    await context.notes.set({ sessions })
  }
  throw new ProviderError('not_found', 'TikTok does not have the audience any more')
}

function assertReady({ error_msg, calculate_type, is_valid }: AudienceDetails): void {
  if (error_msg != null && error_msg !== '') {
    throw new ProviderError('invalid', `TikTok reports: ${cleanMessage(error_msg)}`)
  }
  // All files of an audience must be of its own type; single types are named after their hash.
  if (calculate_type != null && /_(SHA256|MD5)$/.test(calculate_type)) {
    throw new ProviderError(
      'invalid',
      `the audience of this name takes ${calculate_type} only: rename or delete it`
    )
  }
  if (is_valid !== true) throw stillProcessing()
}

function stillProcessing(): ProviderError {
  return new ProviderError('transient', 'TikTok still works on the audience', {
    waitMs: PROCESSING_WAIT_MS
  })
}

/** Uploads the file and notes it; the session with this file in it. */
async function collect(
  { payload, users }: EncodedBody,
  md5: string,
  { sessionId, sequence, totalBatches }: Audience,
  context: Context
): Promise<Session> {
  const path = await uploadFile(payload, md5, context)
  const now = context.now()
  const known = readNotes(context).sessions[sessionId]
  const session = {
    startedAt: known?.startedAt ?? now,
    totalBatches,
    sequences: [...new Set([...(known?.sequences ?? []), sequence])],
    waiting: [...(known?.waiting ?? []).filter((file) => file.md5 !== md5), { md5, path, users }]
  }
  await noteSession(sessionId, session, context)
  return session
}

async function uploadFile(
  payload: Uint8Array<ArrayBuffer>,
  md5: string,
  context: Context
): Promise<string> {
  const form = new FormData()
  form.append('advertiser_id', context.variables.advertiserId)
  form.append('calculate_type', CALCULATE_TYPE)
  form.append('file_signature', md5)
  form.append('file', new Blob([payload], { type: 'text/csv' }), 'audience.csv')
  const { data } = await post(context, '/dmp/custom_audience/file/upload/', form, Uploaded)
  return data.file_path
}

async function create(
  session: Session,
  { segmentName, sessionId }: Audience,
  context: Context
): Promise<UploadResult> {
  const body = JSON.stringify({
    advertiser_id: context.variables.advertiserId,
    custom_audience_name: segmentName,
    file_paths: session.waiting.map(({ path }) => path),
    calculate_type: CALCULATE_TYPE
  })
  const { data, warnings } = await post(context, '/dmp/custom_audience/create/', body, Created)
  const id = 'custom_audience_id' in data ? data.custom_audience_id : data.audience_id
  const created = { id: String(id), at: context.now() }
  await noteSession(sessionId, { ...session, waiting: [] }, context, { created })
  return { warnings }
}

async function append(
  audienceId: string,
  session: Session,
  { sessionId }: Audience,
  context: Context
): Promise<UploadResult> {
  const paths = session.waiting.map(({ path }) => path)
  const { warnings } = await update(audienceId, 'APPEND', paths, context)
  await noteSession(sessionId, { ...session, waiting: [] }, context)
  return { warnings }
}

/** @param action left out it would be REPLACE, which throws away what other batches brought. */
function update(
  audienceId: string,
  action: 'APPEND' | 'REMOVE',
  paths: readonly string[],
  context: Context
): Promise<Answer<unknown>> {
  const body = JSON.stringify({
    advertiser_id: context.variables.advertiserId,
    custom_audience_id: audienceId,
    action,
    file_paths: paths
  })
  return post(context, '/dmp/custom_audience/update/', body, Type.Unknown())
}

/** @throws ProviderError `invalid` where every batch of the session was seen. */
function assertMoreToCome(session: Session, audience: Audience): void {
  if (session.sequences.length >= audience.totalBatches) throw tooFew(session, audience)
}

function notTaken(): ProviderError {
  return new ProviderError(
    'invalid',
    'no audience was made of the collected files: send them again'
  )
}

function tooFew(session: Session, { totalBatches }: Audience): ProviderError {
  return new ProviderError(
    'invalid',
    `TikTok makes a customer file audience from ${MINIMUM_USERS} users up; the session has ${countUsers(session)} in ${session.sequences.length} of ${totalBatches} batches: send more or set the route to stream`
  )
}

function countUsers({ waiting }: Session): number {
  return waiting.reduce((sum, { users }) => sum + users, 0)
}

function readNotes(context: Context): Notes {
  const notes = context.notes.get()
  return Value.Check(Notes, notes) ? notes : { sessions: {} }
}

async function noteSession(
  sessionId: number,
  session: Session,
  context: Context,
  further: Partial<Notes> = {}
): Promise<void> {
  const { sessions, ...rest } = readNotes(context)
  const all: Notes['sessions'] = { ...sessions, [sessionId]: session }
  const remembered = Object.entries(all).filter(
    ([, { startedAt }]) => context.now() - startedAt < REMEMBERED_MS
  )
  await context.notes.set({ ...rest, ...further, sessions: Object.fromEntries(remembered) })
}
