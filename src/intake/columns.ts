import { COMPANIONS, FALLBACK_RULES, NAMES, OWNERS, OWNERS_AFTER } from './column-names.ts'
import { CUSTOMER_FIELDS, type CustomerField, type Fallbacks, type Mapping } from './intake.ts'

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

interface Candidate {
  readonly column: string
  readonly meaning: Meaning
}

/** The columns that may be each field, the best first; of equally good ones the first. */
function candidatesOf(
  columns: readonly string[],
  taken: ReadonlySet<string>
): Map<CustomerField, Candidate[]> {
  const names = new Set(columns.map(plainName))
  const candidates = new Map<CustomerField, Candidate[]>()
  for (const column of columns) {
    const plain = plainName(column)
    const meaning = taken.has(column) ? undefined : (meaningOf(plain) ?? companionOf(plain, names))
    if (meaning === undefined) continue
    const others = candidates.get(meaning.field) ?? []
    candidates.set(meaning.field, [...others, { column, meaning }])
  }
  for (const each of candidates.values()) {
    each.sort((one, other) => rank(one.meaning) - rank(other.meaning))
  }
  return candidates
}

/**
 * Finds the column of each field by its name alone; of several equally good ones the first.
 * @param taken columns that are not to be used.
 */
export function recognise(
  columns: readonly string[],
  taken: ReadonlySet<string> = new Set()
): Mapping {
  const candidates = candidatesOf(columns, taken)
  const fields = CUSTOMER_FIELDS.filter((field) => candidates.has(field))
  return Object.fromEntries(fields.map((field) => [field, candidates.get(field)?.[0]?.column]))
}

/** Whether a column certainly means what the best one of its field does. */
function isFallback(best: Meaning, { field, name, owner }: Meaning): boolean {
  const rule = FALLBACK_RULES[field]
  if (rule === undefined || !rule.names.includes(name)) return false
  return owner === best.owner || Math.max(owner, best.owner) <= rule.owners
}

/** Where several columns certainly hold the same field, all of them, the best first. */
export function recogniseFallbacks(
  columns: readonly string[],
  taken: ReadonlySet<string> = new Set()
): Fallbacks {
  const found: Partial<Record<CustomerField, readonly string[]>> = {}
  for (const [field, [best, ...others]] of candidatesOf(columns, taken)) {
    if (best === undefined) continue
    const further = others
      .filter(({ meaning }) => isFallback(best.meaning, meaning))
      .map(({ column }) => column)
      // Of columns with one name it is not clear which is meant.
      .filter((column) => columns.indexOf(column) === columns.lastIndexOf(column))
    if (further.length > 0) found[field] = [best.column, ...further]
  }
  return found
}

/** The columns that a field is read from: that of the mapping, and what is looked at where it is empty. */
export function columnsOf(
  field: CustomerField,
  mapping: Mapping,
  fallbacks: Fallbacks = {}
): readonly string[] {
  const column = mapping[field]
  if (column === undefined) return []
  const [best, ...others] = fallbacks[field] ?? []
  // Columns may have been given other fields by hand since they were recognised.
  if (best !== column) return [column]
  const used = new Set(Object.values(mapping))
  return [column, ...others.filter((other) => !used.has(other))]
}
