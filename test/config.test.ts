import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { providers } from '../providers/registry.ts'
import { ConfigError, loadConfig } from '../src/config.ts'

const SECRET = 'EAAB-very-secret-token'

/** A configuration file in the test's own folder. */
function file(t: Test, content: unknown): string {
  const path = join(t.testdir(), 'config.json')
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env, providers)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

test('without anything set the defaults of the documentation hold', (t) => {
  t.same(loadConfig({}, providers), {
    host: '127.0.0.1',
    port: 8080,
    logLevel: 'info',
    apiKeys: [],
    allowedHosts: [],
    maxBodyBytes: 67_108_864,
    maxUsers: 100_000,
    syncTimeoutMs: 50_000,
    segmentPrefix: 'blotout_',
    defaultCountry: undefined,
    dedupHours: 24,
    retryHours: 24,
    platformTimeoutMs: 60_000,
    databaseUrl: 'sqlite:./data/audience.db',
    encryptionKeys: [],
    retentionDays: 7,
    maxBacklog: 100_000,
    drainMs: 5_000,
    webhooks: [],
    webhookPrivateAddresses: false,
    publicUrl: undefined,
    adcpDiscoveryPerMinute: 60,
    adcpStatusMinutes: 15,
    tags: [],
    accounts: undefined
  })
  t.end()
})

test('one tag per platform comes from the environment alone', (t) => {
  const { tags } = loadConfig(
    {
      FACEBOOK_ACCESS_TOKEN: SECRET,
      FACEBOOK_AD_ACCOUNT_ID: '1234567890',
      FACEBOOK_BASE_URL: 'http://127.0.0.1:9101',
      FACEBOOK_DATA_PROCESSING_OPTIONS: 'LDU',
      FACEBOOK_DATA_PROCESSING_OPTIONS_COUNTRY: '1',
      FACEBOOK_DATA_PROCESSING_OPTIONS_STATE: '1000',
      FACEBOOK_VALUE_BASED: '{"field":"profit","currency":"EUR"}',
      KLAVIYO_API_KEY: SECRET,
      KLAVIYO_PROFILE_FIELDS: 'names, location',
      TIKTOK_ACCESS_TOKEN: '',
      PATH: '/usr/bin'
    },
    providers
  )
  t.match(
    tags.map(({ provider, name, variables }) => [provider.name, name, variables]),
    [
      [
        'facebook',
        'default',
        {
          accessToken: SECRET,
          adAccountId: '1234567890',
          apiVersion: 'v26.0',
          baseUrl: 'http://127.0.0.1:9101',
          dataProcessingOptions: ['LDU'],
          dataProcessingOptionsCountry: 1,
          dataProcessingOptionsState: 1000,
          valueBased: { field: 'profit', currency: 'EUR' }
        }
      ],
      ['klaviyo', 'default', { apiKey: SECRET, profileFields: ['names', 'location'] }]
    ]
  )
  t.end()
})

test('several tags come from a file, secrets in it from the environment', (t) => {
  const path = file(t, {
    providers: {
      facebook: {
        'eu-shop': { accessToken: '${FB_EU}', adAccountId: '1' },
        'us-shop': { accessToken: 'Bearer-${FB_US}-x', adAccountId: '2' }
      }
    }
  })
  const { tags } = loadConfig({ AUDIENCE_CONFIG: path, FB_EU: 'e', FB_US: 'u' }, providers)
  t.match(
    tags.map(({ name, variables }) => [name, variables]),
    [
      ['eu-shop', { accessToken: 'e', adAccountId: '1' }],
      ['us-shop', { accessToken: 'Bearer-u-x', adAccountId: '2' }]
    ]
  )
  t.end()
})

test('every problem is listed at once, by its place, without a secret', (t) => {
  const path = file(t, {
    providers: {
      facebook: {
        'eu-shop': { accessToken: '${FB_EU}', adAccountId: SECRET, apiVersoin: 'v1' },
        default: { accessToken: SECRET, adAccountId: '1' },
        'no good': { accessToken: SECRET, adAccountId: '1' }
      },
      myspace: { a: {} }
    }
  })
  const problems = problemsOf({
    AUDIENCE_CONFIG: path,
    FACEBOOK_ACCESS_TOKEN: SECRET,
    FACEBOOK_AD_ACCOUNT_ID: '1',
    KLAVIYO_REVISION: '2026-07-15',
    HOST: '0.0.0.0',
    PORT: 'eighty',
    LOG_LEVEL: 'loud',
    AUDIENCE_MAX_USERS: '0',
    AUDIENCE_API_KEYS: `crm:short,a b:${SECRET}`,
    AUDIENCE_DEFAULT_COUNTRY: 'Narnia'
  })
  t.match(problems.toSorted(), [
    'AUDIENCE_API_KEYS: a name is not made of letters and digits',
    'AUDIENCE_API_KEYS: the key named crm must have 16 or more of A-Z a-z 0-9 - . _ ~ + /',
    'AUDIENCE_DEFAULT_COUNTRY: must be an ISO 3166-1 alpha-2 code',
    'AUDIENCE_MAX_USERS: must be >= 1',
    'KLAVIYO_API_KEY: is missing',
    'LOG_LEVEL: must be one of trace, debug, info, warn, error, fatal, silent',
    'PORT: must be integer',
    'facebook/default: configured in the file and in the environment',
    'providers.facebook.eu-shop.accessToken: the environment has no FB_EU',
    /^providers\.facebook\.eu-shop\.adAccountId: must match pattern/,
    'providers.facebook.eu-shop.apiVersoin: is not known here',
    "providers.facebook.no good: a tag's name is made of letters, digits, - and _",
    `providers.myspace: unknown provider (known: ${providers.map(({ name }) => name).join(', ')})`
  ])
  t.equal(problems.length, 13)
  t.notMatch(problems.join('\n'), SECRET)
  t.end()
})

test('an address of a platform that is none is a problem of its own', (t) => {
  const facebook = { FACEBOOK_ACCESS_TOKEN: 'x', FACEBOOK_AD_ACCOUNT_ID: '1' }
  t.same(problemsOf({ ...facebook, FACEBOOK_BASE_URL: 'http://h:99999' }), [
    'FACEBOOK_*: baseUrl is no address'
  ])
  t.match(problemsOf({ ...facebook, FACEBOOK_BASE_URL: 'http://h/path' }), [
    /^FACEBOOK_BASE_URL: must/
  ])
  t.match(problemsOf({ ...facebook, FACEBOOK_ACCESS_TOKEN: 'x\n' }), [
    /^FACEBOOK_ACCESS_TOKEN: must/
  ])
  t.end()
})

test('a service that others can reach needs API keys, unless told otherwise', (t) => {
  t.match(problemsOf({ HOST: '0.0.0.0' }), [/^AUDIENCE_API_KEYS: required because HOST is not/])
  t.same(problemsOf({ HOST: '0.0.0.0', AUDIENCE_AUTH: 'off' }), [])
  t.same(problemsOf({ HOST: '::1' }), [])
  const { apiKeys } = loadConfig(
    { HOST: '0.0.0.0', AUDIENCE_API_KEYS: 'crm:0123456789abcdef, 0123456789ABCDEF' },
    providers
  )
  t.same(apiKeys, [
    { name: 'crm', key: '0123456789abcdef' },
    { name: 'default', key: '0123456789ABCDEF' }
  ])
  t.end()
})

const KEY = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8='

test('PostgreSQL needs an encryption key, and several are read in their order', (t) => {
  const DATABASE_URL = 'postgres://audience@db/audience'
  t.same(problemsOf({ DATABASE_URL }), [
    'AUDIENCE_ENCRYPTION_KEY: required because DATABASE_URL names PostgreSQL'
  ])
  for (const wrong of ['secret', KEY.slice(4), `${KEY},c2hvcnQ=`, `${KEY.slice(0, -1)}!`]) {
    t.same(problemsOf({ AUDIENCE_ENCRYPTION_KEY: wrong }), [
      'AUDIENCE_ENCRYPTION_KEY: each key must be 32 bytes in base64'
    ])
  }
  const zeros = `${'A'.repeat(43)}=`
  const env = { DATABASE_URL, AUDIENCE_ENCRYPTION_KEY: `${KEY}, ${zeros}` }
  const { databaseUrl, encryptionKeys } = loadConfig(env, providers)
  t.equal(databaseUrl, DATABASE_URL)
  t.same(
    encryptionKeys.map((key) => [...key]),
    [Array.from({ length: 32 }, (_, index) => index), Array.from({ length: 32 }, () => 0)]
  )
  t.match(problemsOf({ DATABASE_URL: 'mysql://db' }), [/^DATABASE_URL: must match pattern/])
  t.end()
})

test('webhooks come from the file, with secrets from the environment', (t) => {
  const secret = `whsec_${KEY}`
  const webhooks = [{ url: 'https://hooks.example/audience?token=1', secret: '${HOOK}' }]
  const AUDIENCE_CONFIG = file(t, { webhooks })
  t.same(loadConfig({ AUDIENCE_CONFIG, HOOK: secret }, providers).webhooks, [
    { id: 'f51398ae10c9d5c5', url: 'https://hooks.example/audience?token=1', secret }
  ])
  t.same(problemsOf({ AUDIENCE_CONFIG, HOOK: 'whsec_dG9vIHNob3J0' }), [
    'webhooks.0.secret: must be whsec_ and 24 to 64 bytes in base64'
  ])
  t.same(problemsOf({ AUDIENCE_CONFIG, HOOK: `${secret}, ${secret}` }), [])
  t.same(problemsOf({ AUDIENCE_CONFIG, HOOK: KEY }), [
    'webhooks.0.secret: must be whsec_ and 24 to 64 bytes in base64'
  ])
  t.ok(problemsOf({ AUDIENCE_CONFIG }).includes('webhooks.0: the environment has no HOOK'))
  const withPassword = { url: 'https://me:mine@hooks.example', secret }
  t.same(problemsOf({ AUDIENCE_CONFIG: file(t, { webhooks: [withPassword] }) }), [
    'webhooks.0.url: must have no user name and password'
  ])
  t.end()
})

test('webhooks go over TLS and to each address once, unless private ones are allowed', (t) => {
  const secret = `whsec_${KEY}`
  const local = { url: 'http://127.0.0.1:3000/hook', secret }
  const env = { AUDIENCE_CONFIG: file(t, { webhooks: [local] }) }
  t.same(problemsOf(env), ['webhooks.0.url: must be an https address'])
  t.same(problemsOf({ ...env, AUDIENCE_WEBHOOK_PRIVATE_ADDRESSES: 'allow' }), [])
  const twice = { url: 'https://hooks.example/a', secret }
  t.same(problemsOf({ AUDIENCE_CONFIG: file(t, { webhooks: [twice, twice] }) }), [
    'webhooks: an address is there twice'
  ])
  t.match(problemsOf({ AUDIENCE_CONFIG: file(t, { webhooks: [{ url: 'https://a.example' }] }) }), [
    'webhooks.0.secret: is missing'
  ])
  t.end()
})

const SHOPS = {
  facebook: { 'eu-shop': { accessToken: SECRET, adAccountId: '1' } },
  tiktok: { 'eu-shop': { accessToken: SECRET, advertiserId: '7' } }
}
const ACCOUNT = {
  name: ' Veloheim EU ',
  brand: { domain: 'Veloheim.example' },
  operator: 'nordlicht.EXAMPLE',
  tags: ['facebook/eu-shop', 'tiktok/eu-shop']
}

test('accounts of agents come from the file', (t) => {
  const further = {
    brand: { domain: 'veloheim.example', brand_id: 'kids' },
    tags: ['tiktok/eu-shop'],
    keys: ['agent'],
    requireConsentBasis: true,
    sandbox: true
  }
  const accounts = { acct_12345: ACCOUNT, 'tiktok/eu-shop': { ...ACCOUNT, ...further } }
  const AUDIENCE_CONFIG = file(t, { providers: SHOPS, accounts })
  const config = loadConfig({ AUDIENCE_CONFIG, AUDIENCE_API_KEYS: `agent:${SECRET}` }, providers)
  t.same(config.accounts, [
    {
      id: 'acct_12345',
      name: 'Veloheim EU',
      brand: { domain: 'veloheim.example', brandId: undefined },
      operator: 'nordlicht.example',
      tags: ['facebook/eu-shop', 'tiktok/eu-shop'],
      keys: undefined,
      requireConsentBasis: false,
      sandbox: false
    },
    {
      id: 'tiktok/eu-shop',
      name: 'Veloheim EU',
      brand: { domain: 'veloheim.example', brandId: 'kids' },
      operator: 'nordlicht.example',
      tags: ['tiktok/eu-shop'],
      keys: ['agent'],
      requireConsentBasis: true,
      sandbox: true
    }
  ])
  t.end()
})

test('what is wrong with an account is told by its place', (t) => {
  const withAccounts = (accounts: unknown) => ({
    AUDIENCE_CONFIG: file(t, { providers: SHOPS, accounts })
  })
  t.same(
    problemsOf(
      withAccounts({
        'no good': { ...ACCOUNT, tags: ['facebook/eu-shop', 'facebook/us-shop'], keys: ['crm'] },
        b: { ...ACCOUNT, tags: ['tiktok/eu-shop', 'tiktok/eu-shop'] },
        c: { ...ACCOUNT, brand: { domain: 'other.example' }, keys: ['default'] }
      })
    ),
    [
      'accounts.no good: an id is made of letters, digits and _ . : / - within',
      'accounts.no good.tags.1: no such tag is configured',
      'accounts.no good.keys.0: no API key has this name',
      'accounts.b.tags: two of them are one account at one platform',
      'accounts.no good, accounts.b: have the same brand, operator and sandbox'
    ]
  )
  const wrongKey = { brand: { domain: 'not a domain', brand_id: 'Kids' }, operator: '' }
  t.match(problemsOf(withAccounts({ 'a/b': { ...ACCOUNT, ...wrongKey } })), [
    /^accounts\.a\/b\.brand\.domain: must match pattern/,
    /^accounts\.a\/b\.brand\.brand_id: must match pattern/,
    /^accounts\.a\/b\.operator: must match pattern/
  ])
  t.match(problemsOf(withAccounts({ c: { name: ' ', tags: [], sandbox: 'yes', more: 1 } })), [
    'accounts.c.brand: is missing',
    'accounts.c.operator: is missing',
    'accounts.c.more: is not known here',
    /^accounts\.c\.name: must match pattern/,
    'accounts.c.tags: must not have fewer than 1 items',
    'accounts.c.sandbox: must be boolean'
  ])
  t.end()
})

test('two tags of one account at a platform are not two places for an audience', (t) => {
  const twice = { ...SHOPS.facebook, 'eu-again': { accessToken: 'other', adAccountId: '1' } }
  const accounts = { a: { ...ACCOUNT, tags: ['facebook/eu-shop', 'facebook/eu-again'] } }
  const AUDIENCE_CONFIG = file(t, { providers: { facebook: twice }, accounts })
  t.same(problemsOf({ AUDIENCE_CONFIG }), [
    'accounts.a.tags: two of them are one account at one platform'
  ])
  t.end()
})

test('the public address is one, with or without a path', (t) => {
  const urlOf = (AUDIENCE_PUBLIC_URL: string) =>
    loadConfig({ AUDIENCE_PUBLIC_URL }, providers).publicUrl
  t.equal(urlOf('https://audience.example/'), 'https://audience.example')
  t.equal(urlOf('https://audience.example/v1/'), 'https://audience.example/v1')
  for (const wrong of ['audience.example', 'https://me@audience.example', 'https://a/?b=1']) {
    t.match(problemsOf({ AUDIENCE_PUBLIC_URL: wrong }), [/^AUDIENCE_PUBLIC_URL: must match/])
  }
  t.same(problemsOf({ AUDIENCE_PUBLIC_URL: 'https://audience.example:99999' }), [
    'AUDIENCE_PUBLIC_URL: is no address'
  ])
  t.end()
})

test('a file that cannot be used is a problem, a missing default file is none', (t) => {
  t.same(problemsOf({ AUDIENCE_CONFIG: '/nowhere/config.json' }), [
    'AUDIENCE_CONFIG: the file cannot be read'
  ])
  const problems = problemsOf({ AUDIENCE_CONFIG: file(t, `{"secret": "${SECRET}"`) })
  t.same(problems, ['AUDIENCE_CONFIG: the file is not JSON'])
  t.match(problemsOf({ AUDIENCE_CONFIG: file(t, { provider: {} }) }), [
    'provider: is not known here'
  ])
  t.end()
})
