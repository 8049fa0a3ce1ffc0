import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { FastifyInstance } from 'fastify'
import { Gauge, type Registry } from 'prom-client'
import packageJson from '../package.json' with { type: 'json' }
import type { Account } from '../src/dispatch/account.ts'
import type { Clock } from '../src/dispatch/clock.ts'
import { type Destination, targetOf } from '../src/dispatch/destination.ts'
import { accountOf } from '../src/dispatch/job.ts'
import { withinMs } from '../src/dispatch/within-ms.ts'
import type { AccountState } from '../src/store/store.ts'

/** How things stand, asked when somebody wants to know it. */
export interface Gauges {
  /** Brings them up to date; what was asked a moment ago is not asked again. */
  refresh(): Promise<void>
  close(): void
}

/** Several Prometheus servers cost the database no more than one. */
const FRESH_FOR_MS = 5_000
/** A scrape does not wait longer for the store: it gets what was known before. */
const ANSWER_WITHIN_MS = 1_000
/** How often the event loop is looked at; that long it waits anyway. */
const LOOP_RESOLUTION_MS = 20

const STATES = ['open', 'paused', 'broken', 'held'] as const
const MS_PER_S = 1_000
const NS_PER_S = 1e9

/** Registers the metrics of how things stand. */
export function createGauges(
  app: FastifyInstance,
  registry: Registry,
  clock: Pick<Clock, 'now'>
): Gauges {
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Gauge({ name, help, labelNames, registers: [registry] })

  const accounts = {
    state: gauge('audience_account_state', '1 for how the account of a tag stands, else 0', [
      'provider',
      'tag',
      'state'
    ]),
    held: gauge('audience_accounts_held', 'Tags whose account is held: a person has to act')
  }
  const backlog = {
    deliveries: gauge('audience_backlog_deliveries', 'Deliveries that have not settled'),
    age: gauge(
      'audience_backlog_oldest_age_seconds',
      'Since when the oldest of them is there; 0 without any'
    ),
    bytes: gauge('audience_backlog_payload_bytes', 'All sealed users that are kept'),
    messages: gauge(
      'audience_webhook_messages_waiting',
      'Messages to webhooks and agents that are not delivered yet'
    )
  }
  const storeUp = gauge(
    'audience_store_up',
    '1 if the store answers; else what it holds is told as it was last known'
  )
  const slots = {
    all: gauge('audience_delivery_slots', 'Deliveries that may run at once', ['provider']),
    busy: gauge('audience_delivery_slots_busy', 'Deliveries under way', ['provider']),
    waiting: gauge('audience_delivery_slots_waiting', 'Deliveries that wait for a slot', [
      'provider'
    ])
  }
  const workers = {
    threads: gauge('audience_worker_threads', 'Worker threads that there may be'),
    busy: gauge('audience_worker_threads_busy', 'Worker threads with a task'),
    waiting: gauge('audience_worker_tasks_waiting', 'Tasks that wait for a worker thread')
  }
  const memory = {
    uploads: gauge('audience_upload_room_bytes', 'Room taken by uploads that are being accepted'),
    uploadsWaiting: gauge('audience_upload_room_waiting', 'Uploads that wait for such room'),
    bodies: gauge('audience_body_room_bytes', 'Room taken by request bodies for platforms')
  }
  const overloaded = gauge('audience_overloaded', '1 while new uploads are refused as too much')
  const loopDelay = gauge(
    'audience_event_loop_delay_seconds',
    'How late the event loop was since the look before; the quantile 1 is the longest',
    ['quantile']
  )
  gauge('audience_build_info', 'Always 1', ['version', 'node']).set(
    { version: packageJson.version, node: process.version },
    1
  )

  const loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS })
  loop.enable()

  function readLoop(): void {
    for (const [quantile, ns] of [
      ['0.5', loop.percentile(50)],
      ['0.99', loop.percentile(99)],
      ['1', loop.max]
    ] as const) {
      const late = ns / NS_PER_S - LOOP_RESOLUTION_MS / MS_PER_S
      loopDelay.set({ quantile }, loop.count === 0 ? 0 : Math.max(0, late))
    }
    loop.reset()
  }

  function noteAccounts(states: Readonly<Record<string, AccountState>>): void {
    const now = clock.now()
    let held = 0
    for (const destination of app.dispatcher.destinations) {
      const status = statusOf(accountOf(states, targetOf(destination)), now)
      const { provider, tag } = destination
      for (const state of STATES) {
        accounts.state.set({ provider: provider.name, tag, state }, state === status ? 1 : 0)
      }
      if (status === 'held') held += 1
    }
    accounts.held.set(held)
  }

  function noteBacklog(): void {
    storeUp.set(app.storeWatch.isAnswering() ? 1 : 0)
    // The watch asks about every second, for the sake of the service itself.
    const found = app.storeWatch.backlog()
    if (found === undefined) return
    const { deliveries, oldestAt, payloadBytes } = found
    backlog.deliveries.set(deliveries)
    backlog.age.set(oldestAt === undefined ? 0 : Math.max(0, clock.now() - oldestAt) / MS_PER_S)
    backlog.bytes.set(payloadBytes)
  }

  function noteLoad(): void {
    for (const [provider, ofProvider] of accountsByProvider(app.dispatcher.destinations)) {
      const sum = (of: (account: Account) => number) =>
        ofProvider.reduce((total, account) => total + of(account), 0)
      slots.all.set(
        { provider },
        sum((account) => account.slots.concurrency)
      )
      slots.busy.set(
        { provider },
        sum((account) => account.slots.pending)
      )
      slots.waiting.set(
        { provider },
        sum((account) => account.slots.size)
      )
    }
    const load = app.workers.load()
    const bodies = app.dispatcher.bodies()
    workers.threads.set(app.workers.threads)
    workers.busy.set(load.busy)
    workers.waiting.set(load.waiting + bodies.waiting)
    memory.bodies.set(bodies.bytes)
    memory.uploads.set(app.uploadBudget.takenBytes)
    memory.uploadsWaiting.set(app.uploadBudget.waiting)
    overloaded.set(app.isOverloaded() ? 1 : 0)
  }

  async function askStore(): Promise<void> {
    const [states, messages] = await Promise.all([app.store.accounts(), app.store.waitingHooks()])
    noteAccounts(states)
    backlog.messages.set(messages)
  }

  let freshUntil = 0
  let asking: Promise<void> | undefined

  /** A store that is away is not asked again while it has not answered. */
  function ask(): Promise<void> {
    asking ??= askStore()
      // The watch says so, in the log and as a metric.
      .catch(() => undefined)
      .finally(() => {
        asking = undefined
      })
    return asking
  }

  return {
    async refresh() {
      const now = performance.now()
      if (now >= freshUntil) {
        freshUntil = now + FRESH_FOR_MS
        readLoop()
        await withinMs(ANSWER_WITHIN_MS, ask())
      }
      noteBacklog()
      noteLoad()
    },
    close: () => loop.disable()
  }
}

/** A wait that is over is none. */
function statusOf({ status, until }: AccountState, now: number): AccountState['status'] {
  return status === 'paused' && until <= now ? 'open' : status
}

/** The accounts of each provider, each once, however many tags it has. */
function accountsByProvider(destinations: readonly Destination[]): Map<string, Account[]> {
  const found = new Map<string, Set<Account>>()
  for (const { provider, account } of destinations) {
    const known = found.get(provider.name) ?? new Set()
    found.set(provider.name, known.add(account))
  }
  return new Map([...found].map(([provider, accounts]) => [provider, [...accounts]]))
}
