/** What the client reads of the service's answers. */

export type DeliveryState =
  | 'queued'
  | 'sending'
  | 'retrying'
  | 'held'
  | 'confirming'
  | 'delivered'
  | 'failed'
export type Counts = Readonly<Record<string, number>>

export interface Problem {
  readonly code: string
  readonly message: string
}

/** How a session stands at one tag of one platform. */
export interface DestinationStatus {
  readonly provider: string
  readonly tag: string
  readonly segment: string
  readonly mode: 'add' | 'remove' | 'delete'
  readonly state: DeliveryState
  readonly deliveries: Readonly<Record<DeliveryState, number>>
  readonly users: {
    readonly sent: number
    readonly received: number
    readonly invalid: number
    readonly leftOut: number
  }
  readonly leftOutBy: Counts
  readonly notes: Counts
  readonly attempts: number
  readonly nextAttemptAt: string | null
  readonly lastError: Problem | null
}

export interface SessionStatus {
  readonly sessionId: number
  readonly audience: string
  readonly state: 'sending' | 'failed' | 'receiving' | 'delivered'
  readonly batches: {
    readonly received: readonly number[]
    readonly missing: readonly number[]
    readonly total: number
  }
  readonly users: { readonly received: number; readonly total: number }
  readonly warnings: readonly string[]
  readonly destinations: readonly DestinationStatus[]
}

export interface SessionOverview {
  readonly sessionId: number
  readonly audience: string
  readonly state: SessionStatus['state']
  readonly batches: { readonly received: number; readonly total: number }
  readonly users: { readonly received: number; readonly total: number }
  readonly deliveries: Readonly<Record<DeliveryState, number>>
  readonly startedAt: string
  readonly changedAt: string
}

export interface Sessions {
  readonly sessions: readonly SessionOverview[]
  readonly next: string | null
}

export interface ProviderStatus {
  readonly provider: string
  readonly title: string
  readonly tag: string
  readonly accountId: string
  readonly identifiers: readonly string[]
  readonly account: {
    readonly status: string
    readonly since: string | null
    readonly until: string | null
    readonly error: Problem | null
  }
  readonly check?: {
    readonly ok: boolean
    readonly checkedAt: string
    readonly problems: readonly Problem[]
  }
}

export interface Providers {
  readonly providers: readonly ProviderStatus[]
}

export interface SegmentStatus {
  readonly provider: string
  readonly accountId: string
  readonly tags: readonly string[]
  readonly name: string
  readonly segmentId: string | null
  readonly status: {
    readonly state: string
    readonly matched: number | null
    readonly message: string | null
    readonly checkedAt: string
  } | null
  readonly error: Problem | null
}

export interface Segments {
  readonly segments: readonly SegmentStatus[]
  readonly next: string | null
}

export interface UnusableValues {
  readonly users: number
  readonly rows: readonly { readonly sequence: number; readonly row: number }[]
  /** Masked; in a dry run only. */
  readonly examples?: readonly string[]
}

export interface FieldReport {
  readonly given: number
  readonly usable: number
  readonly repaired: number
  readonly unusable: number
  readonly hashed: number
  readonly why: Readonly<Record<string, UnusableValues>>
}

export interface DryRunDestination {
  readonly provider: string
  readonly tag: string
  readonly segment: string
  readonly mode: 'add' | 'remove'
  readonly users: { readonly matchable: number; readonly leftOut: number }
  readonly leftOutBy: Counts
  readonly notes: Counts
  /** Users by how many of the platform's identifiers they have. */
  readonly identifiers: Counts
  readonly requests: number
}

export interface DryRun {
  readonly users: number
  readonly report: {
    readonly fields: Readonly<Record<string, FieldReport>>
    readonly ignoredFields: Counts
  }
  readonly destinations: readonly DryRunDestination[]
}
