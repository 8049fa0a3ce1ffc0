import { countryOrDefault, parseCountry } from './country.ts'
import { derived, Dictionary } from './distinct.ts'
import { givenHash, HASH_LENGTH, isHash, sha256 } from './hash.ts'
import { normalizeName, plainName } from './name.ts'
import { isPlaceholder } from './placeholder.ts'
import { cutPostalCode, normalizePostalCodeFull, plainPostalCode } from './postal-code.ts'
import { isRepairedText } from './repair.ts'
import { clean, isBlank } from './text.ts'
import { TextMap } from './text-map.ts'

/** How a value came in: not at all, as text (of whatever quality) or as the SHA-256 of something. */
export type Given = '' | 'text' | 'hash'

/** What was made of each distinct value, by its index. */
type Made<T> = () => readonly T[]

/** A form of a field whose values repeat, of each distinct value. */
export interface Form {
  readonly text: Made<string>
  readonly hash: Made<string>
}

/** What is made of the values that repeat, known from part to part of an upload. */
export interface Vocabulary {
  readonly dictionaries: Readonly<Record<RepeatingField, Dictionary>>
  readonly forms: Readonly<Record<RepeatingField | 'postalCodeFull', Form>>
  /** As people write them. */
  readonly plain: Readonly<Record<'firstName' | 'lastName' | 'postalCode', Made<string>>>
  /** ISO 3166-1 alpha-2, upper case. */
  readonly countries: Made<string>
  readonly given: Readonly<Record<RepeatingField, Made<Given>>>
  /** See repair.ts. */
  readonly repaired: Readonly<Record<RepeatingField, Made<boolean>>>
}

export type RepeatingField = 'firstName' | 'lastName' | 'country' | 'postalCode'

export interface VocabularyOptions {
  /** ISO 3166-1 code or name of the country of users without one. */
  readonly defaultCountry?: string | undefined
}

/** The value, `''` if it came as a hash. */
export function clearText(value: string): string {
  return isHash(value) ? '' : value
}

export function howGiven(value: string): Given {
  if (isBlank(value)) return ''
  return value.length >= HASH_LENGTH && givenHash(clean(value)) !== '' ? 'hash' : 'text'
}

function howCountryGiven(value: string): Given {
  return isPlaceholder(clean(value)) ? '' : howGiven(value)
}

/** Hashes each distinct text once. */
function createHashes(): (text: string) => string {
  const known = new TextMap()
  const hashes: string[] = []
  return (text) => {
    const index = known.getOrAdd(text, hashes.length)
    if (index === hashes.length) hashes.push(sha256(text))
    return hashes[index] ?? ''
  }
}

/** Texts, and whether they are repaired: that is told best while value and text are at hand. */
function normalized(
  values: Dictionary,
  make: (value: string, country: string, index: number) => string
) {
  const areRepaired: boolean[] = []
  const text = derived(values, (value, country, index) => {
    const made = make(value, country, index)
    areRepaired.push(made !== '' && isRepairedText(made, value))
    return made
  })
  const repaired = () => {
    text()
    return areRepaired
  }
  return { text, repaired }
}

const normalizedNames = (names: Dictionary) =>
  normalized(names, (value) => normalizeName(clearText(value)))

const plainNames = (names: Dictionary) => derived(names, (value) => plainName(clearText(value)))

export function createVocabulary({ defaultCountry = '' }: VocabularyOptions): Vocabulary {
  const firstName = new Dictionary()
  const lastName = new Dictionary()
  const country = new Dictionary()
  const postalCode = new Dictionary()
  const fallback = parseCountry(defaultCountry)
  const toHash = createHashes()

  const form = (dictionary: Dictionary, text: Made<string>): Form => ({
    text,
    hash: derived(dictionary, (value, _country, index) => {
      const made = text()[index] ?? ''
      return made === '' ? givenHash(value) : toHash(made)
    })
  })
  const countries = derived(country, (value) => countryOrDefault(value, fallback))
  const firstNames = normalizedNames(firstName)
  const lastNames = normalizedNames(lastName)
  const countryCodes = normalized(country, (_value, _country, index) =>
    (countries()[index] ?? '').toLowerCase()
  )
  const fullPostalCodes = normalized(postalCode, (value, lives) =>
    normalizePostalCodeFull(clearText(value), lives)
  )

  return {
    dictionaries: { firstName, lastName, country, postalCode },
    forms: {
      firstName: form(firstName, firstNames.text),
      lastName: form(lastName, lastNames.text),
      country: form(country, countryCodes.text),
      postalCode: form(
        postalCode,
        derived(postalCode, (_value, lives, index) =>
          cutPostalCode(fullPostalCodes.text()[index] ?? '', lives)
        )
      ),
      postalCodeFull: form(postalCode, fullPostalCodes.text)
    },
    plain: {
      firstName: plainNames(firstName),
      lastName: plainNames(lastName),
      postalCode: derived(postalCode, (value, lives) => plainPostalCode(clearText(value), lives))
    },
    countries,
    given: {
      firstName: derived(firstName, howGiven),
      lastName: derived(lastName, howGiven),
      country: derived(country, howCountryGiven),
      postalCode: derived(postalCode, howGiven)
    },
    repaired: {
      firstName: firstNames.repaired,
      lastName: lastNames.repaired,
      country: countryCodes.repaired,
      postalCode: fullPostalCodes.repaired
    }
  }
}
