import { html, nothing, type TemplateResult } from 'lit-html'
import type { DryRun, DryRunDestination } from '../api/answers.ts'
import type { User } from '../audience/schemas.ts'
import { ServiceError } from '../client/errors.ts'
import type { Upload } from '../client/client.ts'
import { newSessionId } from '../client/session-id.ts'
import type { CustomerField, Mapping, Source } from '../intake/intake.ts'
import { survey as surveyFile } from '../intake/survey.ts'
import { firstUsers, sourceOf } from './customer-file.ts'
import { bytes, count, counted, duration, percent } from './format.ts'
import { createLoading, problemBox } from './loading.ts'
import { layoutText, mappingPart } from './mapping-part.ts'
import { figures, progress as progressBar, reasonList } from './parts.ts'
import { duplicatesNote, fieldsPicture, identifiersPicture, ignoredFields } from './report-view.ts'
import { sessionHref } from './routes.ts'
import {
  BATCH_USERS,
  batchesIn,
  newProgress,
  type Progress,
  type Reading,
  sendAll,
  tryOut
} from './sending.ts'
import { settingsPart } from './settings-part.ts'
import { newSettings, problemsOf, uploadOf } from './settings.ts'
import type { Page, View } from './view.ts'
import { errorText } from './words.ts'

/** A file and what has become of it so far. */
interface Chosen extends Reading {
  mapping: Mapping
  users: readonly User[]
}

/** What runs and can be stopped. */
interface Task {
  readonly what: 'reading' | 'checking' | 'sending'
  readonly stop: AbortController
  readonly progress: Progress
}

interface Sending {
  readonly sessionId: number
  readonly sent: Set<number>
  isDone: boolean
}

const OTHER_OWNER =
  'This key is somebody else’s than the one that the upload began with. Sign in with that one, or leave the upload by the links above.'

/** From a file of customers to an audience: choose, look at the columns, check, send. */
export function openNewUpload(page: Page): View {
  const settings = newSettings()
  const providers = createLoading(page, () => page.service.client.providers(false, page.signal))
  let chosen: Chosen | undefined
  let reading: { readonly source: Source; bytes: number } | undefined
  let task: Task | undefined
  let checked: DryRun | undefined
  let sending: Sending | undefined
  let problem: string | undefined
  let problems: ReadonlyMap<string, string> = new Map()

  /** `undefined` as long as nobody knows where an upload would go. */
  const tags = () => providers.value?.providers

  /** Runs one thing at a time, which ends with the view or when it is stopped. */
  async function run(what: Task['what'], work: (task: Task) => Promise<void>): Promise<void> {
    if (task !== undefined) return
    const own: Task = { what, stop: new AbortController(), progress: newProgress() }
    const stop = () => own.stop.abort()
    page.signal.addEventListener('abort', stop)
    task = own
    problem = undefined
    page.update()
    try {
      await page.ask(() => work(own))
    } catch (error) {
      if (!own.stop.signal.aborted) problem = errorText(error)
    }
    page.signal.removeEventListener('abort', stop)
    task = undefined
    page.update()
  }

  const choose = (file: File) =>
    run('reading', async ({ stop: { signal } }) => {
      const source = sourceOf(file)
      const now = { source, bytes: 0 }
      chosen = undefined
      checked = undefined
      sending = undefined
      reading = now
      const onProgress = (read: number) => {
        now.bytes = read
        page.update()
      }
      try {
        const survey = await surveyFile(source, { signal, onProgress })
        const { mapping, firstUsers: users } = survey
        chosen = { source, survey, mapping, users }
        page.announce(`${file.name}: ${counted(survey.users, 'user')}`)
        focusLater('#columns')
      } finally {
        reading = undefined
      }
    })

  async function remap(field: CustomerField, column: string | undefined): Promise<void> {
    if (chosen === undefined) return
    const { source, survey } = chosen
    const { [field]: _before, ...others } = chosen.mapping
    const mapping: Mapping = column === undefined ? others : { ...others, [field]: column }
    chosen.mapping = mapping
    checked = undefined
    page.update()
    try {
      const users = await firstUsers(source, survey, mapping, page.signal)
      // Another change may have come meanwhile.
      if (chosen.mapping === mapping) chosen.users = users
    } catch (error) {
      problem = errorText(error)
    }
    page.update()
  }

  /** Draws how far it is, and says it aloud at every quarter. */
  function teller(progress: Progress, total: number): () => void {
    let told = 0
    return () => {
      const quarters = Math.floor((progress.users / total) * 4)
      if (quarters > told && quarters < 4) page.announce(`${quarters * 25} percent`)
      told = quarters
      page.update()
    }
  }

  /** What is to be done; if something is missing, the first input that lacks it gets the focus. */
  function completeUpload(): Upload | undefined {
    const known = tags()
    if (known === undefined) return undefined
    problems = problemsOf(settings, known)
    page.update()
    const [first] = problems.keys()
    if (first === undefined) return uploadOf(settings, known)
    focusLater(`#${first}`)
    return undefined
  }

  async function check(): Promise<void> {
    const file = chosen
    const upload = completeUpload()
    if (file === undefined || upload === undefined) return
    await run('checking', async ({ progress, stop: { signal } }) => {
      checked = undefined
      focusLater('#check')
      checked = await tryOut(page.service.client, upload, file, {
        progress,
        signal,
        onProgress: teller(progress, file.survey.users)
      })
      if (checked !== undefined) page.announce('The check has ended')
    })
  }

  async function send(): Promise<void> {
    const file = chosen
    const upload = completeUpload()
    if (file === undefined || upload === undefined) return
    const session = (sending ??= { sessionId: newSessionId(), sent: new Set(), isDone: false })
    await run('sending', async ({ progress, stop: { signal } }) => {
      focusLater('#send')
      await sendAll(page.service.client, upload, file, session, {
        progress,
        signal,
        onProgress: teller(progress, file.survey.users)
      })
      session.isDone = session.sent.size === batchesIn(file)
      page.announce(session.isDone ? 'Everything was sent' : 'Stopped')
    })
  }

  /** Nothing new begins; what is on its way ends. */
  function stopSending(): void {
    task?.stop.abort()
    page.update()
    focusLater('#send')
  }

  /** An upload belongs to the owner of the key that it began with; nobody else finds it. */
  async function keyProblem(): Promise<string | undefined> {
    if (sending === undefined || sending.isDone) return undefined
    const { sessionId, sent } = sending
    try {
      await page.service.client.session(sessionId, { limit: 1 })
    } catch (error) {
      if (!(error instanceof ServiceError && error.status === 404)) throw error
      // Of what nobody has yet the first batch decides whose it is.
      if (sent.size > 0) return OTHER_OWNER
    }
    return undefined
  }

  function startOver(): void {
    chosen = undefined
    checked = undefined
    sending = undefined
    problem = undefined
    page.update()
    focusLater('#choose')
  }

  const changed = () => {
    checked = undefined
    if (problems.size > 0) problems = problemsOf(settings, tags() ?? [])
    page.update()
  }

  void providers.run()

  return {
    title: () => 'New upload',
    wouldLose: () =>
      !page.signal.aborted && sending?.isDone === false
        ? 'The upload is not finished. Leave, and send no more of it?'
        : undefined,
    keyProblem,
    resume: () => void providers.run(),
    render: () => html`
      ${problemBox(providers.problem, () => void providers.run())} ${problemBox(problem)}
      ${reading === undefined ? nothing : readingPart(reading, task)}
      ${
        chosen === undefined
          ? reading === undefined
            ? dropZone((file) => void choose(file))
            : nothing
          : html`
              ${filePart(chosen, sending === undefined && task === undefined, startOver)}
              ${
                sending === undefined
                  ? html`
                      <fieldset class="bare" ?disabled=${task !== undefined}>
                        <section class="card" aria-labelledby="columns">
                          <h2 id="columns" tabindex="-1">Columns</h2>
                          ${mappingPart({
                            survey: chosen.survey,
                            mapping: chosen.mapping,
                            users: chosen.users,
                            onChange: (field, column) => void remap(field, column)
                          })}
                        </section>
                        <section class="card" aria-labelledby="audience">
                          <h2 id="audience">Audience</h2>
                          ${settingsPart({ settings, providers: tags(), problems, onChange: changed })}
                        </section>
                      </fieldset>
                      ${checkPart(chosen, task, checked, tags() === undefined ? undefined : check)}
                    `
                  : nothing
              }
              ${sendPart({
                chosen,
                task,
                checked,
                sending,
                send: tags() === undefined ? undefined : send,
                stop: stopSending,
                startOver
              })}
            `
      }
    `
  }
}

/** After what is about to be drawn. */
function focusLater(selector: string): void {
  requestAnimationFrame(() =>
    requestAnimationFrame(() => document.querySelector<HTMLElement>(selector)?.focus())
  )
}

/** Shows that a file may be dropped; without this the browser would open it in place of the page. */
function mark(event: DragEvent, isOver: boolean): void {
  event.preventDefault()
  if (event.currentTarget instanceof Element) event.currentTarget.classList.toggle('over', isOver)
}

function dropZone(onFile: (file: File) => void): TemplateResult {
  const take = (files: FileList | null | undefined) => {
    const [file] = files ?? []
    if (file !== undefined) onFile(file)
  }
  const picked = ({ target }: Event) => {
    if (target instanceof HTMLInputElement) take(target.files)
  }
  return html`<div
    class="drop"
    @dragover=${(event: DragEvent) => mark(event, true)}
    @dragleave=${(event: DragEvent) => mark(event, false)}
    @drop=${(event: DragEvent) => {
      mark(event, false)
      take(event.dataTransfer?.files)
    }}
  >
    <h2>Drop a file of customers here</h2>
    <p class="quiet">
      CSV, NDJSON or JSON, plain or gzip. It is read in this browser; nothing leaves it before you
      send.
    </p>
    <button type="button" class="primary" id="choose" @click=${openPicker}>Choose a file</button>
    <input type="file" hidden aria-label="File of customers" @change=${picked} />
  </div>`
}

function openPicker({ currentTarget }: Event): void {
  const input = currentTarget instanceof Element ? currentTarget.nextElementSibling : null
  if (input instanceof HTMLInputElement) input.click()
}

function readingPart(
  { source, bytes: read }: { readonly source: Source; readonly bytes: number },
  task: Task | undefined
): TemplateResult {
  return html`<section class="card" aria-label="Reading">
    <p>Reading <b>${source.name}</b>, ${bytes(read)} of ${bytes(source.bytes)}</p>
    ${progressBar('Bytes read', read, source.bytes)}
    <p><button type="button" @click=${() => task?.stop.abort()}>Cancel</button></p>
  </section>`
}

function filePart(
  { source, survey }: Chosen,
  mayChange: boolean,
  startOver: () => void
): TemplateResult {
  return html`<section class="card" aria-label="File">
    <div class="headline">
      <h2>${source.name}</h2>
      ${
        mayChange
          ? html`<button type="button" @click=${startOver}>Choose another file</button>`
          : nothing
      }
    </div>
    <p class="facts">
      <span><b>${count(survey.users)}</b> ${survey.users === 1 ? 'user' : 'users'}</span>
      <span>${bytes(source.bytes)}</span><span>${layoutText(survey.layout)}</span>
    </p>
  </section>`
}

function checkPart(
  chosen: Chosen,
  task: Task | undefined,
  checked: DryRun | undefined,
  check: (() => void) | undefined
): TemplateResult {
  const isChecking = task?.what === 'checking'
  return html`<section class="card" aria-labelledby="check">
    <div class="headline">
      <h2 id="check" tabindex="-1">Check</h2>
      ${
        isChecking
          ? html`<button type="button" @click=${() => task.stop.abort()}>Stop the check</button>`
          : html`<button
              type="button"
              class=${checked === undefined ? 'primary' : ''}
              @click=${check}
              ?disabled=${task !== undefined || check === undefined}
            >
              ${checked === undefined ? 'Check without sending' : 'Check again'}
            </button>`
      }
    </div>
    <p class="quiet">
      A dry run: the service reads every user, tells how many each platform could match, and keeps
      nothing.
    </p>
    ${isChecking ? running('Users checked', task.progress, chosen.survey.users) : nothing}
    ${checked === undefined ? nothing : checkReport(checked, chosen.survey.users)}
  </section>`
}

function running(label: string, progress: Progress, total: number): TemplateResult {
  const { users, skipped, startedAt, trouble } = progress
  const rate = ((users - skipped) / (Date.now() - startedAt)) * 1000
  return html`
    ${progressBar(label, users, total)}
    <p class="facts">
      <span><b>${count(users)}</b> of ${counted(total, 'user')}</span>
      <span>${percent(users, total)}</span>
      ${
        users === skipped
          ? nothing
          : html`<span>${count(Math.round(rate))} users/s</span>
              <span>${duration(((total - users) / rate) * 1000)} left</span>`
      }
    </p>
    ${
      trouble === undefined
        ? nothing
        : html`<p class="box warn" role="status">${errorText(trouble)} It is tried again.</p>`
    }
  `
}

function checkReport(checked: DryRun, users: number): TemplateResult {
  const { report, destinations } = checked
  return html`<div class="report">
    ${
      checked.users < users
        ? html`<p class="box warn">
            Stopped: this is about the first ${counted(checked.users, 'user')} of ${count(users)}.
          </p>`
        : nothing
    }
    ${
      destinations.length === 0
        ? html`<p class="box warn">No platform is configured: the upload would go nowhere.</p>`
        : html`<h3>At the platforms</h3>
            <ul class="cards">
              ${destinations.map(dryDestination)}
            </ul>`
    }
    <h3>Values</h3>
    ${fieldsPicture(
      report.fields,
      checked.users,
      ({ sequence, row }) => `no. ${count((sequence - 1) * BATCH_USERS + row + 1)}`
    )}
    ${duplicatesNote(report.duplicates)} ${ignoredFields(report.ignoredFields)}
  </div>`
}

function dryDestination(one: DryRunDestination): TemplateResult {
  const { provider, tag, segment, users, requests } = one
  const all = users.matchable + users.leftOut
  return html`<li class="card inner-card">
    <div class="headline">
      <h4>${provider} <span class="tag">${tag}</span></h4>
      <b>${percent(users.matchable, all)}</b>
    </div>
    <p class="quiet"><code>${segment}</code></p>
    ${figures([
      ['Can be matched', count(users.matchable)],
      ['Left out', count(users.leftOut)],
      ['Requests', count(requests)]
    ])}
    ${reasonList('Left out', one.leftOutBy)} ${reasonList('Kept back', one.notes)}
    ${identifiersPicture(one)}
  </li>`
}

interface SendPart {
  readonly chosen: Chosen
  readonly task: Task | undefined
  readonly checked: DryRun | undefined
  readonly sending: Sending | undefined
  /** `undefined` where it is not known yet where it would go. */
  readonly send: (() => void) | undefined
  readonly stop: () => void
  readonly startOver: () => void
}

function sendPart(part: SendPart): TemplateResult | typeof nothing {
  const { chosen, task, checked, sending, send } = part
  const users = chosen.survey.users
  if (sending === undefined) {
    return checked === undefined
      ? nothing
      : html`<section class="card" aria-labelledby="send">
          <div class="headline">
            <h2 id="send" tabindex="-1">Send</h2>
            <button
              type="button"
              class="primary"
              @click=${send}
              ?disabled=${task !== undefined || send === undefined}
            >
              Send ${counted(users, 'user')}
            </button>
          </div>
          <p class="quiet">
            In ${counted(batchesIn(chosen), 'batch', 'batches')} of up to ${count(BATCH_USERS)}.
            Keep this page open until all are sent.
          </p>
        </section>`
  }
  return html`<section class="card" aria-labelledby="send">
    <h2 id="send" tabindex="-1">${sendHeading(task, sending)}</h2>
    ${task?.what === 'sending' ? sendingPart(task, users, part.stop) : sentPart(part, sending)}
  </section>`
}

function sendingPart({ stop, progress }: Task, users: number, onStop: () => void): TemplateResult {
  if (stop.signal.aborted) {
    return html`${progressBar('Users sent', progress.users, users)}
      <p role="status">No further batch is sent. Those that are on their way end.</p>`
  }
  return html`${running('Users sent', progress, users)}
    <p><button type="button" @click=${onStop}>Stop sending</button></p>`
}

function sendHeading(task: Task | undefined, { isDone }: Sending): string {
  if (task?.what === 'sending') return task.stop.signal.aborted ? 'Stopping…' : 'Sending'
  return isDone ? 'Sent' : 'Stopped'
}

function sentPart(
  { chosen, send, startOver }: SendPart,
  { sessionId, sent, isDone }: Sending
): TemplateResult {
  const total = batchesIn(chosen)
  // What is not sent yet is known to this page only: it stays open.
  const deliveries = html`<a
    class="button ${isDone ? 'primary' : ''}"
    href=${sessionHref(sessionId)}
    target=${isDone ? nothing : '_blank'}
    >See what happens at the platforms${isDone ? nothing : ' (new tab)'}</a
  >`
  if (isDone) {
    return html`<p>
        The service has taken all ${counted(chosen.survey.users, 'user')} and delivers them now.
      </p>
      <p class="actions">
        ${deliveries}<button type="button" @click=${startOver}>Upload another file</button>
      </p>`
  }
  return html`<p>
      ${count(sent.size)} of ${counted(total, 'batch', 'batches')} were taken by the service and are
      delivered. The others were not sent.
    </p>
    <p class="actions">
      <button type="button" class="primary" @click=${send} ?disabled=${send === undefined}>
        Send the rest
      </button>
      ${sent.size > 0 ? deliveries : nothing}
      <button type="button" @click=${startOver}>Start over</button>
    </p>`
}
