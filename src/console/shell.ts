import { html, nothing, render, type TemplateResult } from 'lit-html'
import { ServiceError } from '../client/errors.ts'
import { openNewUpload } from './new-upload-view.ts'
import { openProviders } from './providers-view.ts'
import { type Route, routeOf } from './routes.ts'
import { createService, type Service } from './service.ts'
import { openSession } from './session-view.ts'
import { createSignIn } from './sign-in.ts'
import { openUploads } from './uploads-view.ts'
import type { OpenView, Page, View } from './view.ts'

/** The frame around all views: where somebody is, whether they may be there, and what is said aloud. */

const PLACES: readonly (readonly [name: Route['name'], href: string, label: string])[] = [
  ['uploads', '#/uploads', 'Uploads'],
  ['providers', '#/providers', 'Providers'],
  ['new', '#/new', 'New upload']
]

interface Opened {
  readonly route: Route
  readonly hash: string
  readonly view: View
  readonly leave: AbortController
}

export function startConsole(root: HTMLElement): void {
  const service = createService(location.href)
  const main = document.createElement('div')
  let isDrawing = false
  let needsKey = false
  let announcement = ''
  let opened = open(location.hash)
  const signIn = createSignIn(service, {
    update,
    onSignedIn,
    keyProblem: async () => opened.view.keyProblem?.()
  })
  root.append(main)

  function update(): void {
    if (isDrawing) return
    isDrawing = true
    requestAnimationFrame(() => {
      isDrawing = false
      draw()
    })
  }

  function draw(): void {
    const { route, view } = opened
    const heading = needsKey ? 'Sign in' : view.title()
    document.title = `${heading} · Audience console`
    const content = needsKey ? signIn.render() : view.render()
    render(frame({ route, heading, content, announcement, service, signOut }), main)
  }

  function open(hash: string): Opened {
    const leave = new AbortController()
    const route = routeOf(hash)
    const page: Page = {
      service,
      update,
      announce: (text) => {
        announcement = text
        update()
      },
      ask: (call) => ask(call, leave.signal),
      signal: leave.signal
    }
    return { route, hash, leave, view: opener(route)(page) }
  }

  async function ask<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof ServiceError && error.status === 401) || signal.aborted) throw error
      askForKey()
      return undefined
    }
  }

  function askForKey(): void {
    if (needsKey) return
    needsKey = true
    update()
    focusSoon('#api-key')
  }

  function onSignedIn(): void {
    needsKey = false
    if (opened.view.resume === undefined) reopen(location.hash)
    else opened.view.resume()
    update()
    focusSoon('h1')
  }

  function signOut(): void {
    if (!mayLeave()) return
    service.setKey(undefined)
    reopen(location.hash)
    focusSoon('h1')
  }

  function mayLeave(): boolean {
    const question = opened.view.wouldLose?.()
    // eslint-disable-next-line no-alert -- it stops what is about to happen, as nothing else can.
    return question === undefined || confirm(question)
  }

  function reopen(hash: string): void {
    opened.leave.abort()
    opened = open(hash)
    update()
  }

  addEventListener('hashchange', () => {
    if (location.hash === opened.hash) return
    if (!mayLeave()) {
      history.pushState(undefined, '', opened.hash || '#/uploads')
      return
    }
    announcement = ''
    reopen(location.hash)
    scrollTo(0, 0)
    if (!needsKey) focusSoon('h1')
  })
  addEventListener('dragover', refuseDrop)
  addEventListener('drop', refuseDrop)
  addEventListener('beforeunload', (event) => {
    if (opened.view.wouldLose?.() !== undefined) event.preventDefault()
  })
  draw()
}

/** Beside what takes a file the browser would open it in place of the page, and all would be lost. */
function refuseDrop(event: DragEvent): void {
  const { dataTransfer, target } = event
  if (event.defaultPrevented || dataTransfer === null) return
  const isFile = dataTransfer.types.includes('Files')
  if (target instanceof HTMLInputElement && (target.type === 'file' || !isFile)) return
  event.preventDefault()
  dataTransfer.dropEffect = 'none'
}

/** After what is about to be drawn. */
function focusSoon(selector: string): void {
  requestAnimationFrame(() =>
    requestAnimationFrame(() => document.querySelector<HTMLElement>(selector)?.focus())
  )
}

function opener(route: Route): OpenView {
  switch (route.name) {
    case 'uploads':
      return openUploads
    case 'session':
      return (page) => openSession(page, route.sessionId)
    case 'providers':
      return openProviders
    case 'new':
      return openNewUpload
    case 'unknown':
      return () => ({
        title: () => 'Nothing here',
        render: () =>
          html`<p>There is nothing at this address. <a href="#/uploads">All uploads</a></p>`
      })
  }
}

interface Frame {
  readonly route: Route
  readonly heading: string
  readonly content: TemplateResult
  readonly announcement: string
  readonly service: Service
  readonly signOut: () => void
}

/** No link to `#main`: the part behind `#` says where in the console somebody is. */
const skipToContent = () => document.querySelector('h1')?.focus()

function frame({ route, heading, content, announcement, service, signOut }: Frame): TemplateResult {
  const place = route.name === 'session' ? 'uploads' : route.name
  return html`
    <button type="button" class="skip" @click=${skipToContent}>Skip to content</button>
    <header class="top">
      <div class="inner">
        <span class="brand"><span class="mark" aria-hidden="true">A</span>Audience console</span>
        <nav aria-label="Console">
          ${PLACES.map(
            ([name, href, label]) =>
              html`<a href=${href} aria-current=${name === place ? 'page' : nothing}>${label}</a>`
          )}
        </nav>
        ${
          service.hasKey()
            ? html`<button type="button" class="plain" @click=${signOut}>Sign out</button>`
            : nothing
        }
      </div>
    </header>
    <main class="inner">
      <h1 tabindex="-1">${heading}</h1>
      ${content}
    </main>
    <footer class="inner"><a href="docs">API reference</a></footer>
    <p class="unseen" role="status">${announcement}</p>
  `
}
