import { badParameter, errorAnswer, invalid, Refusal, refusal } from './sandbox-answers.ts'
import type { ProfileAttributes } from './sandbox-schemas.ts'

const MAX_LISTS_PER_DAY = 150
const MAX_PROFILES_PER_JOB = 10_000
const MAX_PROFILE_BYTES = 100_000
/** Time passes by a second with each thing created, so that a run can be repeated. */
const FIRST_CREATED_MS = Date.UTC(2026, 0, 1)

const READING = ['lists:read', 'profiles:read']
const ALL_SCOPES = [...READING, 'lists:write', 'profiles:write']

/** What each API key may do; each has an account of its own. */
export const KEYS: Readonly<Record<string, { sms: boolean; scopes: readonly string[] }>> = {
  sandbox: { sms: true, scopes: ALL_SCOPES },
  'sandbox-without-sms': { sms: false, scopes: ALL_SCOPES },
  'sandbox-read-only': { sms: true, scopes: READING },
  'sandbox-lists-only': { sms: true, scopes: ['lists:read', 'lists:write'] },
  'sandbox-without-scopes': { sms: true, scopes: [] }
}

/** Everything that arrived for one person, later values over earlier ones. */
export interface Profile {
  readonly id: string
  attributes: Record<string, unknown>
}

export interface List {
  readonly id: string
  readonly name: string
  readonly created: string
  readonly members: Set<Profile>
}

/** A profile that a job could not import. */
export interface ImportFailure {
  readonly index: number
  readonly payload: ProfileAttributes
}

export interface Job {
  readonly id: string
  readonly listIds: readonly string[]
  readonly created: string
  readonly total: number
  readonly failures: readonly ImportFailure[]
  /** How often it was looked at. */
  polls: number
}

const IDENTIFIERS = ['email', 'phone_number', 'external_id'] as const
/** Fields that Get Profiles filters by, with the operators `any` and `equals`. */
export const FILTER_FIELDS = ['email', 'phone_number', 'external_id'] as const
const LIST_SORT_KEYS = ['created', 'id', 'name'] as const

/** The lists, profiles and jobs of one account. */
export class Account {
  readonly lists = new Map<string, List>()
  readonly jobs = new Map<string, Job>()
  /** By `email:…`, `phone_number:…` and `external_id:…`. */
  readonly #profiles = new Map<string, Profile>()
  readonly #sms: boolean
  readonly #profilesById = new Map<string, Profile>()
  #listsCreated = 0
  #created = 0

  constructor(sms: boolean) {
    this.#sms = sms
  }

  /** Names are not unique: the same name again makes a second list. */
  createList(name: string): List {
    if (this.#listsCreated === MAX_LISTS_PER_DAY) throw refusal('daily_limit')
    this.#listsCreated += 1
    const created = this.#nextTime()
    const id = `S${this.#created.toString(36).toUpperCase().padStart(5, '0')}`
    const list: List = { id, name, created, members: new Set() }
    this.lists.set(id, list)
    return list
  }

  /** @param sort `created`, `id` or `name`, with `-` for the reverse. */
  sortedLists(sort = 'id'): List[] {
    const key = LIST_SORT_KEYS.find((name) => name === sort.replace(/^-/, ''))
    if (key === undefined) throw badParameter('sort')
    const direction = sort.startsWith('-') ? -1 : 1
    const lists = [...this.lists.values()]
    return lists.toSorted((a, b) => (a[key] < b[key] ? -direction : direction))
  }

  /** Those with one of these values, in the order of their creation. */
  profilesWith(field: (typeof FILTER_FIELDS)[number], values: readonly unknown[]): Profile[] {
    return [...this.#profilesById.values()].filter(
      ({ attributes }) => attributes[field] !== undefined && values.includes(attributes[field])
    )
  }

  /** An unknown profile refuses all; one that is not on the list is none to mind. */
  removeProfiles(listId: string, ids: readonly string[]): void {
    const { members } = this.#listOf(listId)
    const unknown = ids.filter((id) => !this.#profilesById.has(id))
    if (unknown.length > 0) {
      const detail = `The following profile ids do not exist: ${unknown.join()}`
      throw new Refusal(errorAnswer(400, [invalid(detail, '/data/')]))
    }
    for (const id of ids) {
      const profile = this.#profilesById.get(id)
      if (profile !== undefined) members.delete(profile)
    }
  }

  /**
   * Imports at once. A malformed phone number refuses the whole job, a malformed e-mail address
   * becomes an import error.
   */
  startJob(listIds: readonly string[], profiles: readonly ProfileAttributes[]): Job {
    const lists = listIds.map((id) => this.#listOf(id))
    if (profiles.length > MAX_PROFILES_PER_JOB) {
      const error = invalid('No more than 10000 profiles are allowed', '/data/attributes/profiles')
      throw new Refusal(errorAnswer(400, [error]))
    }
    const problems = profiles.flatMap((profile, index) => this.#problems(profile, index))
    if (problems.length > 0) throw new Refusal(errorAnswer(400, problems))

    const failures: ImportFailure[] = []
    for (const [index, payload] of profiles.entries()) {
      if (isImportable(payload)) this.#import(payload, lists)
      else failures.push({ index, payload })
    }
    const created = this.#nextTime()
    const id = Buffer.from(`job:${this.#created}`).toString('base64')
    const job: Job = { id, listIds, created, total: profiles.length, failures, polls: 0 }
    this.jobs.set(id, job)
    return job
  }

  #nextTime(): string {
    this.#created += 1
    const time = new Date(FIRST_CREATED_MS + this.#created * 1000)
    return time.toISOString().replace('.000Z', '+00:00')
  }

  #listOf(id: string): List {
    const list = this.lists.get(id)
    if (list === undefined) throw refusal('not_found')
    return list
  }

  /** What makes Klaviyo refuse a whole job. */
  #problems(profile: ProfileAttributes, index: number) {
    const pointer = `/data/attributes/profiles/data/${index}/attributes`
    const { email, phone_number: phone, external_id: externalId } = profile
    if (phone && !/^\+[1-9]\d{6,14}$/.test(phone)) {
      const detail = `Invalid phone number format (Example of a valid format: +12345678901): ${phone}`
      return [invalid(detail, `${pointer}/phone_number`)]
    }
    // A number alone identifies nobody where SMS is not set up.
    if (!email && !externalId && !(phone && this.#sms)) {
      return [invalid('One or more identifiers is required', pointer)]
    }
    if (Buffer.byteLength(JSON.stringify(profile)) > MAX_PROFILE_BYTES) {
      return [invalid('The profile is larger than 100KB', pointer)]
    }
    return []
  }

  /** Writes what is not `null` to the profile of the first known identifier, or to a new one. */
  #import(attributes: ProfileAttributes, lists: readonly List[]): void {
    const keys = IDENTIFIERS.filter((name) => attributes[name]).map(
      (name) => `${name}:${attributes[name]}`
    )
    const known = keys.map((key) => this.#profiles.get(key)).find((found) => found !== undefined)
    const profile = known ?? this.#createProfile()
    const written = Object.entries(attributes).filter(([, value]) => value !== null)
    profile.attributes = { ...profile.attributes, ...Object.fromEntries(written) }
    for (const key of keys) this.#profiles.set(key, profile)
    for (const list of lists) list.members.add(profile)
  }

  #createProfile(): Profile {
    const id = `01SANDBOX${String(this.#profilesById.size + 1).padStart(17, '0')}`
    const profile = { id, attributes: {} }
    this.#profilesById.set(id, profile)
    return profile
  }
}

function isImportable({ email }: ProfileAttributes): boolean {
  return !email || /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(email)
}
