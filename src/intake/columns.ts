import { COMPANIONS, NAMES, OWNERS, OWNERS_AFTER } from './column-names.ts'
import { CUSTOMER_FIELDS, type CustomerField, type Mapping } from './intake.ts'

/** A name as it is compared: `E-Mail` and `e_mail` are one. */
function plainName(name: string): string {
  let plain = name.replace(CUSTOM_FIELD, '').toLowerCase().normalize('NFKD')
  for (const [letter, letters] of LETTERS) plain = plain.replaceAll(letter, letters)
  return plain.replaceAll(NEITHER_LETTER_NOR_DIGIT, '')
}

/** How Salesforce marks fields of one's own. */
const CUSTOM_FIELD = /__c$/i
/** What Unicode does not take apart. */
const LETTERS = [
  ['ß', 'ss'],
  ['ø', 'o'],
  ['æ', 'ae'],
  ['œ', 'oe'],
  ['ł', 'l'],
  ['đ', 'd'],
  ['ı', 'i']
] as const
const NEITHER_LETTER_NOR_DIGIT = /[^\p{L}\p{N}]+/gu

/** `E-mail 1 - Value` of Google Contacts, `Phone 1`. */
const FIRST_OF_SEVERAL = /1(?:value)?$/

function listed(lists: readonly string[]): string[] {
  return lists.flatMap((list) => list.split(', '))
}

interface Meaning {
  readonly field: CustomerField
  /** Place of its line among the names, from the best. */
  readonly name: number
  /** The same of the words around it; 0 where there are none. */
  readonly owner: number
}

const MEANINGS: ReadonlyMap<string, Meaning> = new Map(
  CUSTOMER_FIELDS.flatMap((field) =>
    NAMES[field].flatMap((names, name) =>
      listed(names).map((each) => [plainName(each), { field, name, owner: 0 }] as const)
    )
  )
)
const OWNERS_BY_WORD: readonly (readonly [word: string, owner: number])[] = OWNERS.flatMap(
  (words, index) => listed(words).map((word) => [plainName(word), index + 1] as const)
)
const WORDS_AFTER: ReadonlySet<string> = new Set(listed(OWNERS_AFTER).map(plainName))
/** More words than these are a sentence. */
const MAX_OWNERS = 2

/** A mobile is better than a landline whosever it is; of all else the customer's own is best. */
function rank({ field, name, owner }: Meaning): number {
  return field === 'phone' ? name * 100 + owner : owner * 100 + name
}

function better(one: Meaning | undefined, other: Meaning | undefined): Meaning | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return rank(other) < rank(one) ? other : one
}

/** What is left of a name without such a word at either end. */
function* without(plain: string, word: string): Generator<string> {
  if (plain.startsWith(word)) yield plain.slice(word.length)
  if (WORDS_AFTER.has(word) && plain.endsWith(word)) yield plain.slice(0, -word.length)
}

function meaningOf(plain: string, ownersLeft = MAX_OWNERS): Meaning | undefined {
  const known = MEANINGS.get(plain)
  if (known !== undefined || ownersLeft === 0) return known
  if (FIRST_OF_SEVERAL.test(plain)) {
    return meaningOf(plain.replace(FIRST_OF_SEVERAL, ''), ownersLeft)
  }
  let best: Meaning | undefined
  for (const [word, owner] of OWNERS_BY_WORD) {
    for (const rest of without(plain, word)) {
      const meaning = meaningOf(rest, ownersLeft - 1)
      if (meaning === undefined) continue
      best = better(best, { ...meaning, owner: meaning.owner + owner })
    }
  }
  return best
}

/** Less good than all other names of the field. */
const COMPANION_NAME = 99

function companionOf(plain: string, names: ReadonlySet<string>): Meaning | undefined {
  const found = COMPANIONS.find(
    ([name, , beside]) => name === plain && beside.some((other) => names.has(other))
  )
  return found && { field: found[1], name: COMPANION_NAME, owner: 0 }
}

/**
 * Finds the column of each field by its name alone; of several equally good ones the first.
 * @param taken columns that are not to be used.
 */
export function recognise(
  columns: readonly string[],
  taken: ReadonlySet<string> = new Set()
): Mapping {
  const names = new Set(columns.map(plainName))
  const best = new Map<CustomerField, { column: string; rank: number }>()
  for (const column of columns) {
    const plain = plainName(column)
    const meaning = taken.has(column) ? undefined : (meaningOf(plain) ?? companionOf(plain, names))
    if (meaning === undefined) continue
    const before = best.get(meaning.field)
    if (before === undefined || rank(meaning) < before.rank) {
      best.set(meaning.field, { column, rank: rank(meaning) })
    }
  }
  const fields = CUSTOMER_FIELDS.filter((field) => best.has(field))
  return Object.fromEntries(fields.map((field) => [field, best.get(field)?.column]))
}
