/** A hash as TikTok takes it: lower-case hex. */
export const SHA256 = /^[0-9a-f]{64}$/
export const MD5 = /^[0-9a-f]{32}$/

/** A user as sent: ids by kind, e.g. `{ EMAIL_SHA256: ['d611…'] }`. */
export type Member = Readonly<Record<string, readonly string[]>>

export const keyOf = (member: Member) => JSON.stringify(member)

export function addMembers(
  audience: { members: Map<string, Member> },
  members: readonly Member[]
): void {
  for (const member of members) audience.members.set(keyOf(member), member)
}

/** Whoever has one of these ids goes. */
export function removeMembers(
  audience: { members: Map<string, Member> },
  members: readonly Member[]
): void {
  const gone = new Set(members.flatMap(idsOf))
  for (const [key, member] of audience.members) {
    if (idsOf(member).some((id) => gone.has(id))) audience.members.delete(key)
  }
}

const idsOf = (member: Member) =>
  Object.entries(member).flatMap(([kind, ids]) => ids.map((id) => `${kind} ${id}`))
