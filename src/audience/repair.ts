/**
 * Whether a value had to be repaired: what it is matched on is more than what anybody makes of it who
 * trims it and writes it in lower case. Elsewhere it would have matched nobody, without any error.
 */

const TAB = 9
const CARRIAGE_RETURN = 13
const SPACE = 32
const CAPITAL_A = 65
const CAPITAL_Z = 90
const TO_SMALL = 32
const LAST_ASCII = 127

const isSpace = (code: number) => code === SPACE || (code >= TAB && code <= CARRIAGE_RETURN)

const trimmedLower = (value: string) => value.trim().toLowerCase()

/** @param made what is matched on, not empty. */
export function isRepairedText(made: string, value: string): boolean {
  if (made === value) return false
  let start = 0
  let end = value.length
  while (start < end && isSpace(value.charCodeAt(start))) start++
  while (start < end && isSpace(value.charCodeAt(end - 1))) end--
  // Not beyond the end: there `charCodeAt` is slow.
  const length = Math.min(made.length, end - start)
  for (let i = 0; i < length; i++) {
    const code = value.charCodeAt(start + i)
    if (code > LAST_ASCII) return made !== trimmedLower(value)
    const isCapital = code >= CAPITAL_A && code <= CAPITAL_Z
    if (made.charCodeAt(i) !== (isCapital ? code + TO_SMALL : code)) return true
  }
  return made.length !== end - start && made !== trimmedLower(value)
}

const DIGIT_ZERO = 48
const DIGIT_NINE = 57

/** The same of phone numbers, of which anybody leaves out what is no digit. */
export function isRepairedNumber(e164: string, value: string): boolean {
  if (e164 === value) return false
  // Behind the plus.
  let at = 1
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (code < DIGIT_ZERO || code > DIGIT_NINE) continue
    if (at === e164.length || code !== e164.charCodeAt(at)) return true
    at++
  }
  return at !== e164.length
}
