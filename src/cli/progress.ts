import { clearLine, cursorTo } from 'node:readline'
import type { WriteStream } from 'node:tty'

export interface Progress {
  /**
   * Shows how things stand: in place on a terminal, else as a line of its own if there is news.
   * @param news what it is news about; by default the text itself.
   */
  show(text: string, news?: string): void
  /** A line that stays. */
  note(text: string): void
  /** Lets what was shown last stand. */
  end(): void
}

/** A terminal that is written to more often shows nothing more. */
const REDRAW_AFTER_MS = 80
/** Lines that come faster are left out, but for the last one: a log is read, not watched. */
const NEXT_LINE_AFTER_MS = 1_000

export function createProgress(out: WriteStream): Progress {
  return out.isTTY ? inPlace(out) : inLines(out)
}

function inPlace(out: WriteStream): Progress {
  let latest = ''
  let drawn = ''
  let drawnAt = 0
  let later: NodeJS.Timeout | undefined

  function clear(): void {
    clearLine(out, 0)
    cursorTo(out, 0)
  }
  function draw(): void {
    clearTimeout(later)
    later = undefined
    clear()
    // A longer line would wrap, and only its last row would be cleared.
    out.write(latest.slice(0, out.columns - 1))
    drawn = latest
    drawnAt = performance.now()
  }
  return {
    show(text) {
      latest = text
      if (text === drawn) return
      if (performance.now() - drawnAt > REDRAW_AFTER_MS) draw()
      else later ??= setTimeout(draw, REDRAW_AFTER_MS)
    },
    note(text) {
      if (drawn !== '') clear()
      out.write(`${text}\n`)
      if (drawn !== '') draw()
    },
    end() {
      if (latest === '') return
      if (latest !== drawn) draw()
      clearTimeout(later)
      out.write('\n')
      latest = ''
      drawn = ''
    }
  }
}

function inLines(out: WriteStream): Progress {
  let news = ''
  let waiting: string | undefined
  let writtenAt = -Infinity

  function write(text: string): void {
    out.write(`${text}\n`)
    waiting = undefined
    writtenAt = performance.now()
  }
  return {
    show(text, about = text) {
      if (about === news) return
      news = about
      waiting = text
      if (performance.now() - writtenAt > NEXT_LINE_AFTER_MS) write(text)
    },
    note: (text) => void out.write(`${text}\n`),
    end() {
      if (waiting !== undefined) write(waiting)
    }
  }
}

const BAR_WIDTH = 24

/** `████████░░░░░░░░  33 %` */
export function bar(share: number): string {
  const filled = Math.floor(Math.min(Math.max(share, 0), 1) * BAR_WIDTH)
  return `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)} ${percent(share)}`
}

export function percent(share: number): string {
  return `${Math.floor(share * 100)} %`.padStart(5)
}

/** `45 s`, `12 min`, `3 h 20 min` */
export function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1_000)
  if (seconds < 90) return `${seconds} s`
  const minutes = Math.ceil(seconds / 60)
  if (minutes < 90) return `${minutes} min`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
