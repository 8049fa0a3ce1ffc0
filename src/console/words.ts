import type { DeliveryState, SessionState, UploadMode } from '../api/answers.ts'
import { ServiceError, UnreachableError } from '../client/errors.ts'
import { type CustomerField, IntakeError } from '../intake/intake.ts'

/** What the service answers with words of its own, in plain ones. */

export type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'calm'

export interface Named {
  readonly label: string
  readonly tone: Tone
}

export const DELIVERY: Readonly<Record<DeliveryState, Named>> = {
  queued: { label: 'Queued', tone: 'calm' },
  sending: { label: 'Sending', tone: 'busy' },
  retrying: { label: 'Retrying', tone: 'warn' },
  held: { label: 'Held', tone: 'bad' },
  confirming: { label: 'Confirming', tone: 'busy' },
  delivered: { label: 'Delivered', tone: 'good' },
  failed: { label: 'Failed', tone: 'bad' }
}

/** In the order of what can happen to one. */
export const DELIVERY_STATES = [
  'queued',
  'sending',
  'retrying',
  'held',
  'confirming',
  'delivered',
  'failed'
] as const satisfies readonly DeliveryState[]

export const SESSION: Readonly<Record<SessionState, Named & { readonly meaning: string }>> = {
  sending: { label: 'Sending', tone: 'busy', meaning: 'Deliveries are under way.' },
  receiving: {
    label: 'Receiving',
    tone: 'busy',
    meaning: 'What has arrived is delivered. Batches are still missing.'
  },
  delivered: { label: 'Delivered', tone: 'good', meaning: 'Everything was delivered.' },
  failed: { label: 'Failed', tone: 'bad', meaning: 'All deliveries have ended, some failed.' }
}

export const ACCOUNT: Readonly<Record<string, Named & { readonly meaning: string }>> = {
  open: { label: 'Open', tone: 'good', meaning: 'The service sends to this account.' },
  paused: {
    label: 'Paused',
    tone: 'warn',
    meaning: 'The platform asked for a wait. Deliveries go on by themselves.'
  },
  broken: {
    label: 'Not answering',
    tone: 'bad',
    meaning:
      'It failed again and again and is left alone for a while. Deliveries go on by themselves.'
  },
  held: {
    label: 'Held',
    tone: 'bad',
    meaning: 'Nothing is sent until somebody has put the account in order.'
  }
}

export const MODE: Readonly<Record<UploadMode, string>> = {
  add: 'Adding people',
  remove: 'Removing people',
  delete: 'Deleting the segment'
}

export const FIELD: Readonly<Record<CustomerField, string>> = {
  edgeTagId: 'Customer id',
  email: 'E-mail',
  phone: 'Phone',
  firstName: 'First name',
  lastName: 'Last name',
  country: 'Country',
  postalCode: 'Postal code',
  'purchase.currency': 'Purchase currency',
  'purchase.profit': 'Purchase profit',
  'purchase.total7Days': 'Spent in 7 days'
}

const REASONS: Readonly<Record<string, string>> = {
  // Who is not sent
  no_identifier: 'Nothing that this platform matches on',
  duplicate: 'The same person was in the batch before',
  hashed_only: 'Only hashes, which cannot be used here',
  phone_region_not_supported: 'Phone number of a region that is not sent to this platform',
  profile_too_large: 'More data than a profile may have',
  // What is kept back
  purchase_in_other_currency: 'Purchases in another currency are not in the value',
  phone_repeated: 'The phone belongs to an earlier person of the batch',
  hashed_value_not_sent: 'A value came as a hash, which this platform cannot use',
  hashed_phone_not_supported: 'The phone is a hash of a form that is not used here',
  hashed_email_not_supported: 'The e-mail is a hash of a form that is not used here',
  external_id_repeated: 'The customer id belongs to an earlier person of the batch',
  external_id_too_long: 'The customer id is too long for this platform',
  // Why a value cannot be used
  not_an_address: 'Not an e-mail address',
  not_a_number: 'Not a phone number',
  placeholder: 'A placeholder, not a value',
  no_country: 'National number without a country',
  unknown_country: 'Not a country',
  impossible_number: 'No number of this country',
  damaged: 'Damaged characters',
  hash_of_nothing: 'The hash of an empty value',
  unreadable_hash: 'A hash, but no SHA-256 in hex',
  too_long: 'Too long for an address',
  hashed_country: 'National number, and the country came as a hash',
  no_letters: 'No letters',
  not_a_code: 'Not a postal code',
  not_of_country: 'Not a postal code of this country'
}

/** A reason in words; one that is not known here yet is readable all the same. */
export function reason(code: string): string {
  const known = REASONS[code]
  if (known !== undefined) return known
  const text = code.replaceAll('_', ' ')
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** What went wrong, for the person who looks at the page. */
export function errorText(error: unknown): string {
  if (error instanceof UnreachableError) {
    return 'The service does not answer. Check the connection and that it runs, then try again.'
  }
  if (error instanceof ServiceError) return error.texts.join(' ') || `HTTP ${error.status}`
  if (error instanceof IntakeError) return error.message
  if (error instanceof DOMException && error.name === 'NotReadableError') {
    return 'The file cannot be read any more. It may have been changed or moved: choose it again.'
  }
  return error instanceof Error ? `Something went wrong: ${error.message}` : 'Something went wrong.'
}
