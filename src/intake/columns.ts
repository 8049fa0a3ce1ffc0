import { CUSTOMER_FIELDS, type CustomerField, type Mapping } from './intake.ts'

const NAMES: Readonly<Partial<Record<CustomerField, readonly string[]>>> = {
  edgeTagId: ['edgetagid', 'customerid', 'userid', 'externalid'],
  email: ['email', 'emailaddress', 'mail'],
  phone: ['mobile', 'mobilephone', 'phone', 'phonenumber'],
  firstName: ['firstname', 'vorname', 'fn'],
  lastName: ['lastname', 'nachname', 'ln'],
  country: ['country', 'countrycode', 'land'],
  postalCode: ['postalcode', 'zip', 'zipcode', 'plz']
}

/** Finds the column of each field by the usual names. */
export function recognise(columns: readonly string[]): Mapping {
  const plain = columns.map((name) => name.toLowerCase().replaceAll(/[^a-z]/g, ''))
  const mapping: Partial<Record<CustomerField, string>> = {}
  for (const field of CUSTOMER_FIELDS) {
    const found = NAMES[field]?.map((name) => plain.indexOf(name)).find((index) => index >= 0)
    const column = found === undefined ? undefined : columns[found]
    if (column !== undefined) mapping[field] = column
  }
  return mapping
}
