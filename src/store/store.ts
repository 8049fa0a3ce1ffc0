import type { AudienceType } from '../audience/schemas.ts'
import type { FieldReport } from '../audience/report.ts'

export type DeliveryState =
  | 'queued'
  | 'sending'
  | 'retrying'
  | 'held'
  | 'confirming'
  | 'delivered'
  | 'failed'

export interface LastError {
  /** The error's class, e.g. `rate_limited`. */
  readonly code: string
  /** Cleaned: holds no personal data. */
  readonly message: string
}

/** One accepted batch. */
export interface Upload {
  readonly id: string
  /** Name of the API key that sent it. */
  readonly owner: string
  readonly sessionId: number
  readonly sequence: number
  readonly totalBatches: number
  readonly totalUsers: number
  readonly pullDate: string | undefined
  readonly audienceName: string
  /** With the prefix, before any platform's own cut. */
  readonly segmentName: string
  readonly type: AudienceType
  readonly users: number
  /** Names of user fields that the service does not know, with how many users had them. */
  readonly ignoredFields: Readonly<Record<string, number>>
  readonly defaultCountry: string | undefined
  /** SHA-256 of the users as sent. */
  readonly contentHash: string
  /** Milliseconds since 1970. */
  readonly acceptedAt: number
  /** The same sequence was accepted before with other content. */
  readonly replacesSequence: boolean
  /** Known once the users were normalised. */
  readonly report: FieldReport | undefined
}

/** Where deliveries go: a tag of a provider. */
export interface Target {
  readonly provider: string
  readonly tag: string
  readonly accountId: string
  /** The segment's name as that platform stores it. */
  readonly segmentName: string
}

/** One upload for one target. */
export interface Delivery extends Target {
  readonly id: string
  readonly uploadId: string
  readonly state: DeliveryState
  readonly attempts: number
  readonly nextAttemptAt: number | undefined
  readonly segmentId: string | undefined
  /** Bodies that the platform acknowledged: a retry goes on behind them. */
  readonly acknowledgedBodies: number
  readonly sent: number
  readonly received: number
  readonly invalid: number
  /** Users not sent, by reason. */
  readonly leftOut: Readonly<Record<string, number>>
  /** What was kept back of users that were sent, by reason. */
  readonly notes: Readonly<Record<string, number>>
  readonly warnings: readonly string[]
  /** Work that the platform goes on with. */
  readonly tickets: readonly string[]
  readonly lastError: LastError | undefined
  readonly settledAt: number | undefined
}

export type DeliveryChange = Partial<Omit<Delivery, 'id' | 'uploadId' | keyof Target>>

/** A delivery of which its platform has nothing. */
export const NOTHING_SENT = {
  acknowledgedBodies: 0,
  sent: 0,
  received: 0,
  invalid: 0,
  tickets: [],
  warnings: []
} as const satisfies DeliveryChange

export interface Accepted {
  readonly upload: Upload
  /** The same upload was accepted before. */
  readonly duplicate: boolean
  /** All deliveries to the given targets. */
  readonly deliveries: readonly Delivery[]
  /** Those among them that have to be run now. */
  readonly toRun: readonly Delivery[]
}

export interface Session {
  /** In the order of acceptance. */
  readonly uploads: readonly Upload[]
  readonly deliveries: readonly Delivery[]
}

export type NewUpload = Omit<Upload, 'id' | 'acceptedAt' | 'replacesSequence' | 'report'>

/** What the service remembers about uploads. */
export interface Store {
  /**
   * Accepts an upload and one delivery per target in one step. The same upload again (owner,
   * session, sequence, segment, type and content) only adds targets that it has not had yet and
   * starts failed deliveries anew.
   */
  accept(upload: NewUpload, targets: readonly Target[]): Promise<Accepted>
  delivery(id: string): Promise<Delivery | undefined>
  /** Returns the delivery as it is afterwards. */
  changeDelivery(id: string, change: DeliveryChange): Promise<Delivery>
  setReport(uploadId: string, report: FieldReport): Promise<void>
  session(owner: string, sessionId: number): Promise<Session | undefined>
}

const SETTLED: ReadonlySet<DeliveryState> = new Set(['delivered', 'failed'])

export function isSettled({ state }: Pick<Delivery, 'state'>): boolean {
  return SETTLED.has(state)
}
