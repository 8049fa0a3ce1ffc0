import { clean } from './text.ts'

/**
 * A value as it may be shown to whoever sent it: enough to find the mistake, never enough to reach or
 * to recognise anybody.
 */

const HIDDEN = '***'

/** The first character, if it is not all there is. */
function maskText(value: string): string {
  const [first = '', second] = value
  return second === undefined ? HIDDEN : first + HIDDEN
}

/** A domain's first label; longer ones, and those with digits, may say who somebody is. */
const SHORT_LABEL = /^[\p{L}-]{1,10}(?=\.|$)/u

/** `j***@example`: without the rest of the domain. */
function maskEmail(value: string): string {
  const at = value.lastIndexOf('@')
  const [first = '', second] = value.slice(0, Math.max(0, at))
  // Otherwise all of the value might stand there.
  if (second === undefined) return maskText(value)
  const [label = HIDDEN] = SHORT_LABEL.exec(value.slice(at + 1)) ?? []
  return `${first}${HIDDEN}@${label}`
}

const MAX_SHOWN_DIGITS = 5
/** Of all digits: calling code and area code of most numbers. */
/** Digits and what separates them. */
const MAX_SHOWN_CHARACTERS = 16
const SHOWN_PART = 0.4
const DIGIT = /\d/
const OF_A_NUMBER = /[\d ()+.-]/

/** `+1 415 ***`: at most five of the digits, and fewer than half of them. */
function maskPhone(value: string): string {
  const digits = value.replace(/\D/g, '').length
  const shown = Math.min(MAX_SHOWN_DIGITS, Math.floor(digits * SHOWN_PART))
  let start = ''
  let count = 0
  for (const character of value) {
    if (start.length === MAX_SHOWN_CHARACTERS || count === shown || !OF_A_NUMBER.test(character))
      break
    if (DIGIT.test(character)) count += 1
    start += character
  }
  return count === 0 ? maskText(value) : `${start} ${HIDDEN}`
}

/** How values of a field are masked; those without a way of their own by their first character. */
const MASKS: Readonly<Partial<Record<string, (value: string) => string>>> = {
  email: maskEmail,
  phone: maskPhone
}

/** @param field whose value it is. */
export function mask(field: string, value: string): string {
  const text = clean(value)
  return (MASKS[field] ?? maskText)(text)
}
