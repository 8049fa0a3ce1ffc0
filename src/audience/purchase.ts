import type { Purchase } from './schemas.ts'

export type PurchaseField = 'profit' | 'total7Days'

export interface PurchaseValue {
  /** Zero or more, in the asked currency. */
  readonly value: number
  /** Purchases in other currencies, which are not in the value. */
  readonly otherCurrency: number
}

function isIn(currency: string, purchase: Purchase): boolean {
  const own = purchase.currency?.trim().toUpperCase()
  return !own || own === currency.trim().toUpperCase()
}

/**
 * Sum of one field over the purchases in a currency (ISO 4217 code in any case). A purchase without
 * a currency counts as in it; nothing and a total below zero give 0, the least that Meta takes.
 */
export function purchaseValue(
  purchases: readonly Purchase[],
  field: PurchaseField,
  currency: string
): PurchaseValue {
  const counted = purchases.filter((purchase) => isIn(currency, purchase))
  const total = counted.reduce((sum, purchase) => sum + (purchase[field] ?? 0), 0)
  return { value: Math.max(0, total), otherCurrency: purchases.length - counted.length }
}
