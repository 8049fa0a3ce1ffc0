import { readFileSync } from 'node:fs'
import { Type, type Static, type TSchema } from 'typebox'
import { Value } from 'typebox/value'
import type { Provider } from '../providers/provider.ts'
import { isCountryCode } from './audience/country.ts'

/** One account's configuration at one platform. */
export interface Tag {
  readonly provider: Provider
  /** Name of the tag, unique within its provider. */
  readonly name: string
  /** Checked against the provider's schema, defaults filled in. */
  readonly variables: Readonly<Record<string, unknown>>
}

export interface ApiKey {
  readonly name: string
  readonly key: string
}

export interface Config {
  readonly host: string
  readonly port: number
  readonly logLevel: string
  /** Empty where authentication is off. */
  readonly apiKeys: readonly ApiKey[]
  /** Host names besides loopback and IP addresses that a service without authentication answers. */
  readonly allowedHosts: readonly string[]
  readonly maxBodyBytes: number
  readonly maxUsers: number
  readonly syncTimeoutMs: number
  readonly segmentPrefix: string
  readonly defaultCountry: string | undefined
  readonly dedupHours: number
  readonly retryHours: number
  readonly platformTimeoutMs: number
  readonly tags: readonly Tag[]
}

/** The configuration is wrong; `problems` lists everything at once and holds no secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}

type Environment = Readonly<Record<string, string | undefined>>

const integer = (text: string, minimum: number, description: string) =>
  Type.Integer({ default: Number(text), minimum, maximum: 2 ** 31 - 1, description })

/** Settings read from the environment; empty variables count as absent. */
export const Settings = Type.Object({
  HOST: Type.String({ default: '127.0.0.1', description: 'Address to listen on' }),
  PORT: Type.Integer({ default: 8080, minimum: 0, maximum: 65535, description: 'Port; 0: any' }),
  LOG_LEVEL: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
    default: 'info',
    description: 'Least severe level that is logged'
  }),
  AUDIENCE_CONFIG: Type.String({
    default: './audience.config.json',
    description: 'Configuration file; only a file that is named here must exist'
  }),
  AUDIENCE_API_KEYS: Type.String({
    default: '',
    description: 'Comma-separated name:key; a bare key is named default'
  }),
  AUDIENCE_AUTH: Type.Enum(['on', 'off'], {
    default: 'on',
    description: 'off: no API keys even where HOST is not loopback'
  }),
  AUDIENCE_ALLOWED_HOSTS: Type.String({
    default: '',
    description: 'Comma-separated host names answered without authentication'
  }),
  AUDIENCE_MAX_BODY_BYTES: integer('67108864', 1024, 'Largest request body, in bytes'),
  AUDIENCE_MAX_USERS: integer('100000', 1, 'Most users in one request'),
  AUDIENCE_SYNC_TIMEOUT_MS: integer('50000', 1, 'Longest wait of a sync=true call, milliseconds'),
  AUDIENCE_SEGMENT_PREFIX: Type.String({
    default: 'blotout_',
    description: 'Put before segment names unless disablePrefix=true'
  }),
  AUDIENCE_DEFAULT_COUNTRY: Type.Optional(
    Type.String({ description: 'ISO 3166-1 alpha-2 country of users who have none' })
  ),
  AUDIENCE_DEDUP_HOURS: integer('24', 0, 'How long a repeated upload is recognised, in hours'),
  AUDIENCE_RETRY_HOURS: integer('24', 0, 'How long a failing delivery is tried again, in hours'),
  AUDIENCE_PLATFORM_TIMEOUT_MS: integer('60000', 1, "Longest wait for a platform's answer")
})
type Settings = Static<typeof Settings>

const TAG_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/

/**
 * Reads the environment and the configuration file into one typed configuration.
 * @throws ConfigError with every problem found.
 */
export function loadConfig(env: Environment, providers: readonly Provider[]): Config {
  const problems: string[] = []
  const settings = readSettings(env, problems)
  const tags = [
    ...tagsFromFile(readFile(env, settings, problems), env, providers, problems),
    ...tagsFromEnvironment(env, providers, problems)
  ]
  problems.push(...repeatedTags(tags))
  const apiKeys = readApiKeys(settings, problems)
  const defaultCountry = settings.AUDIENCE_DEFAULT_COUNTRY?.toUpperCase()
  if (defaultCountry !== undefined && !isCountryCode(defaultCountry)) {
    problems.push('AUDIENCE_DEFAULT_COUNTRY: must be an ISO 3166-1 alpha-2 code')
  }
  if (problems.length > 0) throw new ConfigError(problems)

  return {
    host: settings.HOST,
    port: settings.PORT,
    logLevel: settings.LOG_LEVEL,
    apiKeys,
    allowedHosts: list(settings.AUDIENCE_ALLOWED_HOSTS).map((host) => host.toLowerCase()),
    maxBodyBytes: settings.AUDIENCE_MAX_BODY_BYTES,
    maxUsers: settings.AUDIENCE_MAX_USERS,
    syncTimeoutMs: settings.AUDIENCE_SYNC_TIMEOUT_MS,
    segmentPrefix: settings.AUDIENCE_SEGMENT_PREFIX,
    defaultCountry,
    dedupHours: settings.AUDIENCE_DEDUP_HOURS,
    retryHours: settings.AUDIENCE_RETRY_HOURS,
    platformTimeoutMs: settings.AUDIENCE_PLATFORM_TIMEOUT_MS,
    tags
  }
}

/** A wrong setting becomes a problem and its default, so that the others are still checked. */
function readSettings(env: Environment, problems: string[]): Settings {
  const given = Object.entries(Settings.properties).flatMap(([name, schema]) => {
    const text = env[name]
    if (text === undefined || text === '') return []
    const value = fromText(schema, text)
    const found = problemsOf(schema, value, dotted(name))
    problems.push(...found)
    return found.length > 0 ? [] : [[name, value]]
  })
  const settings: unknown = Value.Default(Settings, Object.fromEntries(given))
  Value.Assert(Settings, settings)
  return settings
}

/** Text of the environment in the type that the schema asks for; left as it is if it is not that. */
function fromText(schema: TSchema, text: string): unknown {
  const type = 'type' in schema ? schema.type : undefined
  const isRight: boolean = Value.Check(schema, text)
  if (type === 'string' || isRight) return text
  if (type === 'array' && !text.trimStart().startsWith('[')) return list(text)
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

type NameOf = (path: readonly string[]) => string
const dotted =
  (prefix: string): NameOf =>
  (path) =>
    [prefix, ...path].filter(Boolean).join('.')

/** `where: what is wrong`, never the value, which may be a secret. */
function problemsOf(schema: TSchema, value: unknown, nameOf: NameOf): string[] {
  return Value.Errors(schema, value).flatMap((error) => {
    const path = error.instancePath.split('/').filter(Boolean)
    switch (error.keyword) {
      case 'required':
        return error.params.requiredProperties.map(
          (name) => `${nameOf([...path, name])}: is missing`
        )
      case 'boolean':
        return [`${nameOf(path)}: is not known here`]
      case 'additionalProperties':
        return []
      case 'enum':
        return [`${nameOf(path)}: must be one of ${error.params.allowedValues.join(', ')}`]
      default:
        return [`${nameOf(path)}: ${error.message}`]
    }
  })
}

function list(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/

function readApiKeys(settings: Settings, problems: string[]): ApiKey[] {
  if (settings.AUDIENCE_AUTH === 'off') return []
  const keys = list(settings.AUDIENCE_API_KEYS).map((entry) => {
    const colon = entry.indexOf(':')
    return colon < 0
      ? { name: 'default', key: entry }
      : { name: entry.slice(0, colon), key: entry.slice(colon + 1) }
  })
  for (const { name, key } of keys) {
    if (!TAG_NAME.test(name))
      problems.push('AUDIENCE_API_KEYS: a name is not made of letters and digits')
    // Shorter keys can be guessed; the Bearer scheme allows only these characters (RFC 6750, 2.1).
    if (!/^[A-Za-z0-9\-._~+/]{16,}=*$/.test(key)) {
      problems.push(
        `AUDIENCE_API_KEYS: the key named ${TAG_NAME.test(name) ? name : '?'} must have 16 or more of A-Z a-z 0-9 - . _ ~ + /`
      )
    }
  }
  if (keys.length === 0 && !LOOPBACK.test(settings.HOST)) {
    problems.push(
      'AUDIENCE_API_KEYS: required because HOST is not loopback (or set AUDIENCE_AUTH=off)'
    )
  }
  return keys
}

const ConfigFile = Type.Object(
  {
    providers: Type.Optional(
      Type.Record(
        Type.String(),
        Type.Record(Type.String(), Type.Record(Type.String(), Type.Unknown()))
      )
    )
  },
  { additionalProperties: false }
)
type ConfigFile = Static<typeof ConfigFile>

function readFile(env: Environment, settings: Settings, problems: string[]): ConfigFile {
  const path = settings.AUDIENCE_CONFIG
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    if (env['AUDIENCE_CONFIG']) problems.push('AUDIENCE_CONFIG: the file cannot be read')
    return {}
  }
  let file: unknown
  try {
    file = JSON.parse(text)
  } catch {
    // The parser's own message quotes the file, which may hold secrets.
    problems.push('AUDIENCE_CONFIG: the file is not JSON')
    return {}
  }
  if (Value.Check(ConfigFile, file)) return file
  problems.push(...problemsOf(ConfigFile, file, dotted('')))
  // What can be read is checked all the same, so that everything is told at once.
  const readable: unknown = {
    ...(file instanceof Object && 'providers' in file && { providers: file.providers })
  }
  return Value.Check(ConfigFile, readable) ? readable : {}
}

function tagsFromFile(
  file: ConfigFile,
  env: Environment,
  providers: readonly Provider[],
  problems: string[]
): Tag[] {
  return Object.entries(file.providers ?? {}).flatMap(([providerName, tags]) => {
    const provider = providers.find(({ name }) => name === providerName)
    if (provider === undefined) {
      const known = providers.map(({ name }) => name).join(', ')
      problems.push(`providers.${providerName}: unknown provider (known: ${known})`)
      return []
    }
    return Object.entries(tags).flatMap(([name, raw]) => {
      const path = `providers.${providerName}.${name}`
      const variables = substitute(raw, env, path, problems)
      return toTag(provider, name, variables, dotted(path), problems)
    })
  })
}

/** Replaces each `${NAME}` in the texts of a configuration by the environment's value. */
function substitute(value: unknown, env: Environment, path: string, problems: string[]): unknown {
  if (typeof value === 'string') {
    return value.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_all, name: string) => {
      const found = env[name]
      if (found === undefined || found === '') {
        problems.push(`${path}: the environment has no ${name}`)
        return 'missing'
      }
      return found
    })
  }
  if (Array.isArray(value)) {
    return value.map((item, index) => substitute(item, env, `${path}.${index}`, problems))
  }
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [
        key,
        substitute(item, env, `${path}.${key}`, problems)
      ])
    )
  }
  return value
}

/** The environment's name of a provider's variable: `facebook`, `adAccountId` -> `FACEBOOK_AD_ACCOUNT_ID`. */
export function environmentName(provider: string, variable: string): string {
  return `${provider}_${variable.replace(/([A-Z])/g, '_$1')}`.toUpperCase()
}

function tagsFromEnvironment(
  env: Environment,
  providers: readonly Provider[],
  problems: string[]
): Tag[] {
  return providers.flatMap((provider) => {
    const raw = Object.entries(provider.variables.properties).flatMap(([variable, schema]) => {
      const text = env[environmentName(provider.name, variable)]
      return text === undefined || text === '' ? [] : [[variable, fromText(schema, text)]]
    })
    if (raw.length === 0) return []
    const nameOf: NameOf = ([variable = '*', ...rest]) =>
      dotted(environmentName(provider.name, variable))(rest)
    return toTag(provider, 'default', Object.fromEntries(raw), nameOf, problems)
  })
}

function toTag(
  provider: Provider,
  name: string,
  raw: unknown,
  nameOf: NameOf,
  problems: string[]
): Tag[] {
  if (!TAG_NAME.test(name)) {
    problems.push(`${nameOf([])}: a tag's name is made of letters, digits, - and _`)
    return []
  }
  const variables: unknown = Value.Default(provider.variables, Value.Clone(raw))
  if (!Value.Check(provider.variables, variables)) {
    problems.push(...problemsOf(provider.variables, variables, nameOf))
    return []
  }
  const further = [...(provider.problems?.(variables) ?? []), ...addressProblems(variables)]
  problems.push(...further.map((problem) => `${nameOf([])}: ${problem}`))
  return further.length > 0 ? [] : [{ provider, name, variables }]
}

/** What the pattern of an address lets through, e.g. a port that is none. */
function addressProblems({ baseUrl }: Readonly<Record<string, unknown>>): string[] {
  const isAddress = typeof baseUrl !== 'string' || URL.canParse(baseUrl)
  return isAddress ? [] : ['baseUrl is no address']
}

function repeatedTags(tags: readonly Tag[]): string[] {
  const names = tags.map(({ provider, name }) => `${provider.name}/${name}`)
  const repeated = new Set(names.filter((name, index) => names.indexOf(name) !== index))
  return [...repeated].map((name) => `${name}: configured in the file and in the environment`)
}
