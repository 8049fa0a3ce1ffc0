import { Dice } from './dice.ts'
import {
  BLANKS,
  COUNTRIES,
  DOMAINS,
  FIRST_NAMES,
  IDS,
  INTRUDERS,
  LAST_NAMES,
  LOCALS,
  NUMBERS,
  ODD_PHONES,
  PHONES,
  PLACEHOLDERS,
  POSTAL_CODES,
  PURCHASES,
  TRUNK_PREFIXES,
  UNKNOWN_FIELDS,
  WRAPPERS
} from './dirty-values.ts'

/**
 * Users as hostile as JSON and people can make them, to compare what becomes of them before and after
 * a change. Most of each value's dirt is its own draw, so that each value meets each kind of dirt.
 */

const FIELDS = [
  'edgeTagId',
  'email',
  'phone',
  'firstName',
  'lastName',
  'country',
  'postalCode',
  'purchase'
] as const
type Field = (typeof FIELDS)[number]

const HASH_OF_NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

const fullWidth = (text: string) =>
  text.replace(/[!-~]/g, (character) => String.fromCharCode(character.charCodeAt(0) + 0xfe_e0))

const digitsFrom = (zero: number) => (text: string) =>
  text.replace(/\d/g, (digit) => String.fromCodePoint(zero + Number(digit)))

/** UTF-8 read as Latin-1. */
const misread = (text: string) => Buffer.from(text).toString('latin1')

const insert = (dice: Dice, text: string, piece: string) => {
  const at = dice.below(text.length + 1)
  return text.slice(0, at) + piece + text.slice(at)
}

type Spoil = (text: string, dice: Dice) => string

/** The frequent ones, which mostly leave the meaning alone. */
const MILD: readonly Spoil[] = [
  (text) => text.toUpperCase(),
  (text) => text.toLowerCase(),
  (text) => ` ${text}`,
  (text) => `${text} `,
  (text) => `\t${text}\r\n`,
  (text) => `\u00a0${text}`,
  (text) => `${text}\u200b`,
  (text) => text.normalize('NFC'),
  (text) => text.normalize('NFD'),
  (text, dice) => dice.pick(BLANKS) + text,
  (text, dice) => text + dice.pick(BLANKS)
]

const HARSH: readonly Spoil[] = [
  (text) => text.normalize('NFKC'),
  (text) => text.normalize('NFKD'),
  fullWidth,
  digitsFrom(0x6_60),
  digitsFrom(0x9_66),
  digitsFrom(0x1_d7_ce),
  misread,
  (text) => `=${text}`,
  (text) => `="${text}"`,
  (text) => `'${text}`,
  (text) => `${text}.0`,
  (text) => `${text} ${text}`,
  (text) => `${text}${text}`,
  (text) => `${text}, ${text}`,
  (text) => text.split('').join('\u200b'),
  (text) => text.split('').join(' '),
  (text) => text.split('').toReversed().join(''),
  (text) => text.replaceAll(' ', ''),
  (text) => text.replaceAll('i', '\u0131').replaceAll('I', '\u0130'),
  (text) => text.replaceAll('k', '\u212a').replaceAll('s', '\u017f'),
  (text, dice) => text.slice(0, dice.below(text.length + 1)),
  (text, dice) => text.slice(dice.below(text.length + 1)),
  (text, dice) => insert(dice, text, dice.pick(BLANKS)),
  (text, dice) => insert(dice, text, dice.pick(INTRUDERS)),
  (text, dice) => dice.pick(INTRUDERS) + text,
  (text, dice) => text + dice.pick(INTRUDERS),
  (text, dice) => {
    const [open = '', close = ''] = dice.pick(WRAPPERS)
    return open + text + close
  },
  (text, dice) => `${text} (${dice.pick(LAST_NAMES)})`,
  (text, dice) => text.padEnd(text.length + dice.below(400), dice.pick([' ', '0', 'x', 'é']))
]

/** Half of the values are clean, a third mildly spoilt, the rest as badly as can be. */
function spoil(dice: Dice, text: string): string {
  const share = dice.below(100)
  if (share < 50) return text
  let spoilt = dice.pick(MILD)(text, dice)
  if (share < 80) return spoilt
  for (let left = 1 + dice.below(2); left > 0; left -= 1) spoilt = dice.pick(HARSH)(spoilt, dice)
  return spoilt
}

/** SHA-256 in all its disguises, and what only looks like one. */
function hashLike(dice: Dice): string {
  const digits = dice.hex(64)
  return dice.pick([
    digits,
    digits,
    digits.toUpperCase(),
    ` ${digits} `,
    `\u00a0${digits.toUpperCase()}\n`,
    `${digits}\u200b`,
    digits.slice(1),
    `${digits}0`,
    `g${digits.slice(1)}`,
    `${digits} ${digits}`,
    `0x${digits}`,
    fullWidth(digits),
    digits.slice(32),
    '0'.repeat(64),
    HASH_OF_NOTHING,
    HASH_OF_NOTHING.toUpperCase(),
    ` ${HASH_OF_NOTHING}\t`
  ])
}

/** Local parts and domains up to their limits and one over. */
function longEmail(dice: Dice): string {
  const letter = dice.pick(['a', 'a', 'ä'])
  const local = letter.repeat(dice.pick([1, 31, 32, 33, 63, 64, 65]))
  const label = dice.pick(['b', 'b', 'ü']).repeat(dice.pick([1, 62, 63, 64]))
  const more = Array.from({ length: dice.below(4) }, () => 'c'.repeat(dice.pick([57, 58, 59, 63])))
  const topLevel = 'd'.repeat(dice.pick([1, 2, 3, 63, 64]))
  return `${local}@${[label, ...more, topLevel].join('.')}`
}

function email(dice: Dice, row: number): string {
  if (dice.chance(3)) return longEmail(dice)
  const local = dice.pick(LOCALS)
  // Without a number they repeat, and fillers stay fillers.
  const number = dice.chance(70) ? String(row) : ''
  return `${local}${number}@${dice.pick(DOMAINS)}`
}

const SEPARATORS = [' ', '-', '.', '/', '', ' ', '\u00a0', '\u2011', ') (', ' - '] as const

function grouped(dice: Dice, digits: string): string {
  const separator = dice.pick(SEPARATORS)
  const first = 1 + dice.below(4)
  const second = first + 2 + dice.below(3)
  return [digits.slice(0, first), digits.slice(first, second), digits.slice(second)].join(separator)
}

interface Home {
  readonly region: string
  readonly callingCode: string
  readonly number: string
}

/** Half of all live in few countries, as in real lists. */
const COMMON_PHONES = PHONES.filter((entry) => /^(?:US|GB|DE|FR|CA|IT|BR|MX|AU|IN)/.test(entry))

/** A region, and a number that is mostly valid there. */
function home(dice: Dice): Home {
  const entry = dice.pick(dice.chance(50) ? COMMON_PHONES : PHONES)
  const [code = '', example = ''] = entry.split('.')
  const changed = dice.below(Math.max(1, example.length - 3))
  const number = example.slice(0, example.length - changed) + dice.digits(changed)
  return { region: code.slice(0, 2), callingCode: code.slice(2), number }
}

function phone(dice: Dice, { callingCode, number }: Home): string {
  if (dice.chance(12)) return dice.pick(ODD_PHONES)
  const national = dice.pick(TRUNK_PREFIXES) + number
  return dice.pick([
    `+${callingCode}${number}`,
    `+${callingCode}${number}`,
    `+${callingCode} ${grouped(dice, number)}`,
    `+${callingCode} (0)${grouped(dice, number)}`,
    `(+${callingCode}) ${grouped(dice, number)}`,
    `00${callingCode}${number}`,
    `00 ${callingCode} ${grouped(dice, number)}`,
    `011${callingCode}${number}`,
    `${callingCode}${number}`,
    national,
    national,
    number,
    grouped(dice, national),
    grouped(dice, number),
    `(${national.slice(0, 3)}) ${grouped(dice, national.slice(3))}`,
    `Tel. ${grouped(dice, national)}`,
    `tel:+${callingCode}${number}`,
    `${national} ext. ${dice.below(1000)}`,
    `${national}x${dice.below(100)}`,
    `${national} / ${national.slice(0, -1)}${dice.below(10)}`,
    `${national}; +${callingCode}${number}`,
    `${number}.0`,
    dice.digits(3 + dice.below(14)),
    `+${dice.digits(5 + dice.below(12))}`
  ])
}

function country(dice: Dice, { region }: Home): string {
  return dice.chance(65) ? region : dice.pick(COUNTRIES)
}

const POSTAL_CODES_OF = Map.groupBy(POSTAL_CODES, ([region]) => region)

function postalCode(dice: Dice, { region }: Home): string {
  const own = POSTAL_CODES_OF.get(region)
  const [, pattern] = dice.pick(own !== undefined && dice.chance(80) ? own : POSTAL_CODES)
  const code = dice.fill(pattern)
  const share = dice.below(100)
  if (share < 3) return `${code} ${dice.pick(COUNTRIES)}`
  return share < 6 ? `${region}-${code}` : code
}

function edgeTagId(dice: Dice, row: number): string {
  const share = dice.below(100)
  if (share < 40) return `et_${row}`
  if (share < 55) return `${dice.hex(8)}-${dice.hex(4)}-${dice.hex(4)}-${dice.hex(12)}`
  if (share < 65) return String(100_000 + row)
  return share < 68 ? dice.hex(4).repeat(64) : dice.pick(IDS)
}

/** Between the parts of an object, and between a name and its value. */
const JSON_BLANKS = [
  [' ', ' : '],
  ['\n', ': '],
  ['\t', '\t:'],
  ['\r\n  ', ' :\r\n']
] as const

const IS_NUMBER: ReadonlySet<Field> = new Set(['edgeTagId', 'phone', 'postalCode'])

/** Mostly as `JSON.stringify` writes it, else with escapes that nobody needs. */
function quote(dice: Dice, text: string): string {
  if (!dice.chance(5)) return JSON.stringify(text)
  const characters = text.split('').map((character) => {
    if (character === '/') return '\\/'
    if (!dice.chance(40)) return JSON.stringify(character).slice(1, -1)
    const code = character.charCodeAt(0).toString(16).padStart(4, '0')
    return `\\u${dice.chance(50) ? code.toUpperCase() : code}`
  })
  return `"${characters.join('')}"`
}

/** Draws users one after the other; those drawn before may come again. */
class Generator {
  readonly #dice: Dice
  readonly #users: string[] = []
  readonly #values = new Map<Field, string[]>()

  constructor(seed: number) {
    this.#dice = new Dice(seed)
  }

  /** A user as JSON. */
  user(row: number): string {
    const dice = this.#dice
    const before = this.#users[dice.below(1000)]
    if (before !== undefined && dice.chance(3)) return before
    const user = this.#newUser(row)
    this.#users[row % 1000] = user
    return user
  }

  #newUser(row: number): string {
    const dice = this.#dice
    const lives = home(dice)
    // One in seven is clean from end to end.
    const isClean = dice.chance(14)
    const make: Readonly<Record<Field, () => string>> = {
      edgeTagId: () => edgeTagId(dice, row),
      email: () => email(dice, row),
      phone: () => phone(dice, lives),
      firstName: () => dice.pick(FIRST_NAMES),
      lastName: () => dice.pick(LAST_NAMES),
      country: () => country(dice, lives),
      postalCode: () => postalCode(dice, lives),
      purchase: () => dice.pick(PURCHASES)
    }
    const clean: Readonly<Partial<Record<Field, () => string>>> = {
      edgeTagId: () => `et_${row}`,
      email: () => `${dice.pick(['jane', 'john.doe', 'info'])}${row}@gmail.com`,
      phone: () => `+${lives.callingCode}${lives.number}`,
      firstName: () => dice.pick(['Mary', 'James', 'Anna', 'Peter']),
      lastName: () => dice.pick(['Smith', 'Miller', 'Jones', 'Brown']),
      country: () => lives.region
    }
    const [blank, colon] = dice.chance(4) ? dice.pick(JSON_BLANKS) : ['', ':']
    const members: string[] = []
    for (const field of FIELDS) {
      if (dice.chance(field === 'purchase' ? 60 : 6)) continue
      const value = isClean
        ? this.#plain(field, (clean[field] ?? make[field])())
        : this.#value(field, make[field], row)
      if (dice.chance(1)) members.push(`"${field}"${colon}null`)
      const name = dice.chance(1) ? quote(dice, field) : `"${field}"`
      members.push(name + colon + value)
    }
    if (dice.chance(15)) members.push(dice.pick(UNKNOWN_FIELDS))
    if (dice.chance(10)) members.reverse()
    // A name that comes twice: the last one counts, of whatever type the first one is.
    const hasEmail = members.some((member) => member.startsWith('"email"'))
    if (hasEmail && dice.chance(2)) members.unshift(`"email"${colon}[{"phone":${row}}]`)
    return `{${blank}${members.join(`${blank},${blank}`)}${blank}}`
  }

  #plain(field: Field, text: string): string {
    return field === 'purchase' ? text : JSON.stringify(text)
  }

  #value(field: Field, make: () => string, row: number): string {
    const dice = this.#dice
    if (field === 'purchase') return make()
    const share = dice.below(100)
    if (share < 2) return 'null'
    if (share < 6) return quote(dice, this.#cased(dice.pick(PLACEHOLDERS)))
    if (share < 9) return quote(dice, hashLike(dice))
    if (share < 12 && IS_NUMBER.has(field)) return this.#number(make)
    if (share < 16) return this.#before(field) ?? quote(dice, make())
    // More than a profile or a cell may hold.
    if (row % 4999 === 17 && field === 'firstName') return JSON.stringify('Mary'.repeat(30_000))
    const value = quote(dice, spoil(dice, make()))
    this.#remember(field, value)
    return value
  }

  #cased(text: string): string {
    const dice = this.#dice
    return dice.chance(70) ? text : dice.pick(MILD)(text, dice)
  }

  #number(make: () => string): string {
    if (this.#dice.chance(30)) return this.#dice.pick(NUMBERS)
    const digits = make().replace(/\D/g, '').replace(/^0+/, '').slice(0, 17)
    return digits === '' ? '0' : digits
  }

  #remember(field: Field, value: string): void {
    const values = this.#values.get(field) ?? []
    this.#values.set(field, values)
    if (values.length < 500) values.push(value)
    else values[this.#dice.below(500)] = value
  }

  #before(field: Field): string | undefined {
    const values = this.#values.get(field)
    return values && this.#dice.pick(values)
  }
}

/**
 * JSON of `count` users as UTF-8, with a byte order mark and blanks around them; those of a smaller
 * number are the first of a larger one.
 */
export function dirtyUsers(count: number): Uint8Array<ArrayBuffer> {
  const generator = new Generator(20_260_131)
  const users = Array.from({ length: count }, (_, row) => generator.user(row))
  return new TextEncoder().encode(`\ufeff \n[${users.join(',\n')}]\r\n`)
}
