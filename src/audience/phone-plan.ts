import metadata from 'libphonenumber-js/max/metadata'

/**
 * The numbering plans of libphonenumber-js's metadata with patterns that are compiled once. The
 * library itself compiles each of them anew for each number.
 *
 * @see https://gitlab.com/catamphetamine/libphonenumber-js/-/blob/master/METADATA.md
 */

/** Alternatives of digits in their order, or a pattern anchored at the start. */
export type Prefix = readonly string[] | RegExp

/** Where the metadata keeps what, see `source/metadata.js` of libphonenumber-js. */
const CALLING_CODE = 0
const EXIT_PREFIX = 1
const GENERAL_PATTERN = 2
const LENGTHS = 3
const TRUNK_PREFIX = 5
const TRUNK_PREFIX_FOR_PARSING = 7
const TRUNK_PREFIX_TRANSFORM = 8
const LEADING_DIGITS = 10
const TYPES = 11
const TYPE_PATTERN = 0
const TYPE_LENGTHS = 1

const ROWS = new Map<string, readonly unknown[]>(Object.entries(metadata.countries))
const REGIONS = new Map<string, readonly string[]>([
  ...Object.keys(metadata.nonGeographic).map((code) => [code, []] as const),
  ...Object.entries(metadata.country_calling_codes)
])

const LITERALS = /^[\d|]*$/

/** What the metadata leaves out is 0 there. */
function textAt(row: readonly unknown[], index: number): string {
  const value = row[index]
  return typeof value === 'string' ? value : ''
}

function listAt(row: readonly unknown[], index: number): readonly unknown[] {
  const value = row[index]
  return Array.isArray(value) ? value : []
}

function lengthsAt(row: readonly unknown[], index: number): number[] {
  return listAt(row, index).filter((length) => typeof length === 'number')
}

function prefixOf(pattern: string): Prefix {
  if (pattern === '') return []
  return LITERALS.test(pattern) ? pattern.split('|') : new RegExp(`^(?:${pattern})`)
}

/** Matches nothing. */
const NEVER = /(?!)/

/**
 * Valid numbers of one length, behind `before`: those that the plan has a type for (mobile, toll
 * free…), as `isValid()` asks for.
 */
function validPattern(row: readonly unknown[], length: number, before: string): RegExp {
  const lengthsOfPlan = lengthsAt(row, LENGTHS)
  const types: string[] = []
  for (const type of listAt(row, TYPES)) {
    if (!Array.isArray(type)) continue
    const ownLengths = lengthsAt(type, TYPE_LENGTHS)
    const lengths = ownLengths.length > 0 ? ownLengths : lengthsOfPlan
    const pattern = textAt(type, TYPE_PATTERN)
    if (pattern !== '' && lengths.includes(length)) types.push(pattern)
  }
  if (types.length === 0) return NEVER
  return new RegExp(`^${before}(?=(?:${textAt(row, GENERAL_PATTERN)})$)(?:${types.join('|')})$`)
}

/** How the numbers of one region are written and told from others. */
export class Plan {
  /** ISO 3166-1 alpha-2; `''` for numbers of no country (+800). */
  readonly region: string
  readonly callingCode: CallingCode
  /** Dialled before numbers of other countries: `00`, `011`. */
  readonly exitPrefix: Prefix
  /** Dialled before national numbers: `0`; none if empty. */
  readonly trunkPrefix: Prefix
  /** What stands in for the trunk prefix, with its groups (`9$1`); `''` if nothing does. */
  readonly transform: string
  /** Of national numbers, ascending. */
  readonly lengths: readonly number[]
  /** Necessary of a national number without trunk prefix. */
  readonly general: RegExp
  /** Where regions share a calling code: its first digits in this one; `undefined` if not told. */
  readonly leading: RegExp | undefined
  readonly #row: readonly unknown[]
  /** What stands before the national number in E.164. */
  readonly #beforeE164: string
  /** By length, made when first asked for: together they would be slow. */
  readonly #valid: RegExp[] = []
  readonly #e164: RegExp[] = []

  constructor(region: string, callingCode: CallingCode, row: readonly unknown[]) {
    const leadingDigits = textAt(row, LEADING_DIGITS)
    const trunkPrefix = textAt(row, TRUNK_PREFIX_FOR_PARSING) || textAt(row, TRUNK_PREFIX)
    const withoutTrunkPrefix = trunkPrefix === '' ? '' : `(?!${trunkPrefix})`
    this.region = region
    this.callingCode = callingCode
    this.exitPrefix = prefixOf(textAt(row, EXIT_PREFIX))
    this.trunkPrefix = prefixOf(trunkPrefix)
    this.transform = textAt(row, TRUNK_PREFIX_TRANSFORM)
    this.lengths = lengthsAt(row, LENGTHS)
    this.general = new RegExp(`^(?:${textAt(row, GENERAL_PATTERN)})$`)
    this.leading = leadingDigits === '' ? undefined : new RegExp(`^(?:${leadingDigits})`)
    this.#row = row
    this.#beforeE164 = `\\+${callingCode.code}${withoutTrunkPrefix}(?=${leadingDigits})`
  }

  /** A national number without trunk prefix. */
  isValid(number: string): boolean {
    const pattern = (this.#valid[number.length] ??= validPattern(this.#row, number.length, ''))
    return pattern.test(number)
  }

  /** Text as it is: a valid number of which nothing could be taken for a trunk prefix. */
  isE164(text: string): boolean {
    const length = text.length - 1 - this.callingCode.code.length
    const pattern = (this.#e164[length] ??= validPattern(this.#row, length, this.#beforeE164))
    return pattern.test(text)
  }

  owns(number: string): boolean {
    return this.leading ? this.leading.test(number) : this.isValid(number)
  }
}

/** Plans of which one may own a number. */
interface Choice {
  readonly plans: readonly Plan[]
  /** Of the first digits; none where the plan itself has to tell. */
  readonly leading: RegExp | undefined
}

/**
 * Neighbours with leading digits become one choice, so that one look passes by the dozens of regions
 * of +1 that have an area code each.
 */
function choicesOf(plans: readonly Plan[]): Choice[] {
  const choices: Plan[][] = []
  for (const plan of plans) {
    const before = choices.at(-1)
    if (plan.leading && before?.[0]?.leading) before.push(plan)
    else choices.push([plan])
  }
  return choices.map((neighbours) => {
    const sources = neighbours.flatMap(({ leading }) => leading?.source ?? [])
    return {
      plans: neighbours,
      leading: sources.length > 0 ? new RegExp(sources.join('|')) : undefined
    }
  })
}

/** The plans that share a calling code. */
export class CallingCode {
  readonly code: string
  /** By several regions: `+1` by those of North America and the Caribbean. */
  readonly isShared: boolean
  /** Its first region's, or that of a number of no country (+800). */
  readonly main: Plan
  readonly #plans: readonly Plan[]
  readonly #choices: readonly Choice[]

  constructor(code: string, regions: readonly string[]) {
    this.code = code
    this.isShared = regions.length > 1
    this.#plans = regions.map((region) => new Plan(region, this, ROWS.get(region) ?? []))
    this.main = this.#plans[0] ?? new Plan('', this, metadata.nonGeographic[code] ?? [])
    this.#choices = this.isShared ? choicesOf(this.#plans) : []
  }

  plan(region: string): Plan | undefined {
    return this.#plans.find((plan) => plan.region === region)
  }

  /** Whose number it is, valid or not; `undefined` if no region's that shares the calling code. */
  owner(nationalNumber: string): Plan | undefined {
    if (!this.isShared) return this.#plans[0]
    for (const { plans, leading } of this.#choices) {
      if (leading && !leading.test(nationalNumber)) continue
      for (const plan of plans) if (plan.owns(nationalNumber)) return plan
    }
    return undefined
  }
}

const MAX_CALLING_CODE = 3
/** By number; made when first asked for. */
const callingCodes: (CallingCode | undefined)[] = Array.from({ length: 1000 })
const isCallingCode = new Uint8Array(1000)
for (const code of REGIONS.keys()) isCallingCode[Number(code)] = 1

function callingCodeOf(code: number): CallingCode | undefined {
  const known = callingCodes[code]
  if (known || isCallingCode[code] !== 1) return known
  const made = new CallingCode(String(code), REGIONS.get(String(code)) ?? [])
  callingCodes[code] = made
  return made
}

const DIGIT_ZERO = 48

/** The one that a number begins with at `from`; none begins with a zero. */
export function callingCodeAt(number: string, from: number): CallingCode | undefined {
  const end = Math.min(number.length, from + MAX_CALLING_CODE)
  let code = 0
  for (let i = from; i < end; i++) {
    const digit = number.charCodeAt(i) - DIGIT_ZERO
    if (digit < 0 || digit > 9) return undefined
    code = code * 10 + digit
    if (code === 0) return undefined
    const found = callingCodeOf(code)
    if (found) return found
  }
  return undefined
}

const plans = new Map<string, Plan>()

/** Of a region, ISO 3166-1 alpha-2; `undefined` if libphonenumber has none. */
export function planOf(region: string): Plan | undefined {
  const known = plans.get(region)
  if (known) return known
  const row = ROWS.get(region)
  if (!row) return undefined
  const made = callingCodeOf(Number(textAt(row, CALLING_CODE)))?.plan(region)
  if (made) plans.set(region, made)
  return made
}
