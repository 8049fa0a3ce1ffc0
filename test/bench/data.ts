import { COUNTRIES as PLANS, UNUSABLE } from '../../src/cli/sample-data.ts'
import type { Purchase, User } from '../../src/audience/schemas.ts'
import { Dice } from '../support/dice.ts'

/**
 * Customers as real lists hold them: as dirty, as long (260 bytes of JSON each), and with values that
 * repeat as often. Speed depends on all three.
 */

/** A customer with every field. */
export interface BenchUser extends User {
  email: string
  phone: string | number
}

/** Customers of a hundred, and how many postal codes a country has. */
const SHARES: Readonly<Record<string, { readonly customers: number; readonly codes: number }>> = {
  US: { customers: 40, codes: 41_000 },
  GB: { customers: 12, codes: 1_700_000 },
  DE: { customers: 12, codes: 8_200 },
  CA: { customers: 7, codes: 850_000 },
  FR: { customers: 7, codes: 6_300 },
  AU: { customers: 4, codes: 2_600 },
  NL: { customers: 4, codes: 450_000 },
  IT: { customers: 4, codes: 4_600 },
  ES: { customers: 3, codes: 11_000 },
  BR: { customers: 3, codes: 700_000 },
  MX: { customers: 2, codes: 32_000 },
  JP: { customers: 2, codes: 120_000 }
}

type Plan = (typeof PLANS)[number]

/** A hundred entries: drawing one draws by the shares. */
const HOMES: readonly Plan[] = PLANS.flatMap((plan) =>
  Array.from({ length: SHARES[plan.code]?.customers ?? 0 }, () => plan)
)

// oxfmt-ignore
const DOMAINS = [
  'gmail.com', 'gmail.com', 'gmail.com', 'gmail.com', 'yahoo.com', 'yahoo.com', 'outlook.com',
  'hotmail.com', 'hotmail.com', 'icloud.com', 'aol.com', 'web.de', 'gmx.de', 'orange.fr',
  'btinternet.com', 'libero.it', 'uol.com.br', 'mail.example.com', 'müller-versand.de'
]

const ONSETS = [
  'b',
  'br',
  'd',
  'f',
  'g',
  'h',
  'j',
  'k',
  'l',
  'm',
  'n',
  'p',
  'r',
  's',
  'st',
  't',
  'w'
]
const VOWELS = ['a', 'a', 'e', 'e', 'i', 'o', 'u', 'ai', 'ia']
const ACCENTED_VOWELS = ['é', 'ü', 'á', 'ö', 'ñe', 'ø']
const CODAS = ['', '', '', 'n', 'r', 's', 'l', 'nn', 'ck', 'rt']
const OTHER_SCRIPTS = [
  '美咲',
  '山田',
  'Владимир',
  'Иванова',
  'Ελένη',
  'अमित',
  '김민준',
  'محمد'
] as const

/** Distinct names made of syllables; a few with an apostrophe, a dash, a second word. */
function makeNames(count: number, seed: number): readonly string[] {
  const dice = new Dice(seed)
  const syllable = () =>
    dice.pick(ONSETS) + dice.pick(dice.chance(2) ? ACCENTED_VOWELS : VOWELS) + dice.pick(CODAS)
  const word = () => {
    const text = syllable() + syllable() + (dice.chance(30) ? syllable() : '')
    return text.charAt(0).toUpperCase() + text.slice(1)
  }
  const names = new Set<string>(
    OTHER_SCRIPTS.map((name, index) => `${name}${index % 2 ? '' : 'a'}`)
  )
  while (names.size < count) {
    const share = dice.below(100)
    if (share < 2) names.add(`O'${word()}`)
    else if (share < 4) names.add(`${word()}-${word()}`)
    else if (share < 6) names.add(`${word()} ${word()}`)
    else names.add(word())
  }
  return [...names].toReversed()
}

const FIRST_NAMES = makeNames(1_500, 1)
const LAST_NAMES = makeNames(15_000, 2)

/** Few names are frequent: the first one of 1,500 has 2.6 in 100 people, as real ones have. */
function pickSkewed<T>(dice: Dice, items: readonly T[]): T {
  const item = items[Math.floor(items.length * dice.random() ** 2)]
  if (item === undefined) throw new RangeError('nothing to pick from')
  return item
}

/** Three in ten values are spoilt in ways that leave their meaning alone. */
function spoil(dice: Dice, text: string): string {
  const share = dice.below(100)
  if (share < 70) return text
  if (share < 78) return text.toUpperCase()
  if (share < 84) return text.toLowerCase()
  if (share < 89) return `${text} `
  if (share < 93) return ` ${text}`
  if (share < 96) return `${text}\u00a0`
  return share < 98 ? `\u200b${text}` : `${text.slice(0, 2)}\u200b${text.slice(2)}`
}

const UNUSABLE_PERCENT = 3

function orUnusable<T>(dice: Dice, unusable: readonly string[], make: () => T): T | string {
  return dice.chance(UNUSABLE_PERCENT) ? dice.pick(unusable) : make()
}

const ascii = (text: string) => text.normalize('NFKD').replace(/[^a-zA-Z]/g, '')

function email(dice: Dice, first: string, last: string, row: number): string {
  const name = [ascii(first), ascii(last)]
    .filter((part) => part !== '')
    .join(dice.pick(['.', '_', '']))
  return `${name.toLowerCase()}${row.toString(36)}@${dice.pick(DOMAINS)}`
}

/** As shops store them: some kinds of cleaning are done, others are not. */
function phone(dice: Dice, { callingCode, trunkPrefix, phones }: Plan): string | number {
  const groups = dice.fill(dice.pick(phones))
  const digits = groups.replace(/\D/g, '')
  const plain = groups.replace(/[()]/g, '')
  const share = dice.below(100)
  if (share < 40) return `+${callingCode}${digits}`
  if (share < 55) {
    const trunk = trunkPrefix === '' ? '' : `(${trunkPrefix})`
    return `+${callingCode} ${dice.pick([plain, plain.replace(/[ .]/g, '-'), trunk + plain])}`
  }
  if (share < 60) return `00${callingCode}${digits}`
  if (share < 63) return Number(callingCode + digits)
  const national = trunkPrefix + groups
  if (share < 98) return dice.pick([national, trunkPrefix + digits, national.replaceAll(' ', '-')])
  return dice.pick([
    `${national} ext. ${1 + dice.below(99)}`,
    `Tel. ${national}`,
    `${national}, ${trunkPrefix}${dice.fill(dice.pick(phones))}`,
    national.replace(/\d/g, (digit) => String.fromCodePoint(0xff_10 + Number(digit)))
  ])
}

/** One of the country's codes: the same number gives the same code. */
function postalCode(dice: Dice, { code, postalCodes }: Plan): string | number {
  const number = dice.below(SHARES[code]?.codes ?? 1)
  const ofNumber = new Dice(number)
  const written = ofNumber.fill(ofNumber.pick(postalCodes))
  const isNumber = /^[1-9]\d{4}$/.test(written) && dice.chance(10)
  return isNumber ? Number(written) : spoil(dice, written)
}

function country(dice: Dice, { code, names }: Plan): string {
  if (dice.chance(10)) return dice.pick(names)
  return spoil(dice, code)
}

function edgeTagId(dice: Dice, row: number): string {
  if (dice.chance(15)) return `C-${100_000 + row}`
  return [8, 4, 4, 4, 12].map((length) => dice.hex(length)).join('-')
}

function amount(dice: Dice): number {
  return dice.below(50_000) / 100
}

function purchase(dice: Dice): Purchase | Purchase[] {
  const one = () => ({
    currency: dice.pick(['USD', 'USD', 'EUR', 'GBP']),
    profit: amount(dice),
    total7Days: amount(dice)
  })
  return dice.chance(20) ? [one(), one()] : one()
}

/** Numbers are spoilt as texts are, unless they are number cells. */
function spoiltPhone(dice: Dice, home: Plan): string | number {
  const written = phone(dice, home)
  return typeof written === 'number' ? written : spoil(dice, written)
}

function benchUser(dice: Dice, row: number, earlier: readonly BenchUser[]): BenchUser {
  const home = dice.pick(HOMES)
  const first = pickSkewed(dice, FIRST_NAMES)
  const last = pickSkewed(dice, LAST_NAMES)
  const user = {
    edgeTagId: edgeTagId(dice, row),
    email: orUnusable(dice, UNUSABLE.email, () => spoil(dice, email(dice, first, last, row))),
    phone: orUnusable(dice, UNUSABLE.phone, () => spoiltPhone(dice, home)),
    firstName: orUnusable(dice, UNUSABLE.name, () => spoil(dice, first)),
    lastName: orUnusable(dice, UNUSABLE.name, () => spoil(dice, last)),
    country: orUnusable(dice, UNUSABLE.country, () => country(dice, home)),
    postalCode: orUnusable(dice, UNUSABLE.postalCode, () => postalCode(dice, home)),
    ...(dice.chance(50) && { purchase: purchase(dice) }),
    // What the service does not know is in most lists too.
    ...(dice.chance(60) && { updatedAt: '2026-01-31T10:20:30Z' })
  }
  if (earlier.length === 0) return user
  // Households and repeated orders.
  if (dice.chance(3)) user.email = dice.pick(earlier).email
  if (dice.chance(3)) user.phone = dice.pick(earlier).phone
  return user
}

/** `count` customers; those from row 0 on are others than those from any other row on. */
export function benchUsers(count: number, from = 0): BenchUser[] {
  const dice = new Dice(from + 1)
  const users: BenchUser[] = []
  for (let row = from; row < from + count; row += 1) users.push(benchUser(dice, row, users))
  return users
}

/** The same as the body of the form field `users`. */
export function benchBytes(count: number, from = 0): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(benchUsers(count, from)))
}
