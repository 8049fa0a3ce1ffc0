import countries from 'i18n-iso-countries'
import { isPlaceholder } from './placeholder.ts'
import { clean } from './text.ts'

/** Names in use that neither i18n-iso-countries nor CLDR has. */
const FURTHER_NAMES: Readonly<Record<string, string>> = {
  britain: 'GB',
  'great britain': 'GB',
  england: 'GB',
  scotland: 'GB',
  wales: 'GB',
  'northern ireland': 'GB',
  inglaterra: 'GB',
  angleterre: 'GB',
  inghilterra: 'GB',
  engeland: 'GB',
  schottland: 'GB',
  ecosse: 'GB',
  escocia: 'GB',
  scozia: 'GB',
  'united kingdom of great britain and northern ireland': 'GB',
  grossbritannien: 'GB',
  'grande bretagne': 'GB',
  'gran bretana': 'GB',
  'gran bretagna': 'GB',
  america: 'US',
  'ee uu': 'US',
  eeuu: 'US',
  eua: 'US',
  アメリカ: 'US',
  holland: 'NL',
  'republic of ireland': 'IE',
  'ireland republic of': 'IE',
  brd: 'DE',
  frg: 'DE',
  'bundesrepublik deutschland': 'DE',
  'federal republic of germany': 'DE',
  oesterreich: 'AT',
  aotearoa: 'NZ',
  'aotearoa new zealand': 'NZ',
  'slovak republic': 'SK',
  bosnia: 'BA',
  korea: 'KR',
  's korea': 'KR',
  'korea south': 'KR',
  'n korea': 'KP',
  'korea north': 'KP',
  'pr china': 'CN',
  prc: 'CN',
  'mainland china': 'CN',
  'china mainland': 'CN',
  台灣: 'TW',
  臺灣: 'TW',
  'hong kong sar': 'HK',
  'hong kong china': 'HK',
  'macau sar': 'MO',
  'macau china': 'MO',
  'macao china': 'MO',
  drc: 'CD',
  'dr congo': 'CD',
  vatican: 'VA',
  'east timor': 'TL',
  ksa: 'SA',
  rsa: 'ZA'
}

/** Accents of the Latin, Greek and Cyrillic scripts; vowel signs of other scripts stay. */
const ACCENTS = /[\u0300-\u036f]+/g

/** One spelling for all: no dots, apostrophes and "the", other punctuation as a space. */
function spell(name: string): string {
  return (
    clean(name)
      .normalize('NFKC')
      // By way of the upper case, so that `ß` and `SS` are the same.
      .toUpperCase()
      .toLowerCase()
      .replaceAll('&', ' and ')
      .replace(/[.'’]/g, '')
      .replace(/[\p{P}\p{S}\s]+/gu, ' ')
      .trim()
      .replace(/^the | the(?= |$)/g, '')
      .replace(/\bst(?= )/g, 'saint')
      .replace(/\brep(?= |$)/g, 'republic')
  )
}

function withoutAccents(name: string): string {
  return name.normalize('NFKD').replace(ACCENTS, '').normalize('NFC')
}

/** The names of all countries in a language, from i18n-iso-countries and from Node's own CLDR data. */
function* namesIn(language: string): Generator<readonly [name: string, code: string]> {
  const cldr = new Intl.DisplayNames(language, { type: 'region', fallback: 'none' })
  for (const [code, names] of Object.entries(countries.getNames(language, { select: 'all' }))) {
    for (const name of [...names, cldr.of(code) ?? '']) {
      yield [spell(name), code]
      yield [withoutAccents(spell(name)), code]
    }
  }
}

/** Names that mean the same country in all of these languages. */
function unambiguousNames(languages: readonly string[]): Map<string, string> {
  const meanings = new Map<string, string | undefined>()
  for (const [name, code] of languages.flatMap((language) => [...namesIn(language)])) {
    const isNew = !meanings.has(name)
    meanings.set(name, isNew || meanings.get(name) === code ? code : undefined)
  }
  return new Map([...meanings].flatMap(([name, code]) => (name && code ? [[name, code]] : [])))
}

/** English wins over the other languages. A name with several meanings (`Congo`) is not in it. */
function buildNames(): ReadonlyMap<string, string> {
  return new Map([
    ...unambiguousNames(countries.getSupportedLanguages()),
    ...unambiguousNames(['en']),
    ...Object.entries(FURTHER_NAMES)
  ])
}

/** `UK` and the European Union's own `EL` stand beside the codes of ISO 3166-1. */
const CODES: ReadonlyMap<string, string> = new Map([
  ['uk', 'GB'],
  ['el', 'GR'],
  ...Object.entries(countries.getAlpha2Codes()).flatMap(([alpha2, alpha3]): [string, string][] => [
    [alpha2.toLowerCase(), alpha2],
    [alpha3.toLowerCase(), alpha2]
  ])
])

/** Takes 0.4 s to build, and most lists have codes only. */
let names: ReadonlyMap<string, string> | undefined

function lookUp(value: string): string {
  const name = spell(value)
  const code = CODES.get(name)
  if (code !== undefined || name === '') return code ?? ''
  names ??= buildNames()
  return names.get(name) ?? names.get(withoutAccents(name)) ?? ''
}

const TRAILING_BRACKETS = /^([^()]+)\(([^()]+)\)$/

/** `Germany (DE)`: what stands in the brackets, unless what stands before them is another country. */
function lookUpBrackets(value: string): string {
  const [, before = '', inside = ''] = TRAILING_BRACKETS.exec(clean(value.normalize('NFKC'))) ?? []
  const [outer, inner] = [lookUp(before), lookUp(inside)]
  return outer === '' || outer === inner ? inner : ''
}

/**
 * ISO 3166-1 alpha-2 (upper case) of a code or of a name in any language of i18n-iso-countries:
 * `de`, `DEU`, `Germany`, `Alemania`, `Germany (DE)`; `''` for what names no country, or two.
 */
export function parseCountry(value: string): string {
  return lookUp(value) || lookUpBrackets(value)
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
