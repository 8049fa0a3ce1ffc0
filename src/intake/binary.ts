import { startsWith } from './bytes.ts'
import { IntakeError } from './intake.ts'

interface Kind {
  readonly magic: readonly number[]
  readonly message: string
}

const ARCHIVE = 'an archive that is not gzip: unpack it first'

/** Files that are often taken for text, by their first bytes. */
const KINDS: readonly Kind[] = [
  {
    magic: [0x50, 0x4b, 0x03, 0x04],
    message: 'an Excel workbook or a ZIP archive: save it as CSV'
  },
  { magic: [0x50, 0x4b, 0x05, 0x06], message: 'an empty ZIP archive' },
  { magic: [0xd0, 0xcf, 0x11, 0xe0], message: 'an old Excel workbook: save it as CSV' },
  { magic: [0x25, 0x50, 0x44, 0x46], message: 'a PDF document: export the customers as CSV' },
  {
    magic: [0x50, 0x41, 0x52, 0x31],
    message: 'a Parquet file: export the customers as CSV or NDJSON'
  },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], message: ARCHIVE },
  { magic: [0x42, 0x5a, 0x68], message: ARCHIVE },
  { magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a], message: ARCHIVE },
  { magic: [0x37, 0x7a, 0xbc, 0xaf], message: ARCHIVE },
  { magic: [0x1f, 0x8b], message: 'a gzip file inside of a gzip file: unpack it once' }
]

/** @throws {IntakeError} where the unpacked file is plainly no text. */
export function refuseBinary(head: Uint8Array): void {
  const kind = KINDS.find(({ magic }) => startsWith(head, magic))
  if (kind !== undefined) throw new IntakeError(`The file is ${kind.message}`)
}
