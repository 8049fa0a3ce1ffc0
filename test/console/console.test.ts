import type { Browser, Page } from 'playwright-core'
import { t as root, type Test, test } from 'tap'
import { providers } from '../../providers/registry.ts'
import type { Sandbox } from '../../providers/sandbox.ts'
import { barriers, IN_BROWSER, openPage, startBrowser } from '../support/browser.ts'
import { IS_LONG, LONG_ONLY } from '../support/long.ts'
import { form, startService } from '../support/service.ts'

const KEY = '0123456789abcdef'
const SKIP_LONG = LONG_ONLY.skip === false ? IN_BROWSER : LONG_ONLY

async function sandboxOf(t: Test, name: string): Promise<Sandbox> {
  const provider = providers.find((one) => one.name === name)
  if (provider === undefined) throw new Error(`no provider ${name}`)
  const sandbox = await provider.sandbox()
  t.teardown(() => sandbox.close())
  return sandbox
}

let started: Promise<Browser> | undefined

/** One for all tests; their profiles end with them. */
async function browserFor(t: Test): Promise<Browser> {
  const browser = await (started ??= startBrowser(root))
  t.teardown(() => Promise.all(browser.contexts().map((context) => context.close())))
  return browser
}

async function start(t: Test, env: Readonly<Record<string, string>> = {}) {
  const [facebook, tiktok, browser] = await Promise.all([
    sandboxOf(t, 'facebook'),
    sandboxOf(t, 'tiktok'),
    browserFor(t)
  ])
  const service = await startService(t, { sandboxes: [facebook, tiktok], env })
  return { facebook, tiktok, browser, service }
}

/** A file as a spreadsheet writes it; the phone's column has a name that nobody recognises. */
function customers(users: number): Buffer {
  const rows = Array.from({ length: users }, (_, index) => {
    const number = String(index).padStart(5, '0')
    const email = index === 6 ? 'no address' : `jane${number}@example.com`
    return `${email};0171 55${number};Jane;DE;gold`
  })
  return Buffer.from(`E-Mail;Rückruf;Vorname;Land;Status\n${rows.join('\n')}\n`)
}

const file = (users: number) => ({
  name: 'customers.csv',
  mimeType: 'text/csv',
  buffer: customers(users)
})

const heading = (page: Page, name: string | RegExp) => page.getByRole('heading', { name })
const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name })
const saying = (page: Page, text: string | RegExp) => page.getByText(text).first()

/** No barrier in either theme, which differ in nothing but colours; the short form looks at one. */
async function isAccessible(t: Test, page: Page, view: string): Promise<void> {
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' })
  t.same(await barriers(page), [], `${view}, light`)
  if (!IS_LONG) return
  await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' })
  t.same(await barriers(page, 'color-contrast'), [], `${view}, dark`)
}

const isBatch = (url: URL) => url.pathname === '/audience' && !url.searchParams.has('dryRun')

/** Holds batches back from the n-th on its way on; `release` lets them go. */
async function holdBatches(page: Page, nth: number): Promise<() => void> {
  const { promise, resolve: release } = Promise.withResolvers<void>()
  let sent = 0
  await page.route(isBatch, async (route) => {
    sent += 1
    if (sent >= nth) await promise
    await route.continue()
  })
  return release
}

test('a file becomes an audience, from the sign-in to the last delivery', IN_BROWSER, async (t) => {
  const { service, facebook, browser } = await start(t, { AUDIENCE_API_KEYS: `crm:${KEY}` })
  const { page, complaints, foreignRequests } = await openPage(browser, service.url)

  await page.goto('/console')
  await heading(page, 'Sign in').waitFor()
  await isAccessible(t, page, 'sign-in')
  await page.getByLabel('API key').fill('fedcba9876543210')
  await button(page, 'Sign in').click()
  await saying(page, 'The service does not accept this key.').waitFor()
  await page.getByLabel('API key').fill(KEY)
  await page.keyboard.press('Enter')
  await heading(page, 'No uploads yet').waitFor()
  const kept = await page.evaluate<string>(
    'JSON.stringify([location.href, { ...localStorage }, { ...sessionStorage }, document.cookie])'
  )
  t.equal(kept, JSON.stringify([`${service.url}/console`, {}, {}, '']), 'the key is nowhere')

  await page.route('/providers', (route) => route.fulfill({ status: 503 }), { times: 1 })
  await page.getByRole('link', { name: 'Upload a file' }).click()
  await heading(page, 'New upload').waitFor()
  await isAccessible(t, page, 'choosing a file')
  await hasFocus(page, 'New upload')
  await page.locator('input[type=file]').setInputFiles(file(10_500))
  await saying(page, 'CSV, separated by semicolons, UTF-8').waitFor()
  await saying(page, 'Not known yet').waitFor()
  t.ok(await button(page, 'Check without sending').isDisabled(), 'nobody knows where it would go')
  await button(page, 'Try again').click()
  await page.getByLabel('TikTok default').waitFor()
  t.equal(await page.getByLabel('E-mail').inputValue(), '0')
  t.equal(await page.getByLabel('Phone').inputValue(), '-1', 'nobody knows this column')
  await page.getByLabel('Phone').selectOption({ label: 'Rückruf' })
  await page.getByRole('columnheader', { name: 'Phone' }).waitFor()
  t.same(await page.locator('tbody tr').first().locator('td').allInnerTexts(), [
    'jane00000@example.com',
    '0171 5500000',
    'Jane',
    'DE'
  ])
  await button(page, 'Check without sending').click()
  await saying(page, 'Give the audience a name.').waitFor()
  await page.getByLabel('Name of the audience').fill('Summer buyers')
  t.same(await dropsRefused(page), { h1: true, '#name': true, 'input[type=file]': false })

  await button(page, 'Check without sending').click()
  await button(page, 'Send 10,500 users').waitFor()
  await page.locator('summary').first().click()
  await saying(page, 'Not an e-mail address').waitFor()
  await saying(page, 'no. 7').waitFor()
  t.same(facebook.requests.filter(isChange), [], 'a check sends nothing to a platform')
  await isAccessible(t, page, 'a checked file')

  const release = await holdBatches(page, 2)
  await button(page, 'Send 10,500 users').click()
  await saying(page, '10,000 of 10,500 users').waitFor()
  t.equal(await page.getByRole('progressbar', { name: 'Users sent' }).count(), 1)
  const asked = page.waitForEvent('dialog').then(async (dialog) => {
    await dialog.dismiss()
    return dialog.message()
  })
  await page.getByRole('link', { name: 'Providers' }).click()
  t.equal(await asked, 'The upload is not finished. Leave, and send no more of it?')
  t.equal(new URL(page.url()).hash, '#/new')
  release()
  await page.getByRole('link', { name: 'See what happens at the platforms' }).click()
  await heading(page, 'Summer buyers').waitFor()
  await saying(page, 'Everything was delivered.').waitFor()
  t.match(await page.locator('.figures').first().innerText(), /10,500 of 10,500/)
  await isAccessible(t, page, 'a delivered session')
  t.equal(membersOf(facebook), 10_500)

  await page.goBack()
  await heading(page, 'New upload').waitFor()
  await page.getByRole('link', { name: 'Uploads' }).click()
  await page.getByRole('link', { name: 'Summer buyers' }).waitFor()
  await isAccessible(t, page, 'uploads')

  t.same(
    complaints.filter((text) => !/401 \(Unauthorized\)|503 \(Service Unavailable\)/.test(text)),
    []
  )
  t.same(foreignRequests, [])
})

test('what failed says why and what to do, live, and is retried', IN_BROWSER, async (t) => {
  const { service, facebook, browser } = await start(t)
  const { page, complaints, foreignRequests } = await openPage(browser, service.url)
  facebook.failNext({ times: 1, error: 'invalid_parameter' })
  await service.post(form({ name: 'Lapsed buyers' }))
  await page.goto('/console#/uploads')
  await page.getByRole('link', { name: 'Lapsed buyers' }).click()
  await saying(page, 'All deliveries have ended, some failed.').waitFor()
  await saying(page, 'Correct what the message names and upload again.').waitFor()
  await isAccessible(t, page, 'a failed session')
  await button(page, 'Retry what failed (1)').click()
  await saying(page, 'Everything was delivered.').waitFor()

  facebook.failNext({ times: 1_000, error: 'expired_token' })
  await service.post(form({ name: 'Lapsed buyers', users: [{ email: 'joe@example.com' }] }))
  await saying(page, 'the access token has expired').waitFor()
  await page.getByRole('link', { name: 'Providers' }).click()
  await saying(page, 'Nothing is sent until somebody has put the account in order.').waitFor()
  facebook.reset()
  await button(page, 'Check now').click()
  await saying(page, 'Credentials, access and terms are in order').waitFor()
  await isAccessible(t, page, 'providers')

  t.same(complaints, [])
  t.same(foreignRequests, [])
})

test('a file is uploaded with the keyboard alone, on a phone', SKIP_LONG, async (t) => {
  const { service, browser } = await start(t)
  const { page, complaints } = await openPage(browser, service.url, {
    viewport: { width: 390, height: 800 }
  })
  await page.goto('/console')
  await heading(page, 'No uploads yet').waitFor()
  await tabTo(page, 'New upload')
  await page.keyboard.press('Enter')
  await heading(page, 'New upload').waitFor()
  const chooser = page.waitForEvent('filechooser')
  await tabTo(page, 'Choose a file')
  await page.keyboard.press('Enter')
  await (await chooser).setFiles(file(20))
  await heading(page, 'Columns').waitFor()
  await tabTo(page, 'Phone')
  // A letter chooses the entry that begins with it.
  await page.keyboard.press('R')
  await page.getByRole('columnheader', { name: 'Phone' }).waitFor()
  await tabTo(page, 'Name of the audience')
  await page.keyboard.type('By keyboard')
  await tabTo(page, 'TikTok default')
  await page.keyboard.press('Space')
  await tabTo(page, 'Check without sending')
  await page.keyboard.press('Enter')
  await button(page, 'Send 20 users').waitFor()
  await isAccessible(t, page, 'a checked file on a phone')
  await tabTo(page, 'Send 20 users')
  await page.keyboard.press('Enter')
  await heading(page, 'Sent').waitFor()
  await hasFocus(page, 'Sent')
  await tabTo(page, 'See what happens at the platforms')
  await page.keyboard.press('Enter')
  await saying(page, 'Everything was delivered.').waitFor()
  t.same(await page.locator('h3 .tag').allInnerTexts(), ['default'], 'one platform was left out')
  const isTooWide = await page.evaluate<boolean>(
    'document.documentElement.scrollWidth > document.documentElement.clientWidth'
  )
  t.notOk(isTooWide, 'nothing but tables is scrolled sideways')
  t.same(complaints, [])
})

test('an upload that was stopped goes on without a batch sent twice', SKIP_LONG, async (t) => {
  const { service, facebook, browser } = await start(t)
  const { page } = await openPage(browser, service.url)
  await page.goto('/console#/new')
  await button(page, 'Choose a file').waitFor()
  await dropFile(page, 55_000)
  await page.getByLabel('Name of the audience').fill('Stopped and resumed')
  await button(page, 'Check without sending').click()
  await button(page, 'Send 55,000 users').waitFor()

  const repeated: (string | undefined)[] = []
  page.on('response', (response) => {
    // A busy service may refuse one for the moment.
    if (isBatch(new URL(response.url())) && response.ok())
      repeated.push(response.headers()['x-duplicate'])
  })
  const release = await holdBatches(page, 3)
  await button(page, 'Send 55,000 users').click()
  await saying(page, '20,000 of 55,000 users').waitFor()
  await button(page, 'Stop sending').click()
  await heading(page, 'Stopping…').waitFor()
  await hasFocus(page, 'Stopping…')
  t.equal(await page.getByText('users/s').count(), 0)
  release()
  await saying(page, '5 of 6 batches were taken').waitFor()
  await isAccessible(t, page, 'a stopped upload')

  const questions: string[] = []
  page.on('dialog', async (dialog) => {
    questions.push(dialog.message())
    await dialog.dismiss()
  })
  await page.getByRole('link', { name: 'Uploads' }).click()
  t.same(questions, ['The upload is not finished. Leave, and send no more of it?'])
  const tab = page.waitForEvent('popup')
  await page.getByRole('link', { name: 'See what happens at the platforms' }).click()
  await heading(await tab, 'Stopped and resumed').waitFor()
  t.equal(questions.length, 1, 'the upload is still open')

  await page.unroute(isBatch)
  const releaseRest = await holdBatches(page, 1)
  await button(page, 'Send the rest').click()
  await saying(page, '50,000 of 55,000 users').waitFor()
  t.equal(await page.getByText('users/s').count(), 0, 'what was skipped is not in the rate')
  releaseRest()
  await heading(page, 'Sent').waitFor()
  t.same(repeated, Array.from({ length: 6 }), 'six batches, of which the service had none')
  await page.getByRole('link', { name: 'See what happens at the platforms' }).click()
  await saying(page, 'Everything was delivered.').waitFor()
  t.equal(membersOf(facebook), 54_999, 'all but the one without an address')
})

test('an upload goes on only with a key of the owner that it began with', SKIP_LONG, async (t) => {
  const OTHER_KEY = 'fedcba9876543210'
  const { service, facebook, browser } = await start(t, {
    AUDIENCE_API_KEYS: `crm:${KEY},shop:${OTHER_KEY}`
  })
  const { page } = await openPage(browser, service.url)
  await page.goto('/console#/new')
  await page.getByLabel('API key').fill(KEY)
  await button(page, 'Sign in').click()
  await button(page, 'Choose a file').waitFor()
  await page.locator('input[type=file]').setInputFiles(file(45_000))
  await page.getByLabel('Name of the audience').fill('Of one owner')
  await button(page, 'Check without sending').click()
  await button(page, 'Send 45,000 users').waitFor()
  let batches = 0
  await page.route(isBatch, async (route) => {
    batches += 1
    if (batches === 3) return route.fulfill({ status: 401, json: { errors: ['no'] } })
    return route.continue()
  })
  await button(page, 'Send 45,000 users').click()
  await page.getByLabel('API key').fill(OTHER_KEY)
  await button(page, 'Sign in').click()
  await saying(page, 'This key is somebody else’s').waitFor()
  await page.getByLabel('API key').fill(KEY)
  await button(page, 'Sign in').click()
  await button(page, 'Send the rest').click()
  await heading(page, 'Sent').waitFor()
  await page.getByRole('link', { name: 'See what happens at the platforms' }).click()
  await saying(page, 'Everything was delivered.').waitFor()
  t.equal(membersOf(facebook), 44_999)
})

test('deliveries are turned page by page, whoever clicks twice', SKIP_LONG, async (t) => {
  const klaviyo = await sandboxOf(t, 'klaviyo')
  const service = await startService(t, { sandboxes: [klaviyo] })
  const { page } = await openPage(await browserFor(t), service.url)
  const sessionId = 1708531200
  for (let sequence = 1; sequence <= 26; sequence += 1) {
    const users = [{ email: `jane${sequence}@example.com`, phone: '+491715500000' }]
    await service.post(
      form({ users, batch: { sessionId, sequence, totalBatches: 26, totalUsers: 26 } })
    )
  }
  await page.goto(`/console#/uploads/${sessionId}`)
  await saying(page, 'Everything was delivered.').waitFor()
  await saying(page, 'Phone numbers of regions that are not sent').waitFor()
  await button(page, 'Next page').dblclick()
  await page.locator('tbody tr').nth(1).waitFor({ state: 'detached' })
  await button(page, 'Previous page').click()
  await page.locator('tbody tr').nth(24).waitFor()
  t.equal(await button(page, 'Previous page').count(), 0, 'this is the first page')
})

test('a session is followed through a restart of its event stream', SKIP_LONG, async (t) => {
  const { service, facebook, browser } = await start(t)
  await service.post(form())
  await service.settled(1708531200)
  const { page } = await openPage(browser, service.url)
  let streams = 0
  await page.route('**/events', async (route) => {
    streams += 1
    if (streams === 1) return route.fulfill({ status: 503 })
    return route.continue()
  })
  await page.goto('/console#/uploads/1708531200')
  await saying(page, 'Everything was delivered.').waitFor()
  await page.waitForRequest((request) => request.url().endsWith('/events') && streams > 0)
  facebook.failNext({ times: 1, error: 'invalid_parameter' })
  await service.post(form({ users: [{ email: 'joe@example.com' }] }))
  await saying(page, 'All deliveries have ended, some failed.').waitFor()
  t.ok(streams > 1)
})

test(
  'a session of somebody else, and an address that is none, are told in words',
  SKIP_LONG,
  async (t) => {
    const { service, browser } = await start(t)
    const { page } = await openPage(browser, service.url)
    await page.goto('/console#/uploads/99')
    await saying(page, 'There is no session 99.').waitFor()
    await page.goto('/console#/nowhere')
    await heading(page, 'Nothing here').waitFor()
    await isAccessible(t, page, 'nothing here')
    await page.goto('/console#/new')
    await button(page, 'Choose a file').waitFor()
    await page
      .locator('input[type=file]')
      .setInputFiles({ name: 'empty.csv', mimeType: 'text/csv', buffer: Buffer.from('') })
    await page.getByRole('alert').waitFor()
    await button(page, 'Choose a file').waitFor()
  }
)

/** Calls that change something at Facebook. */
const isChange = ({ method }: { readonly method: string }) => method !== 'GET'

/** People that Facebook holds, whatever the segment. */
function membersOf(facebook: Sandbox): number {
  const { segments } = facebook.state() as {
    readonly segments: readonly { readonly members: readonly unknown[] }[]
  }
  return segments.reduce((sum, { members }) => sum + members.length, 0)
}

/** Waits until the heading has the focus, which it gets once its view stands. */
function hasFocus(page: Page, name: string): Promise<void> {
  return page.locator(':focus').and(heading(page, name)).waitFor()
}

/** Goes on with the tab key until something of this name has the focus. */
async function tabTo(page: Page, name: string): Promise<void> {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press('Tab')
    const found = await page.evaluate<string>(
      `(() => {
        const { activeElement: element } = document
        const label = element.labels?.[0] ?? element
        return label.innerText.replace(/\\s+/g, ' ').trim()
      })()`
    )
    if (found === name) return
  }
  throw new Error(`the tab key does not come to “${name}”`)
}

/** Whether a file that is dropped there would be kept from replacing the page. */
function dropsRefused(page: Page): Promise<Readonly<Record<string, boolean>>> {
  return page.evaluate<Readonly<Record<string, boolean>>>(
    `(() => {
      const input = document.body.appendChild(document.createElement('input'))
      input.type = 'file'
      const places = ['h1', '#name', 'input[type=file]'].map((place) => {
        const dataTransfer = new DataTransfer()
        dataTransfer.items.add(new File(['email'], 'customers.csv'))
        const drop = new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer })
        return [place, !document.querySelector(place).dispatchEvent(drop)]
      })
      input.remove()
      return Object.fromEntries(places)
    })()`
  )
}

/** As if it was dragged from a folder. */
async function dropFile(page: Page, users: number): Promise<void> {
  const dropped = await page.evaluateHandle(
    `(() => {
      const files = new DataTransfer()
      files.items.add(new File([${JSON.stringify(customers(users).toString())}], 'customers.csv'))
      return files
    })()`
  )
  await page.dispatchEvent('.drop', 'drop', { dataTransfer: dropped })
}
