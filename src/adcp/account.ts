import type { Static } from 'typebox'
import { expect, invalidRequest } from './issues.ts'
import { AccountById, AccountByKey } from './schemas.ts'
import type { AccountReference } from './sync-call.ts'

const POINTER = '/account'

const isById = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'account_id' in value

/**
 * The account that a call names, by one of two forms (`core/account-ref.json`).
 * @param value `account` of the arguments
 * @throws AdcpError
 */
export function readAccount(value: unknown): AccountReference {
  if (isById(value)) {
    expect(AccountById, value, POINTER)
    return { accountId: value.account_id }
  }
  expect(AccountByKey, value, POINTER)
  return toNaturalKey(value)
}

/** The same where an account may be left out. */
export function readOptionalAccount(value: unknown): { readonly account?: AccountReference } {
  return value === undefined ? {} : { account: readAccount(value) }
}

/** @throws AdcpError where there is none. */
export function readRequiredAccount(value: unknown): AccountReference {
  if (value !== undefined) return readAccount(value)
  throw invalidRequest([{ pointer: POINTER, message: 'is required', keyword: 'required' }])
}

/** Of all that may stand in it, what tells one account from another. */
function toNaturalKey(reference: Static<typeof AccountByKey>): AccountReference {
  const { brand, operator, operator_unit: unit, currency, timezone, sandbox = false } = reference
  return {
    brand: {
      domain: brand.domain,
      ...(brand.brand_id !== undefined && { brandId: brand.brand_id }),
      // "Array order is not meaningful" (brand-ref.json).
      ...(brand.countries !== undefined && { countries: brand.countries.toSorted() })
    },
    operator,
    ...(unit !== undefined && { operatorUnitId: unit.id }),
    ...(currency !== undefined && { currency }),
    ...(timezone !== undefined && { timezone }),
    sandbox
  }
}
