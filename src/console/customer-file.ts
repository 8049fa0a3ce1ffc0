import type { User } from '../audience/schemas.ts'
import type { Mapping, Source, Survey } from '../intake/intake.ts'
import { readBatches } from '../intake/read-users.ts'

/** A file that somebody chose; the browser reads it from the disk piece by piece. */
export const sourceOf = (file: File): Source => ({
  name: file.name,
  bytes: file.size,
  open: () => file.stream()
})

/** Users shown before anything is sent. */
const SHOWN = 5

/** The first users as they would be sent with this mapping. */
export async function firstUsers(
  source: Source,
  { layout, fallbacks }: Survey,
  mapping: Mapping,
  signal: AbortSignal
): Promise<readonly User[]> {
  for await (const users of readBatches(
    source,
    { layout, mapping, fallbacks },
    { batchUsers: SHOWN, signal }
  )) {
    return users
  }
  return []
}
