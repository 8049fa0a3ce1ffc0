import type { Members } from '../../src/audience/members.ts'
import { purchaseValue } from '../../src/audience/purchase.ts'
import type { Audience, EncodedBody, Encoder } from '../provider.ts'
import { Utf8Writer } from '../../src/audience/utf8-writer.ts'
import type { FacebookVariables } from './variables.ts'

/**
 * One fixed schema for all uploads: an audience filled with one style of rows refuses others
 * (facebook-python-business-sdk#433), and a schema must not change within a session.
 */
const SCHEMA = ['EXTERN_ID', 'EMAIL', 'PHONE', 'FN', 'LN', 'COUNTRY', 'ZIP'] as const

type Identifiers = Readonly<Record<(typeof SCHEMA)[number], readonly string[]>>
type ValueBased = NonNullable<FacebookVariables['valueBased']>

/**
 * Payloads of `POST` and `DELETE /{audience}/users`: `{"schema":[…],"data":[[…],…]}` with at most
 * `batchSize` rows each. Unknown values are `""`, as Meta's reference asks; nothing but the caller's own
 * id, the value and the data processing options is sent unhashed. Who is removed is only identified,
 * by the same columns and values as when they were added: without value and data processing options,
 * which say how to use somebody.
 *
 * Left out: `no_identifier`, users without anything that Meta matches on, and `hashed_only`, those who
 * have nothing but a phone number that came as a hash of another form. Notes:
 * `hashed_phone_not_supported`, users who are sent without such a number; `purchase_in_other_currency`,
 * purchases that are not in the value.
 */
export function encoder({ mode }: Pick<Audience, 'mode'>, settings: FacebookVariables): Encoder {
  const { batchSize } = settings
  const valueBased = mode === 'add' ? settings.valueBased : undefined
  const options = mode === 'add' ? dataProcessingOptions(settings) : NO_OPTIONS
  const schema = [...SCHEMA, ...(valueBased ? ['LOOKALIKE_VALUE'] : []), ...options.keys]
  const head = `{"schema":${JSON.stringify(schema)},"data":[`
  const writer = new Utf8Writer()
  const bodies: EncodedBody[] = []
  let users = 0
  let unusable = 0
  const lostPhones = { sent: 0, leftOut: 0 }
  let otherCurrency = 0

  function close(): void {
    writer.write(']}')
    bodies.push({ payload: writer.take(), users })
    users = 0
  }

  function addRow(identifiers: Identifiers, row: number, value: string): void {
    const { EXTERN_ID, EMAIL, PHONE, FN, LN, COUNTRY, ZIP } = identifiers
    // A whole row at a time: a string of its own for each cell would take twice the time.
    writer.write(
      `${users === 0 ? head : ','}[${jsonText(EXTERN_ID[row] ?? '')},"${EMAIL[row]}","${PHONE[row]}",` +
        `"${FN[row]}","${LN[row]}","${COUNTRY[row]}","${ZIP[row]}"${value}${options.cells}]`
    )
    users += 1
    if (users === batchSize) close()
  }

  return {
    add(members) {
      const identifiers = identifiersOf(members, settings)
      const values = valueBased && valuesOf(members, valueBased)
      otherCurrency += values?.otherCurrency ?? 0
      for (let row = 0; row < members.size; row += 1) {
        if (isUsable(identifiers, row)) addRow(identifiers, row, values?.cells[row] ?? '')
        else unusable += 1
      }
      const lost = countLostPhones(members, identifiers)
      lostPhones.sent += lost.sent
      lostPhones.leftOut += lost.leftOut
    },
    end() {
      if (users > 0) close()
      return {
        bodies,
        leftOut: counted({
          no_identifier: unusable - lostPhones.leftOut,
          hashed_only: lostPhones.leftOut
        }),
        notes: counted({
          purchase_in_other_currency: otherCurrency,
          hashed_phone_not_supported: lostPhones.sent
        })
      }
    }
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

/** An own id, an e-mail, a phone, or a full name with postal code or country. */
function isUsable(
  { EXTERN_ID, EMAIL, PHONE, FN, LN, COUNTRY, ZIP }: Identifiers,
  row: number
): boolean {
  return (
    EXTERN_ID[row] !== '' ||
    EMAIL[row] !== '' ||
    PHONE[row] !== '' ||
    (FN[row] !== '' && LN[row] !== '' && (ZIP[row] !== '' || COUNTRY[row] !== ''))
  )
}

/** Users whose phone number came as a hash that is good, but not of Meta's form. */
function countLostPhones(members: Members, identifiers: Identifiers) {
  const lost = { sent: 0, leftOut: 0 }
  const given = members.given('phone')
  const isCandidate = (row: number) => given[row] === 'hash' && identifiers.PHONE[row] === ''
  // Only then another form is worth its making.
  if (!given.some((_how, row) => isCandidate(row))) return lost
  const hashes = members.hash('phoneE164')
  for (let row = 0; row < members.size; row += 1) {
    if (!isCandidate(row) || hashes[row] === '') continue
    if (isUsable(identifiers, row)) lost.sent += 1
    else lost.leftOut += 1
  }
  return lost
}

/** Without what did not occur. */
function counted(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0))
}

/** Printable ASCII without quotation mark and backslash. */
const NEEDS_NO_ESCAPE = /^[ !#-[\]-~]*$/

/** A text as JSON: what `JSON.stringify` makes of it, in less time where nothing has to be escaped. */
function jsonText(text: string): string {
  return NEEDS_NO_ESCAPE.test(text) ? `"${text}"` : JSON.stringify(text)
}

const NO_OPTIONS = { keys: [], cells: '' }

/** Keys and cells, in the form of Meta's "Data Processing Options for US Users", customer lists. */
function dataProcessingOptions({
  dataProcessingOptions: options,
  dataProcessingOptionsCountry: country,
  dataProcessingOptionsState: state
}: FacebookVariables): { readonly keys: readonly string[]; readonly cells: string } {
  if (options === undefined) return NO_OPTIONS
  const key = 'DATA_PROCESSING_OPTIONS'
  return {
    keys: [key, `${key}_COUNTRY`, `${key}_STATE`],
    cells: `,${JSON.stringify(options)},${country},${state}`
  }
}

/**
 * LOOKALIKE_VALUE: a number of 0 or more in one currency, as there is no field to name it (Meta,
 * Value-Based Lookalike Audiences).
 */
function valuesOf(members: Members, { field, currency }: ValueBased) {
  const values = members.purchases().map((bought) => purchaseValue(bought, field, currency))
  return {
    // JSON has neither Infinity nor NaN, and one null would spoil the whole request.
    cells: values.map(({ value }) => `,${Math.min(value || 0, Number.MAX_VALUE)}`),
    otherCurrency: values.reduce((count, value) => count + value.otherCurrency, 0)
  }
}
