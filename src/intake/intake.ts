import type { User } from '../audience/schemas.ts'

/**
 * Files of customers as people have them, read in Node and, as it stands, in a browser: nothing here
 * needs more than what both have.
 */

/** A file, or anything else whose bytes can be read more than once. */
export interface Source {
  /** As its user knows it, e.g. `customers.csv.gz`. */
  readonly name: string
  readonly bytes: number
  /** Its bytes as they are stored, from the beginning. */
  open(): ReadableStream<Uint8Array<ArrayBuffer>>
}

export type Format = 'csv' | 'ndjson' | 'json'
export type TextEncoding = 'utf-8' | 'utf-16le' | 'utf-16be' | 'windows-1250' | 'windows-1252'

/** How a file is written. */
export interface Layout {
  readonly format: Format
  readonly isGzip: boolean
  readonly encoding: TextEncoding
  /** Of CSV: `,`, `;`, a tab or `|`. */
  readonly separator: string | undefined
  /** Names in the first line of CSV; of objects the names seen, in the order of their first appearance. */
  readonly columns: readonly string[]
}

/** What of a customer a column can hold. */
export const CUSTOMER_FIELDS = [
  'edgeTagId',
  'email',
  'phone',
  'firstName',
  'lastName',
  'country',
  'postalCode',
  'purchase.currency',
  'purchase.profit',
  'purchase.total7Days'
] as const
export type CustomerField = (typeof CUSTOMER_FIELDS)[number]

/** The column in which each field is; what is missing here is in none. */
export type Mapping = Readonly<Partial<Record<CustomerField, string>>>

/**
 * Of a field that several columns hold, all of them, in the order in which they are looked at: a customer
 * with nothing in the first has it from the next. The first is that of the mapping.
 */
export type Fallbacks = Readonly<Partial<Record<CustomerField, readonly string[]>>>

/** What a first look at the whole file found. */
export interface Survey {
  readonly layout: Layout
  readonly mapping: Mapping
  /** Only of fields that were recognised, not given by hand. */
  readonly fallbacks: Fallbacks
  /** Customers of JSON with a list, an object or `true` in a column, by its name: it is not sent. */
  readonly otherTypes: ReadonlyMap<string, number>
  /** Columns that no field was found for. */
  readonly unusedColumns: readonly string[]
  /** Customers in the file; lines without any value are none. */
  readonly users: number
  /** The first few of them, as they would be sent. */
  readonly firstUsers: readonly User[]
}

export interface SurveyOptions {
  /** Columns given by hand: they win over what is recognised. An empty name: the field is in none. */
  readonly mapping?: Mapping | undefined
  readonly signal?: AbortSignal | undefined
  /** Hears of the bytes read so far, as they are stored. */
  readonly onProgress?: ((bytes: number) => void) | undefined
}

/** The file cannot be used; the message says what is wrong and where, and quotes no value. */
export class IntakeError extends Error {
  override readonly name = 'IntakeError'
}

/** No column is known by its name to identify anybody; a mapping given by hand helps. */
export class UnrecognisedColumnsError extends IntakeError {
  readonly columns: readonly string[]

  constructor(message: string, columns: readonly string[]) {
    super(message)
    this.columns = columns
  }
}
