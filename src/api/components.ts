/** A part of a document: plain JSON. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [name: string]: Json
}

/** What is no JSON, such as hidden parts of TypeBox's schemas, is left out. */
export function toJson(value: object): JsonObject {
  const json: Json = JSON.parse(JSON.stringify(value))
  return isObject(json) ? json : {}
}

/** Below these stand values and not schemas. */
const VALUES: ReadonlySet<string> = new Set(['example', 'examples', 'default', 'enum', 'const'])

export const isObject = (value: Json): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * Moves every schema that has a title among the components, so that it is told once and has a name in
 * what is generated from the document.
 */
export function nameSchemas(document: JsonObject): JsonObject {
  const schemas = new Map<string, JsonObject>()

  function visitAll(node: JsonObject): JsonObject {
    return Object.fromEntries(
      Object.entries(node).map(([key, value]) => [key, VALUES.has(key) ? value : visit(value)])
    )
  }

  function visit(node: Json): Json {
    if (Array.isArray(node)) return node.map(visit)
    if (!isObject(node)) return node
    const { title, ...rest } = visitAll(node)
    if (title === undefined) return rest
    if (typeof title !== 'string') return { title, ...rest }
    const known = schemas.get(title)
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(rest)) {
      throw new Error(`two schemas are named ${title}`)
    }
    schemas.set(title, rest)
    return { $ref: `#/components/schemas/${title}` }
  }

  const { info = {}, components = {}, paths = {}, webhooks = {}, ...rest } = document
  const named = { paths: visit(paths), webhooks: visit(webhooks) }
  const sorted = [...schemas].toSorted(([a], [b]) => a.localeCompare(b))
  return {
    ...rest,
    info,
    ...named,
    components: { ...(isObject(components) && components), schemas: Object.fromEntries(sorted) }
  }
}
