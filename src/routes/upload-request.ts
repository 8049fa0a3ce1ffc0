import { Type, type Static } from 'typebox'
import type { Form } from '../../plugins/form.ts'
import { isCountryCode } from '../audience/country.ts'
import { parseBatch } from '../audience/parse-batch.ts'
import type { AudienceType, Batch } from '../audience/schemas.ts'
import { decodeUtf8 } from '../audience/text.ts'
import type { Config } from '../config.ts'
import { type Destination, destinationName } from '../dispatch/destination.ts'
import { PayloadError } from '../errors.ts'

/** Query parameters of `POST /audience`, as text; unknown ones are ignored. */
export const UploadQuery = Type.Object({
  disablePrefix: Type.Optional(Type.String()),
  sync: Type.Optional(Type.String()),
  dryRun: Type.Optional(Type.String()),
  mode: Type.Optional(Type.String()),
  channels: Type.Optional(Type.String()),
  defaultCountry: Type.Optional(Type.String())
})

const folded = (name: string) => name.replaceAll(/[_-]/g, '').toLowerCase()
const PARAMETERS: ReadonlyMap<string, string> = new Map(
  Object.keys(UploadQuery.properties).map((name) => [folded(name), name])
)

/** A dry run that is written slightly wrong must not be an upload. */
function refuseMisspelt(query: object): void {
  for (const name of Object.keys(query)) {
    const meant = PARAMETERS.get(folded(name))
    if (meant !== undefined && meant !== name) {
      throw new PayloadError(`A query parameter is unknown; "${meant}" was probably meant.`)
    }
  }
}

/** What is wrong with a field of the form that would be a query parameter. */
export function misplacedField(name: string): string | undefined {
  const meant = PARAMETERS.get(folded(name))
  if (meant === undefined) return undefined
  return `A field of the form is unknown; the query parameter "${meant}" was probably meant.`
}

export interface UploadQueryValues {
  readonly disablePrefix: boolean
  readonly sync: boolean
  readonly dryRun: boolean
  readonly mode: 'add' | 'remove'
  readonly defaultCountry: string | undefined
  readonly destinations: readonly Destination[]
}

/** @throws PayloadError naming the parameter. */
export function readQuery(
  query: Static<typeof UploadQuery>,
  config: Config,
  destinations: readonly Destination[]
): UploadQueryValues {
  refuseMisspelt(query)
  return {
    disablePrefix: readBoolean('disablePrefix', query.disablePrefix),
    sync: readBoolean('sync', query.sync),
    dryRun: readBoolean('dryRun', query.dryRun),
    mode: readMode(query.mode),
    defaultCountry: readCountry(query.defaultCountry) ?? config.defaultCountry,
    destinations: readChannels(query.channels, destinations)
  }
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['', true],
  ['false', false],
  ['0', false]
])

/** @throws PayloadError naming the parameter. */
export function readBoolean(name: string, text: string | undefined): boolean {
  if (text === undefined) return false
  const value = BOOLEANS.get(text)
  if (value === undefined) {
    throw new PayloadError(`The query parameter "${name}" must be true, false, 1 or 0.`)
  }
  return value
}

function readMode(text = 'add'): 'add' | 'remove' {
  if (text === 'add' || text === 'remove') return text
  throw new PayloadError('The query parameter "mode" must be "add" or "remove".')
}

function readCountry(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const code = text.toUpperCase()
  if (!isCountryCode(code)) {
    throw new PayloadError(
      'The query parameter "defaultCountry" must be an ISO 3166-1 alpha-2 code.'
    )
  }
  return code
}

/** A parameter names a platform or tag that is not configured. */
export function notConfigured(parameter: string, channel: string): Error {
  // Only what could be a channel is repeated: anything else may be somebody's data.
  const shown = /^[\w-]{1,64}(\/[\w-]{1,64})?$/.test(channel) ? `"${channel}"` : 'something'
  return new PayloadError(
    `The query parameter "${parameter}" names ${shown} that is not configured here.`
  )
}

/**
 * `facebook` means all its tags, `facebook/eu-shop` one of them.
 * @throws PayloadError naming the parameter.
 */
export function readChannels(
  text: string | undefined,
  destinations: readonly Destination[]
): readonly Destination[] {
  if (text === undefined) return destinations
  const channels = text.split(',').map((channel) => channel.trim())
  const named = (channel: string) =>
    destinations.filter(
      (destination) =>
        destination.provider.name === channel || destinationName(destination) === channel
    )
  const unknown = channels.find((channel) => named(channel).length === 0)
  if (unknown !== undefined) throw notConfigured('channels', unknown)
  const wanted = new Set(channels.flatMap(named))
  return destinations.filter((destination) => wanted.has(destination))
}

export interface UploadFields {
  /** Trimmed, unless the segment is to have exactly this name. */
  readonly name: string
  readonly type: AudienceType
  readonly batch: Batch
  readonly users: Uint8Array<ArrayBuffer>
}

/** Longest audience name, in characters: the longest that a platform here can store is 128. */
const MAX_NAME_CHARACTERS = 255

/** @throws PayloadError naming the field. */
export function readFields(form: Form): UploadFields {
  const name = textOf(form, 'name')
  if (name === undefined || name.trim() === '') {
    throw new PayloadError('The field "name" is missing.')
  }
  if (name.length > MAX_NAME_CHARACTERS) {
    throw new PayloadError(`The field "name" is longer than ${MAX_NAME_CHARACTERS} characters.`)
  }
  if (/\p{Cc}/u.test(name)) throw new PayloadError('The field "name" has control characters.')
  const type = textOf(form, 'type') ?? 'custom'
  if (type !== 'custom' && type !== 'primary') {
    throw new PayloadError('The field "type" must be "custom" or "primary".')
  }
  const batchText = textOf(form, 'batch')
  if (batchText === undefined) throw new PayloadError('The field "batch" is missing.')
  const outcome = parseBatch(batchText)
  if ('problem' in outcome) throw new PayloadError(`${outcome.problem}.`)
  const users = form.get('users')
  if (users === undefined) throw new PayloadError('The field "users" is missing.')
  return { name, type, batch: outcome.batch, users }
}

function textOf(form: Form, field: string): string | undefined {
  const bytes = form.get(field)
  if (bytes === undefined) return undefined
  const text = decodeUtf8(bytes)
  if (text === undefined) throw new PayloadError(`The field "${field}" is not valid UTF-8.`)
  return text
}
