import {
  createMembers as createReader,
  type Members,
  type MembersOptions
} from '../../src/audience/members.ts'
import { type CheckedUsers, readUsers, type UsersProblem } from '../../src/audience/parse-users.ts'
import { createFieldReport, type UploadReport } from '../../src/audience/report.ts'
import type { User } from '../../src/audience/schemas.ts'
import { toColumns, type UserColumns } from '../../src/audience/user-columns.ts'

/** The members that these users are, in one part and without the way through JSON. */
export function createMembers(users: readonly User[], options: MembersOptions = {}): Members {
  return createReader(options)(toColumns(users))
}

/** The report of users who come in one part. */
export function fieldReport(members: Members, maxExamples = 0): UploadReport {
  const report = createFieldReport(maxExamples)
  report.add(members)
  return report.end()
}

/** All users of an upload in one piece, however many parts they are read in. */
export function parseUsers(
  bytes: Uint8Array,
  limits: { readonly maxUsers: number }
): (CheckedUsers & { readonly users: UserColumns }) | UsersProblem {
  const parts: UserColumns[] = []
  const checked = readUsers(bytes, limits, (part) => parts.push(part))
  return 'problem' in checked ? checked : { ...checked, users: joined(parts) }
}

function joined(parts: readonly UserColumns[]): UserColumns {
  const column = (field: keyof UserColumns['texts']) => parts.flatMap(({ texts }) => texts[field])
  return {
    size: parts.reduce((sum, { size }) => sum + size, 0),
    texts: {
      edgeTagId: column('edgeTagId'),
      email: column('email'),
      phone: column('phone'),
      firstName: column('firstName'),
      lastName: column('lastName'),
      country: column('country'),
      postalCode: column('postalCode')
    },
    purchases: parts.flatMap(({ purchases }) => purchases)
  }
}
