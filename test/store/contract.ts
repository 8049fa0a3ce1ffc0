import { hash } from 'node:crypto'
import * as fc from 'fast-check'
import { test, type Test } from 'tap'
import type { Turn } from '../../src/store/queue.ts'
import { MAX_SESSIONS } from '../../src/store/sql-sweep.ts'
import type { SqlValue } from '../../src/store/sql.ts'
import {
  type Accepted,
  CursorError,
  type Delivery,
  type DeliveryState,
  type HookMessage,
  type NewUpload,
  OPEN_ACCOUNT,
  type Page,
  type Segment,
  StaleError,
  type Store,
  type StoreOptions,
  type Target,
  type UploadMode
} from '../../src/store/store.ts'

/** The same new store as two instances of the service have it; closed with the test. */
export type OpenStores = (t: Test, options: StoreOptions) => Promise<readonly [Store, Store]>

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS
export const T0 = Date.UTC(2026, 0, 1)

export const OPTIONS: StoreOptions = {
  dedupMs: 24 * HOUR_MS,
  retentionMs: 7 * DAY_MS,
  hookEndpoints: []
}

export const EU: Target = {
  provider: 'facebook',
  tag: 'eu',
  accountId: '111',
  segmentName: 'blotout_VIP'
}
export const US: Target = { ...EU, tag: 'us', accountId: '222' }
export const TT: Target = { ...EU, provider: 'tiktok', tag: 'eu', accountId: '333' }

export function upload(changes: Partial<NewUpload> = {}): NewUpload {
  const { sequence = 1 } = changes
  return {
    owner: 'shop',
    sessionId: 1,
    sequence,
    totalBatches: 1,
    totalUsers: 10,
    pullDate: undefined,
    audienceName: 'VIP',
    segmentName: 'blotout_VIP',
    type: 'custom',
    users: 10,
    ignoredFields: {},
    defaultCountry: undefined,
    contentHash: `content ${sequence}`,
    mode: 'add',
    managed: undefined,
    phoneHashes: undefined,
    traceparent: undefined,
    acceptedAt: T0,
    ...changes
  }
}

export const sealed = (bytes = 3) => new Uint8Array(bytes).fill(7)

function only<T>(items: readonly T[]): T {
  const [first] = items
  if (first === undefined || items.length !== 1) throw new Error(`${items.length} instead of one`)
  return first
}

/** As plain numbers: some databases answer with a kind of bytes of their own. */
async function usersOf(store: Store, uploadId: string): Promise<readonly number[]> {
  return [...((await store.sealedUsers(uploadId)) ?? [])]
}

const idOf = ({ id }: { readonly id: string }) => id
const sequencesOf = (deliveries: readonly Delivery[]) => deliveries.map(({ sequence }) => sequence)

const LIMITED = { code: 'rate_limited', message: 'too many calls' }
const settle = (store: Store, id: string, state: 'delivered' | 'failed', now = T0) =>
  store.changeDelivery(
    id,
    { state, settledAt: now, ...(state === 'failed' && { lastError: LIMITED }) },
    now
  )

async function allPages<T>(get: (cursor: string | undefined) => Promise<Page<T>>): Promise<T[][]> {
  const pages: T[][] = []
  let cursor: string | undefined
  do {
    const { items, next } = await get(cursor)
    pages.push([...items])
    cursor = next
  } while (cursor !== undefined)
  return pages
}

async function summaryOf(store: Store, sessionId = 1) {
  const { items } = await store.sessions({ owner: 'shop', limit: 100 })
  return items.find((summary) => summary.sessionId === sessionId)
}

const typeOf = ({ type }: HookMessage) => type
/** Messages that nobody has taken yet. */
const newHooks = (store: Store, endpoint = 'a') => store.takeHooks(endpoint, T0 * 2, T0 * 2, 1_000)

const UNKNOWN_SEGMENT: Segment = {
  id: undefined,
  createdAt: undefined,
  creatingSince: undefined,
  lostSince: undefined,
  deletedId: undefined,
  notes: undefined
}

const NO_DELIVERIES = {
  queued: 0,
  sending: 0,
  retrying: 0,
  held: 0,
  confirming: 0,
  delivered: 0,
  failed: 0
}

/**
 * What the version before wrote: statements for a database with its schema, in which a delivery
 * waits and one failed.
 */
export const FROM_SCHEMA_2: readonly (readonly [string, readonly SqlValue[]])[] = (() => {
  const given = {
    owner: 'shop',
    sessionId: 1,
    sequence: 1,
    totalBatches: 1,
    totalUsers: 10,
    audienceName: 'VIP',
    segmentName: 'blotout_VIP',
    type: 'custom',
    users: 10,
    ignoredFields: {},
    contentHash: 'content 1',
    acceptedAt: T0
  }
  const identity = hash(
    'sha256',
    JSON.stringify(['shop', 1, 1, 'blotout_VIP', 'custom', '', 'content 1'])
  )
  const session = {
    owner: 'shop',
    sessionId: 1,
    revision: 3,
    audienceName: 'VIP',
    type: 'custom',
    firstSequence: 1,
    totalBatches: 1,
    totalUsers: 10,
    receivedBatches: 1,
    missingBatches: 0,
    receivedUsers: 10,
    deliveries: { ...NO_DELIVERIES, queued: 1, failed: 1 },
    startedAt: T0,
    changedAt: T0
  }
  const delivery = (id: string, where: Target, position: number, change: object) => {
    const data = { ...where, id, uploadId: 'u1', sequence: 1, queuedAt: T0, targetedAt: T0 }
    const { provider, accountId, segmentName } = where
    return [
      `INSERT INTO deliveries (id, upload_id, owner, session_id, account, lock, position, state,
         waiting, queued_at, settled_at, revision, data)
       VALUES (?1, 'u1', 'shop', 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?4, ?9)`,
      [
        id,
        `${provider}/${accountId}`,
        JSON.stringify([provider, accountId, segmentName]),
        position,
        'settledAt' in change ? 'failed' : 'queued',
        'settledAt' in change ? 0 : 1,
        T0,
        'settledAt' in change ? T0 : null,
        JSON.stringify({ ...data, state: 'queued', ...change })
      ]
    ] as const
  }
  const segment = (key: string, data: object) =>
    [
      'INSERT INTO segments (name, data, changed_at) VALUES (?1, ?2, ?3)',
      [key, JSON.stringify(data), T0]
    ] as const
  return [
    [
      `INSERT INTO sessions (owner, session_id, revision, state, changed_at, data)
       VALUES ('shop', 1, 3, 'sending', ?1, ?2)`,
      [T0, JSON.stringify(session)]
    ],
    [
      `INSERT INTO uploads (id, identity, owner, session_id, sequence, revision, data)
       VALUES ('u1', ?1, 'shop', 1, 1, 1, ?2)`,
      [identity, JSON.stringify({ ...given, id: 'u1', replacesSequence: false })]
    ],
    ['INSERT INTO payloads (upload_id, bytes, sealed) VALUES (?1, 3, ?2)', ['u1', sealed()]],
    delivery('d1', EU, 2, {}),
    delivery('d2', TT, 3, { state: 'failed', settledAt: T0, lastError: LIMITED }),
    segment('["facebook","111","blotout_VIP"]CUSTOM', { id: 's1', createdAt: T0 }),
    segment('["tiktok","333","a \\"]"]', { id: 's2', notes: { n: 1 } }),
    segment('["tiktok","333","asked for"]', { creatingSince: T0 }),
    segment('["tiktok","333","forgotten"]', { notes: { n: 2 } }),
    segment('no key', { id: 's3' })
  ]
})()

/** What has to become of that. */
export async function checkFromSchema2(t: Test, store: Store): Promise<void> {
  const [turn] = await store.turns()
  const work = turn && (await store.work(turn))
  t.strictSame(work?.upload, {
    ...upload(),
    id: 'u1',
    replacesSequence: false,
    report: undefined
  })
  t.same([work?.delivery.id, work?.isCancelled], ['d1', false])
  const again = await store.accept(upload({ acceptedAt: T0 + 1 }), sealed(4), [EU, TT])
  t.same([again.duplicate, again.deliveries.map(idOf)], [true, ['d1', 'd2']])
  t.same(
    again.deliveries.map(({ state }) => state),
    ['queued', 'queued'],
    'the one that failed goes on'
  )
  t.equal((await summaryOf(store))?.deliveries.queued, 2)

  const { items } = await store.segments({ limit: 9 })
  const unknown = { ...UNKNOWN_SEGMENT, kind: '', managed: undefined }
  t.strictSame(items, [
    {
      ...unknown,
      provider: 'facebook',
      accountId: '111',
      segmentName: 'blotout_VIP',
      kind: 'CUSTOM',
      id: 's1',
      createdAt: T0
    },
    {
      ...unknown,
      provider: 'tiktok',
      accountId: '333',
      segmentName: 'a "]',
      id: 's2',
      notes: { n: 1 }
    },
    {
      ...unknown,
      provider: 'tiktok',
      accountId: '333',
      segmentName: 'asked for',
      creatingSince: T0
    }
  ])
  const found = await store.segments({ provider: 'tiktok', segmentName: 'a "]', limit: 9 })
  t.strictSame(found.items, [items[1]])
  t.equal((await store.segment('no key'))?.id, 's3')

  const deletion = upload({ sessionId: 2, mode: 'delete', users: 0 })
  await store.accept(deletion, undefined, [EU])
  t.equal(turn && (await store.work(turn))?.isCancelled, true)
}

/** What every store has to do. */
export function storeContract(name: string, openStores: OpenStores): void {
  async function openStore(t: Test, options: Partial<StoreOptions> = {}): Promise<Store> {
    const [store] = await openStores(t, { ...OPTIONS, ...options })
    return store
  }

  test(`${name}: what is accepted can be read again`, async (t) => {
    const store = await openStore(t)
    const given = upload({
      totalBatches: 2,
      pullDate: '2026-01-01',
      defaultCountry: 'DE',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      ignoredFields: { shoeSize: 3, ['__proto__']: 1 },
      audienceName: 'VIP \u0000 \ud800 ü'
    })
    const accepted = await store.accept(given, sealed(5), [EU, TT])
    const [first, second] = accepted.deliveries
    if (first === undefined || second === undefined) throw new Error('two deliveries')
    const expected = {
      ...given,
      id: accepted.upload.id,
      replacesSequence: false,
      report: undefined
    }
    const delivery: Delivery = {
      ...EU,
      id: first.id,
      uploadId: accepted.upload.id,
      sequence: 1,
      position: first.position,
      state: 'queued',
      attempts: 0,
      crashes: 0,
      preparingIn: undefined,
      unknownSince: undefined,
      encodingHash: undefined,
      nextAttemptAt: undefined,
      queuedAt: T0,
      targetedAt: T0,
      giveUpAt: undefined,
      segmentId: undefined,
      resolvedAnew: false,
      acknowledgedBodies: 0,
      sent: 0,
      received: 0,
      invalid: 0,
      leftOut: {},
      notes: {},
      warnings: [],
      tickets: [],
      confirmedTickets: 0,
      confirmingSince: undefined,
      lastError: undefined,
      settledAt: undefined,
      revision: first.revision
    }
    const other = { ...TT, id: second.id, position: second.position, revision: second.revision }
    const turn: Turn = {
      kind: 'send',
      lock: '["facebook","111","blotout_VIP"]',
      account: 'facebook/111'
    }
    const otherTurn: Turn = {
      kind: 'send',
      lock: '["tiktok","333","blotout_VIP"]',
      account: 'tiktok/333'
    }
    t.strictSame(accepted, {
      upload: expected,
      duplicate: false,
      deliveries: [delivery, { ...delivery, ...other }],
      turns: [turn, otherTurn]
    })
    t.ok(first.position < second.position, 'positions grow')
    t.ok(first.revision < second.revision, 'revisions grow')
    t.strictSame(await store.turns(), accepted.turns)
    t.strictSame(await store.work(turn), { delivery, upload: expected, isCancelled: false })
    t.strictSame(await store.startable(expected.id), accepted.deliveries)
    t.strictSame(await store.untried(expected.id), accepted.deliveries)
    t.strictSame(await store.deliveries([second.id, 'nobody']), [accepted.deliveries[1]])
    t.same(await usersOf(store, expected.id), Array(5).fill(7))
    t.equal(await store.sealedUsers('nobody'), undefined)
    t.strictSame(await store.session('shop', 1), {
      uploads: [expected],
      deliveries: accepted.deliveries,
      revision: second.revision
    })
    t.equal(await store.session('another shop', 1), undefined)
    t.strictSame(await summaryOf(store), {
      sessionId: 1,
      audienceName: 'VIP \u0000 \ud800 ü',
      type: 'custom',
      state: 'sending',
      batches: { received: 1, total: 2 },
      users: { received: 10, total: 10 },
      deliveries: { ...NO_DELIVERIES, queued: 2 },
      startedAt: T0,
      changedAt: T0
    })
    const count = { given: 3, usable: 2, unusable: 1, hashed: 0 }
    const report = {
      email: count,
      phone: count,
      firstName: count,
      lastName: count,
      country: count,
      postalCode: count
    }
    await store.setReport(expected.id, report)
    t.strictSame((await store.work(turn))?.upload, { ...expected, report })
  })

  const CHANGED: Readonly<Record<string, Partial<NewUpload>>> = {
    owner: { owner: 'another shop' },
    session: { sessionId: 2 },
    sequence: { sequence: 2, contentHash: 'content 1' },
    segment: { segmentName: 'VIP' },
    type: { type: 'primary' },
    'default country': { defaultCountry: 'DE' },
    content: { contentHash: 'other content' },
    mode: { mode: 'remove' }
  }

  test(`${name}: an upload is the same if nothing of its identity differs`, async (t) => {
    const store = await openStore(t)
    const first = await store.accept(upload(), sealed(), [EU])
    const again = await store.accept(
      upload({ totalBatches: 9, totalUsers: 99, audienceName: 'vip', acceptedAt: T0 + 5 }),
      sealed(),
      [EU]
    )
    t.strictSame(again, { ...first, duplicate: true }, 'nobody may have heard of the first turn')
    for (const [what, changes] of Object.entries(CHANGED)) {
      const other = await store.accept(upload(changes), sealed(), [EU])
      t.not(other.upload.id, first.upload.id, `another ${what}`)
      t.equal(other.duplicate, false)
      t.equal(other.upload.replacesSequence, ['content', 'mode'].includes(what))
    }
    t.equal((await store.turns()).length, 1 + Object.keys(CHANGED).length)
  })

  test(`${name}: an upload is recognised for a while after it has settled`, async (t) => {
    const store = await openStore(t)
    const first = await store.accept(upload(), sealed(), [EU, TT])
    const [one, two] = first.deliveries.map(idOf)
    const later = T0 + 100 * DAY_MS
    const sendAgain = async (acceptedAt: number) => {
      const { duplicate, turns } = await store.accept(upload({ acceptedAt }), sealed(), [EU, TT])
      return { duplicate, turns: turns.length }
    }
    t.same(await sendAgain(later), { duplicate: true, turns: 2 }, 'under way for long')
    await settle(store, one ?? '', 'delivered', T0 + HOUR_MS)
    t.same(await sendAgain(later), { duplicate: true, turns: 1 }, 'one still under way')
    await settle(store, two ?? '', 'delivered', later)
    const edge = later + OPTIONS.dedupMs
    t.same(await sendAgain(edge - 1), { duplicate: true, turns: 0 }, 'just within the time')
    t.same(await sendAgain(edge), { duplicate: false, turns: 2 }, 'forgotten')
    t.same(await sendAgain(edge), { duplicate: true, turns: 2 }, 'the new one is known')
  })

  test(`${name}: an upload without a target is recognised as well`, async (t) => {
    const store = await openStore(t)
    const first = await store.accept(upload(), sealed(), [])
    t.same([first.duplicate, first.deliveries, first.turns], [false, [], []])
    t.equal((await store.backlog()).payloadBytes, 0, 'nobody needs its users')
    const again = await store.accept(upload({ acceptedAt: T0 + 1 }), sealed(), [])
    t.equal(again.duplicate, true)
    t.equal((await summaryOf(store))?.state, 'delivered')
    const edge = T0 + OPTIONS.dedupMs
    const late = await store.accept(upload({ acceptedAt: edge }), sealed(), [])
    t.equal(late.duplicate, false)
  })

  test(`${name}: a repeat adds what is missing and starts what failed`, async (t) => {
    const store = await openStore(t)
    const first = await store.accept(upload(), sealed(), [EU, US])
    const [eu = '', us = ''] = first.deliveries.map(idOf)
    await settle(store, eu, 'delivered')
    await store.changeDelivery(
      us,
      { attempts: 4, giveUpAt: T0, segmentId: 's', acknowledgedBodies: 2, leftOut: { email: 1 } },
      T0
    )
    await settle(store, us, 'failed')
    const now = T0 + HOUR_MS
    const again = await store.accept(upload({ acceptedAt: now }), sealed(4), [EU, US, TT])
    const [sameEu, newUs, tt] = again.deliveries
    t.equal(again.duplicate, true)
    t.equal(again.upload.id, first.upload.id)
    t.same([sameEu?.id, sameEu?.state], [eu, 'delivered'])
    const before = first.deliveries[1]
    t.strictSame(newUs, {
      ...before,
      queuedAt: now,
      position: newUs?.position,
      revision: newUs?.revision
    })
    t.ok((newUs?.position ?? 0) > (before?.position ?? 0))
    t.same([tt?.provider, tt?.state, tt?.uploadId], ['tiktok', 'queued', first.upload.id])
    t.same(
      again.turns.map(({ account }) => account),
      ['facebook/222', 'tiktok/333']
    )
    t.same(await usersOf(store, first.upload.id), Array(4).fill(7), 'the users as sealed last')
    t.equal((await store.backlog()).oldestAt, now)
  })

  test(`${name}: users that were deleted are kept again when something runs again`, async (t) => {
    const store = await openStore(t)
    const { upload: kept, deliveries } = await store.accept(upload(), sealed(), [EU])
    await settle(store, only(deliveries).id, 'delivered')
    t.equal(await store.sealedUsers(kept.id), undefined)
    await store.accept(upload(), sealed(8), [EU])
    t.equal(await store.sealedUsers(kept.id), undefined, 'nothing runs')
    await store.accept(upload(), sealed(8), [EU, TT])
    t.same(await usersOf(store, kept.id), Array(8).fill(7))
  })

  test(`${name}: the same upload at the same time on two instances is one`, async (t) => {
    const stores = await openStores(t, OPTIONS)
    const calls = Array.from({ length: 20 }, (_, index) =>
      stores[index % 2 === 0 ? 0 : 1].accept(upload(), sealed(), [EU, TT])
    )
    const answers = await Promise.all(calls)
    t.equal(answers.filter(({ duplicate }) => !duplicate).length, 1)
    t.equal(new Set(answers.map(({ upload: { id } }) => id)).size, 1)
    t.equal((await stores[0].turns()).length, 2)
  })

  test(`${name}: deliveries of one segment have their turns in order`, async (t) => {
    const store = await openStore(t)
    const accepted: Accepted[] = []
    for (const sequence of [1, 2, 3]) {
      accepted.push(await store.accept(upload({ sequence }), sealed(), [EU, TT]))
    }
    const [one = '', two = '', three = ''] = accepted.map(({ deliveries }) => deliveries[0]?.id)
    const turn: Turn = {
      kind: 'send',
      lock: '["facebook","111","blotout_VIP"]',
      account: 'facebook/111'
    }
    const whose = async () => (await store.work(turn))?.delivery.id
    const startable = async (index: number) =>
      (await store.startable(accepted[index]?.upload.id ?? '')).map(({ provider }) => provider)
    const unconfirmed = () =>
      Promise.all(accepted.map(({ deliveries }) => store.isUnconfirmed(deliveries[0]!)))
    t.same(await startable(0), ['facebook', 'tiktok'])
    t.same(await startable(1), [])
    t.same(await unconfirmed(), [false, false, false])
    t.strictSame(await store.untried(accepted[1]?.upload.id ?? ''), accepted[1]?.deliveries)

    await store.changeDelivery(one, { state: 'sending', attempts: 1 }, T0)
    t.equal(await whose(), one, 'who is at it stays at it')
    t.same(await startable(0), ['tiktok'], 'tried already')
    t.strictSame(await store.untried(accepted[0]?.upload.id ?? ''), [accepted[0]?.deliveries[1]])
    await store.changeDelivery(one, { state: 'retrying', nextAttemptAt: T0 + 5 }, T0)
    t.equal(await whose(), one, 'who waits for another attempt holds up the others')
    t.strictSame((await store.turns())[0], { ...turn, notBefore: T0 + 5 })
    await store.changeDelivery(one, { state: 'held' }, T0)
    t.equal(await whose(), one, 'as does who is held')
    await store.changeDelivery(one, { state: 'confirming', nextAttemptAt: undefined }, T0)
    t.equal(await whose(), two, 'whose platform works on it does not')
    t.same(await unconfirmed(), [false, true, true], 'but those behind it can know of it')
    t.same(await startable(1), ['facebook'])
    const confirm: Turn = { kind: 'confirm', deliveryId: one, account: 'facebook/111' }
    t.strictSame((await store.turns())[0], confirm)
    t.equal((await store.work(confirm))?.delivery.id, one)
    t.equal(await store.work({ ...confirm, deliveryId: two }), undefined)
    await settle(store, two, 'failed')
    await settle(store, one, 'delivered')
    t.equal(await store.work(confirm), undefined, 'settled')
    t.same(await unconfirmed(), [false, false, false])
    t.equal(await whose(), three)

    await store.restart('shop', 1, undefined, T0)
    t.equal(await whose(), three, 'what is started anew comes behind what was there')
    await settle(store, three, 'delivered')
    t.equal(await whose(), two)
    await settle(store, two, 'delivered')
    t.equal(await store.work(turn), undefined)
    t.same(
      (await store.turns()).map(({ account }) => account),
      ['tiktok/333', 'tiktok/333', 'tiktok/333']
    )
  })

  test(`${name}: what has settled is not changed by who comes late`, async (t) => {
    const store = await openStore(t)
    const { deliveries } = await store.accept(upload(), sealed(), [EU])
    const { id } = only(deliveries)
    const settled = await settle(store, id, 'delivered', T0 + 5)
    t.strictSame(settled, {
      ...only(deliveries),
      state: 'delivered',
      settledAt: T0 + 5,
      revision: settled.revision
    })
    t.strictSame(await store.changeDelivery(id, { state: 'sending' }, T0 + 6), settled)
    t.strictSame(await store.deliveries([id]), [settled])
    await t.rejects(store.changeDelivery('nobody', { state: 'sending' }, T0), {
      message: 'no delivery nobody'
    })
  })

  test(`${name}: users are kept until every platform has them`, async (t) => {
    const store = await openStore(t)
    const { deliveries } = await store.accept(upload(), sealed(1_000), [EU, TT])
    await store.accept(upload({ sequence: 2, acceptedAt: T0 + 1 }), sealed(500), [EU])
    t.strictSame(await store.backlog(), { deliveries: 3, oldestAt: T0, payloadBytes: 1_500 })
    const [one = '', two = ''] = deliveries.map(idOf)
    await settle(store, one, 'delivered')
    await settle(store, two, 'failed')
    t.strictSame(await store.backlog(), { deliveries: 1, oldestAt: T0 + 1, payloadBytes: 1_500 })
    await store.restart('shop', 1, undefined, T0 + 9)
    t.strictSame(await store.backlog(), { deliveries: 2, oldestAt: T0 + 1, payloadBytes: 1_500 })
    await settle(store, two, 'delivered')
    t.strictSame(await store.backlog(), { deliveries: 1, oldestAt: T0 + 1, payloadBytes: 500 })
    await settle(store, only(await store.turns().then(sendWork(store))).id, 'delivered')
    t.strictSame(await store.backlog(), { deliveries: 0, oldestAt: undefined, payloadBytes: 0 })
  })

  test(`${name}: a session's state and counts follow from its uploads`, async (t) => {
    const store = await openStore(t, { hookEndpoints: ['a'] })
    let sessionId = 0
    await fc.assert(
      fc.asyncProperty(fc.array(STEP, { maxLength: 14 }), async (steps) => {
        sessionId += 1
        const model = new SessionModel()
        for (const step of steps) await walk(store, model, sessionId, step)
        t.strictSame(await summaryOf(store, sessionId), model.summary(sessionId))
        const settled = (await newHooks(store)).filter(
          ({ type }) => type === 'audience.session.settled'
        )
        t.equal(settled.length, model.timesDone, JSON.stringify(steps))
      }),
      { numRuns: process.env['AUDIENCE_TEST_LONG'] === undefined ? 60 : 1_000 }
    )
  })

  test(`${name}: who follows the changes misses none`, async (t) => {
    const [one, other] = await openStores(t, OPTIONS)
    const batches = Array.from({ length: 8 }, (_, index) => index + 1)
    const seen = new Map<string, Delivery>()
    let revision = 0
    const follow = async () => {
      const changes = await other.changesSince('shop', 1, revision)
      if (changes === undefined) return
      const revisions = changes.deliveries.map((delivery) => delivery.revision)
      t.ok(revisions.every((own) => own > revision))
      t.same(
        revisions,
        revisions.toSorted((a, b) => a - b)
      )
      for (const delivery of changes.deliveries) seen.set(delivery.id, delivery)
      revision = changes.revision
    }
    const send = async (store: Store, sequence: number) => {
      const { deliveries } = await store.accept(upload({ sequence, totalBatches: 8 }), sealed(), [
        EU,
        TT
      ])
      for (const { id } of deliveries) {
        await store.changeDelivery(id, { state: 'sending', attempts: 1 }, T0)
        await settle(store, id, sequence % 3 === 0 ? 'failed' : 'delivered')
      }
    }
    const over = new AbortController()
    const following = (async () => {
      while (!over.signal.aborted) await follow()
    })()
    await Promise.all(batches.map((batch) => send(batch % 2 === 0 ? one : other, batch)))
    over.abort()
    await following
    await follow()
    const session = await one.session('shop', 1)
    t.strictSame(
      [...seen.values()].toSorted((a, b) => a.position - b.position),
      session?.deliveries
    )
    t.equal(revision, session?.revision)
    t.strictSame(await one.changesSince('shop', 1, revision), {
      revision,
      state: 'failed',
      batches: { received: 8, total: 8 },
      users: { received: 80, total: 10 },
      deliveries: []
    })
    t.equal(await one.changesSince('shop', 2, 0), undefined)
  })

  test(`${name}: sessions are listed by their last change`, async (t) => {
    const store = await openStore(t)
    for (const sessionId of [1, 2, 3, 4, 5]) {
      // Two of them changed at the same time.
      const acceptedAt = T0 + Math.min(sessionId, 4)
      const given = upload({ sessionId, acceptedAt, totalBatches: sessionId === 2 ? 2 : 1 })
      const { deliveries } = await store.accept(given, sealed(), [EU])
      if (sessionId !== 5) await settle(store, only(deliveries).id, 'delivered', acceptedAt)
    }
    await store.accept(upload({ owner: 'another shop', sessionId: 9 }), sealed(), [EU])
    const list = (query: object) =>
      allPages((cursor) => store.sessions({ owner: 'shop', limit: 2, cursor, ...query })).then(
        (pages) => pages.map((page) => page.map(({ sessionId }) => sessionId))
      )
    t.same(await list({}), [[5, 4], [3, 2], [1]])
    t.same(await list({ limit: 5 }), [[5, 4, 3, 2, 1]])
    t.same(await list({ state: 'delivered' }), [[4, 3], [1]])
    t.same(await list({ state: 'receiving' }), [[2]])
    t.same(await list({ state: 'failed' }), [[]])
    t.same(await list({ owner: 'nobody' }), [[]])
  })

  test(`${name}: deliveries of a session come in pages, in order`, async (t) => {
    const store = await openStore(t)
    for (const sequence of [3, 1, 2]) {
      await store.accept(upload({ sequence, totalBatches: 3 }), sealed(), [EU])
    }
    await store.accept(upload({ sessionId: 2 }), sealed(), [EU])
    const list = (query: object) =>
      allPages((cursor) =>
        store.sessionDeliveries({ owner: 'shop', sessionId: 1, limit: 2, cursor, ...query })
      ).then((pages) => pages.map(sequencesOf))
    t.same(await list({}), [[3, 1], [2]])
    const second = (await store.session('shop', 1))?.deliveries[1]
    await settle(store, second?.id ?? '', 'failed')
    t.same(await list({ state: 'queued' }), [[3, 2]])
    t.same(await list({ state: 'failed' }), [[1]])
    t.same(await list({ sessionId: 7 }), [[]])
  })

  const BROKEN_CURSORS = [
    '',
    'x',
    '$$',
    'bnVsbA',
    'WzEsMl0x',
    'WyJhIiwiYiJd',
    'WzEuNSwxXQ',
    'WzFd.'
  ]

  test(`${name}: a broken cursor is no first page`, async (t) => {
    const store = await openStore(t)
    for (const cursor of BROKEN_CURSORS) {
      const query = { owner: 'shop', sessionId: 1, limit: 1, cursor }
      await t.rejects(store.sessions(query), CursorError, `sessions ${cursor}`)
      await t.rejects(store.sessionDeliveries(query), CursorError, `deliveries ${cursor}`)
      await t.rejects(store.segments(query), CursorError, `segments ${cursor}`)
    }
  })

  test(`${name}: failed deliveries are started anew where their users are kept`, async (t) => {
    const store = await openStore(t)
    const ids: string[] = []
    for (const sequence of [1, 2]) {
      const given = upload({ sequence, totalBatches: 2 })
      const { deliveries } = await store.accept(given, sealed(), [EU, US, TT])
      ids.push(...deliveries.map(idOf))
    }
    const [eu1 = '', us1 = '', tt1 = '', eu2 = '', us2 = '', tt2 = ''] = ids
    for (const id of [eu1, us1, tt1, us2, tt2]) await settle(store, id, 'failed')
    await settle(store, eu2, 'delivered')
    t.equal(await store.restart('shop', 9, undefined, T0), undefined)
    t.equal(await store.restart('another shop', 1, undefined, T0), undefined)
    t.strictSame(await store.restart('shop', 1, ['klaviyo', 'facebook/x'], T0), {
      deliveries: [],
      expired: 0,
      turns: []
    })
    const now = T0 + HOUR_MS
    const tiktok = await store.restart('shop', 1, ['tiktok'], now)
    t.same(tiktok?.deliveries.map(idOf), [tt1, tt2])
    t.same(
      tiktok?.deliveries.map(({ state, queuedAt, lastError }) => ({ state, queuedAt, lastError })),
      [
        { state: 'queued', queuedAt: now, lastError: undefined },
        { state: 'queued', queuedAt: now, lastError: undefined }
      ]
    )
    t.strictSame(tiktok?.turns, await store.turns())
    const us = await store.restart('shop', 1, ['facebook/us'], now)
    t.same(us?.deliveries.map(idOf), [us1, us2])
    for (const id of [us1, us2, tt1, tt2]) await settle(store, id, 'failed')
    await store.sweep(T0 + OPTIONS.retentionMs + HOUR_MS)
    t.same(await store.restart('shop', 1, undefined, now), {
      deliveries: [],
      expired: 5,
      turns: []
    })
  })

  test(`${name}: users to add and to remove count alike, and a deletion has none`, async (t) => {
    const store = await openStore(t)
    await store.accept(upload({ totalBatches: 3 }), sealed(), [EU])
    const removal = upload({ sequence: 2, totalBatches: 3, mode: 'remove', phoneHashes: 'e164' })
    const { upload: removing } = await store.accept(removal, sealed(), [EU])
    const deletion = upload({ sequence: 3, totalBatches: 3, mode: 'delete', users: 0 })
    const { upload: deleting } = await store.accept(deletion, undefined, [EU])
    t.strictSame(removing, {
      ...removal,
      id: removing.id,
      replacesSequence: false,
      report: undefined
    })
    t.same(
      (await store.session('shop', 1))?.uploads.map(({ mode, users }) => [mode, users]),
      [
        ['add', 10],
        ['remove', 10],
        ['delete', 0]
      ]
    )
    t.same((await summaryOf(store))?.users, { received: 20, total: 10 })
    t.equal(await store.sealedUsers(deleting.id), undefined)
    t.equal((await store.backlog()).payloadBytes, 6)
    const again = await store.accept(deletion, undefined, [EU])
    t.same([again.duplicate, again.upload.id], [true, deleting.id])
    await settle(store, only(again.deliveries).id, 'failed')
    t.match(await store.accept(deletion, undefined, [EU]), {
      duplicate: true,
      deliveries: [{ state: 'queued' }]
    })
    t.equal(await store.sealedUsers(deleting.id), undefined)
  })

  test(`${name}: what is to be deleted is not sent before, and is not started anew`, async (t) => {
    const store = await openStore(t)
    const send = async (sessionId: number, mode: UploadMode, targets: readonly Target[]) => {
      const users = mode === 'delete' ? undefined : sealed()
      const { deliveries } = await store.accept(upload({ sessionId, mode }), users, targets)
      return deliveries.map(idOf)
    }
    const [failed = ''] = await send(1, 'add', [EU])
    await settle(store, failed, 'failed')
    const [confirming = ''] = await send(2, 'add', [EU])
    await store.changeDelivery(confirming, { state: 'confirming' }, T0)
    const [held = '', other = ''] = await send(3, 'add', [EU, TT])
    await store.changeDelivery(held, { state: 'held' }, T0)
    const account = 'facebook/111'
    const turn: Turn = { kind: 'send', lock: '["facebook","111","blotout_VIP"]', account }
    const confirm: Turn = { kind: 'confirm', deliveryId: confirming, account }
    const next = async (its: Turn = turn) => {
      const work = await store.work(its)
      return [work?.delivery.id, work?.isCancelled]
    }
    t.same(await next(), [held, false])
    const [deletion = ''] = await send(4, 'delete', [EU])
    const [second = ''] = await send(5, 'delete', [EU])
    const [later = ''] = await send(6, 'remove', [EU])
    t.same(await next(), [held, true])
    t.same(await next(confirm), [confirming, true])
    t.same(await next({ ...turn, lock: '["tiktok","333","blotout_VIP"]' }), [other, false])
    const lastError = { code: 'cancelled', message: 'being deleted' }
    await store.changeDelivery(held, { state: 'failed', lastError }, T0)
    t.same(await next(), [deletion, false], 'a second deletion does not cancel the first')
    await settle(store, deletion, 'failed')
    t.same(await next(), [second, false])
    await settle(store, second, 'delivered')
    t.same(await next(), [later, false], 'it came after')
    t.same(await next(confirm), [confirming, false])
    await settle(store, confirming, 'failed')
    await settle(store, other, 'failed')

    const restarted = await Promise.all(
      [1, 2, 3, 4].map((id) => store.restart('shop', id, undefined, T0))
    )
    t.same(
      restarted.map((one) => [one?.deliveries.map(idOf), one?.expired]),
      [
        [[], 0],
        [[], 0],
        [[other], 0],
        [[], 0]
      ],
      'nothing from before the deletion, and no deletion'
    )
    await settle(store, other, 'delivered')
    t.equal((await store.backlog()).payloadBytes, 9, 'those of sessions 1, 2 and 6')
  })

  test(`${name}: a delivery moves to another account from its beginning, in its place`, async (t) => {
    const store = await openStore(t)
    const first = await store.accept(upload({ sequence: 1 }), sealed(), [EU])
    const moving = only(first.deliveries)
    await store.changeDelivery(
      moving.id,
      { state: 'retrying', attempts: 3, acknowledgedBodies: 2, segmentId: 's', giveUpAt: T0 },
      T0
    )
    const elsewhere = { ...EU, accountId: 'other' }
    await store.accept(upload({ sequence: 2 }), sealed(), [elsewhere])
    const now = T0 + HOUR_MS
    const turns = await store.moveDelivery(moving.id, 'other', now)
    t.strictSame(turns, [
      { kind: 'send', lock: '["facebook","other","blotout_VIP"]', account: 'facebook/other' }
    ])
    const moved = only(await store.deliveries([moving.id]))
    t.strictSame(moved, {
      ...moving,
      accountId: 'other',
      queuedAt: now,
      targetedAt: now,
      revision: moved.revision
    })
    t.ok(moved.revision > moving.revision)
    const next = await store.work(only(turns))
    t.equal(next?.delivery.id, moving.id, 'what was accepted earlier still goes first')
    t.equal(await store.work(only(first.turns)), undefined, 'nothing is left at the old account')
    await settle(store, moving.id, 'delivered')
    t.strictSame(await store.moveDelivery(moving.id, 'third', now), [])
  })

  test(`${name}: webhooks are told what settles, once for each endpoint`, async (t) => {
    const store = await openStore(t, { hookEndpoints: ['a', 'b'] })
    const { deliveries } = await store.accept(upload({ totalBatches: 2 }), sealed(), [EU, TT])
    const [eu = '', tt = ''] = deliveries.map(idOf)
    await store.changeDelivery(eu, { attempts: 3 }, T0)
    await settle(store, eu, 'failed', T0 + 1)
    await settle(store, tt, 'delivered', T0 + 2)
    const [failed, ...none] = await newHooks(store)
    t.same(none, [], 'a batch is missing')
    t.match(failed?.id, /^msg_[0-9a-f-]{36}$/)
    t.same(
      { ...failed, body: JSON.parse(failed?.body ?? '') },
      {
        id: failed?.id,
        endpoint: 'a',
        type: 'audience.delivery.failed',
        createdAt: T0 + 1,
        attempts: 1,
        body: {
          type: 'audience.delivery.failed',
          timestamp: '2026-01-01T00:00:00.001Z',
          data: {
            apiKey: 'shop',
            sessionId: 1,
            audience: 'VIP',
            sequence: 1,
            provider: 'facebook',
            tag: 'eu',
            segment: 'blotout_VIP',
            attempts: 3,
            error: { code: 'rate_limited', message: 'too many calls' }
          }
        }
      }
    )
    const second = await store.accept(upload({ sequence: 2, totalBatches: 2 }), sealed(), [EU])
    t.same(await newHooks(store), [])
    await settle(store, only(second.deliveries).id, 'delivered', T0 + 3)
    t.same(
      (await newHooks(store)).map(({ body }) => JSON.parse(body)),
      [
        {
          type: 'audience.session.settled',
          timestamp: '2026-01-01T00:00:00.003Z',
          data: {
            apiKey: 'shop',
            sessionId: 1,
            audience: 'VIP',
            type: 'custom',
            state: 'failed',
            batches: { received: 2, total: 2 },
            users: { received: 20, total: 10 },
            deliveries: { delivered: 2, failed: 1 }
          }
        }
      ]
    )
    await store.restart('shop', 1, undefined, T0 + 4)
    await settle(store, eu, 'delivered', T0 + 5)
    t.same((await newHooks(store)).map(typeOf), ['audience.session.settled'], 'again')
    t.same((await newHooks(store, 'b')).map(typeOf), [
      'audience.delivery.failed',
      'audience.session.settled',
      'audience.session.settled'
    ])
  })

  test(`${name}: a session settles once when its last deliveries settle at once`, async (t) => {
    const [one, other] = await openStores(t, { ...OPTIONS, hookEndpoints: ['a'] })
    for (const sessionId of [1, 2, 3, 4, 5, 6, 7, 8]) {
      const { deliveries } = await one.accept(upload({ sessionId }), sealed(), [EU, TT])
      const [eu = '', tt = ''] = deliveries.map(idOf)
      await Promise.all([settle(one, eu, 'delivered'), settle(other, tt, 'delivered')])
      t.same((await newHooks(one)).map(typeOf), ['audience.session.settled'])
    }
    t.equal((await one.backlog()).payloadBytes, 0)
  })

  test(`${name}: a message is handed out to one taker at a time until it is settled`, async (t) => {
    const [one, other] = await openStores(t, { ...OPTIONS, hookEndpoints: ['a'] })
    for (let sequence = 1; sequence <= 6; sequence += 1) {
      const { deliveries } = await one.accept(
        upload({ sequence, totalBatches: 9, acceptedAt: T0 + sequence }),
        sealed(),
        [EU]
      )
      await settle(one, only(deliveries).id, 'failed', T0 + sequence)
    }
    const take = (store: Store, now: number, limit: number) =>
      store.takeHooks('a', now, 60_000, limit)
    t.same(
      (await take(one, T0 + 2, 9)).map(({ createdAt }) => createdAt),
      [T0 + 1, T0 + 2],
      'those that are due'
    )
    const now = T0 + 10
    const taken = await Promise.all([take(one, now, 2), take(other, now, 2), take(other, now, 2)])
    const ids = taken.flat().map(idOf)
    t.equal(new Set(ids).size, ids.length, 'nobody has what another one has')
    const rest = await take(one, now, 9)
    t.equal(ids.length + rest.length, 4)
    t.same(await take(other, now, 9), [])
    const lapsed = now + 60_000
    const again = await take(other, lapsed, 9)
    t.same(
      again.map(({ attempts }) => attempts),
      [2, 2, 2, 2, 2, 2],
      'their takers are gone'
    )
    const [first, second, ...more] = again.map(idOf)
    await one.settleHook(first ?? '', undefined)
    await one.settleHook(second ?? '', lapsed + 5)
    for (const id of more) await one.settleHook(id, undefined)
    t.same(await take(one, lapsed + 4, 9), [])
    t.same((await take(one, lapsed + 5, 9)).map(idOf), [second])
    t.equal(await one.waitingHooks(), 1, 'the others were delivered')
  })

  test(`${name}: accounts are open until something else is noted`, async (t) => {
    const store = await openStore(t, { hookEndpoints: ['a'] })
    t.strictSame(await store.account('facebook/1'), OPEN_ACCOUNT)
    t.strictSame(await store.accounts(), {})
    const held = {
      status: 'held',
      until: T0 + 5,
      since: T0,
      failures: 2,
      error: { code: 'auth', message: 'expired' }
    } as const
    const paused = { ...OPEN_ACCOUNT, status: 'paused', until: T0 + 9 } as const
    await store.setAccount('facebook/1', held, T0)
    await store.setAccount('facebook/1', { ...held, until: T0 + 6 }, T0 + 1)
    await store.setAccount('tiktok/2/3', paused, T0 + 1)
    t.strictSame(await store.account('facebook/1'), { ...held, until: T0 + 6 })
    t.strictSame(await store.accounts(), {
      'facebook/1': { ...held, until: T0 + 6 },
      'tiktok/2/3': paused
    })
    await store.setAccount('facebook/1', OPEN_ACCOUNT, T0 + 2)
    await store.setAccount('facebook/1', OPEN_ACCOUNT, T0 + 3)
    t.strictSame(await store.account('facebook/1'), OPEN_ACCOUNT)
    t.same(
      (await newHooks(store)).map(({ body }) => JSON.parse(body)),
      [
        {
          type: 'audience.account.held',
          timestamp: '2026-01-01T00:00:00.000Z',
          data: {
            provider: 'facebook',
            account: '1',
            error: { code: 'auth', message: 'expired' }
          }
        },
        {
          type: 'audience.account.released',
          timestamp: '2026-01-01T00:00:00.002Z',
          data: { provider: 'facebook', account: '1' }
        }
      ]
    )
  })

  test(`${name}: of those who change an account at the same time each sees the others`, async (t) => {
    const [one, other] = await openStores(t, { ...OPTIONS, hookEndpoints: ['a'] })
    const fail = async (store: Store): Promise<void> => {
      const had = await store.account('facebook/1')
      const failed = { ...had, failures: had.failures + 1 }
      if (!(await store.setAccount('facebook/1', failed, T0, had))) await fail(store)
    }
    await Promise.all([one, other, one, other, one, other].map(fail))
    t.equal((await one.account('facebook/1')).failures, 6)
    const held = { ...OPEN_ACCOUNT, status: 'held', until: T0 } as const
    t.equal(await one.setAccount('facebook/1 eu', held, T0, OPEN_ACCOUNT), true)
    t.equal(await other.setAccount('facebook/1 eu', OPEN_ACCOUNT, T0, OPEN_ACCOUNT), false)
    t.strictSame(await other.account('facebook/1 eu'), held)
    t.match(
      (await newHooks(one)).map(({ body }) => JSON.parse(body)),
      [{ type: 'audience.account.held', data: { provider: 'facebook', account: '1', tag: 'eu' } }]
    )
  })

  test(`${name}: who is late changes nothing of a delivery`, async (t) => {
    const [one, other] = await openStores(t, OPTIONS)
    const { deliveries } = await one.accept(upload(), sealed(), [EU])
    const { id, revision } = only(deliveries)
    const sent = await one.changeDelivery(id, { acknowledgedBodies: 1 }, T0, revision)
    await t.rejects(other.changeDelivery(id, { acknowledgedBodies: 0 }, T0, revision), StaleError)
    t.strictSame(only(await other.deliveries([id])), sent)
    const last = await other.changeDelivery(id, { acknowledgedBodies: 2 }, T0, sent.revision)
    t.equal(last.acknowledgedBodies, 2)
  })

  test(`${name}: one caller finds out whether an account works again`, async (t) => {
    const [one, other] = await openStores(t, OPTIONS)
    const broken = { ...OPEN_ACCOUNT, status: 'broken', until: T0 + 5, failures: 5 } as const
    t.equal(await one.claimProbe('facebook/1', T0, T0 + 9), false, 'nothing was noted')
    await one.setAccount('facebook/1', broken, T0)
    const claim = (now: number, until: number) =>
      Promise.all(
        [one, other, one, other].map((store) => store.claimProbe('facebook/1', now, until))
      ).then((claims) => claims.filter(Boolean).length)
    t.equal(await claim(T0 + 4, T0 + 10), 0, 'its time is not over')
    t.equal(await claim(T0 + 5, T0 + 10), 1)
    t.strictSame(await other.account('facebook/1'), { ...broken, until: T0 + 10 })
    t.equal(await claim(T0 + 9, T0 + 20), 0)
    t.equal(await claim(T0 + 10, T0 + 20), 1, 'whoever had it did not come back')
    await one.setAccount('facebook/1', OPEN_ACCOUNT, T0)
    t.equal(await claim(T0 + 100, T0 + 200), 0, 'it works')
  })

  test(`${name}: what is known of a segment is added up`, async (t) => {
    const [one, other] = await openStores(t, OPTIONS)
    t.equal(await one.segment('k'), undefined)
    await one.changeSegment('k', { id: 's1', createdAt: T0 }, T0)
    t.strictSame(await one.segment('k'), { ...UNKNOWN_SEGMENT, id: 's1', createdAt: T0 })
    await Promise.all([
      one.changeSegment('k', { notes: { a: [1, 'x'] } }, T0),
      other.changeSegment('k', { id: undefined }, T0)
    ])
    t.strictSame(await other.segment('k'), {
      ...UNKNOWN_SEGMENT,
      createdAt: T0,
      notes: { a: [1, 'x'] }
    })
  })

  test(`${name}: what is kept long enough is swept away`, async (t) => {
    const store = await openStore(t, { hookEndpoints: ['a'] })
    const failing = await store.accept(upload(), sealed(100), [EU])
    await settle(store, only(failing.deliveries).id, 'failed', T0)
    const open = await store.accept(upload({ sessionId: 2 }), sealed(10), [EU])
    await store.accept(upload({ sessionId: 3 }), sealed(10), [])
    const { retentionMs } = OPTIONS
    const there = async () => {
      const { items } = await store.sessions({ owner: 'shop', limit: 9 })
      return items.map(({ sessionId }) => sessionId).toSorted((a, b) => a - b)
    }
    await store.sweep(T0 + retentionMs)
    t.equal((await store.backlog()).payloadBytes, 110, 'just within the time')
    await store.sweep(T0 + retentionMs + 1)
    t.strictSame(await store.backlog(), { deliveries: 1, oldestAt: T0, payloadBytes: 10 })
    t.same(await there(), [2], 'what is under way stays')
    t.equal(await store.session('shop', 1), undefined)
    t.same(await store.deliveries([only(failing.deliveries).id]), [])
    t.same(await newHooks(store), [], 'nobody waits for that news')
    await settle(store, only(open.deliveries).id, 'delivered', T0 + retentionMs)
    await store.sweep(T0 + 2 * retentionMs + 2)
    t.same(await there(), [])
  })

  test(`${name}: one sweep takes all that is kept long enough`, async (t) => {
    const store = await openStore(t)
    const number = MAX_SESSIONS + 1
    const sessionIds = Array.from({ length: number }, (_, index) => index)
    await Promise.all(
      sessionIds.map((sessionId) => store.accept(upload({ sessionId }), sealed(), []))
    )
    const { items } = await store.sessions({ owner: 'shop', limit: number })
    t.equal(items.length, number)
    await store.sweep(T0 + OPTIONS.retentionMs + 1)
    t.same(await store.sessions({ owner: 'shop', limit: 9 }), { items: [], next: undefined })
  })

  test(`${name}: users of failed deliveries go before the status goes`, async (t) => {
    const store = await openStore(t, { retentionMs: HOUR_MS, dedupMs: HOUR_MS })
    const { deliveries } = await store.accept(upload(), sealed(100), [EU])
    await settle(store, only(deliveries).id, 'failed', T0)
    await store.sweep(T0 + HOUR_MS + 1)
    t.equal((await store.backlog()).payloadBytes, 0)
    t.equal((await summaryOf(store))?.state, 'failed')
    await store.sweep(T0 + DAY_MS)
    t.equal((await summaryOf(store))?.state, 'failed', 'for a day at least')
    await store.sweep(T0 + DAY_MS + 1)
    t.equal(await summaryOf(store), undefined)
  })

  test(`${name}: a session in use loses only what was replaced in it`, async (t) => {
    const store = await openStore(t)
    const old = T0
    const now = T0 + 30 * DAY_MS
    const send = async (changes: Partial<NewUpload>, state: 'failed' | 'delivered') => {
      const given = upload({ totalBatches: 3, ...changes })
      const { deliveries } = await store.accept(given, sealed(), [EU])
      await settle(store, only(deliveries).id, state, given.acceptedAt)
    }
    await send({ sequence: 0, users: 5 }, 'failed')
    await send({ sequence: 1, users: 6 }, 'delivered')
    await send({ sequence: 0, contentHash: 'b', users: 7, acceptedAt: old + 1 }, 'failed')
    await send({ sequence: 0, contentHash: 'c', users: 8, acceptedAt: now }, 'delivered')
    await store.sweep(now)
    const session = await store.session('shop', 1)
    t.same(
      session?.uploads.map(({ sequence, contentHash }) => [sequence, contentHash]),
      [
        [1, 'content 1'],
        [0, 'c']
      ]
    )
    t.same(sequencesOf(session?.deliveries ?? []), [1, 0])
    t.match(await summaryOf(store), {
      state: 'receiving',
      batches: { received: 2, total: 3 },
      users: { received: 14, total: 10 },
      startedAt: old,
      changedAt: now
    })
    await send({ sequence: 2, acceptedAt: now + 1 }, 'delivered')
    t.equal((await summaryOf(store))?.state, 'delivered')
  })
}

const sendWork = (store: Store) => async (turns: readonly Turn[]) => {
  const work = await Promise.all(turns.map((turn) => store.work(turn)))
  return work.flatMap((one) => one?.delivery ?? [])
}

type Step =
  | {
      readonly kind: 'accept'
      readonly sequence: number
      readonly total: number
      readonly content: number
      readonly targets: number
    }
  | { readonly kind: 'change'; readonly which: number; readonly state: DeliveryState }
  | { readonly kind: 'restart' }

const STEP: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('accept' as const),
    sequence: fc.nat(4),
    total: fc.nat(3),
    content: fc.nat(1),
    targets: fc.nat(2)
  }),
  fc.record({
    kind: fc.constant('change' as const),
    which: fc.nat(9),
    state: fc.constantFrom<DeliveryState>(
      'sending',
      'retrying',
      'held',
      'confirming',
      'delivered',
      'delivered',
      'delivered',
      'failed'
    )
  }),
  fc.record({ kind: fc.constant('restart' as const) })
)

interface ModelUpload {
  readonly sequence: number
  readonly content: number
  readonly total: number
  readonly users: number
}

/** A session as plain lists, counted from the beginning each time. */
class SessionModel {
  readonly uploads: ModelUpload[] = []
  /** States by the store's id. */
  readonly deliveries = new Map<string, DeliveryState>()
  timesDone = 0
  #wasDone = false

  missing(): number[] {
    const first = this.uploads.some(({ sequence }) => sequence === 0) ? 0 : 1
    const total = this.uploads.at(-1)?.total ?? 0
    const all = Array.from({ length: total }, (_, index) => first + index)
    return all.filter((wanted) => !this.uploads.some(({ sequence }) => sequence === wanted))
  }

  count(state: DeliveryState): number {
    return [...this.deliveries.values()].filter((own) => own === state).length
  }

  unsettled(): number {
    return this.deliveries.size - this.count('delivered') - this.count('failed')
  }

  stepDone(): void {
    const isDone = this.uploads.length > 0 && this.unsettled() === 0 && this.missing().length === 0
    if (isDone && !this.#wasDone) this.timesDone += 1
    this.#wasDone = isDone
  }

  state() {
    if (this.unsettled() > 0) return 'sending'
    if (this.count('failed') > 0) return 'failed'
    return this.missing().length > 0 ? 'receiving' : 'delivered'
  }

  summary(sessionId: number) {
    const last = this.uploads.at(-1)
    if (last === undefined) return undefined
    const users = new Map(this.uploads.map((one) => [one.sequence, one.users]))
    return {
      sessionId,
      audienceName: 'VIP',
      type: 'custom',
      state: this.state(),
      batches: { received: users.size, total: last.total },
      users: { received: [...users.values()].reduce((sum, one) => sum + one, 0), total: 10 },
      deliveries: {
        queued: this.count('queued'),
        sending: this.count('sending'),
        retrying: this.count('retrying'),
        held: this.count('held'),
        confirming: this.count('confirming'),
        delivered: this.count('delivered'),
        failed: this.count('failed')
      },
      startedAt: T0,
      changedAt: T0
    }
  }
}

async function walk(store: Store, model: SessionModel, sessionId: number, step: Step) {
  if (step.kind === 'accept') await walkAccept(store, model, sessionId, step)
  else if (step.kind === 'change') await walkChange(store, model, step)
  else {
    const restarted = await store.restart('shop', sessionId, undefined, T0)
    for (const { id } of restarted?.deliveries ?? []) model.deliveries.set(id, 'queued')
  }
  model.stepDone()
}

async function walkAccept(
  store: Store,
  model: SessionModel,
  sessionId: number,
  { sequence, total, content, targets }: Step & { kind: 'accept' }
) {
  const given = upload({
    sessionId,
    sequence,
    totalBatches: total,
    contentHash: `content ${content}`,
    users: 1 + sequence * 10 + content
  })
  const accepted = await store.accept(given, sealed(), [EU, TT].slice(0, targets))
  const isKnown = model.uploads.some(
    (known) => known.sequence === sequence && known.content === content
  )
  if (!isKnown) model.uploads.push({ sequence, content, total, users: given.users })
  for (const { id } of accepted.deliveries) {
    const state = model.deliveries.get(id) ?? 'queued'
    model.deliveries.set(id, state === 'failed' ? 'queued' : state)
  }
}

async function walkChange(
  store: Store,
  model: SessionModel,
  { which, state }: Step & { kind: 'change' }
) {
  const [id, before] = [...model.deliveries][which] ?? []
  if (id === undefined) return
  await store.changeDelivery(id, { state }, T0)
  if (before !== 'delivered' && before !== 'failed') model.deliveries.set(id, state)
}
