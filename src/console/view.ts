import type { TemplateResult } from 'lit-html'
import type { Service } from './service.ts'

/** What a view may ask of the page around it. */
export interface Page {
  readonly service: Service
  /** Draws the page anew, soon. */
  update(): void
  /** Tells people who do not see the page. */
  announce(text: string): void
  /** Resolves to the answer; `undefined` where the key is not accepted, then the page asks for one. */
  ask<T>(call: () => Promise<T>): Promise<T | undefined>
  /** Ends with the view. */
  readonly signal: AbortSignal
}

/** One of the places of the console. It exists from when somebody goes there until they leave. */
export interface View {
  /** Of the window, and of the view's heading. */
  title(): string
  render(): TemplateResult
  /** What would be lost by leaving, as a question; `undefined` where nothing would. */
  wouldLose?(): string | undefined
  /** Why the key that somebody signs in with cannot go on with this; `undefined` where it can. */
  keyProblem?(): Promise<string | undefined>
  /** There is a key again; without this the view is opened anew. */
  resume?(): void
}

export type OpenView = (page: Page) => View
