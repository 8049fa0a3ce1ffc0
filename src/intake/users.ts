import type { Purchase, User } from '../audience/schemas.ts'
import { type DecimalMark, parseAmount } from './amount.ts'
import { columnsOf } from './columns.ts'
import { type CsvRow, isBlank } from './csv.ts'
import type { CustomerField, Fallbacks, Layout, Mapping } from './intake.ts'
import { isObject, NESTED_PURCHASE, type ObjectRow } from './objects.ts'

/** How a file is read once its columns are known. */
export interface Plan {
  readonly layout: Layout
  readonly mapping: Mapping
  /** What is read where the column of the mapping is empty; of a mapping changed since, what still fits. */
  readonly fallbacks?: Fallbacks | undefined
}

const TEXT_FIELDS = ['email', 'firstName', 'lastName', 'country'] as const
const TEXT_OR_NUMBER_FIELDS = ['edgeTagId', 'phone', 'postalCode'] as const
const AMOUNT_FIELDS = ['profit', 'total7Days'] as const

/** `="0123"`, by which a spreadsheet keeps zeros. */
const TEXT_FORMULA = /^="(?<text>[^"]*)"$/
/** `'0123` and `'+49…`, by which people do; a name such as `'t Hooft` has a letter there. */
const APOSTROPHE = /^'(?=[\d+=@-])/
const EQUALS = 61
const QUOTE = 39

/** What a spreadsheet shows of a value that is marked as text. */
function unwrap(value: string): string {
  const first = value.charCodeAt(0)
  if (first === EQUALS) return TEXT_FORMULA.exec(value)?.groups?.['text'] ?? value
  return first === QUOTE ? value.replace(APOSTROPHE, '') : value
}

function textOrNumber(value: unknown): string | number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined
  if (typeof value !== 'string' || isBlank(value)) return undefined
  return unwrap(value) || undefined
}

function text(value: unknown): string | undefined {
  const known = textOrNumber(value)
  return typeof known === 'number' ? String(known) : known
}

function amount(value: unknown, decimalMark: DecimalMark): number | undefined {
  return typeof value === 'string' ? parseAmount(value, decimalMark) : number(value)
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

/** `undefined` where nothing of it can be used. */
function toPurchase(
  valueOf: (field: keyof Purchase) => unknown,
  decimalMark: DecimalMark
): Purchase | undefined {
  const purchase: Purchase = {}
  const currency = text(valueOf('currency'))
  if (currency !== undefined) purchase.currency = currency
  for (const field of AMOUNT_FIELDS) {
    const value = amount(valueOf(field), decimalMark)
    if (value !== undefined) purchase[field] = value
  }
  return Object.keys(purchase).length === 0 ? undefined : purchase
}

function purchaseIn(value: unknown): Purchase | undefined {
  return isObject(value) ? toPurchase((field) => value[field], '.') : undefined
}

/** The purchases of JSON, an object or an array of them. */
function purchasesIn(value: unknown): User['purchase'] {
  if (!Array.isArray(value)) return purchaseIn(value)
  const purchases = value.map(purchaseIn).filter((one) => one !== undefined)
  return purchases.length === 0 ? undefined : purchases
}

function isThere({ columns }: { readonly columns: readonly number[] }): boolean {
  return columns.length > 0
}

/**
 * Makes a user of a row. Texts stay as they are: what is usable, the service tells. What it would
 * refuse together with the whole batch is left out: other types, amounts that cannot be read.
 */
function userMaker<Row>(
  { layout, mapping, fallbacks }: Plan,
  valueOf: (row: Row, column: number) => unknown
): (row: Row) => User {
  const place = <Field extends CustomerField>(field: Field) => ({
    field,
    columns: columnsOf(field, mapping, fallbacks).map((column) => layout.columns.indexOf(column))
  })
  const texts = TEXT_FIELDS.map(place).filter(isThere)
  const textsOrNumbers = TEXT_OR_NUMBER_FIELDS.map(place).filter(isThere)
  const columnOf = (field: CustomerField) => layout.columns.indexOf(mapping[field] ?? '')
  const purchase = {
    currency: columnOf('purchase.currency'),
    profit: columnOf('purchase.profit'),
    total7Days: columnOf('purchase.total7Days')
  }
  const hasPurchase = Object.values(purchase).some((column) => column >= 0)
  // Spreadsheets separate by semicolons where a comma is the decimal mark.
  const decimalMark = layout.separator === ';' ? ',' : '.'

  return (row) => {
    const user: User = {}
    for (const { field, columns } of texts) {
      for (const column of columns) {
        const value = text(valueOf(row, column))
        if (value === undefined) continue
        user[field] = value
        break
      }
    }
    for (const { field, columns } of textsOrNumbers) {
      for (const column of columns) {
        const value = textOrNumber(valueOf(row, column))
        if (value === undefined) continue
        user[field] = value
        break
      }
    }
    if (hasPurchase) {
      const made = toPurchase(
        (field) => (purchase[field] < 0 ? undefined : valueOf(row, purchase[field])),
        decimalMark
      )
      if (made !== undefined) user.purchase = made
    }
    return user
  }
}

export function csvUserMaker(plan: Plan): (row: CsvRow) => User {
  return userMaker(plan, (row, column) => row[column])
}

export function objectUserMaker(plan: Plan): (row: ObjectRow) => User {
  const { columns } = plan.layout
  const make = userMaker<ObjectRow>(plan, (row, column) => row[columns[column] ?? ''])
  return (row) => {
    const user = make(row)
    const purchase = user.purchase ?? purchasesIn(row[NESTED_PURCHASE])
    if (purchase !== undefined) user.purchase = purchase
    return user
  }
}
