import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'tap'
import packageJson from '../package.json' with { type: 'json' }
import { encoders } from '../providers/encoders.ts'
import { providers } from '../providers/registry.ts'

/** An import as written in a file of ours. */
interface Import {
  readonly file: string
  /** A package, a module of Node, or the path of one of our files from the root. */
  readonly target: string
  readonly isOurs: boolean
  /** Loaded with the file: neither a type nor a dynamic import. */
  readonly isStatic: boolean
}

const ROOT = join(import.meta.dirname, '..')
const IMPORT =
  /^(?:import|export) (?<isType>type )?(?:[^'"`;]*? from )?'(?<from>[^']+)'|\bimport\('(?<dynamic>[^']+)'\)/gm

const files = ['src', 'plugins', 'providers'].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name))
)
const imports = files.flatMap((file) => importsOf(file, readFileSync(join(ROOT, file), 'utf8')))

function importsOf(file: string, source: string): Import[] {
  return [...source.matchAll(IMPORT)].map(({ groups = {} }) => {
    const { isType, from, dynamic } = groups
    const target = from ?? dynamic ?? ''
    const isOurs = target.startsWith('.')
    return {
      file,
      target: isOurs ? normalize(join(dirname(file), target)) : target,
      isOurs,
      isStatic: from !== undefined && isType === undefined
    }
  })
}

const shown = ({ file, target }: Import) => `${file} imports ${target}`

test('imports of every form are found', async (t) => {
  const source = [
    "import type { A } from '../a.ts'",
    "import {\n  b,\n  type C\n} from './b.ts'",
    "import './c.ts'",
    "export { d } from 'd'",
    "const { e } = await import('./e.ts')",
    "const text = 'from here'"
  ].join('\n')
  const found = importsOf('src/x/y.ts', source)
  t.same(
    found.map(({ target, isStatic }) => [target, isStatic]),
    [
      ['src/a.ts', false],
      ['src/x/b.ts', true],
      ['src/x/c.ts', true],
      ['d', true],
      ['src/x/e.ts', false]
    ]
  )
  t.ok(imports.length > files.length, 'the files of the service have imports')
})

test('what runs in production imports packages of the dependencies only', async (t) => {
  const packages = Object.keys(packageJson.dependencies)
  const missing = imports.filter(
    ({ target, isOurs }) =>
      !isOurs &&
      !target.startsWith('node:') &&
      !packages.some((name) => target === name || target.startsWith(`${name}/`))
  )
  t.same(missing.map(shown), [])
})

test('every dependency is used', async (t) => {
  const unused = Object.keys(packageJson.dependencies).filter(
    (name) => !imports.some(({ target }) => target === name || target.startsWith(`${name}/`))
  )
  t.same(unused, [])
})

/** Folders and what of ours their files may import. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  'src/audience/': ['src/audience/'],
  'src/store/': ['src/store/', 'src/audience/'],
  'src/adcp/': ['src/adcp/', 'src/audience/'],
  'src/dispatch/': ['src/dispatch/', 'src/store/', 'src/audience/', 'src/adcp/', 'providers/'],
  'src/seller/': [
    'src/seller/',
    'src/dispatch/',
    'src/store/',
    'src/audience/',
    'src/adcp/',
    'src/config.ts',
    'providers/provider.ts',
    'providers/errors.ts'
  ],
  'providers/': ['providers/', 'src/audience/', 'src/adcp/'],
  'src/api/': [
    'src/api/',
    'src/audience/',
    'src/errors.ts',
    'src/store/store.ts',
    'providers/provider.ts'
  ],
  'src/intake/': ['src/intake/', 'src/audience/schemas.ts'],
  'src/client/': ['src/client/', 'src/intake/', 'src/audience/schemas.ts', 'src/api/'],
  'src/console/': ['src/console/', 'src/client/', 'src/intake/', 'src/audience/', 'src/api/'],
  ...Object.fromEntries(
    providers.map(({ name }) => [
      `providers/${name}/`,
      [
        `providers/${name}/`,
        'src/audience/',
        // The one platform whose protocol the service itself speaks as well.
        ...(name === 'adcp' ? ['src/adcp/'] : []),
        'providers/provider.ts',
        'providers/errors.ts',
        'providers/http-client.ts',
        'providers/sandbox.ts'
      ]
    ])
  )
}

for (const [folder, allowed] of Object.entries(ARROWS)) {
  test(`${folder} imports of ours only ${allowed.join(', ')}`, async (t) => {
    const own = imports.filter(({ file }) => file.startsWith(folder))
    const wrong = own.filter(
      ({ target, isOurs }) => isOurs && !allowed.some((start) => target.startsWith(start))
    )
    t.not(own.length, 0)
    t.same(wrong.map(shown), [])
  })
}

test('the service does without its command line', async (t) => {
  const wrong = imports.filter(
    ({ file, target }) => target.startsWith('src/cli/') && !file.startsWith('src/cli/')
  )
  t.same(wrong.map(shown), [])
})

test('providers know nothing of Fastify, except in their sandboxes', async (t) => {
  const wrong = imports.filter(
    ({ file, target }) =>
      file.startsWith('providers/') &&
      !/\/sandbox[^/]*\.ts$/.test(file) &&
      target.includes('fastify')
  )
  t.same(wrong.map(shown), [])
})

test('no file imports itself through others', async (t) => {
  const next = Map.groupBy(
    imports.filter(({ isOurs, isStatic }) => isOurs && isStatic),
    ({ file }) => file
  )
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (file: string, path: readonly string[]): void => {
    const seen = path.indexOf(file)
    if (seen >= 0) cycles.push([...path.slice(seen), file].join(' -> '))
    if (seen >= 0 || done.has(file)) return
    for (const { target } of next.get(file) ?? []) visit(target, [...path, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
  t.same(cycles, [])
})

test('worker threads load no package but those that their work needs', async (t) => {
  const loaded = new Set(['src/dispatch/worker.ts'])
  const packages = new Set<string>()
  for (const file of loaded) {
    for (const { target, isOurs } of imports.filter((one) => one.file === file && one.isStatic)) {
      if (isOurs) loaded.add(target)
      else if (!target.startsWith('node:')) packages.add(target)
    }
  }
  t.same([...packages].toSorted(), [
    'i18n-iso-countries',
    'libphonenumber-js/max',
    'libphonenumber-js/max/metadata',
    'piscina'
  ])
})

test('the console loads nothing that a browser has not', async (t) => {
  const loaded = new Set(['src/console/main.ts'])
  const packages = new Set<string>()
  for (const file of loaded) {
    for (const { target, isOurs } of imports.filter((one) => one.file === file && one.isStatic)) {
      if (isOurs) loaded.add(target)
      else packages.add(target)
    }
  }
  const rooms = new Set([...loaded].map((file) => dirname(file)))
  t.same([...rooms].toSorted(), ['src/client', 'src/console', 'src/intake'])
  t.same([...packages].toSorted(), [
    '@streamparser/json',
    'csv-parse/sync',
    'eventsource-parser/stream',
    'lit-html',
    'lit-html/directives/live.js',
    'lit-html/directives/repeat.js'
  ])
})

test('worker threads know the encoder of every platform', async (t) => {
  t.same(Object.keys(encoders).toSorted(), providers.map(({ name }) => name).toSorted())
  for (const provider of providers) {
    t.ok(encoders[provider.name] === provider.encoder, provider.name)
  }
})

test('every folder of providers is a platform of the registry', async (t) => {
  const folders = readdirSync(join(ROOT, 'providers'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
  t.same(providers.map(({ name }) => name).toSorted(), folders.toSorted())
})

/** These run when they are loaded; their own tests start them as processes. */
const COMMANDS: readonly string[] = [
  'src/main.ts',
  'src/cli/demo.ts',
  'src/cli/docs.ts',
  'src/cli/sandbox.ts'
]

/** These run in a browser, where their own tests drive them: what runs there is not counted here. */
const IN_BROWSER = files.filter((file) => file.startsWith('src/console/'))

test('every other file is loaded here, so that the coverage leaves none out', async (t) => {
  const modules = files.filter((file) => !COMMANDS.includes(file) && !IN_BROWSER.includes(file))
  t.equal(
    modules.length,
    files.length - COMMANDS.length - IN_BROWSER.length,
    'the commands are where they were'
  )
  for (const file of modules) await import(join(ROOT, file))
})
