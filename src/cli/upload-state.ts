import { hash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'

/**
 * What is remembered of uploads that are not finished, so that they can go on: nothing of the
 * customers themselves.
 */

const UploadState = Type.Object({
  sessionId: Type.Integer(),
  url: Type.String(),
  /** SHA-256 of the file. */
  fileHash: Type.String(),
  /** A fingerprint of each option that says what is sent, by its name. */
  options: Type.Record(Type.String(), Type.String()),
  startedAt: Type.String(),
  /** The service has taken a batch of it, and so knows the session. */
  hasArrived: Type.Boolean()
})
export type UploadState = Static<typeof UploadState>

/** Longer than the service remembers a session by default. */
const KEPT_MS = 30 * 24 * 3_600_000

/** `$XDG_STATE_HOME/audience`, see https://specifications.freedesktop.org/basedir-spec/latest/ */
export function stateFolder(env: Readonly<Record<string, string | undefined>>): string {
  const base = env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state')
  return join(base, 'audience')
}

/** Unfinished uploads of this file to this service, the latest first. Sweeps what is too old. */
export async function findStates(
  folder: string,
  { url, fileHash }: Pick<UploadState, 'url' | 'fileHash'>
): Promise<UploadState[]> {
  const names = await readdir(folder).catch(() => [])
  const states = await Promise.all(names.map((name) => readState(join(folder, name))))
  return states
    .filter((state) => state !== undefined)
    .filter((state) => state.url === url && state.fileHash === fileHash)
    .toSorted((a, b) => b.startedAt.localeCompare(a.startedAt))
}

async function readState(path: string): Promise<UploadState | undefined> {
  try {
    const { mtimeMs } = await stat(path)
    if (mtimeMs < Date.now() - KEPT_MS) {
      await rm(path)
      return undefined
    }
    const state: unknown = JSON.parse(await readFile(path, 'utf8'))
    return Value.Check(UploadState, state) ? state : undefined
  } catch {
    // Of another process that is writing or has just ended, or nothing of ours.
    return undefined
  }
}

/** Written whole or not at all, for nobody else to read. */
export async function saveState(folder: string, state: UploadState): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = pathOf(folder, state)
  await writeFile(`${path}.new`, JSON.stringify(state), { mode: 0o600 })
  await rename(`${path}.new`, path)
}

export async function removeState(
  folder: string,
  state: Pick<UploadState, 'sessionId'>
): Promise<void> {
  await rm(pathOf(folder, state), { force: true })
}

const pathOf = (folder: string, { sessionId }: Pick<UploadState, 'sessionId'>) =>
  join(folder, `${sessionId}.json`)

/** Tells equal values from others without repeating them. */
export function fingerprint(value: unknown): string {
  return hash('sha256', JSON.stringify(value ?? null)).slice(0, 16)
}

/** Names of the options that were others then. */
export function differingOptions(then: UploadState, now: UploadState['options']): string[] {
  return Object.keys(now).filter((name) => now[name] !== then.options[name])
}
