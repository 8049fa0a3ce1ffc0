import { html, nothing, type TemplateResult } from 'lit-html'
import type { Providers, ProviderStatus } from '../api/answers.ts'
import { bytes, count, duration, time } from './format.ts'
import { keepCalling } from './keep-calling.ts'
import { createLoading, loadingText, problemBox } from './loading.ts'
import { badge, errorWithAdvice, figures } from './parts.ts'
import type { Page, View } from './view.ts'
import { ACCOUNT, FIELD } from './words.ts'

const LOOK_EVERY_MS = 10_000

/** Every configured tag: whether the service sends to it, and whether it would work. */
export function openProviders(page: Page): View {
  let isChecking = false
  /** The latest results: an answer without `check` has none. */
  let checked = new Map<string, ProviderStatus['check']>()
  const providers = createLoading(page, () => page.service.client.providers(false, page.signal))
  const checks = createLoading(page, () => page.service.client.providers(true, page.signal))

  async function check(): Promise<void> {
    isChecking = true
    page.announce('Checking all platforms')
    await checks.run()
    isChecking = false
    const found = checks.value?.providers ?? []
    checked = new Map(found.map((one) => [nameOf(one), one.check]))
    const wrong = found.filter((one) => one.check?.ok === false).length
    if (checks.problem === undefined && checks.value !== undefined) {
      page.announce(wrong === 0 ? 'All platforms are in order' : `${wrong} with problems`)
    }
    await providers.run()
  }

  void keepCalling(
    () => providers.run(),
    () => LOOK_EVERY_MS,
    page.signal
  )

  return {
    title: () => 'Providers',
    render: () => html`
      <div class="actions">
        <p class="quiet">Platforms that this service sends to, one entry per configured tag.</p>
        <button
          type="button"
          class="primary end"
          aria-disabled=${isChecking ? 'true' : 'false'}
          @click=${() => (isChecking ? undefined : void check())}
        >
          ${isChecking ? 'Checking…' : 'Check now'}
        </button>
      </div>
      ${problemBox(providers.problem ?? checks.problem, () => void providers.run())}
      ${
        providers.value === undefined
          ? providers.problem === undefined
            ? loadingText()
            : nothing
          : list(providers.value, checked)
      }
    `
  }
}

const nameOf = ({ provider, tag }: ProviderStatus) => `${provider}/${tag}`

function list(
  { providers }: Providers,
  checked: ReadonlyMap<string, ProviderStatus['check']>
): TemplateResult {
  if (providers.length === 0) {
    return html`<div class="empty">
      <h2>No platform is configured</h2>
      <p>
        Uploads are accepted and go nowhere. Put a platform’s variables into the environment or the
        configuration file, as docs/configuration.md tells, and restart the service.
      </p>
    </div>`
  }
  return html`<ul class="cards">
    ${providers.map((one) => card(one, checked.get(nameOf(one))))}
  </ul>`
}

function card(one: ProviderStatus, check: ProviderStatus['check']): TemplateResult {
  const { title, tag, accountId, account } = one
  const standing = ACCOUNT[account.status]
  return html`<li class="card">
    <div class="headline">
      <h2>${title} <span class="tag">${tag}</span></h2>
      ${standing === undefined ? account.status : badge(standing)}
    </div>
    <p class="quiet">Account <code>${accountId}</code></p>
    ${account.status === 'open' ? nothing : html`<p>${standing?.meaning}</p>`}
    ${
      account.since === null
        ? nothing
        : html`<p class="quiet">
            Since
            ${time(account.since)}${
              account.until === null ? nothing : html`, looked at again ${time(account.until)}`
            }
          </p>`
    }
    ${account.error === null ? nothing : errorWithAdvice(account.error, false)}
    ${checkResult(check)} ${figures(factsOf(one))}
  </li>`
}

function checkResult(check: ProviderStatus['check']): TemplateResult | typeof nothing {
  if (check === undefined) return nothing
  if (check.ok) {
    return html`<p class="good-text">
      ✓ Credentials, access and terms are in order
      <span class="quiet">${time(check.checkedAt)}</span>
    </p>`
  }
  return html`<div>
    <p class="bad-text">✗ The check found <span class="quiet">${time(check.checkedAt)}</span></p>
    ${check.problems.map((problem) => errorWithAdvice(problem, false))}
  </div>`
}

function factsOf(one: ProviderStatus): (readonly [string, string])[] {
  const { identifiers, limits, minimumAudienceSize, matchingLatencyHours } = one
  const { usersPerRequest, bytesPerRequest, requestsInFlight, rates } = limits
  const { min, max } = matchingLatencyHours
  return [
    ['Matches on', identifiers.map((name) => FIELD[name].toLowerCase()).join(', ')],
    [
      'One request',
      `${count(usersPerRequest)} users${bytesPerRequest === undefined ? '' : `, ${bytes(bytesPerRequest)}`}`
    ],
    ['At once', `${count(requestsInFlight)} requests`],
    ...(rates.length === 0
      ? []
      : [
          [
            'Rate',
            rates
              .map(({ requests, perMs }) => `${count(requests)} in ${duration(perMs)}`)
              .join(', ')
          ] as const
        ]),
    ['Smallest audience', `${count(minimumAudienceSize)} matched`],
    ['Matching takes', min === max ? `${count(max)} h` : `${count(min)} to ${count(max)} h`]
  ]
}
