import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import { ProviderError } from '../errors.ts'
import type { EncodedBody, UploadResult } from '../provider.ts'
import { type KlaviyoContext, readAnswer, readPages, send } from './api.ts'
import { MAX_REMOVED_PROFILES } from './encode.ts'
import { readComplaint } from './errors.ts'
import { assertJobsEnded } from './jobs.ts'

/** As many as a page of answers has. */
const VALUES_PER_FILTER = 100
/** Servers commonly take a request line of 8 KB; Klaviyo tells no limit of its own. */
const MAX_FILTER_BYTES = 6_000

/** So long a profile that is gone may still be found. */
const STALE_WAIT_MS = 5_000

/** E-mail address and phone number of each person, `''` where there is none. */
const People = Type.Array(Type.Tuple([Type.String(), Type.String()]))
type People = Static<typeof People>

const text = Type.Optional(Type.Union([Type.String(), Type.Null()]))
const Profile = Type.Object({
  id: Type.String(),
  attributes: Type.Object({ email: text, phone_number: text })
})
type Profile = Static<typeof Profile>

/**
 * Takes the people of a body off the list. Their profiles, consent and subscriptions stay as they are.
 * `received` counts those whom Klaviyo knows; the others cannot be on the list.
 * @throws ProviderError `transient` while an earlier upload to the list is still imported.
 */
export async function removeProfiles(
  { payload }: EncodedBody,
  listId: string,
  context: KlaviyoContext
): Promise<UploadResult> {
  await assertJobsEnded(context)
  const people = Value.Parse(People, JSON.parse(new TextDecoder().decode(payload)))
  const ids = await findProfiles(people, context)
  for (let start = 0; start < ids.length; start += MAX_REMOVED_PROFILES) {
    await takeOff(listId, ids.slice(start, start + MAX_REMOVED_PROFILES), context)
  }
  return { received: ids.length }
}

/**
 * By the e-mail address, and by the phone number where that profile does not have it: whoever was added
 * by the number alone has a profile of their own. One with the number and another address is somebody
 * else's.
 */
async function findProfiles(people: People, context: KlaviyoContext): Promise<readonly string[]> {
  const emails = people.map(([email]) => email).filter((email) => email !== '')
  const byEmail = await lookUp('email', emails, context)
  const phoneOf = new Map(
    byEmail.map(({ attributes }) => [attributes.email?.toLowerCase(), attributes.phone_number])
  )
  const others = people.filter(([email, phone]) => phone !== '' && phoneOf.get(email) !== phone)
  const emailOf = new Map(others.map(([email, phone]) => [phone, email]))
  const byPhone = await lookUp('phone_number', [...emailOf.keys()], context)
  const theirs = byPhone.filter(
    ({ attributes: { email, phone_number: phone } }) => !email || emailOf.get(phone ?? '') === ''
  )
  return [...new Set([...byEmail, ...theirs].map(({ id }) => id))]
}

/** Profiles with one of these values; of those that Klaviyo does not know there is none. */
async function lookUp(
  field: 'email' | 'phone_number',
  values: readonly string[],
  context: KlaviyoContext
): Promise<readonly Profile[]> {
  const profiles: Profile[] = []
  for (const some of portions(values)) {
    const search = {
      method: 'GET',
      operation: 'profiles.list',
      path: '/api/profiles',
      query: {
        filter: `any(${field},${JSON.stringify(some)})`,
        'fields[profile]': 'email,phone_number',
        'page[size]': '100'
      }
    } as const
    for await (const page of readPages(Profile, search, context)) profiles.push(...page)
  }
  return profiles
}

/** As many values at once as a filter takes, and as a request line has room for. */
function* portions(values: readonly string[]): Generator<readonly string[]> {
  let portion: string[] = []
  let bytes = 0
  for (const value of values) {
    const more = encodeURIComponent(`"${value}",`).length
    if (portion.length === VALUES_PER_FILTER || bytes + more > MAX_FILTER_BYTES) {
      yield portion
      portion = []
      bytes = 0
    }
    portion.push(value)
    bytes += more
  }
  if (portion.length > 0) yield portion
}

async function takeOff(
  listId: string,
  ids: readonly string[],
  context: KlaviyoContext
): Promise<void> {
  const removal = {
    method: 'DELETE',
    operation: 'lists.profiles.delete',
    path: `/api/lists/${encodeURIComponent(listId)}/relationships/profiles`,
    body: JSON.stringify({ data: ids.map((id) => ({ type: 'profile', id })) })
  } as const
  const answer = await send(removal, context)
  // One profile that has gone or was merged since makes Klaviyo refuse all of them.
  if (answer.status === 400 && readComplaint(answer).about === 'unnamed') {
    throw new ProviderError('transient', 'Klaviyo lost a profile that it had just found', {
      status: 400,
      waitMs: STALE_WAIT_MS
    })
  }
  readAnswer(Type.Unknown(), answer)
}
