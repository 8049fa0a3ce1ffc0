import { Type, type Static, type TObject } from 'typebox'
import { Value } from 'typebox/value'
import type { Provider } from '../../providers/provider.ts'
import { environmentName, Settings } from '../config.ts'

/** What a schema of a setting tells its readers; `form` has in words what a pattern asks for. */
const Told = Type.Object({
  description: Type.String({ minLength: 1 }),
  type: Type.Optional(Type.String()),
  form: Type.Optional(Type.String()),
  pattern: Type.Optional(Type.String()),
  secret: Type.Optional(Type.Boolean()),
  default: Type.Optional(Type.Unknown()),
  enum: Type.Optional(Type.Array(Type.Unknown())),
  items: Type.Optional(Type.Object({ enum: Type.Array(Type.Unknown()) })),
  minimum: Type.Optional(Type.Number()),
  maximum: Type.Optional(Type.Number()),
  properties: Type.Optional(Type.Record(Type.String(), Type.Unknown()))
})
type Told = Static<typeof Told>

/** Settings that have no bound of their own end here. */
const LARGEST = 2 ** 31 - 1

/** The tables of settings and variables, by the names of their markers. */
const TABLES: Readonly<Record<string, (providers: readonly Provider[]) => string>> = {
  settings: settingsTable,
  variables: (providers) => providers.map(variablesSection).join('\n\n')
}

/**
 * The document with its tables as the schemas have them now. A table stands between
 * `<!-- begin settings … -->` and `<!-- end settings -->`.
 * @throws Error where a marker is missing, or a schema does not say what it is for.
 */
export function withTables(document: string, providers: readonly Provider[]): string {
  let text = document
  for (const [name, table] of Object.entries(TABLES)) {
    const between = new RegExp(`(<!-- begin ${name}\\b[^>]*-->\n).*?(\n<!-- end ${name} -->)`, 's')
    if (!between.test(text)) throw new Error(`The document has no place for the table ${name}.`)
    const rendered = table(providers)
    text = text.replace(between, (_all, begin: string, end: string) =>
      [begin, rendered, end].join('\n')
    )
  }
  return text
}

function settingsTable(): string {
  const rows = Object.entries(Settings.properties).map(([name, schema]) => {
    const told = read(name, schema)
    return [code(name), valueOf(told), defaultOf(told, false), sentence(told.description)]
  })
  return tableOf(['Name', 'Value', 'Default', 'What it does'], rows)
}

function variablesSection({ name: provider, title, variables }: Provider): string {
  const head = ['Variable', 'Environment', 'Value', 'Default', 'What it does']
  return [
    `### ${provider}`,
    `Credentials, limits and costs are told in [${title}](platforms/${provider}.md).`,
    tableOf(head, variableRows(provider, variables))
  ].join('\n\n')
}

function variableRows(provider: string, { properties, required }: TObject): string[][] {
  return Object.entries(properties).map(([name, schema]) => {
    const environment = environmentName(provider, name)
    const told = read(environment, schema)
    const byDefault = defaultOf(told, required?.includes(name) ?? false)
    return [code(name), code(environment), valueOf(told), byDefault, descriptionOf(told)]
  })
}

function read(name: string, schema: unknown): Told {
  if (!Value.Check(Told, schema)) throw new Error(`${name} has no description.`)
  if (schema.pattern !== undefined && schema.form === undefined) {
    throw new Error(`${name} has a pattern and no "form" that tells it in words.`)
  }
  return schema
}

function valueOf(told: Told): string {
  const words = wordsFor(told)
  return told.secret === true ? `${words}, secret` : words
}

function wordsFor({ type, form, enum: values, items, properties, ...range }: Told): string {
  if (form !== undefined) return form
  if (values !== undefined) return values.map(code).join(', ')
  if (items !== undefined) return `list of ${items.enum.map(code).join(', ')}`
  if (properties !== undefined) return `object of ${Object.keys(properties).map(code).join(', ')}`
  if (type === 'integer') return rangeOf(range)
  return 'text'
}

function rangeOf({ minimum = 0, maximum = LARGEST }: Pick<Told, 'minimum' | 'maximum'>): string {
  return maximum === LARGEST ? `${minimum} or more` : `${minimum} to ${maximum}`
}

function defaultOf(told: Told, isRequired: boolean): string {
  if (told.default === undefined) return isRequired ? 'required' : 'none'
  const text = [told.default].flat().map(String).join(',')
  return text === '' ? 'none' : code(text)
}

function descriptionOf({ description, properties = {} }: Told): string {
  const parts = Object.entries(properties).map(([name, schema]) => {
    const part = read(name, schema)
    const byDefault = part.default === undefined ? '' : `, by default ${defaultOf(part, false)}`
    return sentence(`${code(name)} (${valueOf(part)}${byDefault}): ${part.description}`)
  })
  return [sentence(description), ...parts].join(' ')
}

const sentence = (text: string) => (text.endsWith('.') ? text : `${text}.`)
const code = (value: unknown) => `\`${String(value)}\``

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map(lineOf).join('\n')
}

const lineOf = (cells: readonly string[]) =>
  `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
