import type { Source, Survey, SurveyOptions } from '../../src/intake/intake.ts'
import type { User } from '../../src/audience/schemas.ts'
import type { ReadOptions } from '../../src/intake/read-users.ts'
import type { Plan } from '../../src/intake/users.ts'

/** The two passes, as one build of the parser has them. */
export interface Intake {
  readonly survey: (source: Source, options?: SurveyOptions) => Promise<Survey>
  readonly readBatches: (
    source: Source,
    plan: Plan,
    options: ReadOptions
  ) => AsyncIterable<readonly User[]>
}

const text = new TextEncoder()

/** A file whose bytes come in chunks of this size. */
export function sourceOf(content: string | Uint8Array, chunkBytes = 1 << 16): Source {
  const bytes = typeof content === 'string' ? text.encode(content) : new Uint8Array(content)
  return {
    name: 'customers',
    bytes: bytes.length,
    open: () => {
      let at = 0
      return new ReadableStream({
        pull(controller) {
          if (at >= bytes.length) return controller.close()
          controller.enqueue(bytes.slice(at, at + chunkBytes))
          at += chunkBytes
        }
      })
    }
  }
}

export async function batchesOf(
  { readBatches }: Intake,
  source: Source,
  plan: Plan,
  batchUsers: number
): Promise<(readonly User[])[]> {
  const batches: (readonly User[])[] = []
  for await (const batch of readBatches(source, plan, { batchUsers })) batches.push(batch)
  return batches
}

/** Every customer of a file as it would be sent. */
export async function usersOf(intake: Intake, content: string | Uint8Array): Promise<User[]> {
  const source = sourceOf(content)
  const batches = await batchesOf(intake, source, await intake.survey(source), 3)
  return batches.flat()
}
