import { hash } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { invalid, Refusal } from './sandbox-errors.ts'
import { MD5, SHA256, type Member } from './sandbox-members.ts'

const MAX_FILE_BYTES = 50_000_000

/** How each kind of id looks, by its name in a table's header and as `calculate_type`. */
const FILE_COLUMNS: Readonly<Record<string, RegExp>> = {
  EMAIL_SHA256: SHA256,
  PHONE_SHA256: SHA256,
  MAID: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
  MAID_SHA256: SHA256,
  MAID_MD5: MD5
}
const SINGLE_TYPES: Readonly<Record<string, RegExp>> = {
  EMAIL_SHA256: SHA256,
  PHONE_SHA256: SHA256,
  IDFA_SHA256: SHA256,
  IDFA_MD5: MD5,
  GAID_SHA256: SHA256,
  GAID_MD5: MD5,
  FIRST_SHA256: SHA256,
  FIRST_MD5: MD5,
  MAID_SHA256: SHA256,
  MAID_MD5: MD5
}

export interface HeldFile {
  readonly calculateType: string
  readonly members: readonly Member[]
}

export async function readForm(request: FastifyRequest): Promise<FormData> {
  const headers = { 'content-type': request.headers['content-type'] ?? '' }
  const body = request.body instanceof Buffer ? new Uint8Array(request.body) : null
  return new Response(body, { headers }).formData().catch(() => {
    throw invalid('content-type: must be multipart/form-data')
  })
}

/** What an upload's `file` holds, checked against its signature and type. */
export async function readFile(form: FormData): Promise<HeldFile> {
  const file = form.get('file')
  if (!(file instanceof File)) throw invalid('file: required')
  if (!/\.(csv|txt)$/.test(file.name)) throw new Refusal(40908, 'Unsupported file type')
  if (file.size > MAX_FILE_BYTES) throw invalid('file: larger than 50 MB')
  const bytes = await file.bytes()
  if (form.get('file_signature') !== hash('md5', bytes)) throw invalid('file_signature: wrong MD5')
  const calculateType = form.get('calculate_type')
  if (typeof calculateType !== 'string') throw invalid('calculate_type: required')
  const lines = new TextDecoder().decode(bytes).split('\n')
  return { calculateType, members: readMembers(lines, calculateType) }
}

function readMembers(lines: readonly string[], calculateType: string): Member[] {
  if (calculateType === 'MULTIPLE_TYPES') return readTable(lines)
  const form = SINGLE_TYPES[calculateType]
  if (form === undefined) throw invalid('calculate_type: unknown')
  if (lines.some((line) => !form.test(line))) throw invalid(`file: not only ${calculateType}`)
  return lines.map((line) => ({ [calculateType]: [line] }))
}

function readTable([header = '', ...lines]: readonly string[]): Member[] {
  const columns = header.toUpperCase().split(',')
  if (columns.some((column) => FILE_COLUMNS[column] === undefined)) {
    throw invalid('file: unknown header')
  }
  if (columns.some((column) => columns.filter((other) => other === column).length > 3)) {
    throw invalid('file: a header may repeat three times')
  }
  return lines.map((line) => {
    const cells = line.split(',')
    if (cells.length !== columns.length) throw invalid('file: row does not match its header')
    const member: Record<string, string[]> = {}
    for (const [index, column] of columns.entries()) {
      const cell = cells[index] ?? ''
      if (cell === '') continue
      if (!FILE_COLUMNS[column]?.test(cell)) throw invalid(`file: not a ${column}`)
      member[column] = [...(member[column] ?? []), cell]
    }
    if (Object.keys(member).length === 0) throw invalid('file: row without an id')
    return member
  })
}
