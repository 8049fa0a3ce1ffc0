import { hash, randomUUID } from 'node:crypto'
import {
  type Accepted,
  type Delivery,
  type DeliveryChange,
  isSettled,
  type NewUpload,
  NOTHING_SENT,
  type Store,
  type Target,
  type Upload
} from './store.ts'

interface Entry {
  readonly identity: string
  readonly upload: Upload
  readonly deliveries: string[]
}

/** Settled uploads beyond this many are forgotten before their time, oldest first. */
const MAX_UPLOADS = 10_000

/** The status of a session can be asked for at least this long after it settled. */
const KEEP_STATUS_MS = 24 * 3_600_000

/** Keeps everything in the memory of this process: what is not delivered at its end is lost. */
export function createMemoryStore({
  dedupMs,
  now = Date.now
}: {
  /** How long a settled upload is recognised when it is sent again, in milliseconds. */
  readonly dedupMs: number
  readonly now?: () => number
}): Store {
  const keepSettledMs = Math.max(dedupMs, KEEP_STATUS_MS)
  // Insertion order is the order of acceptance.
  const uploads = new Map<string, Entry>()
  const idByIdentity = new Map<string, string>()
  const deliveries = new Map<string, Delivery>()
  const sessions = new Map<string, Set<string>>()

  function get(id: string): Delivery {
    const delivery = deliveries.get(id)
    if (delivery === undefined) throw new Error(`no delivery ${id}`)
    return delivery
  }

  function change(id: string, changed: DeliveryChange): Delivery {
    const delivery = { ...get(id), ...changed }
    deliveries.set(id, delivery)
    return delivery
  }

  function forgetOld(): void {
    for (const [id, entry] of uploads) {
      // What was accepted later settles later still.
      if (entry.upload.acceptedAt + keepSettledMs > now() && uploads.size <= MAX_UPLOADS) return
      const settledAt = settledAtOf(entry)
      if (settledAt === undefined) continue
      if (settledAt + keepSettledMs > now() && uploads.size <= MAX_UPLOADS) continue
      forget(id, entry)
    }
  }

  /** When the last of an upload's deliveries settled; `undefined` while one has not. */
  function settledAtOf({ upload, deliveries: own }: Entry): number | undefined {
    const all = own.map(get)
    if (!all.every(isSettled)) return undefined
    return Math.max(upload.acceptedAt, ...all.map(({ settledAt }) => settledAt ?? 0))
  }

  /** The same upload as it was accepted before, if that was not too long ago. */
  function recognised(identity: string): Entry | undefined {
    const entry = uploads.get(idByIdentity.get(identity) ?? '')
    if (entry === undefined) return undefined
    const settledAt = settledAtOf(entry)
    return settledAt === undefined || settledAt + dedupMs > now() ? entry : undefined
  }

  function forget(id: string, { identity, upload, deliveries: own }: Entry): void {
    uploads.delete(id)
    if (idByIdentity.get(identity) === id) idByIdentity.delete(identity)
    for (const deliveryId of own) deliveries.delete(deliveryId)
    const key = sessionKey(upload.owner, upload.sessionId)
    const session = sessions.get(key)
    session?.delete(id)
    if (session?.size === 0) sessions.delete(key)
  }

  function sessionEntries(owner: string, sessionId: number): Entry[] {
    const ids = sessions.get(sessionKey(owner, sessionId)) ?? []
    return [...ids].flatMap((id) => uploads.get(id) ?? [])
  }

  function keep(identity: string, upload: NewUpload): Entry {
    const replacesSequence = sessionEntries(upload.owner, upload.sessionId).some(
      (entry) =>
        entry.upload.sequence === upload.sequence &&
        entry.upload.contentHash !== upload.contentHash &&
        entry.upload.segmentName === upload.segmentName
    )
    const entry: Entry = {
      identity,
      upload: {
        ...upload,
        id: randomUUID(),
        acceptedAt: now(),
        replacesSequence,
        report: undefined
      },
      deliveries: []
    }
    uploads.set(entry.upload.id, entry)
    idByIdentity.set(identity, entry.upload.id)
    const key = sessionKey(upload.owner, upload.sessionId)
    sessions.set(key, (sessions.get(key) ?? new Set()).add(entry.upload.id))
    return entry
  }

  /** The entry's delivery to a target, made or started anew where needed. */
  function deliver(entry: Entry, target: Target): { delivery: Delivery; run: boolean } {
    const had = entry.deliveries
      .map(get)
      .find((d) => d.provider === target.provider && d.tag === target.tag)
    if (had === undefined) {
      const delivery = newDelivery(entry.upload.id, target)
      deliveries.set(delivery.id, delivery)
      entry.deliveries.push(delivery.id)
      return { delivery, run: true }
    }
    if (had.state !== 'failed') return { delivery: had, run: false }
    return { delivery: change(had.id, FRESH), run: true }
  }

  function accept(upload: NewUpload, targets: readonly Target[]): Accepted {
    forgetOld()
    const identity = identityOf(upload)
    const known = recognised(identity)
    const entry = known ?? keep(identity, upload)
    const outcomes = targets.map((target) => deliver(entry, target))
    return {
      upload: entry.upload,
      duplicate: known !== undefined,
      deliveries: outcomes.map(({ delivery }) => delivery),
      toRun: outcomes.flatMap(({ delivery, run }) => (run ? [delivery] : []))
    }
  }

  return {
    accept: async (upload, targets) => accept(upload, targets),
    delivery: async (id) => deliveries.get(id),
    changeDelivery: async (id, changed) => change(id, changed),
    async setReport(uploadId, report) {
      const entry = uploads.get(uploadId)
      if (entry !== undefined) {
        uploads.set(uploadId, { ...entry, upload: { ...entry.upload, report } })
      }
    },
    async session(owner, sessionId) {
      const entries = sessionEntries(owner, sessionId)
      if (entries.length === 0) return undefined
      return {
        uploads: entries.map(({ upload }) => upload),
        deliveries: entries.flatMap((entry) => entry.deliveries.map(get))
      }
    }
  }
}

const FRESH = {
  ...NOTHING_SENT,
  state: 'queued',
  attempts: 0,
  nextAttemptAt: undefined,
  leftOut: {},
  notes: {},
  lastError: undefined,
  settledAt: undefined
} as const satisfies DeliveryChange

function newDelivery(uploadId: string, target: Target): Delivery {
  return { ...target, ...FRESH, id: randomUUID(), uploadId, segmentId: undefined }
}

const sessionKey = (owner: string, sessionId: number) => `${owner}\n${sessionId}`

/** What makes two uploads the same. The default country changes what is sent, so it counts. */
function identityOf(upload: NewUpload): string {
  return hash(
    'sha256',
    JSON.stringify([
      upload.owner,
      upload.sessionId,
      upload.sequence,
      upload.segmentName,
      upload.type,
      upload.defaultCountry ?? '',
      upload.contentHash
    ])
  )
}
