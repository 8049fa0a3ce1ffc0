import * as fc from 'fast-check'
import type { Encoder, Encoding } from '../../providers/provider.ts'
import type { Members } from '../../src/audience/members.ts'

/** Sizes of the parts that users are divided into, some of them empty. */
export const anyParts = fc.array(fc.constantFrom(0, 1, 1, 2, 5), { maxLength: 12 })

/** The encoding of users who come in parts of these sizes and one of the rest. */
export function encodeParts(
  encoder: Encoder,
  members: Members,
  sizes: readonly number[]
): Encoding {
  let start = 0
  for (const size of [...sizes, members.size]) {
    const end = Math.min(start + size, members.size)
    encoder.add(rowsOf(members, start, end))
    start = end
  }
  return encoder.end()
}

function rowsOf(members: Members, start: number, end: number): Members {
  return {
    size: end - start,
    text: (form) => members.text(form).slice(start, end),
    hash: (form) => members.hash(form).slice(start, end),
    phoneRegions: () => members.phoneRegions().slice(start, end),
    externalIds: () => members.externalIds().slice(start, end),
    plainNames: (field) => members.plainNames(field).slice(start, end),
    countries: () => members.countries().slice(start, end),
    plainPostalCodes: () => members.plainPostalCodes().slice(start, end),
    purchases: () => members.purchases().slice(start, end),
    given: (field) => members.given(field).slice(start, end),
    written: (field) => members.written(field).slice(start, end),
    repaired: (field) => members.repaired(field).slice(start, end)
  }
}
