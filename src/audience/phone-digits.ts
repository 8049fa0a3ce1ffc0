import { callingCodeAt, type Plan, type Prefix } from './phone-plan.ts'

/**
 * Which number digits are, decided as libphonenumber-js's `parsePhoneNumberFromString()` and
 * `isValid()` decide it. That is the reference: test/audience/phone-differential.test.ts compares.
 */

export interface Phone {
  /** `+4915112345678` */
  readonly e164: string
  /** ISO 3166-1 alpha-2 region that the number belongs to; `''` for those of no country (+800). */
  readonly region: string
}

const DIGIT_ZERO = 48

/** As many as its `VALID_PHONE_NUMBER` asks for behind a plus. */
const MIN_DIGITS = 3
/** Its bounds of a national number. */
const MIN_LENGTH = 2
const MAX_LENGTH = 17

/** `startsWith()`, which is slow for so short a text. */
export function beginsWith(text: string, prefix: string): boolean {
  if (text.length < prefix.length) return false
  for (let i = 0; i < prefix.length; i++) {
    if (text.charCodeAt(i) !== prefix.charCodeAt(i)) return false
  }
  return true
}

function literalLength(number: string, prefixes: readonly string[]): number {
  for (const prefix of prefixes) if (beginsWith(number, prefix)) return prefix.length
  return 0
}

/** How many digits of the number the prefix takes, 0 if it does not begin with it. */
function prefixLength(number: string, prefix: Prefix): number {
  if (!(prefix instanceof RegExp)) return literalLength(number, prefix)
  return prefix.exec(number)?.[0].length ?? 0
}

/** Without what looks like a trunk prefix, and with what stands in for it. */
function withoutTrunkPrefix(number: string, { trunkPrefix, transform }: Plan): string {
  if (!(trunkPrefix instanceof RegExp)) return number.slice(literalLength(number, trunkPrefix))
  const match = trunkPrefix.exec(number)
  if (!match) return number
  const isTransformed = transform !== '' && match.length > 1 && match.at(-1)
  return isTransformed ? number.replace(trunkPrefix, transform) : number.slice(match[0].length)
}

function isTooShortOrBetween(length: number, { lengths }: Plan): boolean {
  return length <= (lengths.at(-1) ?? 0) && !lengths.includes(length)
}

/** Whether it is the trunk prefix: not where the number would be the worse for it. */
function isTrunkPrefix(number: string, rest: string, plan: Plan, owner: Plan | undefined): boolean {
  if (isTooShortOrBetween(rest.length, owner ?? plan)) return false
  return plan.general.test(rest) || !plan.general.test(number)
}

function significantNumber(number: string, plan: Plan): string {
  const rest = withoutTrunkPrefix(number, plan)
  if (rest === number) return number
  return isTrunkPrefix(number, rest, plan, plan.callingCode.owner(rest)) ? rest : number
}

function phoneOf(owner: Plan, number: string, region: string): Phone {
  return { e164: `+${owner.callingCode.code}${number}`, region }
}

function readWithoutTrunkPrefix(
  number: string,
  plan: Plan,
  owner: Plan | undefined,
  home: string
): Phone | undefined {
  if (number.length < MIN_LENGTH || number.length > MAX_LENGTH) return undefined
  const isKnownToBeValid = owner !== undefined && plan.callingCode.isShared && !owner.leading
  if (!isKnownToBeValid && !(owner ?? plan).isValid(number)) return undefined
  return phoneOf(plan, number, owner?.region ?? home)
}

/** A number without its calling code, read by a plan; `home` is its region if no other owns it. */
function readByPlan(number: string, plan: Plan, home: string): Phone | undefined {
  const rest = withoutTrunkPrefix(number, plan)
  const owner = plan.callingCode.owner(rest)
  if (rest === number) return readWithoutTrunkPrefix(number, plan, owner, home)
  const phone = readWithoutTrunkPrefix(rest, plan, owner, home)
  // What a plan holds to be valid matches its general pattern too.
  const isCertain = phone !== undefined && owner === plan && plan.lengths.includes(rest.length)
  if (isCertain || isTrunkPrefix(number, rest, plan, owner)) return phone
  return readWithoutTrunkPrefix(number, plan, plan.callingCode.owner(number), home)
}

/** Digits that begin with a calling code at `from`. */
function readBehindPlus(digits: string, from: number): Phone | undefined {
  const callingCode = callingCodeAt(digits, from)
  if (!callingCode) return undefined
  return readByPlan(digits.slice(from + callingCode.code.length), callingCode.main, '')
}

/** National digits lack the `+` where with the calling code they are too long, or no number. */
function lacksPlus(digits: string, plan: Plan): boolean {
  const { code } = plan.callingCode
  if (!beginsWith(digits, code)) return false
  const significant = significantNumber(digits, plan)
  if (significant.length > (plan.lengths.at(-1) ?? 0)) return true
  if (plan.general.test(significant)) return false
  return plan.general.test(significantNumber(digits.slice(code.length), plan))
}

/** At least three digits as they are dialled in a region. */
export function readNational(digits: string, plan: Plan): Phone | undefined {
  const exit = prefixLength(digits, plan.exitPrefix)
  // No calling code begins with a zero.
  const isAbroad = exit > 0 && exit < digits.length && digits.charCodeAt(exit) !== DIGIT_ZERO
  if (isAbroad) return readBehindPlus(digits, exit)
  if (lacksPlus(digits, plan)) return readBehindPlus(digits, 0)
  return readByPlan(digits, plan, plan.region)
}

/** `+` and digits; most are E.164 already. */
export function readE164(digits: string): Phone | undefined {
  const main = callingCodeAt(digits, 1)?.main
  return main?.isE164(digits) ? { e164: digits, region: main.region } : undefined
}

/** At least three digits that begin with a calling code at `from`. */
export function readInternational(digits: string, from: number): Phone | undefined {
  return digits.length - from < MIN_DIGITS ? undefined : readBehindPlus(digits, from)
}
