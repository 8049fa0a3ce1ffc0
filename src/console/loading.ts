import { html, nothing, type TemplateResult } from 'lit-html'
import { pause } from '../client/pause.ts'
import type { Page } from './view.ts'
import { errorText } from './words.ts'

/** Something that is asked for again and again; the last answer stays while the next is awaited. */
export interface Loading<T> {
  readonly value: T | undefined
  readonly problem: string | undefined
  /** Asks at once, or right after the answer that is awaited. */
  run(): Promise<void>
  /** Asks soon: however much there is that is new, the service has time for others meanwhile. */
  refresh(): Promise<void>
}

/** Shortest time between an answer and the next refreshment. */
const APART_MS = 300
/** And how many times as long as the answer took. */
const REST = 3

export function createLoading<T>(page: Page, call: () => Promise<T>): Loading<T> {
  let value: T | undefined
  let problem: string | undefined
  let running: Promise<void> | undefined
  let again = false
  let isUrgent = false
  let restsUntil = 0
  let resting = new AbortController()

  async function once(): Promise<void> {
    try {
      value = (await page.ask(call)) ?? value
      problem = undefined
    } catch (error) {
      if (page.signal.aborted) return
      problem = errorText(error)
    }
    page.update()
  }

  async function untilQuiet(): Promise<void> {
    do {
      if (!isUrgent) await rest()
      again = false
      isUrgent = false
      const startedAt = performance.now()
      await once()
      const endedAt = performance.now()
      restsUntil = endedAt + Math.max(APART_MS, REST * (endedAt - startedAt))
    } while (again && !page.signal.aborted)
    running = undefined
  }

  async function rest(): Promise<void> {
    resting = new AbortController()
    const woken = AbortSignal.any([resting.signal, page.signal])
    await pause(restsUntil - performance.now(), woken).catch(() => undefined)
  }

  function refresh(): Promise<void> {
    again = true
    return (running ??= untilQuiet())
  }

  return {
    get value() {
      return value
    },
    get problem() {
      return problem
    },
    run() {
      isUrgent = true
      resting.abort()
      return refresh()
    },
    refresh
  }
}

/** An error, and a way to try again where there is one. */
export function problemBox(
  problem: string | undefined,
  tryAgain?: () => void
): TemplateResult | typeof nothing {
  if (problem === undefined) return nothing
  return html`<div class="box bad" role="alert">
    <p>${problem}</p>
    ${
      tryAgain === undefined
        ? nothing
        : html`<button type="button" @click=${tryAgain}>Try again</button>`
    }
  </div>`
}

export const loadingText = () => html`<p class="quiet" role="status">Loading…</p>`
