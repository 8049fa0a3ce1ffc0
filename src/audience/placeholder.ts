/** Written by forms, exports and people in place of a value. None of them is anybody's name. */
const PLACEHOLDERS: ReadonlySet<string> = new Set([
  'n/a',
  '#n/a',
  'n.a.',
  'n.a',
  'n\\a',
  'none',
  'null',
  '\\n',
  'undefined',
  'unknown',
  'unbekannt',
  'inconnu',
  'desconocido',
  'not available',
  'not applicable',
  'not provided',
  'not given',
  'not set',
  'no name',
  'no data',
  'no value',
  '(blank)',
  '(empty)',
  '(none)',
  '(null)',
  '(not set)',
  '[null]',
  '[blank]',
  '<null>',
  '<blank>',
  '#null!',
  '#ref!',
  '#value!',
  '#name?',
  '#div/0!'
])

/** Further ones that are also given or family names somewhere in the world (Nan, Tba, Nil, Empty). */
const PLACEHOLDERS_BUT_NOT_IN_NAMES: ReadonlySet<string> = new Set([
  'nil',
  'nan',
  'tbd',
  'tba',
  'tbc',
  'blank',
  'empty',
  'missing',
  'void',
  'other'
])

const NO_LETTER_OR_DIGIT = /^[^\p{L}\p{N}]*$/u

/** A set would have to hash each name first, which takes longer than all else about it. */
const PLACEHOLDER = new RegExp(
  `^(?:${[...PLACEHOLDERS].map((text) => RegExp.escape(text)).join('|')})$`
)

/** Whether a text in lower case, which has letters, stands for "nothing" in a name. */
export function isPlaceholderWord(text: string): boolean {
  return PLACEHOLDER.test(text)
}

/** Whether a cleaned name stands for "nothing": `n/a`, `unknown`, `-`. An empty one does too. */
export function isNamePlaceholder(value: string): boolean {
  return PLACEHOLDERS.has(value.toLowerCase()) || NO_LETTER_OR_DIGIT.test(value)
}

/** Whether a cleaned value of any other field stands for "nothing". An empty one does too. */
export function isPlaceholder(value: string): boolean {
  return isNamePlaceholder(value) || PLACEHOLDERS_BUT_NOT_IN_NAMES.has(value.toLowerCase())
}
