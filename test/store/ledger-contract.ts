import { test, type Test } from 'tap'
import {
  type AudienceChange,
  type LedgerAudience,
  type LedgerTarget,
  PUSH_ENDPOINT,
  type SyncedAudience,
  type SyncOutcome,
  type SyncRequest
} from '../../src/store/ledger.ts'
import type { KeyRing } from '../../src/store/sealing.ts'
import type { NewUpload, Store, StoreOptions, Target } from '../../src/store/store.ts'
import {
  DAY_MS,
  EU,
  HOUR_MS,
  type OpenStores,
  OPTIONS,
  sealed,
  T0,
  TT,
  upload
} from './contract.ts'

export const KEYS: KeyRing = [new Uint8Array(32).fill(1)]
const MINUTE_MS = 60_000
const LEASE_MS = 30_000
const PUSH = { url: 'https://agent.example/hook', token: 'a-token-of-the-receiver' }

type Upsert = Extract<AudienceChange, { action: 'upsert' }>
type Done = Extract<SyncOutcome, { kind: 'done' }>

const FB: Target = { ...EU, segmentName: 'blotout_riders_1a2b3c4d' }
const TIKTOK: Target = { ...TT, segmentName: 'blotout_riders_1a2b3c4d' }

let lastNumber = 0
const nextNumber = () => (lastNumber += 1)

/** Members of an audience on their way. */
export function members(
  audienceId: string,
  mode: 'add' | 'remove',
  users = 10,
  change: Partial<NewUpload> = {}
) {
  const sessionId = nextNumber()
  return {
    upload: upload({
      sessionId,
      mode,
      managed: { account: 'acct', audienceId },
      phoneHashes: 'e164',
      segmentName: 'blotout_riders_1a2b3c4d',
      audienceName: 'Riders',
      users,
      totalUsers: users,
      contentHash: `content ${sessionId}`,
      ...change
    }),
    sealedUsers: sealed(users)
  }
}

/** A change of the details alone, at two platforms. */
export function upsert(audienceId: string, change: Partial<Upsert> = {}): Upsert {
  return {
    audienceId,
    action: 'upsert',
    note: undefined,
    details: {},
    add: undefined,
    remove: undefined,
    targets: [FB, TIKTOK],
    addTo: [FB, TIKTOK],
    ...change
  }
}

const add = (audienceId: string, users = 10, change: Partial<Upsert> = {}) =>
  upsert(audienceId, { add: members(audienceId, 'add', users), ...change })

const remove = (audienceId: string, users = 10, change: Partial<Upsert> = {}) =>
  upsert(audienceId, { remove: members(audienceId, 'remove', users), ...change })

const deletion = (audienceId: string): AudienceChange => ({
  audienceId,
  action: 'delete',
  note: undefined
})

const refusal = (audienceId: string): AudienceChange => ({
  audienceId,
  action: 'refuse',
  note: { why: 'no consent' }
})

/** A call with a key of its own. */
export function request(change: Partial<SyncRequest> = {}): SyncRequest {
  const { now = T0 } = change
  const {
    sessionId: _session,
    audienceName: _audience,
    segmentName: _segment,
    managed: _managed,
    ...common
  } = upload({ mode: 'delete', users: 0, totalUsers: 0, contentHash: '', acceptedAt: now })
  return {
    principal: 'agent',
    account: 'acct',
    idempotencyKey: `key ${nextNumber()}`,
    requestHash: 'hash',
    replayForMs: DAY_MS,
    changes: [],
    deleteMissing: false,
    maxAudiences: 1_000,
    deletion: common,
    listsPerMinute: 60,
    push: undefined,
    keys: KEYS,
    now,
    ...change
  }
}

const list = (change: Partial<SyncRequest> = {}) => request({ changes: undefined, ...change })

/** Does a call of which nothing else is expected. */
async function sync(
  store: Store,
  changes: readonly AudienceChange[] | undefined,
  change: Partial<SyncRequest> = {}
): Promise<Done> {
  const outcome = await store.syncAudiences(request({ changes, ...change }))
  if (outcome.kind !== 'done') throw new Error(outcome.kind)
  return outcome
}

const actionsOf = ({ audiences }: Done) =>
  audiences.map(({ audienceId, action, uploaded }) => [audienceId, action, uploaded])

function only<T>(items: readonly T[]): T {
  const [first] = items
  if (first === undefined || items.length !== 1) throw new Error(`${items.length} instead of one`)
  return first
}

const ledgerOf = (store: Store) => store.audiences('acct')
const idsIn = async (store: Store) => (await ledgerOf(store)).map(({ audienceId }) => audienceId)
const audienceIn = async (store: Store) => only(await ledgerOf(store))

/** Deliveries that wait, in the order of their turns, with the modes of their uploads. */
async function waiting(store: Store) {
  const turns = await store.turns()
  const work = await Promise.all(turns.map((turn) => store.work(turn)))
  return work.flatMap((one) => (one === undefined ? [] : [one]))
}

/** Settles whose turn it is, again and again, until nothing is left. */
async function deliverAll(store: Store, now = T0): Promise<readonly string[]> {
  const done: string[] = []
  const [turn] = await store.turns()
  const work = turn && (await store.work(turn))
  if (work === undefined) return done
  const { delivery, upload: its, isCancelled } = work
  await store.changeDelivery(
    delivery.id,
    isCancelled
      ? { state: 'failed', lastError: { code: 'cancelled', message: 'being deleted' } }
      : { state: 'delivered' },
    now
  )
  done.push(`${delivery.provider} ${its.mode}${isCancelled ? ' cancelled' : ''}`)
  return [...done, ...(await deliverAll(store, now))]
}

const target = (where: Target, change: Partial<LedgerTarget> = {}): LedgerTarget => ({
  ...where,
  state: 'processing',
  matched: undefined,
  segmentId: undefined,
  error: undefined,
  ...change
})

/** Notes that all platforms say the same of an audience. */
async function noteAll(
  store: Store,
  audience: LedgerAudience,
  change: Partial<LedgerTarget>,
  now = T0
): Promise<boolean> {
  const { account, audienceId, revision, targets } = audience
  return store.noteStatus(
    { account, audienceId },
    revision,
    { targets: targets.map((one) => ({ ...one, ...change })), lookAt: now + HOUR_MS, looks: 1 },
    now
  )
}

/** Ids of tasks whose end nobody was told of yet. */
async function pushes(store: Store): Promise<readonly string[]> {
  const messages = await store.takeHooks(PUSH_ENDPOINT, T0 * 2, T0 * 2, 1_000)
  return messages.map(({ body }) => body)
}

/** What every store's ledger has to do. */
export function ledgerContract(name: string, openStores: OpenStores): void {
  async function openStore(t: Test, options: Partial<StoreOptions> = {}): Promise<Store> {
    const [store] = await openStores(t, { ...OPTIONS, ...options })
    return store
  }

  test(`${name}: members of an audience become deliveries, and the ledger knows of them`, async (t) => {
    const store = await openStore(t)
    const adding = members('riders', 'add', 7)
    const details = {
      name: 'Riders',
      description: 'who rode twice',
      type: 'crm',
      tags: ['q4', 'eu'],
      consentBasis: 'consent'
    } as const
    const note = { leftOut: [{ provider: 'facebook', phones: 3 }] }
    const outcome = await sync(store, [upsert('riders', { details, note, add: adding })])
    const audience: LedgerAudience = {
      account: 'acct',
      audienceId: 'riders',
      name: 'Riders',
      description: 'who rode twice',
      type: 'crm',
      tags: ['q4', 'eu'],
      consentBasis: 'consent',
      targets: [
        {
          provider: 'facebook',
          tag: 'eu',
          accountId: '111',
          segmentName: 'blotout_riders_1a2b3c4d',
          state: 'processing',
          matched: undefined,
          segmentId: undefined,
          error: undefined
        },
        {
          provider: 'tiktok',
          tag: 'eu',
          accountId: '333',
          segmentName: 'blotout_riders_1a2b3c4d',
          state: 'processing',
          matched: undefined,
          segmentId: undefined,
          error: undefined
        }
      ],
      uploaded: 7,
      createdAt: T0,
      syncedAt: T0,
      lookAt: T0 + 15_000,
      looks: 0,
      revision: 1
    }
    t.strictSame(outcome, {
      kind: 'done',
      audiences: [{ audienceId: 'riders', note, action: 'created', uploaded: 7, audience }],
      taskId: undefined,
      at: T0,
      isReplay: false,
      turns: [
        {
          kind: 'send',
          lock: '["facebook","111","blotout_riders_1a2b3c4d"]',
          account: 'facebook/111'
        },
        {
          kind: 'send',
          lock: '["tiktok","333","blotout_riders_1a2b3c4d"]',
          account: 'tiktok/333'
        }
      ]
    })
    t.strictSame(await ledgerOf(store), [audience])
    t.strictSame(await store.turns(), outcome.turns)
    const [first] = await waiting(store)
    t.strictSame(first?.upload, {
      ...adding.upload,
      id: first?.upload.id,
      replacesSequence: false,
      report: undefined
    })
    t.same([first?.isCancelled, first?.upload.managed?.audienceId], [false, 'riders'])
    t.equal((await store.sealedUsers(first?.upload.id ?? ''))?.byteLength, 7)
    t.same(await store.audiences('another account'), [])
  })

  test(`${name}: an audience may come without members, and its details may change`, async (t) => {
    const store = await openStore(t)
    const created = await sync(store, [
      upsert('riders', { details: { name: 'Riders', tags: ['q4'] } })
    ])
    const first = await audienceIn(store)
    t.strictSame(first, {
      account: 'acct',
      audienceId: 'riders',
      name: 'Riders',
      description: undefined,
      type: undefined,
      tags: ['q4'],
      consentBasis: undefined,
      targets: [],
      uploaded: 0,
      createdAt: T0,
      syncedAt: T0,
      lookAt: T0 + 15_000,
      looks: 0,
      revision: 1
    })
    t.same([actionsOf(created), created.turns], [[['riders', 'created', 0]], []])
    t.same(await store.takeDueAudiences(T0 + DAY_MS, LEASE_MS, 9), [], 'there is nobody to ask')
    const again = await sync(store, [upsert('riders', { details: { tags: ['q4'] } })], {
      now: T0 + 1
    })
    t.same(actionsOf(again), [['riders', 'unchanged', 0]])
    t.strictSame(await audienceIn(store), first, 'what is not said stays')
    const changed = await sync(
      store,
      [upsert('riders', { details: { name: 'Old riders', consentBasis: 'contract' } })],
      { now: T0 + 2 }
    )
    t.same(actionsOf(changed), [['riders', 'updated', 0]])
    t.strictSame(await audienceIn(store), {
      ...first,
      name: 'Old riders',
      consentBasis: 'contract',
      syncedAt: T0 + 2,
      revision: 3
    })
    t.same(await store.turns(), [])
  })

  test(`${name}: members go to the tags that can match them, and stay where they are`, async (t) => {
    const store = await openStore(t)
    await sync(store, [add('riders', 3, { addTo: [FB] })])
    t.strictSame((await audienceIn(store)).targets, [target(FB)], 'who gets nothing is not there')
    await noteAll(store, await audienceIn(store), { state: 'ready', matched: 900, segmentId: 's1' })

    const renamed = { segmentName: 'blotout_other_1a2b3c4d' }
    const now = T0 + 5
    const second = await sync(
      store,
      [
        add('riders', 4, {
          targets: [
            { ...FB, ...renamed },
            { ...TIKTOK, ...renamed }
          ],
          addTo: [TIKTOK]
        })
      ],
      { now }
    )
    const after = await audienceIn(store)
    t.strictSame(
      after.targets,
      [
        target(FB, { state: 'ready', matched: 900, segmentId: 's1' }),
        target({ ...TIKTOK, ...renamed })
      ],
      'what gets nothing stays as it is'
    )
    t.strictSame(
      [after.uploaded, after.lookAt, after.looks, after.syncedAt],
      [7, now + 15_000, 0, now]
    )
    t.same(
      second.turns.map(({ account }) => account),
      ['tiktok/333']
    )
    const third = await sync(store, [
      add('riders', 5, {
        targets: [{ ...FB, ...renamed }, TIKTOK, { ...FB, tag: 'us', accountId: '222' }],
        addTo: [FB, TIKTOK, { provider: 'facebook', tag: 'us' }]
      })
    ])
    t.strictSame((await audienceIn(store)).targets, [
      target(FB, { matched: 900, segmentId: 's1' }),
      target({ ...TIKTOK, ...renamed }),
      target({ ...FB, tag: 'us', accountId: '222' })
    ])
    t.same(
      third.turns.map((turn) => turn.kind === 'send' && turn.lock),
      [
        '["facebook","111","blotout_riders_1a2b3c4d"]',
        '["tiktok","333","blotout_other_1a2b3c4d"]',
        '["facebook","222","blotout_riders_1a2b3c4d"]'
      ],
      'its segments keep their names'
    )
    const moved = await sync(store, [
      add('riders', 1, { targets: [{ ...FB, accountId: '999' }], addTo: [FB] })
    ])
    t.same(
      moved.turns.map(({ account }) => account),
      ['facebook/999'],
      'a tag of another account is another place'
    )
    t.equal((await audienceIn(store)).targets.length, 4)
  })

  test(`${name}: members are removed wherever the audience was`, async (t) => {
    const store = await openStore(t)
    const nothing = await sync(store, [remove('riders')])
    t.strictSame(nothing.audiences, [
      {
        audienceId: 'riders',
        note: undefined,
        action: 'not_found',
        uploaded: 0,
        audience: undefined
      }
    ])
    t.same([await ledgerOf(store), await store.turns()], [[], []], 'nothing was made')

    const both = {
      add: members('riders', 'add', 5),
      remove: members('riders', 'remove', 2),
      addTo: [FB]
    }
    t.same(actionsOf(await sync(store, [upsert('riders', both)])), [['riders', 'created', 5]])
    t.same(await deliverAll(store), ['facebook add'], 'what is new holds nobody to be removed')
    await noteAll(store, await audienceIn(store), { state: 'ready', matched: 3, segmentId: 's1' })

    const now = T0 + 7
    const again = await sync(
      store,
      [
        upsert('riders', {
          add: members('riders', 'add', 4),
          remove: members('riders', 'remove', 3),
          addTo: [TIKTOK]
        })
      ],
      { now }
    )
    t.same(actionsOf(again), [['riders', 'updated', 4]])
    const after = await audienceIn(store)
    t.strictSame(after.targets, [target(FB, { matched: 3, segmentId: 's1' }), target(TIKTOK)])
    t.strictSame([after.uploaded, after.lookAt, after.looks], [9, now + 15_000, 0])
    t.same(await deliverAll(store), ['facebook remove', 'tiktok add'])
    await sync(store, [remove('riders')])
    t.same(await deliverAll(store), ['facebook remove', 'tiktok remove'])

    await sync(store, [upsert('empty'), deletion('riders')])
    t.same(actionsOf(await sync(store, [remove('empty')])), [['empty', 'updated', 0]])
    t.same((await audienceIn(store)).targets, [], 'it is nowhere')
  })

  test(`${name}: a deletion is one more delivery, behind which nothing is sent`, async (t) => {
    const store = await openStore(t)
    await sync(store, [add('riders', 10, { details: { name: 'Riders' } })])
    await sync(store, [add('riders')])
    const now = T0 + 5
    const outcome = await sync(store, [deletion('riders')], { now })
    t.strictSame(outcome.audiences, [
      { audienceId: 'riders', note: undefined, action: 'deleted', uploaded: 0, audience: undefined }
    ])
    t.same(
      outcome.turns.map(({ account }) => account),
      ['facebook/111', 'tiktok/333']
    )
    t.same(await ledgerOf(store), [])
    t.ok((await waiting(store)).every(({ isCancelled }) => isCancelled))
    await sync(store, [add('riders')], { now: now + 1 })
    t.equal((await store.turns()).length, 8)
    t.same(await deliverAll(store), [
      'facebook add cancelled',
      'tiktok add cancelled',
      'facebook add cancelled',
      'tiktok add cancelled',
      'facebook delete',
      'tiktok delete',
      'facebook add',
      'tiktok add'
    ])
    t.equal((await store.backlog()).payloadBytes, 0, 'what was cancelled is nobody’s any more')
    const { items } = await store.sessions({ owner: 'shop', limit: 9 })
    const deleted = items.find(({ users }) => users.total === 0)
    t.strictSame(deleted && (await store.session('shop', deleted.sessionId))?.uploads, [
      {
        owner: 'shop',
        sequence: 1,
        totalBatches: 1,
        totalUsers: 0,
        pullDate: undefined,
        type: 'custom',
        users: 0,
        ignoredFields: {},
        defaultCountry: undefined,
        contentHash: '',
        mode: 'delete',
        phoneHashes: undefined,
        traceparent: undefined,
        acceptedAt: now,
        managed: { account: 'acct', audienceId: 'riders' },
        sessionId: deleted?.sessionId,
        audienceName: 'Riders',
        segmentName: 'blotout_riders_1a2b3c4d',
        id: (await store.session('shop', deleted?.sessionId ?? 0))?.uploads[0]?.id,
        replacesSequence: false,
        report: undefined
      }
    ])
  })

  test(`${name}: what is not there, or nowhere, needs no deletion`, async (t) => {
    const store = await openStore(t)
    await sync(store, [upsert('empty')])
    const outcome = await sync(store, [deletion('riders'), deletion('empty')])
    t.same(actionsOf(outcome), [
      ['riders', 'not_found', 0],
      ['empty', 'deleted', 0]
    ])
    t.same([outcome.turns, await store.turns(), await ledgerOf(store)], [[], [], []])
    t.same(await store.sessions({ owner: 'shop', limit: 9 }), { items: [], next: undefined })
  })

  test(`${name}: the named audiences come first, then the missing, then all others`, async (t) => {
    const store = await openStore(t)
    await sync(store, [upsert('d'), upsert('b'), add('a'), upsert('c'), upsert('é'), upsert('B')])
    const listed = await sync(store, undefined)
    t.strictSame(
      listed.audiences,
      (await ledgerOf(store)).map((audience) => ({
        audienceId: audience.audienceId,
        note: undefined,
        action: 'unchanged',
        uploaded: 0,
        audience
      })),
      'a list changes nothing'
    )
    t.same(await idsIn(store), ['B', 'a', 'b', 'c', 'd', 'é'])
    const named = await sync(store, [refusal('d'), upsert('new'), refusal('none'), deletion('c')])
    t.same(actionsOf(named), [
      ['d', 'refused', 0],
      ['new', 'created', 0],
      ['none', 'refused', 0],
      ['c', 'deleted', 0],
      ['B', 'unchanged', 0],
      ['a', 'unchanged', 0],
      ['b', 'unchanged', 0],
      ['é', 'unchanged', 0]
    ])
    t.strictSame(
      named.audiences.map(({ note, audience }) => [note, audience?.audienceId]).slice(0, 3),
      [
        [{ why: 'no consent' }, 'd'],
        [undefined, 'new'],
        [{ why: 'no consent' }, undefined]
      ]
    )
    const alone = await sync(store, [refusal('d'), upsert('b')], { deleteMissing: true })
    t.same(actionsOf(alone), [
      ['d', 'refused', 0],
      ['b', 'unchanged', 0],
      ['B', 'deleted', 0],
      ['a', 'deleted', 0],
      ['new', 'deleted', 0],
      ['é', 'deleted', 0]
    ])
    t.same(await idsIn(store), ['b', 'd'])
    t.same(
      alone.turns.map(({ account }) => account),
      ['facebook/111', 'tiktok/333'],
      'one of them was somewhere'
    )
    await sync(store, undefined, { deleteMissing: true })
    t.same(await idsIn(store), ['b', 'd'], 'who names nothing misses nothing')
  })

  test(`${name}: an account has so many audiences and no more`, async (t) => {
    const store = await openStore(t)
    const actions = async (ids: readonly string[], change: Partial<SyncRequest> = {}) => {
      const changes = ids.map((id) => upsert(id))
      const { audiences } = await sync(store, changes, { maxAudiences: 2, ...change })
      return audiences.map(({ audienceId, action }) => `${audienceId} ${action}`)
    }
    t.strictSame(await actions(['a', 'b', 'c']), ['a created', 'b created', 'c too_many'])
    t.strictSame(await actions(['c', 'a']), ['c too_many', 'a unchanged', 'b unchanged'])
    t.strictSame(
      await actions(['c', 'd'], { deleteMissing: true }),
      ['c created', 'd created', 'a deleted', 'b deleted'],
      'what is deleted makes room'
    )
  })

  test(`${name}: accounts have ledgers of their own, whatever their audiences are called`, async (t) => {
    const store = await openStore(t)
    const ids = ['a b', 'a\u0000b', '\ud800', '\ud801', '__proto__', '"', '']
    await sync(
      store,
      ids.map((id) => add(id))
    )
    await sync(store, [upsert('a b')], { account: 'another' })
    t.same(new Set(await idsIn(store)), new Set(ids))
    t.equal((await store.audiences('another')).length, 1)
    const outcome = await sync(
      store,
      ids.slice(1).map((id) => deletion(id)),
      { now: T0 + 1 }
    )
    t.ok(outcome.audiences.slice(0, -1).every(({ action }) => action === 'deleted'))
    t.same(await idsIn(store), ['a b'])
  })

  test(`${name}: the same call again is told what became of it, and does nothing`, async (t) => {
    const [store, other] = await openStores(t, OPTIONS)
    const call = () => request({ idempotencyKey: 'k', changes: [add('riders', 6)], push: PUSH })
    const first = await store.syncAudiences(call())
    await deliverAll(store)
    await noteAll(store, await audienceIn(store), { state: 'ready', matched: 5 })
    const before = await ledgerOf(store)
    t.strictSame(
      await other.syncAudiences({ ...call(), now: T0 + HOUR_MS }),
      { ...first, isReplay: true },
      'as it was then'
    )
    t.strictSame(await store.syncAudiences({ ...call(), requestHash: 'other' }), {
      kind: 'conflict'
    })
    t.strictSame(await store.syncAudiences({ ...list(), idempotencyKey: 'k', requestHash: 'o' }), {
      kind: 'conflict'
    })
    t.strictSame([await ledgerOf(store), await store.turns()], [before, []])

    const elsewhere = await sync(store, [upsert('riders')], { idempotencyKey: 'k', account: 'b' })
    const someone = await sync(store, [upsert('riders')], { idempotencyKey: 'k', principal: 'b' })
    t.same([elsewhere.isReplay, someone.isReplay], [false, false], 'keys are the caller’s own')
  })

  test(`${name}: an outcome is repeated for its time, and its key known for a week more`, async (t) => {
    const store = await openStore(t)
    const call = (now: number, requestHash = 'hash') =>
      store.syncAudiences(
        request({ idempotencyKey: 'k', changes: [add('riders')], now, requestHash })
      )
    const edge = T0 + DAY_MS + MINUTE_MS
    const first = await call(T0)
    t.strictSame(await call(edge), { ...first, isReplay: true })
    await store.sweep(edge)
    t.strictSame(await call(edge), { ...first, isReplay: true })
    t.strictSame(await call(edge + 1), { kind: 'expired' })
    t.strictSame(await call(edge + 1, 'other'), { kind: 'expired' }, 'whatever it was')
    await store.sweep(edge + 1)
    t.strictSame(await call(edge), { kind: 'expired' }, 'the outcome is not kept any more')
    await store.sweep(edge + 7 * DAY_MS)
    t.strictSame(await call(edge + 7 * DAY_MS), { kind: 'expired' })
    t.equal((await audienceIn(store)).uploaded, 10)
    await store.sweep(edge + 7 * DAY_MS + 1)
    t.match(await call(edge + 7 * DAY_MS + 1), { kind: 'done', isReplay: false })
    t.equal((await audienceIn(store)).uploaded, 20, 'nobody remembers the key')
  })

  test(`${name}: a call is recognised after the key of the store was changed`, async (t) => {
    const store = await openStore(t)
    const call = (keys: KeyRing) =>
      store.syncAudiences(request({ idempotencyKey: 'k', changes: [add('riders')], keys }))
    const first = await call(KEYS)
    const other = new Uint8Array(32).fill(2)
    t.strictSame(await call([other, ...KEYS]), { ...first, isReplay: true })
    t.match(await call([other]), { kind: 'done', isReplay: false }, 'who has no key knows nothing')
  })

  test(`${name}: lists are repeated as well, and only so many are made in a minute`, async (t) => {
    const [store, other] = await openStores(t, OPTIONS)
    await sync(store, [add('riders')])
    const ask = (from: Store, idempotencyKey: string, now: number, change = {}) =>
      from.syncAudiences(list({ idempotencyKey, now, listsPerMinute: 2, ...change }))
    const first = await ask(store, 'one', T0)
    t.match(first, { kind: 'done', isReplay: false, turns: [] })
    t.match(await ask(other, 'two', T0 + 10), { kind: 'done', isReplay: false })
    const late = T0 + 20
    t.strictSame(await ask(store, 'three', late), { kind: 'too_many_lists', againInMs: 59_980 })
    t.strictSame(await ask(other, 'three', late), { kind: 'too_many_lists', againInMs: 59_980 })
    t.strictSame(await ask(other, 'one', late), { ...first, isReplay: true }, 'a repeat is none')
    t.match(await ask(other, 'three', late, { principal: 'b' }), { kind: 'done' })
    t.match(await ask(other, 'three', late, { account: 'b' }), { kind: 'done' })
    t.match(await sync(store, [upsert('riders')], { now: late, listsPerMinute: 2 }), {
      kind: 'done'
    })
    t.match(
      await ask(store, 'three', T0 + MINUTE_MS),
      { kind: 'done', isReplay: false },
      'what was refused is not kept'
    )
    t.strictSame(await ask(store, 'four', T0 + MINUTE_MS), {
      kind: 'too_many_lists',
      againInMs: 10
    })
  })

  test(`${name}: the same call twice at once is done once`, async (t) => {
    const stores = await openStores(t, OPTIONS)
    const changes = () => [add('riders', 3), add('walkers', 4), remove('nobody')]
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        stores[index % 2 === 0 ? 0 : 1].syncAudiences(
          request({ idempotencyKey: 'k', changes: changes(), push: PUSH })
        )
      )
    )
    const done = outcomes.filter((outcome) => outcome.kind === 'done')
    t.equal(done.length, 8)
    t.equal(done.filter(({ isReplay }) => !isReplay).length, 1)
    const [first] = done
    for (const outcome of done) t.strictSame(outcome, { ...first, isReplay: outcome.isReplay })
    t.equal((await stores[0].turns()).length, 4)
    t.same(
      (await ledgerOf(stores[0])).map(({ uploaded }) => uploaded),
      [3, 4]
    )
  })

  test(`${name}: different calls at once are done one after the other`, async (t) => {
    const stores = await openStores(t, OPTIONS)
    const ids = ['a', 'b', 'c', 'd']
    const rounds = Array.from({ length: 12 }, (_, index) => index)
    await Promise.all(
      rounds.map(async (round) => {
        const store = stores[round % 2 === 0 ? 0 : 1]
        const order = round % 3 === 0 ? ids : ids.toReversed()
        await sync(
          store,
          order.map((id) => add(id, 1))
        )
        // Each in an account of another order.
        const due = await store.takeDueAudiences(T0 + HOUR_MS, 1, 9)
        for (const { audience } of due) await noteAll(store, audience, { state: 'ready' })
        await sync(store, [add('own', 1)], { account: `account ${round % 3}` })
      })
    )
    t.same(
      (await ledgerOf(stores[0])).map(({ audienceId, uploaded }) => [audienceId, uploaded]),
      ids.map((id) => [id, 12])
    )
    t.equal((await stores[1].backlog()).deliveries, 12 * 4 * 2 + 12 * 2)
  })

  test(`${name}: a call that cannot be done leaves nothing, and can be made again`, async (t) => {
    const store = await openStore(t)
    await sync(store, [add('walkers')])
    const before = await ledgerOf(store)
    const turns = await store.turns()
    const broken = upsert('riders', {
      add: members('riders', 'add', 5, { sequence: Number.NaN })
    })
    const call = (change: AudienceChange) =>
      store.syncAudiences(
        request({
          idempotencyKey: 'k',
          changes: [deletion('walkers'), add('cyclists'), change],
          push: PUSH
        })
      )
    await t.rejects(call(broken))
    t.strictSame([await ledgerOf(store), await store.turns()], [before, turns])
    t.match(await call(add('riders')), { kind: 'done', isReplay: false })
    t.same(await idsIn(store), ['cyclists', 'riders'])
  })

  test(`${name}: one taker at a time has an audience that is due`, async (t) => {
    const [store, other] = await openStores(t, OPTIONS)
    for (const [index, id] of ['a', 'b', 'c'].entries()) {
      await sync(store, [add(id)], { now: T0 - index })
    }
    const idsOf = (due: readonly { audience: LedgerAudience }[]) =>
      due.map(({ audience }) => audience.audienceId)
    const now = T0 + 15_000
    t.same(await store.takeDueAudiences(now - 3, LEASE_MS, 9), [])
    t.same(idsOf(await store.takeDueAudiences(now - 1, LEASE_MS, 1)), ['c'], 'the longest due')
    const taken = await Promise.all(
      [store, other, store, other].map((one) => one.takeDueAudiences(now, LEASE_MS, 1))
    )
    // Who finds the longest due one taken meanwhile gets nothing: somebody looks again in a moment.
    const ids = idsOf(taken.flat()).toSorted()
    t.ok(['b', 'a,b'].includes(String(ids)), 'each once, the longest due among them')
    await store.takeDueAudiences(now, LEASE_MS, 9)
    t.same(await other.takeDueAudiences(now + 1, LEASE_MS, 9), [])
    t.same(
      idsOf(await other.takeDueAudiences(now + LEASE_MS, LEASE_MS, 9)).toSorted(),
      ['a', 'b', 'c'],
      'whoever had them did not come back'
    )
    const [first] = await ledgerOf(store)
    if (first === undefined) throw new Error('no audience')
    await noteAll(store, first, { state: 'ready' }, now)
    const rest = await store.takeDueAudiences(now + HOUR_MS - 1, 0, 9)
    t.same(idsOf(rest).toSorted(), ['b', 'c'])
    t.ok((await store.takeDueAudiences(now + HOUR_MS, 0, 9).then(idsOf)).includes('a'))
  })

  test(`${name}: whoever asks platforms is told how the deliveries stand`, async (t) => {
    const store = await openStore(t)
    const now = T0 + HOUR_MS
    await sync(store, [add('riders')])
    // One of the same name that is somebody else's.
    await store.accept(upload({ sessionId: 10 ** 6 }), sealed(), [FB])
    const look = async () => only(await store.takeDueAudiences(now, 0, 9))
    const unsettled = { isUnsettled: true, lastError: undefined, segmentId: undefined }
    t.strictSame(await look(), {
      audience: await audienceIn(store),
      targets: [unsettled, unsettled]
    })
    const [fb, tt] = (await waiting(store)).map(({ delivery }) => delivery.id)
    const lastError = { code: 'auth', message: 'expired' }
    await store.changeDelivery(fb ?? '', { state: 'confirming' }, T0)
    await store.changeDelivery(tt ?? '', { state: 'failed', lastError }, T0)
    const key = '["tiktok","333","blotout_riders_1a2b3c4d"]KIND'
    await store.changeSegment(key, { id: 's2' }, T0)
    t.strictSame((await look()).targets, [
      unsettled,
      { isUnsettled: false, lastError, segmentId: 's2' }
    ])
    await store.changeDelivery(fb ?? '', { lastError }, T0 + 1)
    await store.changeDelivery(fb ?? '', { state: 'delivered' }, T0 + 1)
    t.strictSame(
      (await look()).targets[0],
      { isUnsettled: false, lastError: undefined, segmentId: undefined },
      'it got over what it failed with'
    )
    await sync(store, [remove('riders')], { now: T0 + 1 })
    const more = await waiting(store)
    const removal = more.find(({ delivery }) => delivery.provider === 'tiktok')?.delivery.id
    await store.changeDelivery(removal ?? '', { state: 'delivered' }, T0 + 2)
    await store.changeSegment(key, { id: undefined }, T0)
    t.strictSame((await look()).targets[1], {
      isUnsettled: false,
      lastError: undefined,
      segmentId: undefined
    })
  })

  test(`${name}: how an audience stands is noted unless somebody was faster`, async (t) => {
    const [store, other] = await openStores(t, OPTIONS)
    await sync(store, [add('riders')])
    const before = await audienceIn(store)
    const key = { account: 'acct', audienceId: 'riders' }
    const change = {
      targets: [
        target(FB, { state: 'too_small', matched: 12, segmentId: 's1' }),
        target(TIKTOK, { state: 'suspended', error: { code: 'auth', message: 'expired' } })
      ],
      lookAt: T0 + DAY_MS,
      looks: 3
    } as const
    t.equal(await store.noteStatus({ ...key, account: 'b' }, before.revision, change, T0), false)
    t.equal(await store.noteStatus(key, before.revision + 1, change, T0), false)
    t.strictSame(await audienceIn(store), before)
    const races = await Promise.all(
      [store, other, store, other].map((one) => one.noteStatus(key, before.revision, change, T0))
    )
    t.equal(races.filter(Boolean).length, 1)
    const after = await audienceIn(store)
    t.strictSame(after, { ...before, ...change, revision: after.revision })
    t.ok(after.revision > before.revision)
    await sync(store, [add('riders')], { now: T0 + 9 })
    t.equal(await store.noteStatus(key, after.revision, change, T0), false, 'it is matched again')
    t.strictSame(
      (await audienceIn(store)).targets,
      [target(FB, { matched: 12, segmentId: 's1' }), target(TIKTOK)],
      'what suspended it may be over'
    )
    const old = await audienceIn(store)
    await sync(store, [deletion('riders')])
    t.equal(await store.noteStatus(key, old.revision, change, T0), false, 'it is gone')
    await sync(store, [add('riders')])
    for (let revision = 0; revision <= old.revision; revision += 1) {
      t.equal(await store.noteStatus(key, revision, change, T0), false, 'it is another one')
    }
  })

  test(`${name}: who wants to hear of the end has a task until then`, async (t) => {
    const store = await openStore(t)
    await sync(store, [upsert('others')])
    const outcome = await sync(store, [add('riders', 4), refusal('r'), remove('x')], { push: PUSH })
    const { taskId = '' } = outcome
    const open = await store.task('agent', taskId)
    t.strictSame(open, {
      id: taskId,
      principal: 'agent',
      account: 'acct',
      audiences: outcome.audiences,
      completedAt: undefined,
      createdAt: T0,
      updatedAt: T0,
      hasPush: true
    })
    t.equal(await store.task('another', taskId), undefined)
    t.equal(await store.task('agent', 'none'), undefined)
    t.strictSame(await store.pushOf(taskId, KEYS), { task: open, push: PUSH })
    t.equal(await store.pushOf('none', KEYS), undefined)

    const now = T0 + HOUR_MS
    const [others, riders] = await ledgerOf(store)
    if (others === undefined || riders === undefined) throw new Error('no audiences')
    await noteAll(store, riders, { segmentId: 's1' }, now)
    t.same(await pushes(store), [], 'it is still being matched')
    t.strictSame(await store.task('agent', taskId), open)
    await noteAll(
      store,
      (await ledgerOf(store))[1] ?? riders,
      { state: 'ready', matched: 4 },
      now + 1
    )
    const [, ready] = await ledgerOf(store)
    const completed = {
      ...open,
      audiences: outcome.audiences.map((one): SyncedAudience =>
        one.audienceId === 'riders' ? { ...one, audience: ready } : one
      ),
      completedAt: now + 1,
      updatedAt: now + 1
    }
    t.strictSame(await store.task('agent', taskId), completed)
    t.equal(ready?.targets[0]?.matched, 4)
    t.same(await pushes(store), [taskId])
    t.strictSame(await store.pushOf(taskId, KEYS), { task: completed, push: PUSH })

    await sync(store, [add('riders')])
    await noteAll(store, (await ledgerOf(store))[1] ?? riders, { state: 'too_small' }, now + 2)
    t.strictSame(await store.task('agent', taskId), completed, 'what is over is over')
    t.same(await pushes(store), [])
  })

  test(`${name}: the message about a task is one of the hooks`, async (t) => {
    const store = await openStore(t, { hookEndpoints: ['a'] })
    const { taskId = '' } = await sync(store, [add('riders')], { push: PUSH })
    await noteAll(store, await audienceIn(store), { state: 'ready' }, T0 + 5)
    const message = only(await store.takeHooks(PUSH_ENDPOINT, T0 + 5, LEASE_MS, 9))
    t.strictSame(message, {
      id: message.id,
      endpoint: 'adcp',
      type: 'adcp.task.completed',
      createdAt: T0 + 5,
      body: taskId,
      attempts: 1
    })
    t.match(message.id, /^msg_[0-9a-f-]{36}$/)
    t.same(await store.takeHooks('a', T0 * 2, LEASE_MS, 9), [], 'it is nobody else’s')
  })

  test(`${name}: there is a task only where something is awaited`, async (t) => {
    const store = await openStore(t)
    const taskOf = async (
      changes: readonly AudienceChange[] | undefined,
      change: Partial<SyncRequest> = { push: PUSH }
    ) => (await sync(store, changes, change)).taskId !== undefined
    t.equal(await taskOf([add('riders')], {}), false, 'nobody wants to hear of it')
    t.equal(await taskOf([upsert('riders')]), true, 'it is being matched')
    t.equal(await taskOf(undefined), false, 'a list awaits nothing')
    t.equal(await taskOf([refusal('riders')]), false, 'what was refused is over')
    t.equal(await taskOf([upsert('empty')]), false, 'what nobody is in is not matched')
    t.equal(await taskOf([add('x'), deletion('riders')]), true)
    t.equal(await taskOf([deletion('x')]), false)
  })

  test(`${name}: a task waits for its own audiences, each until it was matched once`, async (t) => {
    const store = await openStore(t)
    const now = T0 + HOUR_MS
    const state = async (id: string, change: Partial<LedgerTarget>) => {
      const audience = (await ledgerOf(store)).find(({ audienceId }) => audienceId === id)
      if (audience !== undefined) await noteAll(store, audience, change, now)
    }
    const isOver = async (id: string | undefined) =>
      (await store.task('agent', id ?? ''))?.completedAt !== undefined
    await sync(store, [add('late')])
    const both = await sync(store, [add('a'), add('b')], { push: PUSH })
    const alone = await sync(store, [add('b')], { push: PUSH })
    const deleted = await sync(store, [add('c')], { push: PUSH })
    const elsewhere = await sync(store, [add('a')], { push: PUSH, account: 'another' })
    await state('a', { state: 'ready' })
    t.same(await pushes(store), [])
    t.equal((await store.task('agent', both.taskId ?? ''))?.updatedAt, now)
    await sync(store, [add('a')])
    await state('b', { state: 'suspended' })
    t.same(
      await pushes(store).then((ids) => ids.toSorted()),
      [both.taskId ?? '', alone.taskId ?? ''].toSorted()
    )
    const told = await store.task('agent', both.taskId ?? '')
    t.same(
      told?.audiences.map(({ audienceId, audience }) => [audienceId, audience?.targets[0]?.state]),
      [
        ['a', 'processing'],
        ['b', 'suspended'],
        ['late', 'processing']
      ],
      'as they are at the end'
    )
    t.equal(await isOver(deleted.taskId), false)
    const last = await sync(store, [deletion('c')], { now: now + 1 })
    t.equal(last.taskId, undefined)
    t.same(await pushes(store), [deleted.taskId], 'what is gone is awaited by nobody')
    const gone = await store.task('agent', deleted.taskId ?? '')
    t.same([gone?.audiences[0]?.action, gone?.audiences[0]?.audience], ['created', undefined])
    t.equal(gone?.completedAt, now + 1)
    t.equal(await isOver(elsewhere.taskId), false, 'another account’s audience is another one')
  })

  test(`${name}: a task ends once, whoever ends it`, async (t) => {
    const [store, other] = await openStores(t, OPTIONS)
    for (const id of ['a', 'b', 'c', 'd', 'e']) {
      const { taskId } = await sync(store, [add(id), add(`${id}2`)], { push: PUSH })
      const [first, second] = (await ledgerOf(store)).slice(-2)
      if (first === undefined || second === undefined) throw new Error('no audiences')
      await Promise.all([
        noteAll(store, first, { state: 'ready' }),
        noteAll(other, first, { state: 'ready' }),
        sync(other, [deletion(`${id}2`)])
      ])
      t.same(await pushes(store), [taskId])
    }
  })

  test(`${name}: tasks are told to be over after a month, and kept for a while`, async (t) => {
    const store = await openStore(t)
    const { taskId = '' } = await sync(store, [add('riders')], { push: PUSH })
    const month = T0 + 30 * DAY_MS
    await store.sweep(month)
    t.equal((await store.task('agent', taskId))?.completedAt, undefined)
    await store.sweep(month + 1)
    const given = await store.task('agent', taskId)
    t.strictSame(
      [given?.completedAt, given?.audiences[0]?.audience],
      [month + 1, await audienceIn(store)]
    )
    t.same(await pushes(store), [taskId])
    await store.sweep(month + 1 + OPTIONS.retentionMs)
    t.strictSame(await store.task('agent', taskId), given)
    await store.sweep(month + 2 + OPTIONS.retentionMs)
    t.equal(await store.task('agent', taskId), undefined)
    t.equal(await store.pushOf(taskId, KEYS), undefined)
    t.same(await idsIn(store), ['riders'], 'audiences stay')
  })

  test(`${name}: a message about a task finds it for as long as it is sent`, async (t) => {
    const store = await openStore(t, { retentionMs: HOUR_MS })
    const { taskId = '' } = await sync(store, [add('riders')], { push: PUSH })
    await noteAll(store, await audienceIn(store), { state: 'ready' }, T0)
    await store.sweep(T0 + 72 * HOUR_MS)
    t.equal((await store.pushOf(taskId, KEYS))?.task.id, taskId)
    await store.sweep(T0 + 72 * HOUR_MS + 1)
    t.equal(await store.pushOf(taskId, KEYS), undefined)
  })

  test(`${name}: segments tell whose they are`, async (t) => {
    const store = await openStore(t)
    const key = (where: Target, kind = '') =>
      `${JSON.stringify([where.provider, where.accountId, where.segmentName])}${kind}`
    const odd = { ...FB, segmentName: 'a "]\\ \u0000 \ud800' }
    await sync(store, [add('riders', 1, { addTo: [FB] })])
    await store.changeSegment(key(FB, 'CUSTOM'), { id: 's1', createdAt: T0, notes: { n: 1 } }, T0)
    await store.changeSegment(key(TIKTOK), { id: 's2' }, T0)
    await store.changeSegment(key(odd, '["x"]'), { creatingSince: T0 }, T0)
    await store.changeSegment(key({ ...TIKTOK, segmentName: 'gone' }), { id: 's4' }, T0)
    await store.changeSegment(key({ ...TIKTOK, segmentName: 'gone' }), { id: undefined }, T0)
    await store.changeSegment(key({ ...TIKTOK, segmentName: 'soon' }), { createdAt: T0 }, T0)
    const riders = {
      provider: 'facebook',
      accountId: '111',
      segmentName: 'blotout_riders_1a2b3c4d',
      kind: 'CUSTOM',
      id: 's1',
      createdAt: T0,
      creatingSince: undefined,
      lostSince: undefined,
      deletedId: undefined,
      notes: { n: 1 },
      managed: { account: 'acct', audienceId: 'riders' }
    }
    const { items, next } = await store.segments({ limit: 9, ...riders })
    t.strictSame([items, next], [[riders], undefined])
    const found = async (query: object) => {
      const pages: (string | undefined)[][] = []
      let cursor: string | undefined
      do {
        const page = await store.segments({ limit: 2, cursor, ...query })
        pages.push(page.items.map(({ segmentName, kind }) => `${segmentName} ${kind}`))
        cursor = page.next
      } while (cursor !== undefined)
      return pages
    }
    t.strictSame(
      (await found({})).map(({ length }) => length),
      [2, 2]
    )
    t.strictSame(
      new Set((await found({})).flat()),
      new Set([
        'a "]\\ \u0000 \ud800 ["x"]',
        'blotout_riders_1a2b3c4d CUSTOM',
        'blotout_riders_1a2b3c4d ',
        'soon '
      ])
    )
    t.strictSame(await found({ provider: 'tiktok' }), [['blotout_riders_1a2b3c4d ', 'soon ']])
    t.strictSame(await found({ segmentName: odd.segmentName }), [['a "]\\ \u0000 \ud800 ["x"]']])
    t.strictSame(await found({ accountId: '999' }), [[]])
    await sync(store, [deletion('riders')])
    const [free] = (await store.segments({ limit: 9, ...riders })).items
    t.strictSame(free, { ...riders, managed: undefined }, 'its audience is gone')
  })
}
