import { mock } from 'node:test'
import { test, type Test } from 'tap'
import { providers } from '../../providers/registry.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import { createLocalQueue } from '../../src/dispatch/local-queue.ts'
import type { TakeTurn, Turn } from '../../src/store/queue.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { IN_MEMORY } from '../../src/store/sqlite-file.ts'
import { accountKey, type Store, StoreError, type Target } from '../../src/store/store.ts'
import { EU, OPTIONS, sealed, T0, upload, US } from '../store/contract.ts'
import { instantClock } from '../support/clock.ts'
import { BATCH, form, startService } from '../support/service.ts'

const LOST = new StoreError('the thread of the database ended')

async function sandbox(t: Test, name: string): Promise<Sandbox> {
  const started = await providers.find((provider) => provider.name === name)!.sandbox()
  t.teardown(() => started.close())
  return started
}

const stateOf = ({ destinations }: Record<string, unknown>) =>
  (destinations as { state: string }[]).map(({ state }) => state)

test('an upload whose acceptance was not answered is delivered when it is sent again', async (t) => {
  const facebook = await sandbox(t, 'facebook')
  const service = await startService(t, { sandboxes: [facebook] })
  const { store } = service.app
  const accept = store.accept.bind(store)
  store.accept = async (...args) => {
    store.accept = accept
    await accept(...args)
    throw LOST
  }
  t.equal((await service.post(form())).status, 503)
  const again = await service.post(form())
  t.same([again.status, again.headers.get('x-duplicate')], [200, 'true'])
  t.same(stateOf(await service.settled(BATCH.sessionId)), ['delivered'])
})

test('a delivery is followed although the store did not answer that it is to be', async (t) => {
  const klaviyo = await sandbox(t, 'klaviyo')
  const service = await startService(t, { sandboxes: [klaviyo] })
  const { store } = service.app
  const changeDelivery = store.changeDelivery.bind(store)
  const seen: unknown[] = []
  store.changeDelivery = async (...args) => {
    const changed = await changeDelivery(...args)
    seen.push(changed.state)
    if (changed.state !== 'confirming') return changed
    store.changeDelivery = changeDelivery
    throw LOST
  }
  await service.post(form())
  t.same(stateOf(await service.settled(BATCH.sessionId)), ['delivered'])
  t.equal(seen.at(-1), 'confirming')
})

/** A queue over a store in memory, on a clock whose waits take no time. */
async function openQueue(t: Test) {
  const store = await openSqlite({ path: IN_MEMORY, ...OPTIONS })
  const clock = instantClock()
  const errors: unknown[] = []
  const queue = createLocalQueue({ store, clock, onError: (error) => errors.push(error) })
  t.teardown(async () => {
    await queue.stop()
    await store.close()
  })
  const accept = (sequence: number, target: Target = EU) =>
    store.accept(upload({ sequence }), sealed(), [target])
  return { store, clock, errors, queue, accept }
}

/** Delivers everything at once, and tells of which sequence it was. */
function delivering(store: Store, delivered: (sequence: number) => void): TakeTurn {
  return async (turn) => {
    const work = await store.work(turn)
    if (work === undefined) return 'done'
    await store.changeDelivery(work.delivery.id, { state: 'delivered' }, T0)
    delivered(work.delivery.sequence)
    return 'done'
  }
}

const ROOM = () => 1
const deferred = () => Promise.withResolvers<void>()

test('a turn is followed by all that its segment has', async (t) => {
  const { store, queue, accept } = await openQueue(t)
  const { promise: done, resolve } = deferred()
  const sequences: number[] = []
  const take = delivering(store, (sequence) => {
    sequences.push(sequence)
    if (sequences.length === 3) resolve()
  })
  await queue.start(take, ROOM)
  const [{ turns }] = [await accept(1), await accept(2), await accept(3)]
  queue.push(turns)
  await done
  t.same(sequences, [1, 2, 3])
})

test('what nobody told of is found after some minutes', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const { store, errors, queue, accept } = await openQueue(t)
  let found = Promise.withResolvers<number>()
  await queue.start(
    delivering(store, (sequence) => found.resolve(sequence)),
    ROOM
  )
  await accept(7)
  mock.timers.tick(300_000)
  t.equal(await found.promise, 7)

  found = Promise.withResolvers()
  await accept(8, US)
  const turns = store.turns.bind(store)
  const failing = deferred()
  const failed = async () => {
    failing.resolve()
    throw LOST
  }
  store.turns = failed
  mock.timers.tick(300_000)
  await failing.promise
  store.turns = turns
  mock.timers.tick(300_000)
  t.equal(await found.promise, 8)
  t.same(errors, [LOST])
})

test('turns that come again and again do not add up', async (t) => {
  const { store, queue, accept } = await openQueue(t)
  const [began, goOn, over] = [deferred(), deferred(), deferred()]
  const takes: (number | undefined)[] = []
  const deliver = delivering(store, () => undefined)
  await queue.start(async (turn, signal) => {
    const work = await store.work(turn)
    takes.push(work?.delivery.sequence)
    began.resolve()
    if (work === undefined) over.resolve()
    await goOn.promise
    return deliver(turn, signal)
  }, ROOM)
  queue.push((await accept(1)).turns)
  await began.promise
  for (let repeat = 0; repeat < 100; repeat += 1) queue.push((await accept(1)).turns)
  goOn.resolve()
  await over.promise
  // More turns would be taken while the store answers all this.
  for (let call = 0; call < 100; call += 1) await store.backlog()
  t.same(takes, [1, undefined])
})

const TURN: Turn = { kind: 'send', lock: 'a segment', account: accountKey(EU) }

test('an account that is woken while a turn still says how long to wait waits no longer', async (t) => {
  const { clock, queue } = await openQueue(t)
  const [asked, goOn, again] = [deferred(), deferred(), deferred()]
  await queue.start(async () => {
    if (clock.waits.length > 0) {
      again.resolve()
      return 'done'
    }
    asked.resolve()
    await goOn.promise
    return { againAt: clock.now() + 900_000 }
  }, ROOM)
  queue.push([TURN])
  await asked.promise
  queue.wake(TURN.account)
  goOn.resolve()
  await again.promise
  t.same(
    clock.waits.filter((waitMs) => waitMs > 1_000),
    []
  )
})
