import { randomBytes, randomUUID } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeFileSync
} from 'node:fs'
import { dirname } from 'node:path'
import { KEY_BYTES } from './sealing.ts'
import { StoreError } from './store.ts'

/**
 * The key in a file, which the service made for itself; `undefined` where there is no such file.
 * @throws StoreError
 */
export function readKeyFile(path: string): Uint8Array | undefined {
  const text = readText(path)
  if (text === undefined) return undefined
  const key = Buffer.from(text.trim(), 'base64')
  if (key.length !== KEY_BYTES) {
    throw new StoreError(`the key file ${path} is damaged: restore it from a backup`)
  }
  return key
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    throw new StoreError(`the key file ${path} cannot be read: ${String(cause)}`, { cause })
  }
}

/**
 * Makes a key and keeps it in a file that was not there before. The file appears whole or not at
 * all, whenever the process ends.
 * @throws StoreError
 */
export function makeKeyFile(path: string): Uint8Array {
  const key = randomBytes(KEY_BYTES)
  const draft = `${path}.${randomUUID()}`
  try {
    writeFileSync(draft, `${key.toString('base64')}\n`, { mode: 0o600, flag: 'wx', flush: true })
    try {
      // Unlike a renaming it fails where there is a file already.
      linkSync(draft, path)
    } finally {
      unlinkSync(draft)
    }
    flushFolder(dirname(path))
    return key
  } catch (cause) {
    throw new StoreError(`the key file ${path} cannot be written: ${String(cause)}`, { cause })
  }
}

/** Only then is the new name on the disk. */
function flushFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
