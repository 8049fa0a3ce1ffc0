/** How the command ends; docs/cli.md tells them to those who write scripts. */
export const EXIT = {
  delivered: 0,
  /** Something failed at a platform. */
  failed: 1,
  /** The command or the file cannot be used: the same again ends the same. */
  wrongUse: 2,
  /** The service cannot be reached or does not take it now. */
  refused: 3,
  /** It goes on, but not within the time that was to be waited. */
  unfinished: 4,
  /** Stopped by Ctrl-C or another signal. */
  interrupted: 130
} as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** Ends the command with a text for people: what is wrong and what to do about it. */
export class ExitError extends Error {
  override readonly name = 'ExitError'
  readonly exitCode: ExitCode
  /** What `--json` tells besides. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(
    exitCode: ExitCode,
    message: string,
    details: Readonly<Record<string, unknown>> = {}
  ) {
    super(message)
    this.exitCode = exitCode
    this.details = details
  }
}
