import { IntakeError } from './intake.ts'

/** Whole records, and the line (from 1) in which the first of them begins. */
export interface Block {
  readonly text: string
  readonly firstLine: number
}

/** No customer takes as much; a quote that is never closed would take the rest of the file. */
const MAX_RECORD_CHARACTERS = 1 << 20

const LF = 10
const CR = 13

/**
 * After the last line break from `start` to `stop`, or 0 where there is none. A CR at the end of the
 * text may be half of a line break.
 */
function endOfLastLine(text: string, start: number, stop: number): number {
  for (let index = stop - 1; index >= start; index -= 1) {
    const code = text.charCodeAt(index)
    if (code === LF || (code === CR && index + 1 < text.length)) return index + 1
  }
  return 0
}

/** After the last line break that is in no quotes; a doubled quote closes them and opens them again. */
function endOfLastRecord(text: string): number {
  let end = 0
  let start = 0
  let isQuoted = false
  for (;;) {
    const quote = text.indexOf('"', start)
    const stop = quote < 0 ? text.length : quote
    if (!isQuoted) end = Math.max(end, endOfLastLine(text, start, stop))
    if (quote < 0) return end
    isQuoted = !isQuoted
    start = quote + 1
  }
}

export function countLineBreaks(text: string): number {
  let count = 0
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (code === LF || (code === CR && text.charCodeAt(index + 1) !== LF)) count += 1
  }
  return count
}

/** The texts cut anew, into one or more whole lines (of CSV: records) each. */
export async function* toBlocks(
  texts: AsyncIterable<string>,
  format: 'csv' | 'ndjson'
): AsyncGenerator<Block> {
  let pending = ''
  let firstLine = 1
  for await (const text of texts) {
    pending += text
    const nul = pending.indexOf('\0')
    if (nul >= 0) {
      const line = firstLine + countLineBreaks(pending.slice(0, nul))
      throw new IntakeError(
        `Line ${line} has a NUL byte: this is no text, or is cut off or damaged`
      )
    }
    const end =
      format === 'csv' ? endOfLastRecord(pending) : endOfLastLine(pending, 0, pending.length)
    if (end > 0) {
      const block = { text: pending.slice(0, end), firstLine }
      yield block
      firstLine += countLineBreaks(block.text)
      pending = pending.slice(end)
    } else if (pending.length > MAX_RECORD_CHARACTERS) {
      throw new IntakeError(
        format === 'csv'
          ? `What begins in line ${firstLine} has no end; a quote is opened there and never closed`
          : `Line ${firstLine} is longer than ${MAX_RECORD_CHARACTERS} characters`
      )
    }
  }
  if (pending !== '') yield { text: pending, firstLine }
}
