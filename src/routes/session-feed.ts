import { EventEmitter, once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { faultOf } from '../dispatch/tracing.ts'
import { type SessionChanges, type Store, StoreError } from '../store/store.ts'

export interface SessionFeed {
  /**
   * Yields these changes of a session and then what comes after them, until the signal ends it or
   * the session is forgotten. Nothing is kept for a slow reader: it is told what has become of
   * each delivery when it is ready to hear it.
   */
  follow(
    session: SessionName,
    changes: SessionChanges,
    signal: AbortSignal
  ): AsyncGenerator<SessionChanges, void, void>
}

export interface SessionName {
  readonly owner: string
  readonly sessionId: number
}

/** Other instances change sessions too, so that only the store knows. */
const LOOK_EVERY_MS = 500

/** A session that somebody follows. */
interface Watch {
  /** The latest one that was seen. */
  revision: number
  followers: number
  readonly news: EventEmitter<{ news: [] }>
  readonly over: AbortController
}

/** Looks at each session that is followed, once however many follow it, and at no other. */
export function createSessionFeed(
  store: Pick<Store, 'changesSince'>,
  log: Pick<FastifyBaseLogger, 'error'>
): SessionFeed {
  const watches = new Map<string, Watch>()

  async function keepLooking({ owner, sessionId }: SessionName, watch: Watch): Promise<void> {
    const { signal } = watch.over
    for (;;) {
      await wait(LOOK_EVERY_MS, undefined, { signal })
      const changes = await patiently(
        () => store.changesSince(owner, sessionId, watch.revision),
        signal
      )
      if (changes === undefined) return
      if (changes.revision === watch.revision) continue
      watch.revision = changes.revision
      watch.news.emit('news')
    }
  }

  function startWatch(session: SessionName, key: string, revision: number): Watch {
    const news = new EventEmitter<{ news: [] }>().setMaxListeners(0)
    const watch: Watch = { revision, followers: 0, news, over: new AbortController() }
    watches.set(key, watch)
    keepLooking(session, watch)
      .catch((error: unknown) => {
        if (watch.over.signal.aborted) return
        log.error({ fault: faultOf(error) }, 'a session cannot be followed')
      })
      .finally(() => stop(key, watch))
    return watch
  }

  function stop(key: string, watch: Watch): void {
    watch.over.abort()
    if (watches.get(key) === watch) watches.delete(key)
  }

  function join(session: SessionName, revision: number, signal: AbortSignal): Watch {
    const key = JSON.stringify([session.owner, session.sessionId])
    const watch = watches.get(key) ?? startWatch(session, key, revision)
    watch.followers += 1
    // Not when the generator ends: that of a reader who left in the middle of a write never does.
    signal.addEventListener(
      'abort',
      () => {
        watch.followers -= 1
        if (watch.followers === 0) stop(key, watch)
      },
      { once: true }
    )
    return watch
  }

  async function* follow(
    session: SessionName,
    first: SessionChanges,
    signal: AbortSignal
  ): AsyncGenerator<SessionChanges, void, void> {
    if (signal.aborted) return
    const { owner, sessionId } = session
    const watch = join(session, first.revision, signal)
    const until = AbortSignal.any([signal, watch.over.signal])
    let changes: SessionChanges | undefined = first
    try {
      while (changes !== undefined) {
        yield changes
        const { revision }: SessionChanges = changes
        while (watch.revision <= revision) await once(watch.news, 'news', { signal: until })
        changes = await patiently(() => store.changesSince(owner, sessionId, revision), until)
      }
    } catch (error) {
      if (!until.aborted) throw error
    }
  }

  return { follow }
}

/** Asks again until the store answers. */
async function patiently<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      await wait(LOOK_EVERY_MS, undefined, { signal })
    }
  }
}
