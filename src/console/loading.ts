import { html, nothing, type TemplateResult } from 'lit-html'
import { pause } from '../client/pause.ts'
import type { Page } from './view.ts'
import { errorText } from './words.ts'

/** Something that is asked for again and again; the last answer stays while the next is awaited. */
export interface Loading<T> {
  readonly value: T | undefined
  readonly problem: string | undefined
  run(): Promise<void>
}

/** Calls that come while one is under way are answered by one more, a little later. */
const APART_MS = 300

export function createLoading<T>(page: Page, call: () => Promise<T>): Loading<T> {
  let value: T | undefined
  let problem: string | undefined
  let running: Promise<void> | undefined
  let again = false

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
      again = false
      await once()
      if (again) await pause(APART_MS, page.signal).catch(() => (again = false))
    } while (again)
    running = undefined
  }

  return {
    get value() {
      return value
    },
    get problem() {
      return problem
    },
    run() {
      again = running !== undefined
      return (running ??= untilQuiet())
    }
  }
}

/** Calls again and again while somebody looks, until the signal ends it. */
export async function keepCalling(
  call: () => Promise<void>,
  everyMs: () => number,
  signal: AbortSignal
): Promise<void> {
  while (!signal.aborted) {
    if (document.visibilityState === 'visible') await call()
    await pause(everyMs(), signal).catch(() => undefined)
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
