import { html, nothing, type TemplateResult } from 'lit-html'
import type {
  DeliveryState,
  DeliveryStatus,
  DestinationStatus,
  SessionStatus
} from '../api/answers.ts'
import { count, counted, time } from './format.ts'
import { keepCalling } from './keep-calling.ts'
import { createLoading, loadingText, problemBox } from './loading.ts'
import { badge, bar, errorWithAdvice, figures, progress, reasonList } from './parts.ts'
import { fieldsPicture, identifiersPicture, ignoredFields } from './report-view.ts'
import { stateSlices, stateText } from './uploads-view.ts'
import type { Page, View } from './view.ts'
import { DELIVERY, DELIVERY_STATES, errorText, MODE, SESSION } from './words.ts'

const PAGE_SIZE = 25
/** In case the stream of events does not get through. */
const LOOK_EVERY_MS = 15_000

interface Listing {
  state: DeliveryState | undefined
  /** Cursors of the pages before this one, the first page's among them. */
  before: (string | undefined)[]
  cursor: string | undefined
}

/** One upload: its batches, what happened at each platform and why, and how good the data is. */
export function openSession(page: Page, sessionId: number): View {
  const listing: Listing = { state: undefined, before: [], cursor: undefined }
  let retryProblem: string | undefined
  let isRetrying = false
  let lastState: SessionStatus['state'] | undefined
  const loading = createLoading(page, () => {
    const { state, cursor } = listing
    return page.service.client.session(
      sessionId,
      {
        limit: PAGE_SIZE,
        ...(state !== undefined && { state }),
        ...(cursor !== undefined && { cursor })
      },
      page.signal
    )
  })

  const look = () => tell(loading.run())
  const onNews = () => tell(loading.refresh())

  async function tell(answered: Promise<void>): Promise<void> {
    await answered
    const state = loading.value?.state
    if (state !== undefined && lastState !== undefined && state !== lastState) {
      page.announce(`Upload: ${SESSION[state].label}. ${SESSION[state].meaning}`)
    }
    lastState = state
  }

  async function retry(channel?: string): Promise<void> {
    if (isRetrying) return
    isRetrying = true
    retryProblem = undefined
    page.update()
    try {
      const restarted = await page.ask(() => page.service.client.retry(sessionId, channel))
      if (restarted !== undefined) page.announce(retriedText(restarted))
    } catch (error) {
      retryProblem = errorText(error)
    }
    isRetrying = false
    await look()
  }

  const actions: Actions = {
    retry: (channel) => void retry(channel),
    choose(state) {
      Object.assign(listing, { state, before: [], cursor: undefined })
      void look()
    },
    turn(cursor) {
      // A second click comes before the page that the first one asked for.
      if (cursor === listing.cursor) return
      listing.before.push(listing.cursor)
      listing.cursor = cursor
      void look()
    },
    turnBack() {
      listing.cursor = listing.before.pop()
      void look()
    }
  }

  void page.service.follow(sessionId, () => void onNews(), page.signal)
  void keepCalling(onNews, () => LOOK_EVERY_MS, page.signal)

  return {
    title: () => loading.value?.audience ?? `Upload ${sessionId}`,
    render: () => html`
      <p class="crumbs"><a href="#/uploads">Uploads</a> / <code>${sessionId}</code></p>
      ${problemBox(loading.problem, () => void look())} ${problemBox(retryProblem)}
      ${
        loading.value === undefined
          ? loading.problem === undefined
            ? loadingText()
            : nothing
          : content(loading.value, listing, actions)
      }
    `
  }
}

function retriedText({ retried, expired }: { retried: number; expired: number }): string {
  const started = `${counted(retried, 'delivery', 'deliveries')} started anew`
  return expired === 0 ? started : `${started}, ${count(expired)} not: their users are not kept`
}

interface Actions {
  readonly retry: (channel?: string) => void
  readonly choose: (state: DeliveryState | undefined) => void
  readonly turn: (cursor: string) => void
  readonly turnBack: () => void
}

function content(status: SessionStatus, listing: Listing, actions: Actions): TemplateResult {
  const { destinations, report, users } = status
  const given = Object.values(report.fields).some((field) => field.given > 0)
  return html`
    ${overview(status, actions)}
    <section aria-labelledby="destinations">
      <h2 id="destinations">Destinations</h2>
      ${
        destinations.length === 0
          ? html`<div class="empty"><p>No platform is configured: nothing was sent.</p></div>`
          : html`<ul class="cards">
              ${destinations.map((one) => destination(one, actions))}
            </ul>`
      }
    </section>
    <section aria-labelledby="quality">
      <h2 id="quality">Data quality</h2>
      ${
        given
          ? html`<div class="card">
              ${fieldsPicture(
                report.fields,
                users.received,
                ({ sequence, row }) => `batch ${sequence}, no. ${row + 1}`
              )}
              ${ignoredFields(report.ignoredFields)}
            </div>`
          : html`<p class="quiet">It is known once a batch is prepared for the platforms.</p>`
      }
    </section>
    ${deliveriesTable(status, listing, actions)}
  `
}

function overview(status: SessionStatus, actions: Actions): TemplateResult {
  const { state, batches, users, type, pullDate, warnings, destinations } = status
  const failed = destinations.reduce((sum, one) => sum + one.deliveries.failed, 0)
  const missing = batches.missing.length
  return html`<section class="card" aria-label="Overview">
    <div class="headline">
      <p class="state">${badge(SESSION[state])} ${SESSION[state].meaning}</p>
      ${
        failed > 0
          ? html`<button type="button" class="primary" @click=${() => actions.retry()}>
              Retry what failed (${count(failed)})
            </button>`
          : nothing
      }
    </div>
    ${
      users.received < users.total
        ? progress('Users received', users.received, users.total)
        : nothing
    }
    ${figures([
      ['Users received', `${count(users.received)} of ${count(users.total)}`],
      ['Batches received', `${count(batches.received.length)} of ${count(batches.total)}`],
      ['Type', type],
      ...(pullDate === undefined ? [] : [['Pulled on', pullDate] as const])
    ])}
    ${
      missing > 0
        ? html`<p class="quiet">
            Still missing: batch
            ${batches.missing.slice(0, 20).join(', ')}${missing > 20 ? ' …' : ''}
          </p>`
        : nothing
    }
    ${
      warnings.length === 0
        ? nothing
        : html`<div class="box warn">
            <h3>Warnings</h3>
            <ul>
              ${warnings.map((warning) => html`<li>${warning}</li>`)}
            </ul>
          </div>`
    }
  </section>`
}

const channelOf = ({ provider, tag }: Pick<DestinationStatus, 'provider' | 'tag'>) =>
  `${provider}/${tag}`

function destination(one: DestinationStatus, actions: Actions): TemplateResult {
  const { provider, tag, segment, segmentId, mode, state, deliveries, users, lastError } = one
  const channel = channelOf(one)
  return html`<li class="card">
    <div class="headline">
      <h3>${provider} <span class="tag">${tag}</span></h3>
      ${badge(DELIVERY[state])}
    </div>
    <p class="quiet">
      ${MODE[mode]} · <code>${segment}</code>${
        segmentId === null ? nothing : html` · id <code>${segmentId}</code>`
      }
    </p>
    ${bar(`Deliveries to ${channel}`, stateSlices(deliveries))}
    <p class="facts"><span>${stateText(deliveries)}</span>${attempts(one)}</p>
    ${lastError === null ? nothing : errorWithAdvice(lastError, state === 'failed')}
    ${
      deliveries.failed > 0
        ? html`<p>
            <button type="button" @click=${() => actions.retry(channel)}>
              Retry ${counted(deliveries.failed, 'failed delivery', 'failed deliveries')}
              <span class="unseen">to ${channel}</span>
            </button>
          </p>`
        : nothing
    }
    ${figures([
      ['Sent', count(users.sent)],
      ['Taken', count(users.received)],
      ['Unreadable', count(users.invalid)],
      ['Left out', count(users.leftOut)]
    ])}
    ${reasonList('Left out', one.leftOutBy)} ${reasonList('Kept back', one.notes)}
    ${identifiersPicture(one)}
  </li>`
}

function attempts({ attempts: made, nextAttemptAt }: DestinationStatus): TemplateResult {
  return html`${made > 1 ? html`<span>${counted(made, 'attempt')}</span>` : nothing}
  ${nextAttemptAt === null ? nothing : html`<span>next attempt ${time(nextAttemptAt)}</span>`}`
}

function deliveriesTable(
  { deliveries, next }: SessionStatus,
  listing: Listing,
  actions: Actions
): TemplateResult {
  const choose = ({ target }: Event) => {
    if (!(target instanceof HTMLSelectElement)) return
    actions.choose(DELIVERY_STATES.find((state) => state === target.value))
  }
  return html`<section aria-labelledby="deliveries">
    <div class="actions">
      <h2 id="deliveries">Deliveries</h2>
      <label class="end" for="delivery-state">State</label>
      <select id="delivery-state" @change=${choose}>
        <option value="">All</option>
        ${DELIVERY_STATES.map(
          (state) =>
            html`<option value=${state} ?selected=${state === listing.state}>
              ${DELIVERY[state].label}
            </option>`
        )}
      </select>
    </div>
    ${
      deliveries.length === 0
        ? html`<p class="quiet">None${listing.state === undefined ? '' : ' in this state'}.</p>`
        : html`<div class="scroll" role="region" aria-label="Table of deliveries" tabindex="0">
            <table>
              <thead>
                <tr>
                  <th scope="col" class="number">Batch</th>
                  <th scope="col">Platform</th>
                  <th scope="col">State</th>
                  <th scope="col" class="number">Sent</th>
                  <th scope="col" class="number">Taken</th>
                  <th scope="col" class="number">Left out</th>
                  <th scope="col" class="number">Attempts</th>
                  <th scope="col">Last error</th>
                  <th scope="col">Ended</th>
                </tr>
              </thead>
              <tbody>
                ${deliveries.map(deliveryRow)}
              </tbody>
            </table>
          </div>`
    }
    <p class="pager">
      ${
        listing.before.length === 0
          ? nothing
          : html`<button type="button" @click=${actions.turnBack}>Previous page</button>`
      }
      ${
        next === null
          ? nothing
          : html`<button type="button" @click=${() => actions.turn(next)}>Next page</button>`
      }
    </p>
  </section>`
}

function deliveryRow(one: DeliveryStatus): TemplateResult {
  const { sequence, state, users, lastError, settledAt, nextAttemptAt } = one
  return html`<tr>
    <td class="number">${count(sequence)}</td>
    <td>${channelOf(one)}</td>
    <td>${badge(DELIVERY[state])}</td>
    <td class="number">${count(users.sent)}</td>
    <td class="number">${count(users.received)}</td>
    <td class="number">${count(users.leftOut)}</td>
    <td class="number">${count(one.attempts)}</td>
    <td class="wide">
      ${lastError === null ? nothing : html`${lastError.message} <code>${lastError.code}</code>`}
    </td>
    <td>
      ${
        settledAt !== null
          ? time(settledAt)
          : nextAttemptAt !== null
            ? html`tries again ${time(nextAttemptAt)}`
            : nothing
      }
    </td>
  </tr>`
}
