import { html, nothing, type TemplateResult } from 'lit-html'
import { ServiceError } from '../client/errors.ts'
import type { Service } from './service.ts'
import { errorText } from './words.ts'

export interface SignIn {
  render(): TemplateResult
}

interface Surroundings {
  readonly update: () => void
  readonly onSignedIn: () => void
  /** Why a key that the service accepts is not the right one for what is open. */
  readonly keyProblem: () => Promise<string | undefined>
}

/** Asks for an API key and tries it. It stays in memory: no storage, no address, no form is sent. */
export function createSignIn(
  service: Service,
  { update, onSignedIn, keyProblem }: Surroundings
): SignIn {
  let problem: string | undefined
  let isTrying = false

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault()
    const form = event.currentTarget
    const input = form instanceof HTMLFormElement ? form.querySelector('input') : null
    if (input === null || isTrying) return
    isTrying = true
    update()
    problem = await tryKey(input.value.trim())
    isTrying = false
    update()
    if (problem === undefined) {
      input.value = ''
      onSignedIn()
    } else {
      input.focus()
      input.select()
    }
  }

  async function tryKey(key: string): Promise<string | undefined> {
    if (key === '') return 'Enter an API key.'
    // What no header can hold is no key either.
    if (!/^[\x21-\x7e]+$/.test(key)) return NOT_ACCEPTED
    service.setKey(key)
    try {
      await service.client.sessions({ limit: 1 })
      const otherwise = await keyProblem()
      if (otherwise !== undefined) service.setKey(undefined)
      return otherwise
    } catch (error) {
      service.setKey(undefined)
      return error instanceof ServiceError && error.status === 401 ? NOT_ACCEPTED : errorText(error)
    }
  }

  // Browsers that store passwords whatever `off` says leave this one alone:
  // https://developer.mozilla.org/en-US/docs/Web/HTML/Reference/Attributes/autocomplete#one-time-code
  return {
    render: () =>
      html`<form class="card narrow" @submit=${submit}>
        <p>The service asks for an API key, one of those in <code>AUDIENCE_API_KEYS</code>.</p>
        <label for="api-key">API key</label>
        <input
          id="api-key"
          type="password"
          autocomplete="one-time-code"
          autocapitalize="none"
          spellcheck="false"
          aria-describedby="api-key-note api-key-problem"
          aria-invalid=${problem === undefined ? nothing : 'true'}
        />
        <p id="api-key-problem" class="bad-text" role="alert">${problem}</p>
        <p id="api-key-note" class="quiet">
          It is kept in this tab’s memory only: closing or reloading the page forgets it.
        </p>
        <button type="submit" class="primary" ?disabled=${isTrying}>
          ${isTrying ? 'Signing in…' : 'Sign in'}
        </button>
      </form>`
  }
}

const NOT_ACCEPTED = 'The service does not accept this key.'
