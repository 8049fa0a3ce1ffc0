import { readFileSync } from 'node:fs'
import { findPackageJSON, stripTypeScriptTypes } from 'node:module'
import { dirname, join, relative, resolve, sep } from 'node:path'
import vm from 'node:vm'

/**
 * What a browser loads for the console, found by its imports. This runs in a thread of its own: taking
 * types away brings up a compiler, which no process should keep for a page that is read once.
 */

export interface ConsoleModule {
  /** From the root of the project, with `/`: `src/console/main.ts`. */
  readonly path: string
  /** Without types. */
  readonly source: string
}

export interface ConsoleModules {
  /** The entry first, then what is imported, in the order in which it is met. */
  readonly modules: readonly ConsoleModule[]
  /** Bare names and the paths that they stand for. */
  readonly packages: Readonly<Record<string, string>>
}

const ROOT = resolve(import.meta.dirname, '..')
const ENTRY = 'src/console/main.ts'

/** Rooms from which a browser may be served; whatever else is imported is a mistake. */
const ROOMS: readonly string[] = [
  'src/console/',
  'src/client/',
  'src/intake/',
  'src/audience/',
  'src/api/'
]

/** The file of a package that is made for browsers. */
const PACKAGES: Readonly<Record<string, readonly [packageName: string, file: string]>> = {
  'lit-html': ['lit-html', 'lit-html.js'],
  'lit-html/directives/live.js': ['lit-html', 'directives/live.js'],
  'lit-html/directives/repeat.js': ['lit-html', 'directives/repeat.js'],
  'csv-parse': ['csv-parse', 'dist/esm/index.js'],
  'csv-parse/sync': ['csv-parse', 'dist/esm/sync.js'],
  '@streamparser/json': ['@streamparser/json', 'dist/mjs/index.js'],
  'eventsource-parser': ['eventsource-parser', 'dist/index.js'],
  'eventsource-parser/stream': ['eventsource-parser', 'dist/stream.js']
}

/**
 * Reads the entry and all that it imports.
 * @throws Error naming the import that a browser cannot or must not load.
 */
export default function readConsoleModules(): ConsoleModules {
  const packages: Record<string, string> = {}
  const paths = new Set([ENTRY])
  const modules: ConsoleModule[] = []
  // Grows while it is walked.
  for (const path of paths) {
    const source = sourceOf(path)
    modules.push({ path, source })
    for (const { specifier } of new vm.SourceTextModule(source).moduleRequests) {
      const target = targetOf(path, specifier)
      if (!specifier.startsWith('.')) packages[specifier] = target
      paths.add(target)
    }
  }
  return { modules, packages }
}

function sourceOf(path: string): string {
  const source = readFileSync(join(ROOT, path), 'utf8')
  return path.endsWith('.ts') ? stripTypeScriptTypes(source) : source
}

function targetOf(from: string, specifier: string): string {
  if (!specifier.startsWith('.')) return packageFile(from, specifier)
  const target = toPath(join(ROOT, dirname(from), specifier))
  const isOfPackage = from.startsWith('node_modules/') && target.startsWith('node_modules/')
  if (isOfPackage || ROOMS.some((room) => target.startsWith(room))) return target
  throw new Error(`${from} imports ${target}, which no browser is served`)
}

function packageFile(from: string, specifier: string): string {
  const [packageName, file] = PACKAGES[specifier] ?? []
  const manifest = packageName && findPackageJSON(packageName, import.meta.url)
  if (manifest === undefined || file === undefined) {
    throw new Error(`${from} imports ${specifier}, which no browser is served`)
  }
  return toPath(join(dirname(manifest), file))
}

const toPath = (file: string) => relative(ROOT, file).split(sep).join('/')
