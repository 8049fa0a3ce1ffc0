import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { ProviderError } from '../errors.ts'
import type { PlatformAnswer } from '../http-client.ts'
import type { EncodedBody } from '../provider.ts'
import { readComplaint, toProviderError } from './errors.ts'

/**
 * Calls that one body may take, repairs included: at the account's 150 a minute not quite seven
 * minutes. Finding one bad profile among 10,000 by halving takes 29.
 */
const MAX_CALLS_PER_BODY = 1_000

/**
 * So many refusals that name nobody, and not one job taken, are about all profiles alike. Halving
 * comes from 10,000 profiles down to one in 15 calls: this is twice the way.
 */
const MAX_REFUSALS_BEFORE_FIRST_JOB = 30

/** So many pieces of which nobody is left, one after the other, may be part of a long run of bad ones. */
const DEAD_ENDS_IN_A_RUN = 2

/**
 * The pieces of a body that are still to be sent. One bad value makes Klaviyo refuse a whole job with
 * a 400: profiles that it names are dropped and the rest is sent again; where it names none the job is
 * halved, until every profile is in a job or was refused alone.
 */
export class Repair {
  readonly #waiting: EncodedBody[]
  #calls = 0
  #hasJob = false
  #unnamedRefusals = 0
  #deadEnds = 0

  constructor(body: EncodedBody) {
    this.#waiting = [body]
  }

  /**
   * The piece to send next, `undefined` at the end.
   * @throws ProviderError `invalid` where the calls run out with users still unsent.
   */
  next(): EncodedBody | undefined {
    if (this.#waiting.length > 0 && this.#calls === MAX_CALLS_PER_BODY) throw this.#outOfCalls()
    this.#calls += 1
    // The smallest piece leads to a first job soonest, the largest one away from a run of bad ones.
    return this.#deadEnds < DEAD_ENDS_IN_A_RUN ? this.#waiting.pop() : this.#waiting.shift()
  }

  accepted(): void {
    this.#hasJob = true
    this.#deadEnds = 0
  }

  /** @throws ProviderError where the refusal is not about single profiles, or nobody is left. */
  refused({ payload }: EncodedBody, answer: PlatformAnswer): void {
    const profiles = parseProfiles(payload)
    const kept = withoutNamed(profiles, answer)
    // Indexes beyond the end name nobody, and would be named again.
    const isUnnamed = kept.length === profiles.length
    const pieces = isUnnamed ? halves(profiles) : [kept].filter(({ length }) => length > 0)
    this.#waiting.push(...pieces.map(toBody))
    this.#unnamedRefusals += isUnnamed ? 1 : 0
    this.#deadEnds = pieces.length === 0 ? this.#deadEnds + 1 : 0
    if (!this.#hasJob && this.#isHopeless()) throw toProviderError(answer)
  }

  #isHopeless(): boolean {
    return this.#waiting.length === 0 || this.#unnamedRefusals === MAX_REFUSALS_BEFORE_FIRST_JOB
  }

  #outOfCalls(): ProviderError {
    const users = this.#waiting.reduce((sum, piece) => sum + piece.users, 0)
    const message = `Klaviyo refused too many parts of an import: after ${MAX_CALLS_PER_BODY} calls ${users} users were not sent`
    return new ProviderError('invalid', message)
  }
}

/** @throws ProviderError where no change to the profiles can mend what is refused. */
function withoutNamed(profiles: readonly unknown[], answer: PlatformAnswer): readonly unknown[] {
  const complaint = readComplaint(answer)
  if (complaint.about === 'other') throw toProviderError(answer)
  if (complaint.about === 'unnamed') return profiles
  return profiles.filter((_profile, index) => !complaint.indexes.has(index))
}

/** The second half, and the first, which is sent next; nothing of a single profile. */
function halves(profiles: readonly unknown[]): readonly (readonly unknown[])[] {
  if (profiles.length === 1) return []
  const middle = Math.ceil(profiles.length / 2)
  return [profiles.slice(middle), profiles.slice(0, middle)]
}

const Profiles = Type.Array(Type.Unknown())

function parseProfiles(payload: Uint8Array): readonly unknown[] {
  return Value.Parse(Profiles, JSON.parse(new TextDecoder().decode(payload)))
}

function toBody(profiles: readonly unknown[]): EncodedBody {
  return {
    payload: new TextEncoder().encode(JSON.stringify(profiles)),
    users: profiles.length
  }
}
