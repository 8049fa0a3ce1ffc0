import { setFlagsFromString } from 'node:v8'
import type { Providers, SessionStatus } from '../api/answers.ts'
import { isCountryCode } from '../audience/country.ts'
import type { AudienceType, User } from '../audience/schemas.ts'
import { type Accepted, type Client, createClient, type Upload } from '../client/client.ts'
import { ServiceError } from '../client/errors.ts'
import { type Outgoing, sendBatches, type Session } from '../client/send-batches.ts'
import { newSessionId } from '../client/session-id.ts'
import { CUSTOMER_FIELDS, type Mapping, type Survey } from '../intake/intake.ts'
import { readBatches } from '../intake/read-users.ts'
import { survey } from '../intake/survey.ts'
import { describeFile, shownNames } from './describe-file.ts'
import { dryRun } from './dry-run.ts'
import { EXIT, type ExitCode, ExitError } from './exit.ts'
import { explainError } from './explain-error.ts'
import { type FileSource, openSource } from './file-source.ts'
import { followSession, outcomeOf } from './follow.ts'
import { listenForInterruption } from './interruption.ts'
import type { ServiceOptions } from './options.ts'
import { bar, createProgress, duration, percent, type Progress } from './progress.ts'
import { printSession } from './session-report.ts'
import { count } from './table.ts'
import { onError, printJson, tell } from './terminal.ts'
import {
  differingOptions,
  findStates,
  fingerprint,
  removeState,
  saveState,
  stateFolder,
  type UploadState
} from './upload-state.ts'

/** `audience upload`: a file of customers becomes an audience at every platform. */

export interface UploadOptions extends ServiceOptions {
  readonly name: string
  readonly type: AudienceType
  readonly mode: 'add' | 'remove'
  readonly map?: Mapping
  readonly channels?: string
  readonly defaultCountry?: string
  readonly disablePrefix?: boolean
  readonly batchSize: number
  readonly sync?: boolean
  readonly dryRun?: boolean
  readonly resume?: boolean
  /** Minutes. */
  readonly wait: number
}

/** Batches under way at once, and so in memory. */
const IN_FLIGHT = 3

export async function upload(file: string, options: UploadOptions): Promise<ExitCode> {
  // Reading makes garbage faster than V8 likes to collect it: this halves the memory of a large upload,
  // and is still faster than any service takes it.
  setFlagsFromString('--optimize-for-size')
  assertCountry(options)
  const interruption = listenForInterruption()
  const { signal } = interruption
  const client = createClient(options)
  let source: FileSource | undefined
  try {
    // What is piped is not taken before the service is there: it may not be had a second time.
    if (file !== '-') source = await openSource(file, signal)
    await assertReady(client, options, signal)
    source ??= await openSource(file, signal)
    const found = await look(source, options, signal)
    for (const line of describeFile(source.name, found.survey)) tell(line)
    if (options.dryRun === true) {
      return await dryRun({
        client,
        source,
        upload: toUpload(options),
        signal,
        ...found,
        ...options
      })
    }
    return await send(client, source, found, options, signal)
  } catch (error) {
    // Whatever was cut short by it failed because of it.
    if (signal.aborted && !(error instanceof ExitError)) throw signal.reason
    throw error
  } finally {
    await source?.close()
    interruption.end()
  }
}

/** Not among the options, which every command loads: the countries take their time. */
function assertCountry({ defaultCountry }: UploadOptions): void {
  if (defaultCountry === undefined || isCountryCode(defaultCountry)) return
  throw new ExitError(
    EXIT.wrongUse,
    `--default-country: "${defaultCountry}" is not an ISO 3166-1 alpha-2 code such as DE`
  )
}

/** Finds out what would end in a refusal before a large file is read. */
async function assertReady(
  client: Client,
  { channels, dryRun: isDryRun }: UploadOptions,
  signal: AbortSignal
): Promise<void> {
  const { providers } = await client.providers(false, signal)
  if (providers.length === 0 && isDryRun !== true) {
    throw new ExitError(
      EXIT.refused,
      'The service has no platform to send to. Configure one as docs/configuration.md tells; --dry-run works without.'
    )
  }
  const unknown = channels?.split(',').find((channel) => !isConfigured(channel.trim(), providers))
  if (unknown !== undefined) {
    const known = providers.map(({ provider, tag }) => `${provider}/${tag}`).join(', ')
    throw new ExitError(
      EXIT.wrongUse,
      `--channels: "${unknown.trim()}" is not configured at the service (configured: ${known || 'nothing'})`
    )
  }
}

const isConfigured = (channel: string, providers: Providers['providers']) =>
  providers.some(({ provider, tag }) => channel === provider || channel === `${provider}/${tag}`)

interface Found {
  readonly survey: Survey
  /** SHA-256 of the file. */
  readonly fileHash: string
}

/** The whole first pass: what the file is, and how many customers are in it. */
async function look(
  source: FileSource,
  options: UploadOptions,
  signal: AbortSignal
): Promise<Found> {
  const progress = createProgress(process.stderr)
  const onProgress = (bytes: number) => {
    const share = source.bytes === 0 ? 1 : bytes / source.bytes
    progress.show(`Reading ${source.name} ${percent(share)}`, tenth(share))
  }
  try {
    const [found, fileHash] = await Promise.all([
      survey(source, { mapping: options.map, signal, onProgress }),
      source.hash(signal)
    ])
    return { survey: found, fileHash }
  } finally {
    progress.end()
  }
}

/** What counts as news where progress is told in lines. */
const tenth = (share: number) => String(Math.floor(share * 10))

function toUpload(options: UploadOptions): Upload {
  const { name, type, mode, disablePrefix, channels, defaultCountry, sync } = options
  return { name, type, mode, disablePrefix, channels, defaultCountry, sync }
}

/** Options that say what is sent: with others it is another upload. */
function fingerprints(options: UploadOptions, { mapping }: Survey): UploadState['options'] {
  const { name, type, mode, channels, defaultCountry, disablePrefix, batchSize } = options
  const given = {
    '--name': name,
    '--type': type,
    '--mode': mode,
    '--map': CUSTOMER_FIELDS.map((field) => mapping[field]),
    '--channels': channels,
    '--default-country': defaultCountry,
    '--disable-prefix': disablePrefix,
    '--batch-size': batchSize
  }
  return Object.fromEntries(
    Object.entries(given).map(([option, value]) => [option, fingerprint(value)])
  )
}

interface Start {
  readonly state: UploadState
  /** Sequences that the service has. */
  readonly received: ReadonlySet<number>
}

/** The session to send to: a new one, or that of a broken upload of the same file. */
async function begin(
  client: Client,
  found: Found,
  options: UploadOptions,
  signal: AbortSignal
): Promise<Start> {
  const folder = stateFolder(process.env)
  const { url, resume } = options
  const fingerprinted = fingerprints(options, found.survey)
  const earlier = await findStates(folder, { url, fileHash: found.fileHash })
  const same = earlier.find((state) => differingOptions(state, fingerprinted).length === 0)
  if (resume === true && same !== undefined) {
    const received = await receivedOf(client, same, signal)
    tell(
      `Going on with session ${same.sessionId}: the service has ${count(received.size)} batches.`
    )
    return { state: same, received }
  }
  const [other] = earlier
  if (resume === true && other !== undefined) {
    const names = differingOptions(other, fingerprinted).join(', ')
    throw new ExitError(
      EXIT.wrongUse,
      `A broken upload of this file is known (session ${other.sessionId}), but with other options: ${names}. Give those of then to go on with it, or leave --resume out to send the file from the beginning.`
    )
  }
  if (resume === true)
    tell('No broken upload of this file is known: it is sent from the beginning.')
  else if (same !== undefined) {
    tell(`An earlier upload of this file was broken off; --resume goes on with it.`)
  }
  const startedAt = new Date().toISOString()
  const sessionId = newSessionId()
  const { fileHash } = found
  const state = { sessionId, url, fileHash, options: fingerprinted, startedAt, hasArrived: false }
  await saveState(folder, state).catch(() =>
    tell(`${folder} cannot be written: this upload cannot be resumed if it is broken off.`)
  )
  return { state, received: new Set() }
}

/**
 * A session of which no batch has arrived is not known to the service.
 * @throws ExitError where one has and it still is not: all would be sent twice.
 */
async function receivedOf(
  client: Client,
  { sessionId, hasArrived }: UploadState,
  signal: AbortSignal
): Promise<ReadonlySet<number>> {
  try {
    const { batches } = await client.session(sessionId, { limit: 1 }, signal)
    return new Set(batches.received)
  } catch (error) {
    if (!(error instanceof ServiceError) || error.status !== 404) throw error
    if (!hasArrived) return new Set()
    throw new ExitError(
      EXIT.wrongUse,
      `The service took batches of session ${sessionId}, but does not know it: was that with another API key, or long ago? Give that key, or leave --resume out to send the file from the beginning.`,
      { sessionId }
    )
  }
}

async function send(
  client: Client,
  source: FileSource,
  found: Found,
  options: UploadOptions,
  signal: AbortSignal
): Promise<ExitCode> {
  const { state, received } = await begin(client, found, options, signal)
  const { sessionId } = state
  const totalUsers = found.survey.users
  const totalBatches = Math.ceil(totalUsers / options.batchSize)
  const session: Session = { sessionId, totalBatches, totalUsers }
  tell(
    `Session ${sessionId}: ${count(totalUsers)} customers in ${count(totalBatches)} batches to ${options.url}`
  )
  const sent = await sendAll(
    client,
    source,
    found,
    state,
    session,
    received,
    options,
    signal
  ).catch((error: unknown) => notAllSent(error, state))
  if (signal.aborted && sent.users < totalUsers) await notAllSent(signal.reason, state)
  if (sent.users !== totalUsers || !(await source.isUnchanged())) {
    await notAllSent(fileChanged(), state)
  }
  // From here on there is nothing left to send: the next upload of this file is a new one.
  await removeState(stateFolder(process.env), state)
  const status = await follow(client, sessionId, options, signal)
  const exitCode = outcomeOf(status)
  report(status, exitCode, { sessionId, batches: sent, survey: found.survey }, options)
  return exitCode
}

interface Sent {
  /** Customers that the service has, those of an earlier attempt among them. */
  users: number
  /** Batches sent now, and those that the service had. */
  sent: number
  skipped: number
}

async function sendAll(
  client: Client,
  source: FileSource,
  found: Found,
  state: UploadState,
  session: Session,
  received: ReadonlySet<number>,
  options: UploadOptions,
  signal: AbortSignal
): Promise<Sent> {
  const progress = createProgress(process.stderr)
  const done: Sent = { users: 0, sent: 0, skipped: 0 }
  const show = createSendProgress(progress, session)
  const onStop = () => progress.note('Stopping behind what is under way; once more ends at once.')
  signal.addEventListener('abort', onStop)
  let noted: Promise<void> | undefined
  try {
    const read = readBatches(source, found.survey, { batchUsers: options.batchSize })
    const batches = noMoreThan(session.totalUsers, read)
    await sendBatches(client, toUpload(options), session, batches, {
      inFlight: options.sync === true ? 1 : IN_FLIGHT,
      skip: received,
      signal,
      onSkipped: ({ users }: Outgoing) => {
        done.users += users.length
        done.skipped += 1
        show(done, 0)
      },
      onSent: ({ sequence, users }: Outgoing, { failed }: Accepted) => {
        done.users += users.length
        done.sent += 1
        show(done, users.length)
        noted ??= noteArrival(state)
        for (const text of failed) progress.note(onError('yellow', `Batch ${sequence}: ${text}`))
      },
      onTrouble: (error: unknown, againInMs: number) =>
        progress.note(
          onError('yellow', `${shortly(error)}; trying again in ${duration(againInMs)}`)
        )
    })
  } finally {
    signal.removeEventListener('abort', onStop)
    progress.end()
    await noted
  }
  return done
}

/** @throws ExitError before a batch with customers that were not counted is sent. */
async function* noMoreThan(
  totalUsers: number,
  batches: AsyncIterable<readonly User[]>
): AsyncGenerator<readonly User[], void, void> {
  let left = totalUsers
  for await (const users of batches) {
    left -= users.length
    if (left < 0) throw fileChanged()
    yield users
  }
}

const fileChanged = () =>
  new ExitError(
    EXIT.wrongUse,
    'The file was changed while it was sent. Upload it again once it is complete.'
  )

/** A state that could not be written at first cannot be later either: that was told. */
async function noteArrival(state: UploadState): Promise<void> {
  if (state.hasArrived) return
  await saveState(stateFolder(process.env), { ...state, hasArrived: true }).catch(() => undefined)
}

const shortly = (error: unknown) => (error instanceof Error ? error.message : 'unknown')

/** Bar, customers, customers per second and time left. */
function createSendProgress(progress: Progress, { totalUsers }: Session) {
  const startedAt = performance.now()
  let sentNow = 0
  return ({ users }: Sent, further: number) => {
    sentNow += further
    const perMs = sentNow / (performance.now() - startedAt)
    const share = users / totalUsers
    const left = perMs > 0 ? `${duration((totalUsers - users) / perMs)} left` : ''
    const rate = perMs > 0 ? `${count(Math.round(perMs * 1_000))}/s` : ''
    progress.show(
      [bar(share), `${count(users)} of ${count(totalUsers)} customers`, rate, left]
        .filter(Boolean)
        .join('  '),
      tenth(share)
    )
  }
}

/**
 * What the service has it keeps: the same command goes on behind it, unless it is wrong in itself.
 * @throws ExitError always.
 */
async function notAllSent(error: unknown, state: UploadState): Promise<never> {
  const { sessionId } = state
  const { exitCode, message } = explainError(error)
  if (exitCode === EXIT.wrongUse) {
    await removeState(stateFolder(process.env), state)
    throw new ExitError(exitCode, message, { sessionId })
  }
  throw new ExitError(
    exitCode,
    `${message}\nNot everything was sent. Go on with the same command and --resume (session ${sessionId}).`,
    { sessionId, resumable: true }
  )
}

async function follow(
  client: Client,
  sessionId: number,
  { wait }: UploadOptions,
  signal: AbortSignal
): Promise<SessionStatus> {
  try {
    return await followSession(client, sessionId, { waitMs: wait * 60_000, signal })
  } catch (error) {
    const { exitCode, message } = explainError(signal.aborted ? signal.reason : error)
    throw new ExitError(
      exitCode,
      `${message}\nEverything was sent and the service goes on by itself: audience status ${sessionId} --watch`,
      { sessionId }
    )
  }
}

interface Result {
  readonly sessionId: number
  readonly batches: Sent
  readonly survey: Survey
}

function report(
  status: SessionStatus,
  exitCode: ExitCode,
  { sessionId, batches, survey: { layout, mapping, unusedColumns, users } }: Result,
  { json }: UploadOptions
): void {
  if (json === true) {
    const { sent, skipped } = batches
    printJson({
      success: exitCode === EXIT.delivered,
      sessionId,
      file: { ...layout, ...shownNames({ layout, unusedColumns }), mapping, users },
      batches: { sent, skipped },
      status
    })
    return
  }
  printSession(status)
}
