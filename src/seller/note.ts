import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import type { AdcpErrorBody } from '../adcp/protocol.ts'

/** Hashes that a tag cannot match: how many, by their type. */
const LeftOut = Type.Object({
  channel: Type.String(),
  hashes: Type.Record(Type.String(), Type.Integer())
})
export type LeftOut = Static<typeof LeftOut>

const StoredNote = Type.Object({
  error: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  leftOut: Type.Optional(Type.Array(LeftOut))
})
type StoredNote = Static<typeof StoredNote>

/** What an answer tells of one audience besides how it stands: kept with the outcome of its call. */
export interface SyncNote {
  /** Why nothing was done with it. */
  readonly error?: AdcpErrorBody
  readonly leftOut?: readonly LeftOut[]
}

/** A note as the store gives it back. */
export function readNote(note: unknown): StoredNote {
  return Value.Check(StoredNote, note) ? note : {}
}
