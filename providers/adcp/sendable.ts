import { MEMBER_SEPARATOR } from './encode.ts'

export interface Sendable {
  /** As in a body. */
  readonly members: Uint8Array
  readonly sent: number
  readonly warnings: readonly string[]
}

/**
 * The members of a body without the fields that the seller does not take, and without those members of
 * whom nothing is left. What it takes is known only when it has been asked, and nearly all take both.
 */
export function sendable(
  payload: Uint8Array,
  users: number,
  unwanted: readonly string[]
): Sendable {
  if (unwanted.length === 0) return { members: payload, sent: users, warnings: [] }
  const field = new RegExp(`,"(?:${unwanted.join('|')})":"[0-9a-f]{64}"`, 'g')
  const kept: string[] = []
  let without = 0
  let left = 0
  for (const member of Buffer.from(payload).toString('utf8').split(MEMBER_SEPARATOR)) {
    const rest = member.replace(field, '')
    if (!HASH.test(rest)) {
      left += 1
      continue
    }
    if (rest.length < member.length) without += 1
    kept.push(rest)
  }
  const names = unwanted.join(' and ')
  return {
    members: Buffer.from(kept.join(MEMBER_SEPARATOR)),
    sent: kept.length,
    warnings: [
      ...(without > 0
        ? [`members sent without ${names}, which the seller does not take: ${without}`]
        : []),
      ...(left > 0 ? [`members not sent, who have only ${names}: ${left}`] : [])
    ]
  }
}

const HASH = /,"hashed_(?:email|phone)":"[0-9a-f]{64}"/
