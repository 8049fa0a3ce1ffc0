import { Command, CommanderError, Option } from 'commander'
import type { CheckOptions } from './check.ts'
import { EXIT, ExitError } from './exit.ts'
import {
  readCount,
  readMapping,
  readMinutes,
  readName,
  readSessionId,
  withService
} from './options.ts'
import type { ProvidersOptions } from './show-providers.ts'
import type { StatusOptions } from './status.ts'
import { withoutControls } from './terminal.ts'
import type { UploadOptions } from './upload.ts'

/**
 * The command `audience`. What a command needs is loaded when it is called, so that `--help` is there
 * at once.
 */

const BATCH_USERS = 10_000
const MAX_BATCH_USERS = 1_000_000
const WAIT_MINUTES = 60

const EXIT_CODES = `
Exit codes: 0 everything was delivered, 1 something failed, 2 the command or the file cannot be used,
3 the service cannot be reached or refuses, 4 not finished in time, 130 interrupted.`

const examples = (...lines: readonly string[]) =>
  `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`

function addUpload(program: Command): void {
  withService(
    program
      .command('upload')
      .summary('send a file of customers as an audience')
      .description(
        'Sends a file of customers (CSV, NDJSON or JSON, also compressed by gzip) as an audience to every configured platform, and waits until all of them are done.'
      )
      .argument('<file>', 'the file, or - for standard input')
      .requiredOption('--name <name>', 'name of the audience', readName)
      .addOption(
        new Option('--type <type>', 'primary: the primary list of customers')
          .choices(['custom', 'primary'])
          .default('custom')
      )
      .addOption(
        new Option('--mode <mode>', 'remove takes the customers out of the audience')
          .choices(['add', 'remove'])
          .default('add')
      )
      .option(
        '--map <field=column,…>',
        'columns of fields, where they are not recognised by their names; phone= for none',
        readMapping
      )
      .option('--channels <list>', 'only these platforms or tags: facebook,tiktok/eu-shop')
      .option('--default-country <code>', 'country of customers who have none, e.g. DE')
      .option('--disable-prefix', 'give the segment exactly this name')
      .option(
        '--batch-size <users>',
        'customers in one call',
        readCount(MAX_BATCH_USERS),
        BATCH_USERS
      )
      .option('--sync', 'send one batch after the other and wait for the platforms each time')
      .option('--dry-run', 'show how good the data is, and what would be sent; nothing is sent')
      .option('--resume', 'go on with a broken upload of this file; without one, begin')
      .option('--wait <minutes>', 'longest wait for the platforms', readMinutes, WAIT_MINUTES)
  )
    .addHelpText(
      'after',
      examples(
        'audience upload customers.csv --name "High Value Customers" --dry-run',
        'audience upload customers.csv --name "High Value Customers"',
        'audience upload customers.csv --name "High Value Customers" --resume',
        'audience upload crm.csv.gz --name VIP --map email=E-Mail,phone=Mobile --default-country DE',
        'audience upload left.csv --name VIP --mode remove --channels facebook',
        'psql -c "COPY (SELECT …) TO STDOUT CSV HEADER" | audience upload - --name VIP --json'
      ) + `\n${EXIT_CODES}`
    )
    .action(async (file: string, options: UploadOptions) => {
      const { upload } = await import('./upload.ts')
      process.exitCode = await upload(file, options)
    })
}

function addStatus(program: Command): void {
  withService(
    program
      .command('status')
      .summary('how uploads stand')
      .description(
        'Shows the latest uploads, or how one of them stands at every platform: what was sent, left out or failed and why, and what to do.'
      )
      .argument('[session]', 'number of the upload', readSessionId)
      .option('--watch', 'follow it until it is done; without a number the latest one')
  )
    .addHelpText(
      'after',
      examples(
        'audience status',
        'audience status 3651418267648123',
        'audience status 3651418267648123 --watch',
        'audience status --watch'
      ) + `\n${EXIT_CODES}`
    )
    .action(async (sessionId: number | undefined, options: StatusOptions) => {
      const { status } = await import('./status.ts')
      process.exitCode = await status(sessionId, options)
    })
}

function addProviders(program: Command): void {
  withService(
    program
      .command('providers')
      .summary('platforms that the service sends to')
      .description('Shows the platforms and tags that the running service is configured with.')
      .option('--check', 'ask each platform whether credentials, access and terms are in order')
  )
    .addHelpText('after', examples('audience providers', 'audience providers --check'))
    .action(async (options: ProvidersOptions) => {
      const { showProviders } = await import('./show-providers.ts')
      process.exitCode = await showProviders(options)
    })
}

function addLocal(program: Command): void {
  program
    .command('check')
    .summary("check this machine's configuration")
    .description(
      'Reads the configuration as `audience serve` would, without starting it, and asks each platform whether credentials, access and terms are in order. Nothing is written there.'
    )
    .option('--json', 'print one JSON document instead of text')
    .addHelpText(
      'after',
      examples('audience check', 'AUDIENCE_CONFIG=audience.config.json audience check --json') +
        '\n\nExit codes: 0 all in order, 1 a platform has something to complain about, 2 the configuration is wrong.'
    )
    .action(async (options: CheckOptions) => {
      const { check } = await import('./check.ts')
      process.exitCode = await check(options)
    })
  program
    .command('serve')
    .summary('start the service')
    .description('Starts the service on this machine, configured as docs/configuration.md tells.')
    .option('--json', 'changes nothing: its log is one JSON document a line')
    .addHelpText('after', examples('audience serve', 'PORT=8090 audience serve'))
    .action(async () => {
      await import('../main.ts')
    })
  program
    .command('sandbox')
    .summary('start a stand-in of every platform')
    .description(
      'Starts a stand-in of every platform on this machine, and prints the variables that point the service at them.'
    )
    .option('--json', 'print one JSON document instead of text')
    .addHelpText('after', examples('audience sandbox', 'SANDBOX_PORT_BASE=9201 audience sandbox'))
    .action(async () => {
      await import('./sandbox.ts')
    })
}

/** The program with all its commands; nothing is run yet. */
export function createProgram(): Command {
  const program = new Command('audience')
    .description('Brings a list of customers as an audience to Facebook, TikTok, Klaviyo and more.')
    .exitOverride()
    .showSuggestionAfterError()
    .addHelpText(
      'after',
      examples(
        'audience sandbox                                    stand-ins, to try it out',
        'audience serve                                      the service',
        'audience upload customers.csv --name VIP --dry-run  how good is the data?',
        'audience upload customers.csv --name VIP            send it'
      ) + `\n${EXIT_CODES}`
    )
  addUpload(program)
  addStatus(program)
  addProviders(program)
  addLocal(program)
  for (const command of program.commands) {
    command.exitOverride().showHelpAfterError(`See: audience ${command.name()} --help`)
  }
  return program
}

/** Runs the command; its end is told by the exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  // Whoever reads may have seen enough (EPIPE, as of `head`): what is under way goes on.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
  try {
    await createProgram().parseAsync(argv)
  } catch (error) {
    process.exitCode = await explain(error, argv.includes('--json'))
  }
}

/** Tells people or, as JSON, programs what went wrong; never with a stack trace. */
async function explain(error: unknown, asJson: boolean): Promise<number> {
  // Help and version are no errors.
  if (error instanceof CommanderError && error.exitCode === 0) return 0
  const { exitCode, message, details } = await toExitError(error)
  const text = withoutControls(message)
  if (asJson) {
    process.stdout.write(`${JSON.stringify({ success: false, error: text, ...details })}\n`)
  }
  // Commander has told people already.
  if (!(error instanceof CommanderError)) process.stderr.write(`${text}\n`)
  return exitCode
}

async function toExitError(error: unknown): Promise<ExitError> {
  if (error instanceof ExitError) return error
  if (error instanceof CommanderError) return new ExitError(EXIT.wrongUse, error.message)
  const { explainError } = await import('./explain-error.ts')
  return explainError(error)
}
