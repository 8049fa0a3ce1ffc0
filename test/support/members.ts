import {
  createMembers as createMembersOf,
  type Members,
  type MembersOptions
} from '../../src/audience/members.ts'
import type { User } from '../../src/audience/schemas.ts'
import { createColumns } from '../../src/audience/user-columns.ts'

/** The members that these users are, without the way through JSON. */
export function createMembers(users: readonly User[], options: MembersOptions = {}): Members {
  const writer = createColumns()
  writer.add(users)
  return createMembersOf(writer.columns(), options)
}
