import type {
  DeliveryStatus,
  DestinationStatus,
  DryRun,
  FieldPreview,
  FieldReport,
  Providers,
  Report,
  Retried,
  Segments,
  SessionOverview,
  SessionProgress,
  Sessions,
  SessionStatus
} from './answers.ts'

/** Answers as they look, for the reference. */

const SEGMENT = 'blotout_High_Value_Customers'

export const progress: SessionProgress = {
  sessionId: 1708531200,
  state: 'sending',
  batches: { received: 2, total: 3 },
  users: { received: 20000, total: 25000 },
  revision: 17
}

export const delivery: DeliveryStatus = {
  id: '6f9f0a1e-0a0e-4a52-8f43-6c1f6f1f7f11',
  sequence: 1,
  provider: 'facebook',
  tag: 'eu-shop',
  segment: SEGMENT,
  state: 'delivered',
  attempts: 1,
  users: { sent: 9959, received: 9959, invalid: 3, leftOut: 41 },
  nextAttemptAt: null,
  lastError: null,
  settledAt: '2026-11-22T09:59:59.704Z'
}

const email: FieldReport = {
  given: 19460,
  usable: 18902,
  repaired: 214,
  unusable: 558,
  hashed: 12,
  why: {
    not_an_address: {
      users: 558,
      rows: [
        { sequence: 1, row: 17 },
        { sequence: 2, row: 4 }
      ]
    }
  }
}
const clean = (given: number): FieldReport => ({
  given,
  usable: given,
  repaired: 0,
  unusable: 0,
  hashed: 0,
  why: {}
})

const report: Report = {
  fields: {
    email,
    phone: clean(18011),
    firstName: clean(19800),
    lastName: clean(19800),
    country: clean(19590),
    postalCode: clean(18640)
  },
  ignoredFields: { loyaltyTier: 20000 }
}

const destination: DestinationStatus = {
  provider: 'facebook',
  tag: 'eu-shop',
  segment: SEGMENT,
  mode: 'add',
  segmentId: '238500001',
  state: 'retrying',
  deliveries: {
    queued: 0,
    sending: 0,
    retrying: 1,
    held: 0,
    confirming: 0,
    delivered: 1,
    failed: 0
  },
  users: { sent: 9959, received: 9959, invalid: 3, leftOut: 83 },
  leftOutBy: { no_identifier: 83 },
  notes: {},
  identifiers: { '0': 83, '1': 1204, '2': 18713 },
  attempts: 3,
  nextAttemptAt: '2026-11-22T10:00:05.000Z',
  lastError: { code: 'rate_limited', message: 'the rate limit is reached (80003)' }
}

export const session: SessionStatus = {
  sessionId: 1708531200,
  audience: 'High Value Customers',
  type: 'custom',
  state: 'sending',
  batches: { received: [1, 2], missing: [3], total: 3 },
  users: { received: 20000, total: 25000 },
  pullDate: '2026-01-01',
  warnings: [],
  report,
  destinations: [destination],
  deliveries: [delivery],
  next: 'WzFd'
}

const overview: SessionOverview = {
  sessionId: 1708531200,
  audience: 'High Value Customers',
  type: 'custom',
  state: 'failed',
  batches: { received: 3, total: 3 },
  users: { received: 25000, total: 25000 },
  deliveries: {
    queued: 0,
    sending: 0,
    retrying: 0,
    held: 0,
    confirming: 0,
    delivered: 2,
    failed: 1
  },
  startedAt: '2026-11-22T09:59:58.112Z',
  changedAt: '2026-11-22T10:00:05.310Z'
}

export const sessions: Sessions = {
  sessions: [overview],
  next: 'WzE3NjM4MDU2MDUzMTAsMTcwODUzMTIwMF0'
}

export const retried: Retried = { success: true, retried: 1, expired: 0 }

const sound = (given: number): FieldPreview => ({
  given,
  usable: given,
  repaired: 0,
  unusable: 0,
  hashed: 0,
  why: {}
})

export const dryRun: DryRun = {
  success: true,
  dryRun: true,
  users: 1000,
  report: {
    fields: {
      email: {
        given: 990,
        usable: 987,
        repaired: 12,
        unusable: 3,
        hashed: 0,
        why: {
          not_an_address: {
            users: 3,
            rows: [
              { sequence: 1, row: 17 },
              { sequence: 1, row: 204 },
              { sequence: 1, row: 611 }
            ],
            examples: ['j***@example']
          }
        }
      },
      phone: sound(940),
      firstName: sound(1000),
      lastName: sound(1000),
      country: sound(1000),
      postalCode: sound(1000)
    },
    duplicates: 12,
    ignoredFields: {}
  },
  destinations: [
    {
      provider: 'facebook',
      tag: 'eu-shop',
      segment: SEGMENT,
      mode: 'add',
      users: { matchable: 1000, leftOut: 0 },
      leftOutBy: {},
      notes: {},
      identifiers: { '5': 73, '6': 927 },
      requests: 1
    }
  ]
}

export const segments: Segments = {
  segments: [
    {
      provider: 'facebook',
      accountId: '1234567890',
      tags: ['eu-shop'],
      name: SEGMENT,
      segmentId: '238500001',
      createdHere: true,
      createdAt: '2026-11-22T09:59:58.704Z',
      managedBy: null,
      status: {
        state: 'ready',
        matched: 17400,
        message: null,
        checkedAt: '2026-11-22T11:15:00.004Z'
      },
      error: null
    }
  ],
  next: 'WyJbXCJmYWNlYm9va1wiIl0'
}

export const providers: Providers = {
  providers: [
    {
      provider: 'tiktok',
      title: 'TikTok',
      tag: 'default',
      accountId: '7100000000000000001',
      identifiers: ['email', 'phone'],
      limits: {
        requestsInFlight: 2,
        rates: [
          { requests: 10, perMs: 1000 },
          { requests: 600, perMs: 60000 }
        ],
        usersPerRequest: 1000,
        bytesPerRequest: 1000000
      },
      minimumAudienceSize: 1000,
      matchingLatencyHours: { min: 24, max: 48 },
      account: { status: 'open', since: null, until: null, error: null },
      check: { ok: true, checkedAt: '2026-11-22T07:46:00.004Z', problems: [] }
    }
  ]
}
