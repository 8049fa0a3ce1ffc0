import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AxeResults } from 'axe-core'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import type { Test } from 'tap'

const USUAL_PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'
]
const ANSWER_WITHIN_MS = 20_000

/** The browser that tests drive: `CHROMIUM_PATH`, or where systems put it. */
export function findBrowser(): string | undefined {
  const named = process.env['CHROMIUM_PATH']
  return named ? named : USUAL_PLACES.find((path) => existsSync(path))
}

/**
 * For tests that drive a browser: skipped where there is none, but not where the service is built and
 * released. They fail there.
 */
export const IN_BROWSER = {
  skip:
    findBrowser() === undefined && process.env['CI'] === undefined
      ? 'there is no Chromium: install it, or name it with CHROMIUM_PATH'
      : false
} as const

/** A page in a browser, and what must not be there when the test ends. */
export interface OpenPage {
  readonly page: Page
  /** Errors and warnings of the console, the content security policy's among them. */
  readonly complaints: readonly string[]
  /** Where requests went that did not go to the service. */
  readonly foreignRequests: readonly string[]
}

/** A browser that is closed with the test. */
export async function startBrowser(t: Test): Promise<Browser> {
  const executablePath = findBrowser()
  if (executablePath === undefined) throw new Error('there is no Chromium, see CHROMIUM_PATH')
  const browser = await chromium.launch({
    executablePath,
    // The sandbox of Chromium needs a user who is not root.
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : []
  })
  t.teardown(() => browser.close())
  return browser
}

/** A page of a new profile: no storage, no cache. */
export async function openPage(
  browser: Browser,
  serviceUrl: string,
  options: BrowserContextOptions = {}
): Promise<OpenPage> {
  const context = await browser.newContext({ baseURL: serviceUrl, ...options })
  context.setDefaultTimeout(ANSWER_WITHIN_MS)
  const page = await context.newPage()
  const complaints: string[] = []
  const foreignRequests: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
  })
  context.on('request', (request) => {
    if (new URL(request.url()).origin !== serviceUrl) foreignRequests.push(request.url())
  })
  return { page, complaints, foreignRequests }
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What is not accessible on the page as it is, one line each; by all rules, or by one of them. */
export async function barriers(page: Page, rule?: string): Promise<string[]> {
  const isLoaded = await page.evaluate<boolean>('window.axe !== undefined')
  if (!isLoaded) await page.evaluate(AXE)
  const options = rule === undefined ? {} : { runOnly: [rule] }
  const { violations } = await page.evaluate<AxeResults>(`axe.run(${JSON.stringify(options)})`)
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`)
  )
}
