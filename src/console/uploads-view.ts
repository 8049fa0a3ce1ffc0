import { html, nothing, type TemplateResult } from 'lit-html'
import { repeat } from 'lit-html/directives/repeat.js'
import type { SessionOverview, SessionState, Sessions, StateCounts } from '../api/answers.ts'
import { count, counted, time } from './format.ts'
import { keepCalling } from './keep-calling.ts'
import { createLoading, loadingText, problemBox } from './loading.ts'
import { badge, bar, progress, type Slice } from './parts.ts'
import { sessionHref } from './routes.ts'
import type { Page, View } from './view.ts'
import { DELIVERY, SESSION } from './words.ts'

const PAGE_SIZE = 25
/** Of those under way the latest are followed. Browsers open six connections to a host at most. */
const FOLLOWED_AT_ONCE = 2
const LOOK_EVERY_MS = { busy: 3_000, quiet: 10_000 }
const FILTERS: readonly SessionState[] = ['sending', 'receiving', 'failed', 'delivered']

const isUnderWay = ({ state }: SessionOverview) => state === 'sending' || state === 'receiving'

/** All uploads, the latest change first; those under way are live. */
export function openUploads(page: Page): View {
  let filter: SessionState | undefined
  let pageSize = PAGE_SIZE
  const followed = new Map<number, AbortController>()
  const sessions = createLoading(page, () =>
    page.service.client.sessions(
      { limit: pageSize, ...(filter !== undefined && { state: filter }) },
      page.signal
    )
  )

  const look = () => sessions.run().then(followLatest)
  const onNews = () => sessions.refresh().then(followLatest)

  function followLatest(): void {
    const wanted = (sessions.value?.sessions ?? [])
      .filter(isUnderWay)
      .slice(0, FOLLOWED_AT_ONCE)
      .map(({ sessionId }) => sessionId)
    for (const [sessionId, stop] of followed) {
      if (wanted.includes(sessionId)) continue
      stop.abort()
      followed.delete(sessionId)
    }
    for (const sessionId of wanted.filter((id) => !followed.has(id))) {
      const stop = new AbortController()
      followed.set(sessionId, stop)
      const signal = AbortSignal.any([stop.signal, page.signal])
      void page.service.follow(sessionId, () => void onNews(), signal)
    }
  }

  function everyMs(): number {
    const isBusy = sessions.value?.sessions.some(isUnderWay) === true
    return isBusy ? LOOK_EVERY_MS.busy : LOOK_EVERY_MS.quiet
  }

  void keepCalling(onNews, everyMs, page.signal)

  const choose = ({ target }: Event) => {
    if (!(target instanceof HTMLSelectElement)) return
    filter = FILTERS.find((state) => state === target.value)
    pageSize = PAGE_SIZE
    void look()
  }
  const showMore = () => {
    pageSize += PAGE_SIZE
    void look()
  }

  return {
    title: () => 'Uploads',
    render: () => html`
      <div class="actions">
        <label for="state">State</label>
        <select id="state" @change=${choose}>
          <option value="">All</option>
          ${FILTERS.map(
            (state) =>
              html`<option value=${state} ?selected=${state === filter}>
                ${SESSION[state].label}
              </option>`
          )}
        </select>
        <a class="button primary end" href="#/new">New upload</a>
      </div>
      ${problemBox(sessions.problem, () => void look())}
      ${
        sessions.value === undefined
          ? sessions.problem === undefined
            ? loadingText()
            : nothing
          : list(sessions.value, filter, pageSize, showMore)
      }
    `
  }
}

/** The most that the service puts on a page. */
const MOST_ON_PAGE = 200

function list(
  { sessions, next }: Sessions,
  filter: SessionState | undefined,
  pageSize: number,
  showMore: () => void
): TemplateResult {
  if (sessions.length === 0) return filter === undefined ? nothingYet() : noneInState(filter)
  return html`
    <ul class="list">
      ${repeat(sessions, ({ sessionId }) => sessionId, row)}
    </ul>
    ${
      next !== null && pageSize < MOST_ON_PAGE
        ? html`<p><button type="button" @click=${showMore}>Show more</button></p>`
        : nothing
    }
  `
}

const nothingYet = () =>
  html`<div class="empty">
    <h2>No uploads yet</h2>
    <p>Choose a file of customers here, or send one with the command line or the HTTP API.</p>
    <p><a class="button primary" href="#/new">Upload a file</a></p>
  </div>`

const noneInState = (filter: SessionState) =>
  html`<div class="empty"><p>No upload is in the state “${SESSION[filter].label}”.</p></div>`

function row(session: SessionOverview): TemplateResult {
  const { sessionId, audience, type, state, batches, users, deliveries, changedAt } = session
  return html`<li class="card row">
    <div class="headline">
      <h2><a href=${sessionHref(sessionId)}>${audience}</a></h2>
      <span class="badges">
        ${deliveries.held > 0 ? badge(DELIVERY.held) : nothing} ${badge(SESSION[state])}
      </span>
    </div>
    ${
      users.received < users.total
        ? progress(`Users of ${audience} received`, users.received, users.total)
        : bar(`Deliveries of ${audience}`, stateSlices(deliveries))
    }
    <p class="facts">
      <span><b>${count(users.received)}</b> of ${counted(users.total, 'user')}</span>
      <span
        ><b>${count(batches.received)}</b> of ${counted(batches.total, 'batch', 'batches')}</span
      >
      <span>${stateText(deliveries)}</span>
      <span class="quiet">${type === 'primary' ? 'primary · ' : nothing}${time(changedAt)}</span>
    </p>
  </li>`
}

/** How many deliveries are in each state, the finished ones first. */
const ORDER = [
  'delivered',
  'confirming',
  'sending',
  'queued',
  'retrying',
  'held',
  'failed'
] as const

export function stateSlices(deliveries: StateCounts): Slice[] {
  return ORDER.map((state) => ({ ...DELIVERY[state], value: deliveries[state] }))
}

export function stateText(deliveries: StateCounts): string {
  const parts = stateSlices(deliveries).filter(({ value }) => value > 0)
  if (parts.length === 0) return 'nothing to deliver'
  return parts.map(({ label, value }) => `${count(value)} ${label.toLowerCase()}`).join(', ')
}
