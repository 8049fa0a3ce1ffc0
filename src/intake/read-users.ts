import type { User } from '../audience/schemas.ts'
import { readBytes } from './bytes.ts'
import { readCsv } from './csv.ts'
import { decode } from './decode.ts'
import type { Source } from './intake.ts'
import { readJson, readNdjson } from './objects.ts'
import { csvUserMaker, objectUserMaker, type Plan } from './users.ts'

export interface ReadOptions {
  /** Users in each batch but the last, which has the rest. */
  readonly batchUsers: number
  readonly signal?: AbortSignal | undefined
}

async function* readUsers(
  source: Source,
  plan: Plan,
  signal: AbortSignal | undefined
): AsyncGenerator<readonly User[]> {
  const { isGzip, encoding, format, separator = ',' } = plan.layout
  const texts = decode(readBytes(source, isGzip, { signal }), encoding)
  if (format === 'csv') {
    const toUser = csvUserMaker(plan)
    for await (const { rows } of readCsv(texts, separator)) yield rows.map(toUser)
  } else {
    const toUser = objectUserMaker(plan)
    const parts = format === 'json' ? readJson(texts) : readNdjson(texts)
    for await (const rows of parts) yield rows.map(toUser)
  }
}

/**
 * The customers of a file that has been surveyed, in batches of exactly as many as asked for. No more
 * of the file is held than a batch.
 */
export async function* readBatches(
  source: Source,
  plan: Plan,
  { batchUsers, signal }: ReadOptions
): AsyncGenerator<readonly User[]> {
  let batch: User[] = []
  for await (const users of readUsers(source, plan, signal)) {
    for (const user of users) {
      batch.push(user)
      if (batch.length < batchUsers) continue
      yield batch
      batch = []
    }
  }
  if (batch.length > 0) yield batch
}
