import type { ProviderStatus } from '../api/answers.ts'
import type { Upload } from '../client/client.ts'

/** What the audience is called and where it goes. */

export interface Settings {
  name: string
  type: 'custom' | 'primary'
  mode: 'add' | 'remove'
  defaultCountry: string
  disablePrefix: boolean
  /** Tags that it does not go to, as `facebook/eu-shop`. */
  readonly without: Set<string>
}

export const newSettings = (): Settings => ({
  name: '',
  type: 'custom',
  mode: 'add',
  defaultCountry: '',
  disablePrefix: false,
  without: new Set()
})

/** A tag of a platform, as far as an upload names it. */
type Channel = Pick<ProviderStatus, 'provider' | 'tag'>

/** As uploads name it: `facebook/eu-shop`. */
export const channelOf = ({ provider, tag }: Channel) => `${provider}/${tag}`
const REGION = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' })
/** Longest name that the service takes, in characters. */
export const MAX_NAME = 255

/** A country's name; `undefined` where the code is none. */
export function countryName(code: string): string | undefined {
  return /^[A-Za-z]{2}$/.test(code) ? REGION.of(code.toUpperCase()) : undefined
}

/** Problems by the id of the input that has them. */
export function problemsOf(
  settings: Settings,
  providers: readonly Channel[]
): ReadonlyMap<string, string> {
  const { name, defaultCountry, without } = settings
  const problems = new Map<string, string>()
  if (name.trim() === '') problems.set('name', 'Give the audience a name.')
  if (defaultCountry !== '' && countryName(defaultCountry) === undefined) {
    problems.set('country', 'Use the two letters of a country, e.g. DE.')
  }
  if (providers.length > 0 && providers.every((one) => without.has(channelOf(one)))) {
    problems.set('channels', 'Choose at least one platform.')
  }
  return problems
}

/** As the service takes them. */
export function uploadOf(settings: Settings, providers: readonly Channel[]): Upload {
  const { name, type, mode, defaultCountry, disablePrefix, without } = settings
  const channels = providers.map(channelOf).filter((channel) => !without.has(channel))
  return {
    name: name.trim(),
    type,
    mode,
    disablePrefix,
    ...(defaultCountry !== '' && { defaultCountry: defaultCountry.toUpperCase() }),
    ...(channels.length < providers.length && { channels: channels.join(',') })
  }
}
