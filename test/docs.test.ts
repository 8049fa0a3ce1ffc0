import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseEnv } from 'node:util'
import { test } from 'tap'
import { Type, type TSchema } from 'typebox'
import packageJson from '../package.json' with { type: 'json' }
import { providers } from '../providers/registry.ts'
import { withTables } from '../src/cli/reference.ts'
import { COMMAND_LINE_SETTINGS } from '../src/cli/settings.ts'
import { environmentName, loadConfig, Settings } from '../src/config.ts'
import { catalogue } from '../src/errors.ts'

const ROOT = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

const DOCUMENTS = [...markdownIn('.'), ...markdownIn('docs'), ...markdownIn('docs/platforms')]

function markdownIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name))
}

/** The rows of all tables of a document, as their cells without backquotes. */
function rowsOf(document: string): string[][] {
  return read(document)
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim().replace(/^`([^`]*)`$/, '$1'))
    )
}

const rowsStarting = (document: string, pattern: RegExp) =>
  rowsOf(document).filter(([first = '']) => pattern.test(first))

test('docs/errors.md lists the codes, statuses and texts of the catalogue', async (t) => {
  const withoutNames = (text: string) => text.replace(/<[^>]+>/g, '%s')
  const documented = rowsStarting('docs/errors.md', /^AUD_/).map(([code, status, text = '']) =>
    [code, status, withoutNames(text)].join(' ')
  )
  const answers = catalogue.map((Constructor) => {
    const { code, statusCode, message } = new Constructor()
    return [code, statusCode, withoutNames(message)].join(' ')
  })
  t.same(documented.toSorted(), answers.toSorted())
})

test('docs/errors.md and the pages of the platforms list the classes of platform errors', async (t) => {
  const classes = [...read('providers/errors.ts').matchAll(/^ {2}\| '(\w+)'$/gm)].map(
    ([, name]) => name
  )
  t.equal(classes.length, 7)
  for (const document of [
    'docs/errors.md',
    ...providers.map(({ name }) => `docs/platforms/${name}.md`)
  ]) {
    const documented = rowsStarting(document, /^[a-z_]+$/).map(([name]) => name)
    t.same(
      classes.filter((name) => !documented.includes(name)),
      [],
      document
    )
  }
})

test('docs/configuration.md has the settings and variables as the schemas have them', async (t) => {
  const document = read('docs/configuration.md')
  t.equal(document, withTables(document, providers), 'otherwise: npm run docs')
})

test('a table without a place, and a variable that says nothing of itself, are told', async (t) => {
  const document = read('docs/configuration.md')
  t.throws(() => withTables(document.replace('<!-- end settings -->', ''), providers), {
    message: 'The document has no place for the table settings.'
  })
  const withVariable = (schema: TSchema) =>
    providers.slice(0, 1).map((provider) => ({
      ...provider,
      name: 'acme',
      variables: Type.Object({ shopId: schema })
    }))
  t.throws(() => withTables(document, withVariable(Type.String())), {
    message: 'ACME_SHOP_ID has no description.'
  })
  const digits = Type.String({ pattern: '^[0-9]+$', description: 'Number of the shop' })
  t.throws(() => withTables(document, withVariable(digits)), {
    message: 'ACME_SHOP_ID has a pattern and no "form" that tells it in words.'
  })
})

test('a variable is told with its value, default and whether it is secret', async (t) => {
  const [facebook] = providers
  const variables = Type.Object({
    token: Type.String({ secret: true, description: 'A token' }),
    shopId: Type.Optional(
      Type.String({ pattern: '^[0-9]+$', form: 'digits', description: 'Number of the shop' })
    ),
    rows: Type.Integer({ minimum: 1, maximum: 50, default: 20, description: 'Rows a page.' }),
    fields: Type.Array(Type.Enum(['a', 'b']), { default: ['a', 'b'], description: 'a | b' })
  })
  const document = withTables(read('docs/configuration.md'), [
    { ...facebook!, name: 'acme', title: 'Acme', variables }
  ])
  t.match(
    document,
    [
      '### acme',
      '',
      'Credentials, limits and costs are told in [Acme](platforms/acme.md).',
      '',
      '| Variable | Environment | Value | Default | What it does |',
      '| --- | --- | --- | --- | --- |',
      '| `token` | `ACME_TOKEN` | text, secret | required | A token. |',
      '| `shopId` | `ACME_SHOP_ID` | digits | none | Number of the shop. |',
      '| `rows` | `ACME_ROWS` | 1 to 50 | `20` | Rows a page. |',
      '| `fields` | `ACME_FIELDS` | list of `a`, `b` | `a,b` | a \\| b. |',
      '',
      '<!-- end variables -->'
    ].join('\n')
  )
})

const environmentNames: ReadonlySet<string> = new Set([
  ...Object.keys(Settings.properties),
  ...COMMAND_LINE_SETTINGS,
  ...providers.flatMap(({ name, variables }) =>
    Object.keys(variables.properties).map((variable) => environmentName(name, variable))
  )
])
const PREFIXES = ['AUDIENCE', ...providers.map(({ name }) => name.toUpperCase())]

test('no document names a setting that does not exist', async (t) => {
  const name = new RegExp(`\\b(?:${PREFIXES.join('|')})_[A-Z0-9_]*[A-Z0-9]\\b`, 'g')
  const unknown = [...DOCUMENTS, '.env.example'].flatMap((document) =>
    (read(document).match(name) ?? [])
      .filter((found) => !environmentNames.has(found))
      .map((found) => `${document}: ${found}`)
  )
  t.same(unknown, [])
})

test('.env.example works when its lines are used', async (t) => {
  const uncommented = read('.env.example').replace(/^# (?=[A-Z_]+=)/gm, '')
  const names = Object.keys(parseEnv(uncommented))
  t.ok(names.length > 5)
  t.same(
    names.filter((name) => !environmentNames.has(name)),
    []
  )
})

test('audience.config.example.json is a configuration', async (t) => {
  const file = join(ROOT, 'audience.config.example.json')
  const secrets = [...readFileSync(file, 'utf8').matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name)
  const env = Object.fromEntries(secrets.map((name) => [name, 'secret']))
  const { tags } = loadConfig({ ...env, AUDIENCE_CONFIG: file }, providers)
  t.same(
    tags.map(({ provider, name }) => `${provider.name}/${name}`),
    ['facebook/eu-shop', 'facebook/us-shop', 'tiktok/eu-shop', 'klaviyo/eu-shop']
  )
})

test('docs/dependencies.md gives a reason for every package of package.json', async (t) => {
  const { dependencies, devDependencies, optionalDependencies } = packageJson
  const documented = rowsStarting('docs/dependencies.md', /^[@a-z]/)
  t.same(
    documented.map(([name = '']) => name).toSorted(),
    Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies }).toSorted()
  )
  t.same(
    documented.filter(([, why = '']) => why.length < 10),
    []
  )
})

/** The anchors of a document's headings, as GitHub makes them. */
function anchorsOf(document: string): string[] {
  return [...withoutBlocks(read(document)).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-')
  )
}

const withoutBlocks = (text: string) => text.replace(/^```.*?^```$/gms, '')

test('every relative link leads to a file and a heading that exist', async (t) => {
  const links = DOCUMENTS.flatMap((document) =>
    [...withoutBlocks(read(document)).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)].map(
      ([, path = '', anchor]) => ({ document, path, anchor })
    )
  )
  t.ok(links.length > 50)
  const broken = links.filter(({ document, path, anchor }) => {
    const target = path === '' ? document : join(dirname(document), path)
    if (!existsSync(join(ROOT, target))) return true
    return anchor !== undefined && !anchorsOf(target).includes(anchor)
  })
  t.same(broken, [])
})

test('the README leads to every document', async (t) => {
  const readme = read('README.md')
  const missing = DOCUMENTS.filter(
    (document) => document !== 'README.md' && !readme.includes(`](${document}`)
  )
  t.same(missing, [])
})

test('docs/security.md tells what every platform receives', async (t) => {
  const page = read('docs/security.md')
  t.same(
    providers.filter(({ name }) => !page.includes(`](platforms/${name}.md#what-is-sent)`)),
    []
  )
})

test('shell blocks call only npm scripts that exist', async (t) => {
  const scripts = new Set(Object.keys(packageJson.scripts))
  const called = DOCUMENTS.flatMap((document) =>
    [...read(document).matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = '']) =>
      [...block.matchAll(/\bnpm (?:run )?([\w:-]+)/g)].map(([, script = '']) => script)
    )
  )
  t.ok(called.includes('test') && called.includes('demo') && called.includes('start'))
  t.same(
    called.filter((script) => script !== 'ci' && !scripts.has(script)),
    []
  )
})

/** Whether these lines are in the file, in this order; `// …` stands for lines that are left out. */
function quotes(path: string, code: string): boolean {
  let rest = `\n${read(path)}`
  return code.split(/^ *\/\/ …\n/m).every((lines) => {
    const start = rest.indexOf(`\n${lines}`)
    rest = start < 0 ? '' : rest.slice(start + lines.length)
    return start >= 0
  })
}

test('docs/adding-a-platform.md quotes every file of its example as it is', async (t) => {
  const page = read('docs/adding-a-platform.md')
  const blocks = [...page.matchAll(/^```(\w+)(?: (\S+))?\n(.*?)^```$/gms)]
    .map(([, language, path = '', code = '']) => ({ language, path, code }))
    .filter(({ language }) => language !== 'sh')
  for (const { path, code } of blocks) t.ok(path !== '' && quotes(path, code), `${path}: ${code}`)
  const quoted = new Set(blocks.map(({ path }) => path))
  t.same(
    readdirSync(join(ROOT, 'providers/reddit')).filter(
      (name) => !quoted.has(`providers/reddit/${name}`)
    ),
    []
  )
  t.ok(quotes('.taprc', 'type-strip-only: true\n// …\ntimeout: 240\n'))
  t.notOk(quotes('.taprc', 'timeout: 240\n// …\ntype-strip-only: true\n'), 'not in this order')
  t.notOk(quotes('.taprc', 'only: true\n'), 'not a whole line')
})

test('no document names a place on the machine it was written on', async (t) => {
  const places = /(?:^|[\s("'`])(?:\/(?:home|root|tmp|work|Users|private|var)\/|~\/|[A-Z]:\\)/m
  const found = DOCUMENTS.filter((document) => places.test(read(document)))
  t.same(found, [])
})
