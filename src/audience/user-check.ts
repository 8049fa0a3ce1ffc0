import type { Purchase, User } from './schemas.ts'

/**
 * The check of one user against the schema `User`, by hand: it runs in worker threads, in each of which
 * the compiler of schemas would take 20 MB and more. A test holds the two together.
 */

type Fields = Readonly<Record<string, unknown>>

/** The known fields and what they have to be, in the words of a problem. */
const EXPECTED: Readonly<Record<keyof User, string>> = {
  edgeTagId: 'a string or a number',
  email: 'a string',
  phone: 'a string or a number',
  firstName: 'a string',
  lastName: 'a string',
  country: 'a string',
  postalCode: 'a string or a number',
  purchase: 'an object or an array'
}
const EXPECTED_OF_PURCHASE: Readonly<Record<keyof Purchase, string>> = {
  currency: 'a string',
  profit: 'a number',
  total7Days: 'a number'
}

export const KNOWN_FIELDS: ReadonlySet<string> = new Set(Object.keys(EXPECTED))

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** `1e999` is a number in JSON and infinite here. */
const isNumber = (value: unknown) => value == null || Number.isFinite(value)
const isText = (value: unknown) => value == null || typeof value === 'string'
const isTextOrNumber = (value: unknown) => isText(value) || Number.isFinite(value)

const isPurchase = (value: unknown) =>
  isObject(value) &&
  isText(value['currency']) &&
  isNumber(value['profit']) &&
  isNumber(value['total7Days'])

const arePurchases = (value: unknown) =>
  value == null || (Array.isArray(value) ? value.every(isPurchase) : isPurchase(value))

/** Whether an entry of a JSON array is a user: each known field is missing, `null` or of its type. */
export function isUser(value: unknown): value is User {
  return (
    isObject(value) &&
    isTextOrNumber(value['edgeTagId']) &&
    isText(value['email']) &&
    isTextOrNumber(value['phone']) &&
    isText(value['firstName']) &&
    isText(value['lastName']) &&
    isText(value['country']) &&
    isTextOrNumber(value['postalCode']) &&
    arePurchases(value['purchase'])
  )
}

/** `.purchase[1].currency must be a string`: the first place at which an entry is no user. */
export function userProblem(value: unknown): string {
  if (!isObject(value)) return ' must be an object'
  for (const [name, expected] of Object.entries(EXPECTED)) {
    if (isUser({ [name]: value[name] })) continue
    return `.${name}${(name === 'purchase' && purchasesProblem(value[name])) || ` must be ${expected}`}`
  }
  throw new Error('nothing is wrong with the user')
}

/** `undefined` where they are not even an object or an array. */
function purchasesProblem(value: unknown): string | undefined {
  if (!Array.isArray(value)) return isObject(value) ? purchaseProblem(value) : undefined
  const wrong = value.findIndex((one) => !isPurchase(one))
  return `[${wrong}]${purchaseProblem(value[wrong])}`
}

function purchaseProblem(value: unknown): string {
  if (!isObject(value)) return ' must be an object'
  const wrong = Object.entries(EXPECTED_OF_PURCHASE).find(
    ([name]) => !isPurchase({ [name]: value[name] })
  )
  return wrong === undefined ? '' : `.${wrong[0]} must be ${wrong[1]}`
}
