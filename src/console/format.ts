import { html, type TemplateResult } from 'lit-html'

/** Numbers and times as the console shows them. */

const NUMBER = new Intl.NumberFormat('en')
const PERCENT = new Intl.NumberFormat('en', { style: 'percent', maximumFractionDigits: 1 })
const TIME = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' })
const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })
const BYTE_UNITS = ['bytes', 'KB', 'MB', 'GB', 'TB'] as const

export const count = (value: number) => NUMBER.format(value)

/** `1 user`, `2 users`. */
export const counted = (value: number, one: string, many = `${one}s`) =>
  `${count(value)} ${value === 1 ? one : many}`

/** Of a whole that may be nothing. All and nothing are said only where it is all or nothing. */
export function percent(part: number, whole: number): string {
  if (whole === 0) return '–'
  const share = part / whole
  if (share > 0 && share < 0.001) return `<${PERCENT.format(0.001)}`
  if (share > 0.999 && share < 1) return `>${PERCENT.format(0.999)}`
  return PERCENT.format(share)
}

export function bytes(value: number): string {
  const power = value < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(value) / 3))
  const amount = value / 1000 ** power
  return `${amount.toFixed(power === 0 || amount >= 100 ? 0 : 1)} ${BYTE_UNITS[power]}`
}

const STEPS: readonly (readonly [unit: Intl.RelativeTimeFormatUnit, seconds: number])[] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60]
]

/** `3 minutes ago`, `in 2 hours`. */
export function relative(iso: string, nowMs = Date.now()): string {
  const seconds = Math.round((Date.parse(iso) - nowMs) / 1000)
  const [unit, size] = STEPS.find(([, least]) => Math.abs(seconds) >= least) ?? []
  if (unit === undefined || size === undefined) return seconds > 0 ? 'in a moment' : 'just now'
  return RELATIVE.format(Math.trunc(seconds / size), unit)
}

/** A point in time: how long ago it was, and exactly on demand. */
export function time(iso: string): TemplateResult {
  const exact = TIME.format(Date.parse(iso))
  return html`<time datetime=${iso} title=${exact}>${relative(iso)}</time>`
}

/** `1 min 5 s`, `2 h`. */
export function duration(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  return minutes < 60
    ? withRest(`${minutes} min`, seconds % 60, 's')
    : withRest(`${Math.floor(minutes / 60)} h`, minutes % 60, 'min')
}

const withRest = (text: string, rest: number, unit: string) =>
  rest === 0 ? text : `${text} ${rest} ${unit}`
