import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Type, type Static, type TSchema } from 'typebox'
import { Value } from 'typebox/value'
import type { Provider } from '../providers/provider.ts'
import { isCountryCode } from './audience/country.ts'
import { KEY_BYTES } from './store/sealing.ts'

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

/** An endpoint that is told about what happens. */
export interface Webhook {
  /** Stands for the address where that must not be told: 16 hexadecimal digits of its SHA-256. */
  readonly id: string
  readonly url: string
  /**
   * As Standard Webhooks writes it: `whsec_` and 24 to 64 bytes in base64; several, comma-separated,
   * while one takes the place of another.
   */
  readonly secret: string
}

/** What an agent manages audiences of: some tags under one name. */
export interface AgentAccount {
  readonly id: string
  readonly name: string
  /** What AdCP calls the natural key: domains in lower case. */
  readonly brand: { readonly domain: string; readonly brandId: string | undefined }
  readonly operator: string
  /** `facebook/eu-shop`, each at an account of its own. */
  readonly tags: readonly string[]
  /** Names of the API keys that see it; `undefined`: all of them. */
  readonly keys: readonly string[] | undefined
  /** Whether members are added only where the agent says on which legal basis. */
  readonly requireConsentBasis: boolean
  /** Its tags lead to no real platforms. */
  readonly sandbox: boolean
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
  /** `sqlite:<path>` or `postgres://…`. */
  readonly databaseUrl: string
  /** The first one seals, all of them open. */
  readonly encryptionKeys: readonly Uint8Array[]
  readonly retentionDays: number
  /** Unsettled deliveries above which new uploads are refused. */
  readonly maxBacklog: number
  readonly drainMs: number
  /** Collector of traces. */
  readonly otlpEndpoint: string | undefined
  readonly webhooks: readonly Webhook[]
  /** Whether webhooks may go to private and loopback addresses, and without TLS. */
  readonly webhookPrivateAddresses: boolean
  /** Where others reach the service, without a slash at its end. */
  readonly publicUrl: string | undefined
  /** Calls of `sync_audiences` that only list, per account and API key. */
  readonly adcpDiscoveryPerMinute: number
  /** How often platforms are asked how an audience stands that they are matching. */
  readonly adcpStatusMinutes: number
  readonly tags: readonly Tag[]
  /** `undefined`: each tag is an account of its own. */
  readonly accounts: readonly AgentAccount[] | undefined
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

/**
 * Settings read from the environment; empty variables count as absent. `npm run docs` brings the
 * descriptions, and as `form` what a text has to be like, into docs/configuration.md: links in them
 * begin there.
 */
export const Settings = Type.Object({
  HOST: Type.String({
    default: '127.0.0.1',
    form: 'address',
    description: 'Address to listen on. The container image sets `0.0.0.0`'
  }),
  PORT: Type.Integer({
    default: 8080,
    minimum: 0,
    maximum: 65535,
    description: 'Port to listen on; 0 takes a free one'
  }),
  LOG_LEVEL: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
    default: 'info',
    description: 'Least severe level that is logged. Spans are logged at `info`'
  }),
  AUDIENCE_CONFIG: Type.String({
    default: './audience.config.json',
    form: 'path',
    description:
      '[Configuration file](#several-accounts-the-file). One that is named here must exist; the default one need not'
  }),
  AUDIENCE_API_KEYS: Type.String({
    default: '',
    form: 'list of `name:key`',
    secret: true,
    description:
      'API keys, comma-separated; a bare key is named `default`. Required unless `HOST` is loopback, see [authentication](#authentication)'
  }),
  AUDIENCE_AUTH: Type.Enum(['on', 'off'], {
    default: 'on',
    description: '`off` leaves API keys out even where `HOST` is not loopback'
  }),
  AUDIENCE_ALLOWED_HOSTS: Type.String({
    default: '',
    form: 'list of host names',
    description:
      'Host names, comma-separated, that a service without authentication answers besides loopback names and IP addresses'
  }),
  AUDIENCE_MAX_BODY_BYTES: integer(
    '67108864',
    1024,
    'Largest request body in bytes (64 MiB), everything in it included. Four bodies of this size are held at once; further uploads wait'
  ),
  AUDIENCE_MAX_USERS: integer('100000', 1, 'Most users in one request'),
  AUDIENCE_SYNC_TIMEOUT_MS: integer(
    '50000',
    1,
    'Longest wait of a `sync=true` call, in milliseconds. Less than the 60 s after which most load balancers give up'
  ),
  AUDIENCE_SEGMENT_PREFIX: Type.String({
    default: 'blotout_',
    description: 'Put before segment names unless a call says `disablePrefix=true`'
  }),
  AUDIENCE_DEFAULT_COUNTRY: Type.Optional(
    Type.String({
      form: 'ISO 3166-1 alpha-2 code',
      description:
        '[Country of users](matching.md#the-country-of-a-user) who have none; a call may set another one'
    })
  ),
  AUDIENCE_DEDUP_HOURS: integer(
    '24',
    0,
    'How many hours after its last delivery an upload is [recognised when it is sent again](api.md#sending-again)'
  ),
  AUDIENCE_RETRY_HOURS: integer('24', 0, 'How many hours a failing delivery is tried again'),
  AUDIENCE_PLATFORM_TIMEOUT_MS: integer(
    '60000',
    1,
    "Longest wait for the headers of a platform's answer, and again for its body, in milliseconds"
  ),
  DATABASE_URL: Type.String({
    default: 'sqlite:./data/audience.db',
    pattern: '^(sqlite:.|postgres(ql)?://.)',
    form: '`sqlite:<path>` or `postgres://…`',
    secret: true,
    description:
      'Where everything that was accepted is kept: an SQLite file for one process, [PostgreSQL](postgresql.md) for several instances'
  }),
  AUDIENCE_ENCRYPTION_KEY: Type.String({
    default: '',
    form: 'list of keys, 32 bytes in base64 each',
    secret: true,
    description:
      "Comma-separated: the first key seals customers' data, all of them open it ([keys](operations.md#keys)). Required with PostgreSQL; with SQLite the service makes a key and keeps it beside the file"
  }),
  AUDIENCE_RETENTION_DAYS: integer(
    '7',
    0,
    "How many days customers' data of failed deliveries is kept, so that they can be sent again, and the status of uploads that have settled. The status is kept for 24 hours and for `AUDIENCE_DEDUP_HOURS` at least"
  ),
  AUDIENCE_MAX_BACKLOG: integer(
    '100000',
    1,
    'With as many deliveries under way new uploads are refused with 503'
  ),
  AUDIENCE_DRAIN_MS: Type.Integer({
    default: 5000,
    minimum: 0,
    maximum: 10_000,
    description:
      'After `SIGTERM` `/readyz` says no, and for so many milliseconds uploads are still taken ([stop](operations.md#stop))'
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.Optional(
    Type.String({
      pattern: '^https?://[^/?#\\\\@\\s]+(/[^?#\\\\\\s]*)?$',
      form: 'address',
      description:
        'Collector that [traces](metrics.md#traces) are sent to, by OTLP over HTTP; without it ' +
        'spans are log lines only'
    })
  ),
  AUDIENCE_WEBHOOK_PRIVATE_ADDRESSES: Type.Enum(['refuse', 'allow'], {
    default: 'refuse',
    description:
      '`allow`: [webhooks](webhooks.md#addresses) may go to private and loopback addresses, and without TLS'
  }),
  AUDIENCE_PUBLIC_URL: Type.Optional(
    Type.String({
      pattern: '^https?://[^/?#\\\\@\\s]+(/[^?#\\\\\\s]*)?$',
      form: 'address',
      description:
        'Where others reach the service, e.g. `https://audience.example`. Tells agents where the keys are that [push notifications](adcp.md#push-notifications) are signed with'
    })
  ),
  AUDIENCE_ADCP_DISCOVERY_PER_MINUTE: integer(
    '60',
    1,
    'Most calls of `sync_audiences` that only list, per account and API key'
  ),
  AUDIENCE_ADCP_STATUS_MINUTES: integer(
    '15',
    1,
    'How often a platform is asked how an [audience of an agent](adcp.md#audiences) stands that it is matching, in minutes; less and less often, up to once an hour'
  )
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
  const file = readFile(env, settings, problems)
  const tags = [
    ...tagsFromFile(file, env, providers, problems),
    ...tagsFromEnvironment(env, providers, problems)
  ]
  problems.push(...repeatedTags(tags))
  const apiKeys = readApiKeys(settings, problems)
  const encryptionKeys = readEncryptionKeys(settings, problems)
  const webhookPrivateAddresses = settings.AUDIENCE_WEBHOOK_PRIVATE_ADDRESSES === 'allow'
  const webhooks = readWebhooks(file, env, webhookPrivateAddresses, problems)
  const accounts = readAccounts(file, tags, apiKeys, problems)
  const publicUrl = settings.AUDIENCE_PUBLIC_URL?.replace(/\/+$/, '')
  if (publicUrl !== undefined && !URL.canParse(publicUrl)) {
    problems.push('AUDIENCE_PUBLIC_URL: is no address')
  }
  const otlpEndpoint = settings.OTEL_EXPORTER_OTLP_ENDPOINT
  if (otlpEndpoint !== undefined && !URL.canParse(otlpEndpoint)) {
    problems.push('OTEL_EXPORTER_OTLP_ENDPOINT: is no address')
  }
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
    databaseUrl: settings.DATABASE_URL,
    encryptionKeys,
    retentionDays: settings.AUDIENCE_RETENTION_DAYS,
    maxBacklog: settings.AUDIENCE_MAX_BACKLOG,
    drainMs: settings.AUDIENCE_DRAIN_MS,
    otlpEndpoint,
    webhooks,
    webhookPrivateAddresses,
    publicUrl,
    adcpDiscoveryPerMinute: settings.AUDIENCE_ADCP_DISCOVERY_PER_MINUTE,
    adcpStatusMinutes: settings.AUDIENCE_ADCP_STATUS_MINUTES,
    tags,
    accounts
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
    const path = error.instancePath.split('/').filter(Boolean).map(unescaped)
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

/** A part of a JSON pointer (RFC 6901, 4). */
const unescaped = (part: string) => part.replaceAll('~1', '/').replaceAll('~0', '~')

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

/** Whole groups of four, the last one filled up. */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

function isEncryptionKey(key: string): boolean {
  return BASE64.test(key) && Buffer.from(key, 'base64').length === KEY_BYTES
}

function readEncryptionKeys(settings: Settings, problems: string[]): Uint8Array[] {
  const keys = list(settings.AUDIENCE_ENCRYPTION_KEY)
  if (!keys.every(isEncryptionKey)) {
    problems.push(`AUDIENCE_ENCRYPTION_KEY: each key must be ${KEY_BYTES} bytes in base64`)
  }
  if (keys.length === 0 && settings.DATABASE_URL.startsWith('postgres')) {
    problems.push('AUDIENCE_ENCRYPTION_KEY: required because DATABASE_URL names PostgreSQL')
  }
  return keys.map((key) => Buffer.from(key, 'base64'))
}

const WEBHOOK_SECRET = 'whsec_'

/** Lengths of secrets as https://www.standardwebhooks.com has them. */
function isWebhookSecret(secret: string): boolean {
  const key = secret.slice(WEBHOOK_SECRET.length)
  const { length } = Buffer.from(key, 'base64')
  return secret.startsWith(WEBHOOK_SECRET) && BASE64.test(key) && length >= 24 && length <= 64
}

function readWebhooks(
  file: ConfigFile,
  env: Environment,
  privateAddresses: boolean,
  problems: string[]
): Webhook[] {
  const webhooks = (file.webhooks ?? []).map((raw, index) => {
    const path = `webhooks.${index}`
    const url = substituteText(raw.url, env, path, problems)
    const secret = substituteText(raw.secret, env, path, problems)
    const { protocol, username, password } = URL.parse(url) ?? {}
    if (protocol !== 'https:' && !(privateAddresses && protocol === 'http:')) {
      problems.push(`${path}.url: must be an https address`)
    } else if (username !== '' || password !== '') {
      problems.push(`${path}.url: must have no user name and password`)
    }
    const secrets = list(secret)
    if (secrets.length === 0 || !secrets.every(isWebhookSecret)) {
      problems.push(`${path}.secret: must be ${WEBHOOK_SECRET} and 24 to 64 bytes in base64`)
    }
    return { id: hash('sha256', url).slice(0, 16), url, secret }
  })
  if (new Set(webhooks.map(({ id }) => id)).size < webhooks.length) {
    problems.push('webhooks: an address is there twice')
  }
  return webhooks
}

/** A domain as AdCP writes it (`core/brand-ref.json`), in any case. */
const Domain = Type.String({
  pattern: '^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$'
})

const AccountEntry = Type.Object(
  {
    name: Type.String({ pattern: '\\S', maxLength: 255 }),
    brand: Type.Object(
      { domain: Domain, brand_id: Type.Optional(Type.String({ pattern: '^[a-z0-9_]+$' })) },
      { additionalProperties: false }
    ),
    operator: Domain,
    tags: Type.Array(Type.String(), { minItems: 1 }),
    keys: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
    requireConsentBasis: Type.Optional(Type.Boolean()),
    sandbox: Type.Optional(Type.Boolean())
  },
  { additionalProperties: false }
)

const ConfigFile = Type.Object(
  {
    accounts: Type.Optional(Type.Record(Type.String(), AccountEntry)),
    webhooks: Type.Optional(
      Type.Array(
        Type.Object({ url: Type.String(), secret: Type.String() }, { additionalProperties: false })
      )
    ),
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

/** May hold `/`, so that what was a tag's own account can go on under its id: `facebook/eu-shop`. */
const ACCOUNT_ID = /^[A-Za-z0-9]([A-Za-z0-9_.:/-]{0,126}[A-Za-z0-9])?$/

function readAccounts(
  file: ConfigFile,
  tags: readonly Tag[],
  apiKeys: readonly ApiKey[],
  problems: string[]
): AgentAccount[] | undefined {
  if (file.accounts === undefined) return undefined
  const accounts = Object.entries(file.accounts).map(([id, entry]) => toAccount(id, entry))
  const known = {
    tags: new Map(tags.map((tag) => [tagName(tag), tag])),
    // What is wrong with a tag itself is told there.
    tagNames: new Set([...tags.map(tagName), ...tagNamesOf(file)]),
    // Without authentication everybody is called that.
    keyNames: new Set(apiKeys.length === 0 ? ['default'] : apiKeys.map(({ name }) => name))
  }
  problems.push(
    ...accounts.flatMap((account) => accountProblems(account, known)),
    ...sharedKeys(accounts)
  )
  return accounts
}

function toAccount(id: string, entry: Static<typeof AccountEntry>): AgentAccount {
  const { name, brand, operator, tags, keys, requireConsentBasis = false, sandbox = false } = entry
  return {
    id,
    name: name.trim(),
    brand: { domain: brand.domain.toLowerCase(), brandId: brand.brand_id },
    operator: operator.toLowerCase(),
    tags,
    keys,
    requireConsentBasis,
    sandbox
  }
}

interface Known {
  readonly tags: ReadonlyMap<string, Tag>
  readonly tagNames: ReadonlySet<string>
  readonly keyNames: ReadonlySet<string>
}

function accountProblems({ id, tags, keys = [] }: AgentAccount, known: Known): string[] {
  const path = `accounts.${id}`
  const places = tags.map((name) => placeOf(known.tags.get(name)) ?? name)
  return [
    ...(ACCOUNT_ID.test(id)
      ? []
      : [`${path}: an id is made of letters, digits and _ . : / - within`]),
    ...tags.flatMap((name, index) =>
      known.tagNames.has(name) ? [] : [`${path}.tags.${index}: no such tag is configured`]
    ),
    ...keys.flatMap((name, index) =>
      known.keyNames.has(name) ? [] : [`${path}.keys.${index}: no API key has this name`]
    ),
    ...(new Set(places).size < places.length
      ? [`${path}.tags: two of them are one account at one platform`]
      : [])
  ]
}

const tagName = ({ provider, name }: Tag) => `${provider.name}/${name}`

function tagNamesOf({ providers = {} }: ConfigFile): string[] {
  return Object.entries(providers).flatMap(([provider, tags]) =>
    Object.keys(tags).map((tag) => `${provider}/${tag}`)
  )
}

/** The account at its platform. Audiences have one segment in it, not one for each tag. */
function placeOf(tag: Tag | undefined): string | undefined {
  return tag && `${tag.provider.name} ${tag.provider.accountId(tag.variables)}`
}

/** An agent names an account by all of these together. */
function sharedKeys(accounts: readonly AgentAccount[]): string[] {
  const keyOf = ({ brand, operator, sandbox }: AgentAccount) =>
    JSON.stringify([brand.domain, brand.brandId, operator, sandbox])
  const byKey = Map.groupBy(accounts, keyOf)
  return [...byKey.values()]
    .filter((same) => same.length > 1)
    .map((same) => {
      const paths = same.map(({ id }) => `accounts.${id}`).join(', ')
      return `${paths}: have the same brand, operator and sandbox`
    })
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

function substituteText(text: string, env: Environment, path: string, problems: string[]): string {
  return text.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_all, name: string) => {
    const found = env[name]
    if (found === undefined || found === '') {
      problems.push(`${path}: the environment has no ${name}`)
      return 'missing'
    }
    return found
  })
}

/** Replaces each `${NAME}` in the texts of a configuration by the environment's value. */
function substitute(value: unknown, env: Environment, path: string, problems: string[]): unknown {
  if (typeof value === 'string') return substituteText(value, env, path, problems)
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
  const names = tags.map(tagName)
  const repeated = new Set(names.filter((name, index) => names.indexOf(name) !== index))
  return [...repeated].map((name) => `${name}: configured in the file and in the environment`)
}
