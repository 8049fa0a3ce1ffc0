import { hash } from 'node:crypto'
import {
  type CountryCode,
  isSupportedCountry,
  parsePhoneNumberFromString
} from 'libphonenumber-js/max'
import type { User } from '../../src/audience/schemas.ts'

/**
 * The most straightforward fast code for one body of Meta's customer lists: what an engineer writes in
 * an afternoon. It knows no phone numbers, no names of countries, no lost zeros, no placeholders and
 * no damaged text.
 */

const SCHEMA = ['EXTERN_ID', 'EMAIL', 'PHONE', 'FN', 'LN', 'COUNTRY', 'ZIP'] as const
const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@.]+$/
const NOT_OF_A_NAME = /[\p{P}\s]+/gu
const NOT_OF_A_CODE = /[\s-].*/s
const COUNTRY = /^[a-z]{2}$/

const decoder = new TextDecoder()
const encoder = new TextEncoder()

function sha256(text: string): string {
  return text === '' ? '' : hash('sha256', text, 'hex')
}

function email(value: string): string {
  const address = value.trim().toLowerCase()
  return EMAIL.test(address) ? address : ''
}

function name(value: string): string {
  return value.trim().toLowerCase().replace(NOT_OF_A_NAME, '')
}

function country(value: string): string {
  const code = value.trim().toLowerCase()
  return COUNTRY.test(code) ? code : ''
}

function postalCode(value: string): string {
  return value.trim().toLowerCase().replace(NOT_OF_A_CODE, '')
}

type ToPhone = (value: string, country: string) => string

function body(bytes: Uint8Array, toPhone: ToPhone): Uint8Array<ArrayBuffer> {
  const users = JSON.parse(decoder.decode(bytes)) as User[]
  const data = users.map((user) => {
    const lives = country(user.country ?? '')
    return [
      user.edgeTagId ?? '',
      sha256(email(user.email ?? '')),
      sha256(toPhone(String(user.phone ?? ''), lives)),
      sha256(name(user.firstName ?? '')),
      sha256(name(user.lastName ?? '')),
      sha256(lives),
      sha256(postalCode(String(user.postalCode ?? '')))
    ]
  })
  return encoder.encode(JSON.stringify({ schema: SCHEMA, data }))
}

/** Without phone numbers: their column is empty. */
export function floorBody(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return body(bytes, () => '')
}

function region(code: string): CountryCode | undefined {
  const upper = code.toUpperCase()
  return isSupportedCountry(upper) ? upper : undefined
}

function parsePhone(value: string, code: string): string {
  const number = parsePhoneNumberFromString(value, region(code))
  return number?.isValid() ? number.number.slice(1) : ''
}

/** The same with libphonenumber-js for every phone number. */
export function floorBodyWithPhones(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return body(bytes, parsePhone)
}
