import type { Audience, Encoder, Encoding } from '../../providers/provider.ts'
import type { Members } from '../../src/audience/members.ts'

/** The encoding of users who come in one part. */
export function encodeWhole<V>(
  provider: { encoder(audience: Audience, variables: V): Encoder },
  members: Members,
  audience: Audience,
  variables: NoInfer<V>
): Encoding {
  const encoder = provider.encoder(audience, variables)
  encoder.add(members)
  return encoder.end()
}
