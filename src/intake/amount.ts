export type DecimalMark = '.' | ','

/** A number between a sign and a currency: `€ 12`, `-12.50 kr.`, `(R$ 3)`, `12,-`. */
const AMOUNT =
  /^(?<before>[\s(+−-]*(?:\p{L}{1,4}\.?|\p{L}{0,3}\p{Sc})?[\s+−-]*)(?<number>[\d.,][\d.,'’\s]*?)(?:[.,][-–—])?\s*(?:\p{L}{1,5}|\p{Sc})?\.?[\s)]*$/u
const NEGATIVE = /[(−-]/u
/** `1.234`, `1 234 567,89`: groups of three, and a decimal mark that is another sign. */
const GROUPED =
  /^(?<whole>[1-9]\d{0,2}(?:(?<mark>[.,'’\s])\d{3})(?<more>(?:\k<mark>\d{3})*))(?:(?!\k<mark>)[.,](?<fraction>\d+))?$/u
const PLAIN = /^(?<whole>\d*)(?:[.,](?<fraction>\d+))?$/
/** As spreadsheets and programs write it. */
const SCIENTIFIC = /^[+-]?\d+(?:\.\d+)?e[+-]?\d+$/i
/** An amount takes no more, and the patterns would be slow with very long texts. */
const MAX_CHARACTERS = 40
const NOT_A_DIGIT = /\D/g

function unsigned(number: string, decimalMark: DecimalMark): number | undefined {
  const grouped = GROUPED.exec(number)?.groups
  // A single mark before three digits can be either: `1.234`.
  const isGrouped =
    grouped !== undefined &&
    (grouped['mark'] !== decimalMark || grouped['more'] !== '' || grouped['fraction'] !== undefined)
  const parts = isGrouped ? grouped : PLAIN.exec(number)?.groups
  if (parts === undefined) return undefined
  const whole = (parts['whole'] ?? '').replaceAll(NOT_A_DIGIT, '')
  return Number(`${whole || '0'}.${parts['fraction'] ?? '0'}`)
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined
}

/**
 * The number that people and spreadsheets mean by a text, in any of the usual notations; `undefined`
 * where none can be told.
 * @param decimalMark what a single mark before three digits is, as in `1.234` and `1,234`.
 */
export function parseAmount(text: string, decimalMark: DecimalMark): number | undefined {
  const plain = text.trim()
  if (plain.length > MAX_CHARACTERS) return undefined
  if (SCIENTIFIC.test(plain)) return finite(Number(plain))
  const { before = '', number } = AMOUNT.exec(plain)?.groups ?? {}
  const value = number === undefined ? undefined : unsigned(number.trim(), decimalMark)
  if (value === undefined) return undefined
  return finite(NEGATIVE.test(before) ? 0 - value : value)
}
