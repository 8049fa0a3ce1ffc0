import { clearLine, cursorTo } from 'node:readline'
import type { WriteStream } from 'node:tty'

export interface Progress {
  /** Shows how things stand: in place on a terminal, else as a line of its own if it is news. */
  show(text: string): void
  /** Lets what was shown last stand. */
  end(): void
}

export function createProgress(out: WriteStream): Progress {
  let shown = ''
  return {
    show(text) {
      if (text === shown) return
      shown = text
      if (!out.isTTY) {
        out.write(`${text}\n`)
        return
      }
      clearLine(out, 0)
      cursorTo(out, 0)
      // A longer line would wrap, and only its last row would be cleared.
      out.write(text.slice(0, out.columns - 1))
    },
    end() {
      if (out.isTTY) out.write('\n')
    }
  }
}
