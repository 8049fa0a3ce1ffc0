import { html, nothing, type TemplateResult } from 'lit-html'
import type { ProviderStatus } from '../api/answers.ts'
import { channelOf, countryName, MAX_NAME, type Settings } from './settings.ts'

/** The form in which they are filled in. */

export interface SettingsPart {
  readonly settings: Settings
  /** `undefined` as long as they are not known. */
  readonly providers: readonly ProviderStatus[] | undefined
  readonly problems: ReadonlyMap<string, string>
  readonly onChange: () => void
}

export function settingsPart(part: SettingsPart): TemplateResult {
  const { settings, problems, onChange } = part
  const change =
    (set: (target: HTMLInputElement | HTMLSelectElement) => void) => (event: Event) => {
      const { target } = event
      if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement) set(target)
      onChange()
    }
  return html`<div class="form">
    <div class="wide">
      <label for="name">Name of the audience</label>
      <input
        id="name"
        maxlength=${MAX_NAME}
        autocomplete="off"
        required
        .value=${settings.name}
        aria-invalid=${problems.has('name') ? 'true' : nothing}
        aria-describedby="name-problem"
        @input=${change(({ value }) => (settings.name = value))}
      />
      <p class="bad-text" id="name-problem">${problems.get('name')}</p>
    </div>
    <div>
      <label for="mode">What to do</label>
      <select
        id="mode"
        @change=${change(({ value }) => (settings.mode = value === 'remove' ? 'remove' : 'add'))}
      >
        <option value="add" ?selected=${settings.mode === 'add'}>Add these people</option>
        <option value="remove" ?selected=${settings.mode === 'remove'}>Remove these people</option>
      </select>
    </div>
    <div>
      <label for="type">Type</label>
      <select
        id="type"
        aria-describedby="type-note"
        @change=${change(({ value }) => (settings.type = value === 'primary' ? 'primary' : 'custom'))}
      >
        <option value="custom" ?selected=${settings.type === 'custom'}>Custom</option>
        <option value="primary" ?selected=${settings.type === 'primary'}>
          Primary list of customers
        </option>
      </select>
      <p class="quiet" id="type-note">Only Facebook tells them apart.</p>
    </div>
    ${countryInput(
      part,
      change(({ value }) => (settings.defaultCountry = value.trim()))
    )}
    <div class="check wide">
      <input
        id="prefix"
        type="checkbox"
        .checked=${settings.disablePrefix}
        @change=${change((target) => {
          settings.disablePrefix = target instanceof HTMLInputElement && target.checked
        })}
      />
      <label for="prefix"
        >Use exactly this name at the platforms, without the service’s prefix</label
      >
    </div>
    ${channelBoxes(part)}
  </div>`
}

function countryInput(
  { settings, problems }: SettingsPart,
  onInput: (event: Event) => void
): TemplateResult {
  const name = countryName(settings.defaultCountry)
  return html`<div>
    <label for="country">Country of people without one</label>
    <input
      id="country"
      maxlength="2"
      autocomplete="off"
      placeholder="e.g. DE"
      .value=${settings.defaultCountry}
      aria-invalid=${problems.has('country') ? 'true' : nothing}
      aria-describedby="country-note"
      @input=${onInput}
    />
    <p class=${problems.has('country') ? 'bad-text' : 'quiet'} id="country-note">
      ${problems.get('country') ?? name ?? 'Makes national phone numbers usable.'}
    </p>
  </div>`
}

const NOT_KNOWN = html`<p class="quiet">
  Not known yet: the service has not told where it sends to.
</p>`
const NONE = html`<p class="quiet">None is configured: the upload is accepted and goes nowhere.</p>`

function channelBoxes({ settings, providers, problems, onChange }: SettingsPart): TemplateResult {
  const toggle = (channel: string) => () => {
    if (!settings.without.delete(channel)) settings.without.add(channel)
    onChange()
  }
  const box = (one: ProviderStatus) => {
    const channel = channelOf(one)
    return html`<span class="check">
      <input
        type="checkbox"
        id="to-${channel}"
        .checked=${!settings.without.has(channel)}
        @change=${toggle(channel)}
      />
      <label for="to-${channel}">${one.title} <span class="tag">${one.tag}</span></label>
    </span>`
  }
  return html`<fieldset
    class="wide"
    id="channels"
    tabindex="-1"
    aria-describedby="channels-problem"
  >
    <legend>Platforms</legend>
    ${providers === undefined ? NOT_KNOWN : providers.length === 0 ? NONE : providers.map(box)}
    <p class="bad-text" id="channels-problem">${problems.get('channels')}</p>
  </fieldset>`
}
