import { hash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inAudience } from '../../providers/tiktok/encode.ts'
import { createMembers, type MatchForm, type Members } from '../../src/audience/members.ts'
import { checkUsers, readUsers } from '../../src/audience/parse-users.ts'
import type { FieldCount } from '../../src/audience/report.ts'
import { type EncodeTarget, encodeUsers } from '../../src/dispatch/worker.ts'
import { seal } from '../../src/store/sealing.ts'
import { dirtyUsers } from './dirty-users.ts'

/**
 * What becomes of hostile users, in short: SHA-256 of all columns and bodies. `test/audience/golden.json`
 * keeps it from before; who means to change a result writes it anew and explains each difference:
 *
 *     npx node test/support/golden.ts
 */

/** How many users, and the default countries for those without one. */
const CASES = {
  5000: ['Deutschland'],
  100000: [undefined, 'Deutschland']
} as const
export type Count = keyof typeof CASES

const FORMS: readonly MatchForm[] = [
  'email',
  'emailStripped',
  'phoneE164',
  'phoneDigits',
  'firstName',
  'lastName',
  'country',
  'postalCode',
  'postalCodeFull'
]
const FIELDS = ['email', 'phone', 'firstName', 'lastName', 'country', 'postalCode'] as const

const facebook = (variables: object) => ({
  provider: 'facebook',
  variables: {
    batchSize: 10_000,
    ukPostalCode: 'sector',
    dataProcessingOptionsCountry: 0,
    dataProcessingOptionsState: 0,
    ...variables
  }
})
const tiktok = (variables: object) => ({
  provider: 'tiktok',
  variables: {
    route: 'stream',
    phoneForm: 'e164',
    emailForm: 'plain',
    batchSize: 1000,
    ...variables
  }
})
const klaviyo = (...profileFields: readonly string[]) => ({
  provider: 'klaviyo',
  variables: { profileFields }
})

const BOTH_FORMS = { emailForm: 'both', phoneForm: 'both' }

/** Every variable that changes bodies, alone and with others. */
const TARGETS: Readonly<Record<string, Pick<EncodeTarget, 'provider' | 'variables'>>> = {
  facebook: facebook({}),
  'facebook, whole British postcodes, 999 a body': facebook({
    ukPostalCode: 'full',
    batchSize: 999
  }),
  'facebook, profit in USD': facebook({ valueBased: { field: 'profit', currency: 'USD' } }),
  'facebook, limited data use': facebook({ dataProcessingOptions: ['LDU'] }),
  'facebook, total7Days in EUR, limited data use in California, 1 a body': facebook({
    valueBased: { field: 'total7Days', currency: 'EUR' },
    dataProcessingOptions: ['LDU'],
    dataProcessingOptionsCountry: 1,
    dataProcessingOptionsState: 1000,
    batchSize: 1
  }),
  tiktok: tiktok({}),
  'tiktok, stripped addresses': tiktok({ emailForm: 'strip_plus_and_dots' }),
  'tiktok, digits': tiktok({ phoneForm: 'digits' }),
  'tiktok, both addresses': tiktok({ emailForm: 'both', batchSize: 7 }),
  'tiktok, both numbers': tiktok({ phoneForm: 'both', batchSize: 2 }),
  'tiktok, both of both': tiktok(BOTH_FORMS),
  'tiktok, both of both, 1 a body': tiktok({ ...BOTH_FORMS, batchSize: 1 }),
  'tiktok file': tiktok({ route: 'file' }),
  'tiktok file, stripped addresses, digits': tiktok({
    route: 'file',
    emailForm: 'strip_plus_and_dots',
    phoneForm: 'digits'
  }),
  'tiktok file, both of both': tiktok({ route: 'file', ...BOTH_FORMS }),
  klaviyo: klaviyo('names'),
  'klaviyo, no further fields': klaviyo(),
  'klaviyo, location': klaviyo('location'),
  'klaviyo, purchase and edgeTagId': klaviyo('purchase', 'edgeTagId'),
  'klaviyo, externalId': klaviyo('externalId'),
  'klaviyo, all fields': klaviyo('names', 'location', 'purchase', 'edgeTagId', 'externalId')
}

const audience = {
  segmentName: 'blotout_golden',
  type: 'custom',
  mode: 'add',
  sessionId: 1,
  sequence: 1,
  totalBatches: 1,
  totalUsers: 1
} as const
const keys = [new Uint8Array(32).fill(7)] as const

const sha256 = (data: string | Uint8Array) => hash('sha256', data)
const sha256OfAll = (values: readonly unknown[]) => sha256(JSON.stringify(values))

/** Every column of a part, by its name. */
function columnsOf(members: Members): Readonly<Record<string, readonly unknown[]>> {
  const purchases = members.purchases().map((bought) =>
    bought.map(({ currency, profit, total7Days }) => [
      currency ?? '',
      // JSON has no -0 and no Infinity.
      String(profit ?? ''),
      String(total7Days ?? '')
    ])
  )
  return {
    ...Object.fromEntries([
      ...FORMS.map((form) => [`text ${form}`, members.text(form)]),
      ...FORMS.map((form) => [`hash ${form}`, members.hash(form)]),
      ...FIELDS.map((field) => [`given ${field}`, members.given(field)])
    ]),
    'phone regions': members.phoneRegions(),
    'external ids': members.externalIds(),
    'plain first names': members.plainNames('firstName'),
    'plain last names': members.plainNames('lastName'),
    countries: members.countries(),
    'plain postal codes': members.plainPostalCodes(),
    purchases
  }
}

function columns(users: Uint8Array, defaultCountry: string | undefined) {
  const toMembers = createMembers({ defaultCountry })
  const whole = new Map<string, unknown[]>()
  const read = readUsers(users, { maxUsers: Number.MAX_SAFE_INTEGER }, (part) => {
    for (const [name, column] of Object.entries(columnsOf(toMembers(part)))) {
      whole.set(name, [...(whole.get(name) ?? []), ...column])
    }
  })
  if ('problem' in read) throw new Error(read.problem)
  return Object.fromEntries([...whole].map(([name, column]) => [name, sha256OfAll(column)]))
}

/** A body as it is sent, but for what frames it. */
function sent(
  { provider, variables }: Pick<EncodeTarget, 'provider' | 'variables'>,
  payload: Uint8Array
): string {
  const text = new TextDecoder().decode(payload)
  const isStreamed = provider === 'tiktok' && variables['route'] === 'stream'
  return isStreamed ? inAudience(text, '@AUDIENCE_ID@') : text
}

function bodies(users: Uint8Array<ArrayBuffer>, defaultCountry: string | undefined) {
  const outcome = encodeUsers({
    sealed: seal(users, 'golden', keys),
    contentHash: 'golden',
    keys,
    defaultCountry,
    targets: Object.values(TARGETS).map((target) => ({ ...target, audience }))
  })
  if ('unreadable' in outcome) throw new Error(outcome.unreadable)
  const targets = Object.entries(TARGETS)
  const encodings = outcome.encodings.map((encoding, index) => {
    const [name, target] = targets[index] ?? []
    if (name === undefined || target === undefined) throw new Error('no target')
    if ('stack' in encoding) return [name, encoding]
    const { bodies: made, leftOut, notes } = encoding
    const hashes = made.map((body) => [body.users, sha256(sent(target, body.payload))])
    const summary = {
      bodies: made.length,
      users: made.reduce((sum, body) => sum + body.users, 0),
      sha256: sha256OfAll(hashes),
      leftOut,
      notes
    }
    return [name, summary]
  })
  const report = Object.fromEntries(FIELDS.map((field) => [field, counts(outcome.report[field])]))
  return { report, ...Object.fromEntries(encodings) }
}

/** Why values cannot be used is the matter of other tests. */
function counts({ given, usable, unusable, hashed }: FieldCount) {
  return { given, usable, unusable, hashed }
}

/** What becomes of so many dirty users, each part under its name. */
export function golden(count: Count) {
  const users = dirtyUsers(count)
  const read = checkUsers(users, { maxUsers: count })
  if ('problem' in read) throw new Error(read.problem)
  const parts: Record<string, unknown> = {
    // If this differs, it is the generator that changed.
    users: sha256(users),
    count: read.count,
    ignoredFields: Object.entries(read.ignoredFields).map(([name, times]) => `${name}: ${times}`)
  }
  for (const defaultCountry of CASES[count]) {
    parts[`default country ${defaultCountry ?? 'none'}`] = {
      columns: columns(users, defaultCountry),
      ...bodies(users, defaultCountry)
    }
  }
  return parts
}

if (import.meta.main) {
  const file = join(import.meta.dirname, '../audience/golden.json')
  const all = { 5000: golden(5000), 100000: golden(100_000) }
  writeFileSync(file, `${JSON.stringify(all, null, 2)}\n`)
}
