import type { User } from '../audience/schemas.ts'
import { readBytes } from './bytes.ts'
import { readCsv } from './csv.ts'
import { decode } from './decode.ts'
import type { Layout, Mapping, Source } from './intake.ts'
import { csvUsers } from './users.ts'

export interface ReadOptions {
  /** Users in each batch but the last, which has the rest. */
  readonly batchUsers: number
  readonly signal?: AbortSignal | undefined
}

export interface Read {
  readonly layout: Layout
  readonly mapping: Mapping
}

async function* readUsers(
  source: Source,
  { layout, mapping }: Read,
  signal: AbortSignal | undefined
): AsyncGenerator<readonly User[]> {
  const texts = decode(readBytes(source, layout.isGzip, { signal }), layout.encoding)
  const toUsers = csvUsers(layout.columns, mapping)
  for await (const { rows } of readCsv(texts, layout.separator ?? ',')) yield toUsers(rows)
}

/** The customers of a file that has been surveyed, batch by batch; no more of it is held at a time. */
export async function* readBatches(
  source: Source,
  read: Read,
  { batchUsers, signal }: ReadOptions
): AsyncGenerator<readonly User[]> {
  let batch: User[] = []
  for await (const users of readUsers(source, read, signal)) {
    for (const user of users) {
      batch.push(user)
      if (batch.length < batchUsers) continue
      yield batch
      batch = []
    }
  }
  if (batch.length > 0) yield batch
}
