import { EXIT, ExitError } from './exit.ts'

export interface Interruption {
  /** Aborted by Ctrl-C or another request to end; its reason ends the command. */
  readonly signal: AbortSignal
  /** Signals do again what they did before. */
  end(): void
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
/** A terminal and npm both pass a Ctrl-C on: that is one, not two. */
const SAME_WITHIN_MS = 500

/** The first signal asks to end well, another one ends the process at once. */
export function listenForInterruption(): Interruption {
  const controller = new AbortController()
  let first = 0
  function stop(): void {
    if (controller.signal.aborted && performance.now() - first > SAME_WITHIN_MS) {
      process.exit(EXIT.interrupted)
    }
    if (controller.signal.aborted) return
    first = performance.now()
    controller.abort(new ExitError(EXIT.interrupted, 'Interrupted.'))
  }
  for (const signal of SIGNALS) process.on(signal, stop)
  return {
    signal: controller.signal,
    end() {
      for (const signal of SIGNALS) process.off(signal, stop)
    }
  }
}
