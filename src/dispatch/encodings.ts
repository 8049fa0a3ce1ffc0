import PQueue from 'p-queue'
import type { KeyRing } from '../store/sealing.ts'
import { accountKey, type Delivery, type Store } from '../store/store.ts'
import { createBodyRoom } from './body-room.ts'
import { type Job, toAudience, type WithDestination } from './job.ts'
import { ExpiredError, PreparationError, UnreadableError } from './retry.ts'
import type { Encoded, EncodingFault } from './worker.ts'
import type { Workers } from './workers.ts'

export interface EncodingsOptions {
  readonly store: Pick<Store, 'sealedUsers' | 'setReport' | 'startable' | 'untried'>
  readonly workers: Workers
  readonly keys: KeyRing
  /** Other instances take turns as well: what is made here for a later turn may never be used. */
  readonly isShared: boolean
  /** Those of the deliveries that this process can send. */
  readonly withDestinations: (deliveries: readonly Delivery[]) => readonly WithDestination[]
  /** What bodies may take, those of deliveries under way and those kept for later. */
  readonly roomBytes?: number
}

/**
 * The request bodies of deliveries. Those of one upload are encoded together, so that each value is
 * normalised and hashed once for all of them. Where that ended a thread or
 * the process, the delivery is encoded by itself from then on: others must not fail for it.
 */
export interface Encodings {
  /** Waits until there is room for them, and for a thread that makes them. */
  of(job: Job, options: PrepareOptions): Promise<HeldBodies>
  /** The delivery does not need them any more. */
  drop(deliveryId: string): void
  /** How much there is now. */
  load(): EncodingsLoad
}

export interface EncodingsLoad {
  /** Deliveries whose bodies are to be made as soon as there is a thread for it. */
  readonly waiting: number
  /** What all bodies take, those of deliveries under way and those kept for later. */
  readonly bytes: number
}

export interface PrepareOptions {
  /**
   * Called before the users are prepared, not where the bodies are at hand: what a delivery does to
   * the process it does there.
   */
  readonly begin: () => Promise<void>
  /** Ends the wait for room. */
  readonly signal: AbortSignal
}

/** Bodies that take room until they are disposed of. */
export interface HeldBodies extends Disposable {
  readonly encoded: Encoded
}

/** Beyond that accounts wait, and what is kept is dropped and made again. */
const ROOM_BYTES = 256 * 1024 * 1024

/** So much of it an account may have for later turns: one that is slow or away has no end of them. */
const AHEAD_PART = 1 / 8

type Outcome = Encoded | EncodingFault

interface Kept {
  readonly account: string
  readonly bytes: number
  readonly outcome: Outcome
}

export function createEncodings(options: EncodingsOptions): Encodings {
  const { store, workers, keys, withDestinations, isShared, roomBytes = ROOM_BYTES } = options
  const room = createBodyRoom({ sizeBytes: roomBytes, madeAtOnce: workers.threads })
  const preparing = new PQueue({ concurrency: workers.threads })
  /** While one of these is prepared, nothing else is. */
  const preparingAlone = new PQueue({ concurrency: 1 })
  /** For deliveries that are not under way. */
  const kept = new Map<string, Kept>()
  /** Uploads that are prepared right now. */
  const underWay = new Map<string, Promise<void>>()
  /** What they take, for each account. */
  const keptOf = new Map<string, number>()
  let keptBytes = 0

  const isFull = () => keptBytes + room.takenBytes > roomBytes

  function keep(delivery: Delivery, outcome: Outcome): void {
    drop(delivery.id)
    const one = { account: accountKey(delivery), bytes: bytesOf(outcome), outcome }
    kept.set(delivery.id, one)
    count(one.account, one.bytes)
    dropOldest()
  }

  function drop(id: string): void {
    const had = kept.get(id)
    if (had === undefined) return
    kept.delete(id)
    count(had.account, -had.bytes)
  }

  function count(account: string, bytes: number): void {
    keptBytes += bytes
    const left = (keptOf.get(account) ?? 0) + bytes
    if (left === 0) keptOf.delete(account)
    else keptOf.set(account, left)
  }

  function dropOldest(): void {
    for (const oldest of kept.keys()) {
      if (!isFull()) return
      drop(oldest)
    }
  }

  const mayGoAhead = (delivery: Delivery) =>
    !kept.has(delivery.id) && (keptOf.get(accountKey(delivery)) ?? 0) < roomBytes * AHEAD_PART

  /** What else is encoded with this delivery. */
  async function companionsOf({ upload, delivery }: Job): Promise<readonly WithDestination[]> {
    // Where the room is full theirs would be dropped again.
    if (isSuspect(delivery) || isFull()) return []
    const others = await (isShared ? store.startable(upload.id) : store.untried(upload.id))
    return withDestinations(others.filter((one) => one.id !== delivery.id && mayGoAhead(one)))
  }

  async function encode(job: Job, begin: () => Promise<void>): Promise<Outcome> {
    const { upload } = job
    const sealed = await store.sealedUsers(upload.id)
    if (sealed === undefined) throw new ExpiredError()
    const targets = [job, ...(await companionsOf(job))]
    await begin()
    const outcome = await workers
      .encode({
        sealed,
        contentHash: upload.contentHash,
        keys,
        defaultCountry: upload.defaultCountry,
        phoneHashes: upload.phoneHashes,
        targets: targets.map((target) => ({
          provider: target.destination.provider.name,
          variables: target.destination.variables,
          audience: toAudience(upload, target.delivery)
        }))
      })
      .catch((cause: unknown) => {
        throw new PreparationError('a worker thread failed', { cause })
      })
    if ('unreadable' in outcome) throw new UnreadableError(outcome.unreadable)
    if (upload.report === undefined) await store.setReport(upload.id, outcome.report)
    const [own, ...more] = outcome.encodings
    if (own === undefined) throw new Error('no encoding')
    for (const [index, encoded] of more.entries()) {
      const companion = targets[index + 1]
      if (companion !== undefined) keep(companion.delivery, encoded)
    }
    return own
  }

  /** Lets what is under way end, and nothing else begin until it has ended itself. */
  async function alone<T>(work: () => Promise<T>): Promise<T> {
    preparing.pause()
    try {
      await preparing.onPendingZero()
      return await work()
    } finally {
      preparing.start()
    }
  }

  async function prepare(job: Job, begin: () => Promise<void>): Promise<Outcome> {
    const id = job.upload.id
    // Others wait for the same and may be first.
    for (let other = underWay.get(id); other !== undefined; other = underWay.get(id)) await other
    const ready = kept.get(job.delivery.id)
    if (ready !== undefined) return ready.outcome
    const work = endedProcess(job.delivery)
      ? preparingAlone.add(() => alone(() => encode(job, begin)))
      : preparing.add(() => encode(job, begin))
    const ended = () => void underWay.delete(id)
    underWay.set(id, work.then(ended, ended))
    return work
  }

  async function hold(job: Job, { begin, signal }: PrepareOptions) {
    const { id, uploadId } = job.delivery
    const stay = await room.enter({ account: accountKey(job.delivery), uploadId }, signal)
    try {
      const outcome = kept.get(id)?.outcome ?? (await prepare(job, begin))
      drop(id)
      stay.has(bytesOf(outcome))
      dropOldest()
      return { outcome, stay }
    } catch (error) {
      stay.leave()
      throw error
    }
  }

  return {
    async of(job, prepareOptions) {
      const { outcome, stay } = await hold(job, prepareOptions)
      const release = () => {
        stay.leave()
        // It may be tried again.
        keep(job.delivery, outcome)
      }
      if ('stack' in outcome) {
        release()
        throw Object.assign(new Error('the encoding failed'), { stack: outcome.stack })
      }
      return { encoded: outcome, [Symbol.dispose]: release }
    },
    drop,
    load: () => ({
      waiting: preparing.size + preparingAlone.size,
      bytes: keptBytes + room.takenBytes
    })
  }
}

/** A process began to prepare it and did not come to an end with that. */
const endedProcess = ({ preparingIn }: Delivery) => preparingIn !== undefined

/** It may be what ended a thread or process. */
const isSuspect = (delivery: Delivery) => delivery.crashes > 0 || endedProcess(delivery)

/** With what lies in their buffers besides them: several bodies may share one. */
function bytesOf(encoded: Outcome): number {
  if ('stack' in encoded) return 0
  const buffers = new Set(encoded.bodies.map(({ payload }) => payload.buffer))
  return [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0)
}
