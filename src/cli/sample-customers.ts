import { isValidPhoneNumber } from 'libphonenumber-js/max'
import type { User } from '../audience/schemas.ts'
import {
  COUNTRIES,
  type Country,
  DOMAINS,
  FIRST_NAMES,
  LAST_NAMES,
  type Name,
  UNUSABLE
} from './sample-data.ts'

/**
 * Customers as real lists hold them, with the truth beside them: the clean value is made first and
 * spoilt afterwards, by code that knows nothing of the normalisers it is there to test.
 */

/** What a platform has to match on, in Meta's form (phone: E.164); absent where nothing is usable. */
export interface Truth {
  email?: string
  phone?: string
  firstName?: string
  lastName?: string
  country?: string
  postalCode?: string
}

export interface SampleCustomer {
  readonly user: User
  readonly truth: Truth
}

const LETTERS = 'ABCDEFGHJKLMNPRSTUVWXYZ'

/** Source of random numbers from 0 to 1 that gives the same ones for the same seed (mulberry32). */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

class Dice {
  readonly #random: () => number

  constructor(seed: number) {
    this.#random = createRandom(seed)
  }

  /** A whole number from 0 up to, but not including, `limit`. */
  below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  chance(percent: number): boolean {
    return this.#random() * 100 < percent
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)]
    if (item === undefined) throw new RangeError('nothing to pick from')
    return item
  }

  /** Puts digits and letters in the places of a pattern. */
  fill(pattern: string): string {
    return pattern
      .replace(/#/g, () => String(this.below(10)))
      .replace(/%/g, () => String(1 + this.below(9)))
      .replace(/@/g, () => LETTERS.charAt(this.below(LETTERS.length)))
  }
}

const ZERO_WIDTH_SPACE = '\u200b'
const NO_BREAK_SPACE = '\u00a0'

/** Spoils text in ways that leave its meaning alone. */
function spoil(dice: Dice, text: string): string {
  const ways: (() => string)[] = [
    () => ` ${text}`,
    () => `${text}  `,
    () => `\t${text}\n`,
    () => NO_BREAK_SPACE + text,
    () => text + ZERO_WIDTH_SPACE,
    () => text.slice(0, 1) + ZERO_WIDTH_SPACE + text.slice(1),
    () => text.normalize('NFD'),
    () => text
  ]
  return dice.pick(ways)()
}

/** Upper or lower case, but for texts whose letters change in number (`Groß`). */
function changeCase(dice: Dice, text: string): string {
  if (text.toUpperCase().length !== text.length) return text
  return dice.pick([text, text, text.toUpperCase(), text.toLowerCase()])
}

function sampleEmail(dice: Dice, index: number): { clean: string; written: string } {
  const name = dice.pick([
    'jane.doe',
    'j_smith',
    'mary',
    'jürgen',
    'info',
    'o-brien',
    "o'neil",
    'x'
  ])
  const tag = dice.chance(10) ? '+news' : ''
  const clean = `${name}${index}${tag}@${dice.pick(DOMAINS)}`
  return { clean, written: spoil(dice, changeCase(dice, clean)) }
}

function sampleName(dice: Dice, names: readonly Name[]): { clean: string; written: string } {
  const [name, clean] = dice.pick(names)
  const spaced = dice.chance(5) ? name.replaceAll(' ', '  ') : name
  return { clean, written: spoil(dice, changeCase(dice, spaced)) }
}

function digitsOf(text: string): string {
  return text.replace(/\D/g, '')
}

function samplePostalCode(
  dice: Dice,
  { code, postalCodes }: Country
): { clean: string; written: string | number } {
  const written = dice.fill(dice.pick(postalCodes))
  const isNumber = /^\d{5}$/.test(written) && (code === 'US' || code === 'DE') && dice.chance(30)
  return {
    clean: matchedPostalCode(code, written),
    written: isNumber ? Number(written) : spoil(dice, changeCase(dice, written))
  }
}

function matchedPostalCode(country: string, written: string): string {
  const compact = written.replaceAll(' ', '').toLowerCase()
  // Area, district and sector: all but the last two letters.
  return country === 'GB' ? compact.slice(0, -2) : (compact.split('-')[0] ?? '')
}

/** A number that the country's numbering plan has, in the groups of its pattern. */
function nationalNumber(dice: Dice, { callingCode, phones }: Country): string {
  for (;;) {
    const groups = dice.fill(dice.pick(phones))
    if (isValidPhoneNumber(`+${callingCode}${digitsOf(groups)}`)) return groups
  }
}

function internationalForms({ callingCode, trunkPrefix }: Country, groups: string): string[] {
  const plain = groups.replace(/[()]/g, '')
  return [
    `+${callingCode} ${plain}`,
    `+${callingCode} ${groups}`,
    `+${callingCode}-${plain.replace(/[ .]/g, '-')}`,
    `+${callingCode}.${plain.replace(/[ -]/g, '.')}`,
    `(+${callingCode}) ${plain}`,
    `tel:+${callingCode}${digitsOf(groups)}`,
    ...(trunkPrefix ? [`+${callingCode} (${trunkPrefix})${plain}`] : [])
  ]
}

function nationalForms({ trunkPrefix }: Country, groups: string): string[] {
  const [area = '', ...rest] = groups.replace(/[()]/g, '').split(/[ .-]/)
  return [
    trunkPrefix + groups,
    trunkPrefix + digitsOf(groups),
    `(${trunkPrefix}${area}) ${rest.join(' ')}`,
    `${trunkPrefix}${area}/${rest.join('')}`,
    `${trunkPrefix}${area}-${rest.join('-')}`,
    `${trunkPrefix}${area}.${rest.join('.')}`
  ]
}

function fullWidth(text: string): string {
  return text.replace(/\d/g, (digit) => String.fromCodePoint(0xff_10 + Number(digit)))
}

/** A number cell: the leading zero is gone, and with it the trunk prefix. */
function asNumber({ trunkPrefix, callingCode }: Country, groups: string): number {
  const national = digitsOf(groups)
  const keepsMeaning = trunkPrefix === '0' || !national.startsWith('0')
  return Number(keepsMeaning ? national : callingCode + national)
}

/** Of 100 numbers 35 are E.164, 10 formatted international, 5 begin with `00`, 50 are national. */
function writePhone(
  dice: Dice,
  country: Country,
  groups: string,
  isAbroad: boolean
): string | number {
  const international = country.callingCode + digitsOf(groups)
  const share = isAbroad ? dice.below(50) : dice.below(100)
  if (share < 3 && !isAbroad) return international
  if (share < 35) return `+${international}`
  if (share < 45) return dice.pick(internationalForms(country, groups))
  if (share < 50) return `00${international}`
  if (share < 52) return asNumber(country, groups)
  const national = dice.pick(nationalForms(country, groups))
  if (share < 54) return `${national} ext. ${1 + dice.below(99)}`
  return share < 55 ? fullWidth(national) : national
}

interface Spoilt<T> {
  readonly written: T
  /** Absent where what is written is of no use. */
  readonly clean?: string
}

/** In 100 values three that are of no use. */
function orUnusable<T extends string | number>(
  dice: Dice,
  unusable: readonly string[],
  make: () => Spoilt<T>
): Spoilt<T | string> {
  return dice.chance(3) ? { written: dice.pick(unusable) } : make()
}

function sampleCountry(dice: Dice, { code, names }: Country): { clean: string; written: string } {
  const written = dice.pick([code, code, code.toLowerCase(), ...names])
  return { clean: code.toLowerCase(), written: dice.chance(10) ? spoil(dice, written) : written }
}

function samplePhone(dice: Dice, country: Country, isAbroad: boolean): Spoilt<string | number> {
  const groups = nationalNumber(dice, country)
  const written = writePhone(dice, country, groups, isAbroad)
  return {
    clean: `+${country.callingCode}${digitsOf(groups)}`,
    written: typeof written === 'string' ? spoil(dice, written) : written
  }
}

function sampleCustomer(dice: Dice, index: number): SampleCustomer {
  const home = dice.pick(COUNTRIES)
  const country = orUnusable(dice, UNUSABLE.country, () => sampleCountry(dice, home))
  // Nobody can read a national number or a British postal code without its country.
  const isAbroad = country.clean === undefined
  const fields: Record<keyof Truth, Spoilt<string | number>> = {
    email: orUnusable(dice, UNUSABLE.email, () => sampleEmail(dice, index)),
    phone: orUnusable(dice, UNUSABLE.phone, () => samplePhone(dice, home, isAbroad)),
    firstName: orUnusable(dice, UNUSABLE.name, () => sampleName(dice, FIRST_NAMES)),
    lastName: orUnusable(dice, UNUSABLE.name, () => sampleName(dice, LAST_NAMES)),
    country,
    postalCode: isAbroad
      ? { written: dice.pick(UNUSABLE.postalCode) }
      : orUnusable(dice, UNUSABLE.postalCode, () => samplePostalCode(dice, home))
  }
  const entries = Object.entries(fields)
  return {
    user: {
      edgeTagId: `et_${index}`,
      ...Object.fromEntries(entries.map(([field, { written }]) => [field, written]))
    },
    truth: Object.fromEntries(
      entries.flatMap(([field, { clean }]) => (clean === undefined ? [] : [[field, clean]]))
    )
  }
}

/** The same customers for the same seed, as realistic and as dirty as those of a real list. */
export function generateCustomers(count: number, seed: number): SampleCustomer[] {
  const dice = new Dice(seed)
  return Array.from({ length: count }, (_, index) => sampleCustomer(dice, index))
}
