import {
  type TObject,
  type TObjectOptions,
  type TProperties,
  type TSchema,
  type TSchemaOptions,
  Type
} from 'typebox'

/**
 * Pieces of the answers' schemas. A schema with a title stands under that name among the document's
 * components, and everybody refers to it there.
 */

/** An object that has these fields and no others: what is not documented is not answered. */
export function closed<P extends TProperties>(
  properties: P,
  options: TObjectOptions = {}
): TObject<P> {
  return Type.Object(properties, { ...options, additionalProperties: false })
}

export const nullable = <T extends TSchema>(schema: T, options?: TSchemaOptions) =>
  Type.Union([schema, Type.Null()], options)

/** One of these words. */
export const word = <Words extends string[]>(
  words: readonly [...Words],
  options?: TSchemaOptions
) => Type.Enum(words, { type: 'string', ...options })

export const count = (description: string) => Type.Integer({ minimum: 0, description })

/** Numbers under names that are not known beforehand. */
export const counts = (description: string, options?: TObjectOptions) =>
  Type.Record(Type.String(), Type.Integer({ minimum: 0 }), { description, ...options })

export const time = (description: string) => Type.String({ format: 'date-time', description })

export const nullableTime = (description: string) =>
  nullable(Type.String({ format: 'date-time' }), { description })

export const nullableText = (description: string) => nullable(Type.String(), { description })
