import type { Members } from '../../src/audience/members.ts'
import { purchaseValue } from '../../src/audience/purchase.ts'
import type { Audience, EncodedBody, Encoding } from '../provider.ts'
import { Utf8Writer } from '../utf8-writer.ts'
import type { FacebookVariables } from './variables.ts'

/**
 * One fixed schema for all uploads: an audience filled with one style of rows refuses others
 * (facebook-python-business-sdk#433), and a schema must not change within a session.
 */
const SCHEMA = ['EXTERN_ID', 'EMAIL', 'PHONE', 'FN', 'LN', 'COUNTRY', 'ZIP'] as const

type Identifiers = Readonly<Record<(typeof SCHEMA)[number], readonly string[]>>
type ValueBased = NonNullable<FacebookVariables['valueBased']>

/** Columns behind the identifiers. */
interface FurtherColumns {
  readonly keys: readonly string[]
  /** Their cells as JSON, each behind a comma. */
  cells(row: number): string
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
  const rows = usableRows(identifiers, members.size)
  const unusable = members.size - rows.length
  const further = furtherColumns(values?.amounts, settings)
  return {
    bodies: encodeBodies(rows, settings.batchSize, identifiers, further),
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

/** Rows with an own id, an e-mail, a phone, or a full name with postal code or country. */
function usableRows(identifiers: Identifiers, size: number): readonly number[] {
  const { EXTERN_ID, EMAIL, PHONE, FN, LN, COUNTRY, ZIP } = identifiers
  const rows: number[] = []
  for (let row = 0; row < size; row += 1) {
    const isUsable =
      EXTERN_ID[row] !== '' ||
      EMAIL[row] !== '' ||
      PHONE[row] !== '' ||
      (FN[row] !== '' && LN[row] !== '' && (ZIP[row] !== '' || COUNTRY[row] !== ''))
    if (isUsable) rows.push(row)
  }
  return rows
}

/** Writes the text of whole rows: a string of its own for each cell would take twice the time. */
function encodeBodies(
  rows: readonly number[],
  batchSize: number,
  { EXTERN_ID, EMAIL, PHONE, FN, LN, COUNTRY, ZIP }: Identifiers,
  further: FurtherColumns
): EncodedBody[] {
  const head = `{"schema":${JSON.stringify([...SCHEMA, ...further.keys])},"data":[`
  const writer = new Utf8Writer()
  const bodies: EncodedBody[] = []
  let users = 0
  for (const row of rows) {
    writer.write(
      `${users === 0 ? head : ','}[${toJson(EXTERN_ID[row] ?? '')},"${EMAIL[row]}","${PHONE[row]}",` +
        `"${FN[row]}","${LN[row]}","${COUNTRY[row]}","${ZIP[row]}"${further.cells(row)}]`
    )
    users += 1
    if (users === batchSize) close()
  }
  if (users > 0) close()
  return bodies

  function close(): void {
    writer.write(']}')
    bodies.push({ payload: writer.take(), users })
    users = 0
  }
}

const NEEDS_NO_ESCAPE = /^[ !#-[\]-~]*$/

function toJson(text: string): string {
  return NEEDS_NO_ESCAPE.test(text) ? `"${text}"` : JSON.stringify(text)
}

/** The form of Meta's "Data Processing Options for US Users", section on customer lists. */
function furtherColumns(
  amounts: readonly number[] | undefined,
  settings: FacebookVariables
): FurtherColumns {
  const { dataProcessingOptions: options } = settings
  const { dataProcessingOptionsCountry: country, dataProcessingOptionsState: state } = settings
  const optionCells = options === undefined ? '' : `,${JSON.stringify(options)},${country},${state}`
  return {
    keys: [
      ...(amounts === undefined ? [] : ['LOOKALIKE_VALUE']),
      ...(options === undefined
        ? []
        : [
            'DATA_PROCESSING_OPTIONS',
            'DATA_PROCESSING_OPTIONS_COUNTRY',
            'DATA_PROCESSING_OPTIONS_STATE'
          ])
    ],
    cells:
      amounts === undefined ? () => optionCells : (row) => `,${amounts[row] ?? 0}${optionCells}`
  }
}

/**
 * LOOKALIKE_VALUE: a number of 0 or more in one currency, as there is no field to name it (Meta,
 * Value-Based Lookalike Audiences).
 */
function valuesOf(members: Members, { field, currency }: ValueBased) {
  const values = members.purchases().map((bought) => purchaseValue(bought, field, currency))
  const otherCurrency = values.reduce((count, value) => count + value.otherCurrency, 0)
  return {
    // JSON has neither Infinity nor NaN, and one null would spoil the whole request.
    amounts: values.map(({ value }) => Math.min(value || 0, Number.MAX_VALUE)),
    notes: otherCurrency > 0 ? { purchase_in_other_currency: otherCurrency } : {}
  }
}
