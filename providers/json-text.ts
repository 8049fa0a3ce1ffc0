/** Printable ASCII without quotation mark and backslash. */
const NEEDS_NO_ESCAPE = /^[ !#-[\]-~]*$/

/** A text as JSON: what `JSON.stringify` makes of it, in less time where nothing has to be escaped. */
export function jsonText(text: string): string {
  return NEEDS_NO_ESCAPE.test(text) ? `"${text}"` : JSON.stringify(text)
}
