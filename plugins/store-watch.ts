import fp from 'fastify-plugin'
import { faultOf } from '../src/dispatch/tracing.ts'
import type { Backlog } from '../src/store/store.ts'

/** What is known of the store without asking it. */
export interface StoreWatch {
  /** Whether the store answered when it was asked last. */
  isAnswering(): boolean
  /** What waited when the store answered last; `undefined` before that. */
  backlog(): Backlog | undefined
}

declare module 'fastify' {
  interface FastifyInstance {
    readonly storeWatch: StoreWatch
  }
}

const LOOK_EVERY_MS = 1_000
/** A store that takes longer counts as unavailable until it answers. */
const ANSWER_WITHIN_MS = 3_000

/** Asks the store how much there is to do, about every second. */
export default fp(
  async (app) => {
    let answers = true
    let backlog: Backlog | undefined
    let next: NodeJS.Timeout | undefined
    app.decorate('storeWatch', { isAnswering: () => answers, backlog: () => backlog })

    function note(answered: boolean, error?: unknown): void {
      if (answered === answers || app.isClosing()) return
      answers = answered
      if (answered) app.log.info('the store answers again')
      else app.log.error({ fault: faultOf(error) }, 'the store does not answer')
    }

    async function look(): Promise<void> {
      const late = setTimeout(note, ANSWER_WITHIN_MS, false)
      try {
        backlog = await app.store.backlog()
        note(true)
      } catch (error) {
        note(false, error)
      } finally {
        clearTimeout(late)
      }
    }

    async function keepLooking(): Promise<void> {
      await look()
      if (!app.isClosing()) next = setTimeout(() => void keepLooking(), LOOK_EVERY_MS)
    }

    app.addHook('onReady', () => void keepLooking())
    app.addHook('preClose', async () => clearTimeout(next))
  },
  { name: 'store-watch', fastify: '5.x', dependencies: ['closing', 'dispatcher'] }
)
