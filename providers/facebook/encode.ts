import type { Members } from '../../src/audience/members.ts'
import { purchaseValue } from '../../src/audience/purchase.ts'
import type { Audience, EncodedBody, Encoding } from '../provider.ts'
import type { FacebookVariables } from './variables.ts'

/**
 * One fixed schema for all uploads: an audience filled with one style of rows refuses others
 * (facebook-python-business-sdk#433), and a schema must not change within a session.
 */
const SCHEMA = ['EXTERN_ID', 'EMAIL', 'PHONE', 'FN', 'LN', 'COUNTRY', 'ZIP'] as const

type Identifiers = Readonly<Record<(typeof SCHEMA)[number], readonly string[]>>
type ValueBased = NonNullable<FacebookVariables['valueBased']>
type Cell = string | number | readonly string[]
interface Column {
  readonly key: string
  readonly cellOf: (row: number) => Cell
}

/**
 * Payloads of `POST /{audience}/users`: `{"schema":[…],"data":[[…],…]}` with at most `batchSize`
 * rows each. Unknown values are `""`, as Meta's reference asks; nothing but the caller's own id, the
 * value and the data processing options is sent unhashed.
 *
 * Left out: `no_identifier`, users without anything that Meta matches on. Notes:
 * `purchase_in_other_currency`, purchases that are not in the value.
 */
export function encode(
  members: Members,
  _audience: Audience,
  settings: FacebookVariables
): Encoding {
  const identifiers = identifiersOf(members, settings)
  const values = settings.valueBased && valuesOf(members, settings.valueBased)
  const columns = [
    ...SCHEMA.map((key): Column => ({ key, cellOf: (row) => identifiers[key][row] ?? '' })),
    ...(values === undefined ? [] : [values.column]),
    ...dataProcessingColumns(settings)
  ]
  const rows = usableRows(identifiers, members.size)
  const unusable = members.size - rows.length
  return {
    bodies: chunks(rows, settings.batchSize).map((chunk) => encodeBody(columns, chunk)),
    leftOut: unusable === 0 ? {} : { no_identifier: unusable },
    notes: values?.notes ?? {}
  }
}

function identifiersOf(members: Members, { ukPostalCode }: FacebookVariables): Identifiers {
  return {
    EXTERN_ID: members.externalIds(),
    EMAIL: members.hash('email'),
    PHONE: members.hash('phoneDigits'),
    FN: members.hash('firstName'),
    LN: members.hash('lastName'),
    COUNTRY: members.hash('country'),
    ZIP: members.hash(ukPostalCode === 'full' ? 'postalCodeFull' : 'postalCode')
  }
}

/** The form of Meta's "Data Processing Options for US Users", section on customer lists. */
function dataProcessingColumns(settings: FacebookVariables): Column[] {
  const options = settings.dataProcessingOptions
  if (options === undefined) return []
  const { dataProcessingOptionsCountry: country, dataProcessingOptionsState: state } = settings
  return [
    { key: 'DATA_PROCESSING_OPTIONS', cellOf: () => options },
    { key: 'DATA_PROCESSING_OPTIONS_COUNTRY', cellOf: () => country },
    { key: 'DATA_PROCESSING_OPTIONS_STATE', cellOf: () => state }
  ]
}

/** Rows with an own id, an e-mail, a phone, or a full name with postal code or country. */
function usableRows(identifiers: Identifiers, size: number): number[] {
  const has = (key: keyof Identifiers, row: number) => identifiers[key][row] !== ''
  const usable = (row: number) =>
    has('EXTERN_ID', row) ||
    has('EMAIL', row) ||
    has('PHONE', row) ||
    (has('FN', row) && has('LN', row) && (has('ZIP', row) || has('COUNTRY', row)))
  return Array.from({ length: size }, (_, row) => row).filter(usable)
}

function encodeBody(columns: readonly Column[], rows: readonly number[]): EncodedBody {
  const payload = {
    schema: columns.map(({ key }) => key),
    data: rows.map((row) => columns.map(({ cellOf }) => cellOf(row)))
  }
  return { payload: new TextEncoder().encode(JSON.stringify(payload)), users: rows.length }
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  const count = Math.ceil(items.length / size)
  return Array.from({ length: count }, (_, i) => items.slice(i * size, (i + 1) * size))
}

/**
 * LOOKALIKE_VALUE: a number of 0 or more in one currency, as there is no field to name it (Meta,
 * Value-Based Lookalike Audiences).
 */
function valuesOf(members: Members, { field, currency }: ValueBased) {
  const values = members.purchases().map((bought) => purchaseValue(bought, field, currency))
  const otherCurrency = values.reduce((count, value) => count + value.otherCurrency, 0)
  const column: Column = {
    key: 'LOOKALIKE_VALUE',
    // JSON has no Infinity, and one null would spoil the whole request.
    cellOf: (row) => Math.min(values[row]?.value ?? 0, Number.MAX_VALUE)
  }
  return { column, notes: otherCurrency > 0 ? { purchase_in_other_currency: otherCurrency } : {} }
}
