import { type Command, InvalidArgumentError, Option } from 'commander'
import { CUSTOMER_FIELDS, type CustomerField, type Mapping } from '../intake/intake.ts'
import { EXIT, ExitError } from './exit.ts'

/** What is read from the command line, checked as far as that needs no service. */

export const DEFAULT_URL = 'http://127.0.0.1:8080'

export interface ServiceOptions {
  readonly url: string
  readonly apiKey?: string
  readonly json?: boolean
}

/** Options of every command that calls the service. */
export function withService(command: Command): Command {
  return command
    .addOption(
      new Option('--url <address>', 'where the service is')
        .env('AUDIENCE_URL')
        .default(DEFAULT_URL)
        .argParser(readUrl)
    )
    .addOption(
      new Option(
        '--api-key <key>',
        'key of the service; better in the environment: others on this machine see arguments'
      )
        .env('AUDIENCE_API_KEY')
        .argParser(readApiKey)
    )
    .option('--json', 'print one JSON document instead of text')
}

/** Without a slash at its end: two ways to write one address are one service to `--resume`. */
export function readUrl(text: string): string {
  // An empty variable of the environment counts as absent.
  if (text === '') return DEFAULT_URL
  const url = URL.parse(text)
  const isAddress =
    (url?.protocol === 'http:' || url?.protocol === 'https:') &&
    [url.username, url.password, url.search, url.hash].every((part) => part === '')
  // Commander would quote what was given, and there may be a password in it.
  if (!isAddress) {
    throw new ExitError(
      EXIT.wrongUse,
      `--url or AUDIENCE_URL: it must be an address such as ${DEFAULT_URL}, without a name and a password in it`
    )
  }
  return url.href.replace(/\/+$/, '')
}

/** What can be sent in a header. */
const API_KEY = /^[!-~]*$/

export function readApiKey(text: string): string {
  if (API_KEY.test(text)) return text
  throw new ExitError(
    EXIT.wrongUse,
    '--api-key or AUDIENCE_API_KEY: a key has no spaces, line breaks or letters beyond ASCII'
  )
}

const MAX_NAME_CHARACTERS = 255

export function readName(text: string): string {
  if (text.trim() === '' || text.length > MAX_NAME_CHARACTERS || /\p{Cc}/u.test(text)) {
    throw new InvalidArgumentError(
      `A name has 1 to ${MAX_NAME_CHARACTERS} characters and no control characters.`
    )
  }
  return text
}

/** Whole numbers from 1 to `maximum`. */
export function readCount(maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!Number.isInteger(value) || value < 1 || value > maximum) {
      throw new InvalidArgumentError(`It must be a whole number from 1 to ${maximum}.`)
    }
    return value
  }
}

export function readMinutes(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) {
    throw new InvalidArgumentError('It must be a number of minutes.')
  }
  return value
}

/** Up to 2^53 - 1, as the service takes them. */
export function readSessionId(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError('It must be the number of a session.')
  }
  return value
}

const isField = (text: string): text is CustomerField =>
  CUSTOMER_FIELDS.some((field) => field === text)
/** A comma in front of a field begins the next pair; others belong to a column's name. */
const NEXT_PAIR = new RegExp(
  `,(?=\\s*(?:${CUSTOMER_FIELDS.join('|').replaceAll('.', '\\.')})\\s*=)`
)

/** `email=E-Mail,phone=Mobile`; `phone=` takes it from no column. May be given several times. */
export function readMapping(text: string, earlier: Mapping = {}): Mapping {
  const mapping: Partial<Record<CustomerField, string>> = { ...earlier }
  for (const pair of text.split(NEXT_PAIR)) {
    const [, field = '', column = ''] = /^\s*([^=]*?)\s*=(.*)$/s.exec(pair) ?? []
    if (!isField(field)) {
      throw new InvalidArgumentError(
        `It is written as email=E-Mail,phone=Mobile; phone= takes it from no column. Fields: ${CUSTOMER_FIELDS.join(', ')}.`
      )
    }
    mapping[field] = column.trim() === '' ? '' : column
  }
  return mapping
}
