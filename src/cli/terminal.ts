import { styleText } from 'node:util'
import { table } from './table.ts'

/**
 * Results go to standard output, everything else to standard error. Colours are left out where the
 * stream is no terminal or NO_COLOR is set.
 */

type Style = Parameters<typeof styleText>[0]

export const onOut = (style: Style, text: string) =>
  styleText(style, text, { stream: process.stdout })
export const onError = (style: Style, text: string) =>
  styleText(style, text, { stream: process.stderr })

/** Names in a file could steer the terminal. Line breaks stay. */
export const withoutControls = (text: string) => text.replace(/[^\P{Cc}\n]/gu, '')

export function print(text = ''): void {
  process.stdout.write(`${text}\n`)
}

/** For people who watch. */
export function tell(text: string): void {
  process.stderr.write(`${text}\n`)
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, undefined, 2))
}

/** The headings in bold. */
export function printTable(...content: Parameters<typeof table>): void {
  const [headings = '', ...rows] = table(...content)
  print(onOut('bold', headings))
  for (const row of rows) print(row)
}
