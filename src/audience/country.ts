import countries from 'i18n-iso-countries'
import { isPlaceholder } from './placeholder.ts'
import { clean } from './text.ts'

/** Names in use that are no ISO code and that the language files of i18n-iso-countries lack. */
const FURTHER_NAMES: Readonly<Record<string, string>> = {
  uk: 'GB',
  britain: 'GB',
  'great britain': 'GB',
  england: 'GB',
  scotland: 'GB',
  wales: 'GB',
  'northern ireland': 'GB',
  // The European Union's own code for Greece.
  el: 'GR',
  america: 'US',
  holland: 'NL'
}

/** Accents of the Latin, Greek and Cyrillic scripts; vowel signs of other scripts stay. */
const ACCENTS = /[\u0300-\u036f]+/g

/** One spelling for all: no accents, dots, apostrophes and "the", other punctuation as a space. */
function fold(name: string): string {
  return name
    .normalize('NFKD')
    .replace(ACCENTS, '')
    .toLowerCase()
    .replace(/[.'’]/g, '')
    .replace(/[\p{P}\p{S}\s]+/gu, ' ')
    .replace(/^the | the(?= |$)/g, '')
    .trim()
}

function* namesIn(language: string): Generator<readonly [name: string, code: string]> {
  for (const [code, names] of Object.entries(countries.getNames(language, { select: 'all' }))) {
    for (const name of names) yield [fold(name), code]
  }
}

/** Names that mean one country in all languages together; of the others the English meaning. */
function namesOfAllLanguages(): Map<string, string> {
  const codes = new Map<string, Set<string>>()
  for (const language of countries.getSupportedLanguages()) {
    for (const [name, code] of namesIn(language)) {
      codes.set(name, (codes.get(name) ?? new Set()).add(code))
    }
  }
  const unambiguous = [...codes].filter(([, meanings]) => meanings.size === 1)
  return new Map(unambiguous.map(([name, meanings]) => [name, [...meanings].join('')]))
}

function buildLookup(): ReadonlyMap<string, string> {
  const lookup = namesOfAllLanguages()
  for (const [name, code] of namesIn('en')) lookup.set(name, code)
  for (const [name, code] of Object.entries(FURTHER_NAMES)) lookup.set(name, code)
  for (const [code, alpha3] of Object.entries(countries.getAlpha2Codes())) {
    lookup.set(code.toLowerCase(), code)
    lookup.set(alpha3.toLowerCase(), code)
  }
  return lookup
}

let lookup: ReadonlyMap<string, string> | undefined

/**
 * ISO 3166-1 alpha-2 (upper case) of a code or of a name in any language of i18n-iso-countries:
 * `de`, `DEU`, `Germany`, `Alemania`; `''` for what names no country.
 */
export function parseCountry(value: string): string {
  lookup ??= buildLookup()
  return lookup.get(fold(clean(value))) ?? ''
}

/**
 * The country of a user: the default where none is given, none at all where what is given cannot be
 * read, because the user lives somewhere, only not certainly in the default country.
 */
export function countryOrDefault(value: string, defaultCountry: string): string {
  return isPlaceholder(clean(value)) ? defaultCountry : parseCountry(value)
}

/** Whether a text is an ISO 3166-1 alpha-2 code, in any case. */
export function isCountryCode(value: string): boolean {
  return value.length === 2 && countries.isValid(value)
}
