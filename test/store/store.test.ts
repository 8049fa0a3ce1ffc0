import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'
import { MessageChannel, type Worker } from 'node:worker_threads'
import { test, type Test } from 'tap'
import { type Migration, MIGRATIONS, migrate } from '../../src/store/migrations.ts'
import { openStorage } from '../../src/store/open.ts'
import { KEY_BYTES, type KeyRing, open, seal } from '../../src/store/sealing.ts'
import type { Answer, Call } from '../../src/store/sqlite-calls.ts'
import { openFile } from '../../src/store/sqlite-file.ts'
import { serve } from '../../src/store/sqlite-worker.ts'
import { openSqlite, type SqliteOptions } from '../../src/store/sqlite.ts'
import { type Store, StoreError } from '../../src/store/store.ts'
import {
  checkFromSchema2,
  DAY_MS,
  EU,
  FROM_SCHEMA_2,
  type OpenStores,
  OPTIONS,
  sealed,
  storeContract,
  T0,
  TT,
  upload
} from './contract.ts'
import { KEYS, ledgerContract, members, request, upsert } from './ledger-contract.ts'

function temporaryFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'audience-store-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return folder
}

const fileIn = (t: Test) => join(temporaryFolder(t), 'audience.db')

async function openStore(t: Test, options: Partial<SqliteOptions> & { path: string }) {
  const store = await openSqlite({ ...OPTIONS, ...options })
  t.teardown(() => store.close())
  return store
}

const openStores: OpenStores = async (t, options) => {
  const store = await openStore(t, { ...options, path: fileIn(t) })
  return [store, store]
}
storeContract('SQLite', openStores)
ledgerContract('SQLite', openStores)

async function deliverAll(store: Store): Promise<void> {
  for (const turn of await store.turns()) {
    const work = await store.work(turn)
    await store.changeDelivery(work?.delivery.id ?? '', { state: 'delivered' }, T0)
  }
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await wait(10)
}

test('everything is there after the file was closed and opened again', async (t) => {
  const path = fileIn(t)
  const before = await openStore(t, { path })
  const { upload: kept } = await before.accept(upload(), sealed(100_000), [EU, TT])
  const session = await before.session('shop', 1)
  const turns = await before.turns()
  await before.close()
  await before.close()
  await t.rejects(before.backlog(), new StoreError('the store is closed'))
  const after = await openStore(t, { path })
  t.strictSame(await after.session('shop', 1), session)
  t.strictSame(await after.turns(), turns)
  t.strictSame(await after.sealedUsers(kept.id), sealed(100_000))
})

test('a ledger is there after the file was closed and opened again', async (t) => {
  const path = fileIn(t)
  const before = await openStore(t, { path })
  const call = () =>
    request({
      idempotencyKey: 'k',
      changes: [upsert('riders', { add: members('riders', 'add') })],
      push: { url: 'https://agent.example' }
    })
  const outcome = await before.syncAudiences(call())
  const ledger = await before.audiences('acct')
  const taskId = (outcome.kind === 'done' ? outcome.taskId : undefined) ?? ''
  const task = await before.task('agent', taskId)
  await before.close()
  const after = await openStore(t, { path })
  t.strictSame(await after.audiences('acct'), ledger)
  t.strictSame(await after.pushOf(taskId, KEYS), { task, push: { url: 'https://agent.example' } })
  t.strictSame(await after.syncAudiences(call()), { ...outcome, isReplay: true })
  t.strictSame(await after.syncAudiences({ ...call(), requestHash: 'other' }), { kind: 'conflict' })
})

test('sealed users are moved to the thread, and nothing else', async (t) => {
  const store = await openStore(t, { path: fileIn(t) })
  const keys: KeyRing = [new Uint8Array(32).fill(1)]
  const add = members('riders', 'add', 1_000)
  const remove = members('riders', 'remove', 500)
  const part = { ...members('walkers', 'add'), sealedUsers: sealed(20).subarray(5, 10) }
  const outcome = await store.syncAudiences(
    request({
      changes: [
        upsert('riders', { add, remove }),
        upsert('walkers', { add: part }),
        { audienceId: 'none', action: 'delete', note: undefined }
      ],
      keys
    })
  )
  t.equal(outcome.kind, 'done')
  t.same([add.sealedUsers.byteLength, remove.sealedUsers.byteLength], [0, 0])
  t.same([part.sealedUsers.byteLength, keys[0].byteLength], [5, 32])
  t.equal((await store.backlog()).payloadBytes, 1_005, 'nobody was there to be removed')
})

test('a disk that is full in the middle of a call leaves nothing of it', async (t) => {
  const store = await openStore(t, { path: fileIn(t), maxPages: 90 })
  const call = (bytes: number) =>
    store.syncAudiences(
      request({
        idempotencyKey: 'k',
        changes: [
          upsert('riders', { add: members('riders', 'add', 100) }),
          upsert('walkers', { add: members('walkers', 'add', bytes) })
        ]
      })
    )
  await t.rejects(call(1_000_000), { name: 'StoreError', message: /the disk is full$/ })
  t.same([await store.audiences('acct'), await store.turns()], [[], []])
  t.equal((await store.backlog()).payloadBytes, 0)
  t.match(await call(200), { kind: 'done', isReplay: false })
  t.equal((await store.backlog()).payloadBytes, 300)
})

test('what an agent keeps to itself is not readable in the file', async (t) => {
  const path = fileIn(t)
  const store = await openStore(t, { path })
  const secrets = ['key-of-this-call', 'token-of-the-receiver', 'hash-of-the-request']
  const [idempotencyKey = '', token, requestHash = ''] = secrets
  await store.syncAudiences(
    request({
      idempotencyKey,
      requestHash,
      changes: [upsert('riders', { add: members('riders', 'add') })],
      push: { token }
    })
  )
  await store.close()
  const bytes = readFileSync(path)
  t.same(
    secrets.filter((secret) => bytes.includes(secret)),
    []
  )
  t.ok(bytes.includes('riders'), 'the search reads what is stored')
})

test('a store in memory needs no file', async (t) => {
  const { store, keys } = await openStorage(
    { ...OPTIONS, databaseUrl: 'sqlite::memory:', encryptionKeys: [] },
    SILENT
  )
  t.teardown(() => store.close())
  await store.accept(upload(), sealed(), [EU])
  t.equal((await store.turns()).length, 1)
  t.equal(keys[0].length, KEY_BYTES)
  t.notOk(existsSync(':memory:'))
  t.notOk(existsSync(':memory:.key'))
})

test('calls that wait together are answered each by itself', async (t) => {
  const store = await openStore(t, { path: fileIn(t) })
  const whole = sealed(10)
  const part = new Uint8Array(20).fill(9).subarray(5, 10)
  const [first, second, ...more] = await Promise.allSettled([
    store.accept(upload(), whole, [EU]),
    store.accept(upload({ sequence: 2 }), part, [EU]),
    store.changeDelivery('nobody', {}, T0),
    store.sessions({ owner: 'shop', limit: 1, cursor: 'x' }),
    store.backlog()
  ])
  if (first?.status !== 'fulfilled' || second?.status !== 'fulfilled') throw new Error('refused')
  t.same(
    more.map((outcome) => (outcome.status === 'rejected' ? String(outcome.reason) : outcome.value)),
    [
      'Error: no delivery nobody',
      'CursorError: no page begins at this cursor',
      { deliveries: 2, oldestAt: T0, payloadBytes: 15 }
    ]
  )
  t.strictSame(await store.sealedUsers(first.value.upload.id), sealed(10))
  t.strictSame(await store.sealedUsers(second.value.upload.id), new Uint8Array(5).fill(9))
  t.equal(whole.byteLength, 0, 'moved to the thread')
  t.equal(part.byteLength, 5, 'others have a part of it: copied')
})

test('a thread that dies takes along only what it had not answered', async (t) => {
  const threads: Worker[] = []
  const note = (worker: Worker) => threads.push(worker)
  process.on('worker', note)
  t.teardown(() => process.off('worker', note))
  const store = await openStore(t, { path: fileIn(t) })
  const { upload: kept } = await store.accept(upload(), sealed(), [EU])
  const ended = threads[0]?.terminate()
  await t.rejects(store.backlog(), new StoreError('the thread of the database ended'))
  await ended
  t.strictSame(await store.sealedUsers(kept.id), sealed())
  t.equal(threads.length, 2)
})

/** Another process that has the file open, until its input is closed. */
async function holdInAnotherProcess(t: Test, path: string) {
  const script = `
    const { DatabaseSync } = require('node:sqlite')
    const database = new DatabaseSync(${JSON.stringify(path)})
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT')
    process.stdin.on('end', () => process.exit()).resume()
    console.log('open')`
  const holder = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => holder.kill())
  await once(holder.stdout, 'data')
  return { letGo: () => holder.stdin.end() }
}

test('a file that another process has is refused', async (t) => {
  const path = fileIn(t)
  await (await openStore(t, { path })).close()
  await holdInAnotherProcess(t, path)
  await t.rejects(openStore(t, { path, lockWaitMs: 300 }), {
    name: 'StoreError',
    message:
      `the database ${path} is in use by another process: one process has it for itself. ` +
      'Stop the other one, or let several share PostgreSQL'
  })
})

test('a file that another process lets go is waited for', async (t) => {
  const path = fileIn(t)
  await (await openStore(t, { path })).close()
  const holder = await holdInAnotherProcess(t, path)
  const opening = openStore(t, { path })
  holder.letGo()
  t.same(await (await opening).turns(), [])
})

test('a full disk refuses what it cannot take, and takes again what it can', async (t) => {
  // A file of 300 kB.
  const store = await openStore(t, { path: fileIn(t), maxPages: 75 })
  const accepted = new Set<string>()
  const send = async (sequence: number, bytes: number) => {
    const { upload: kept } = await store.accept(upload({ sequence }), sealed(bytes), [EU, TT])
    accepted.add(kept.id)
  }
  const isFull = { name: 'StoreError', message: /cannot grow: the disk is full$/ }
  await send(1, 10_000)
  await Promise.all([
    t.rejects(send(2, 1_000_000), isFull),
    t.resolves(send(3, 10_000), 'what waited together with it is not taken along'),
    t.rejects(send(4, 1_000_000), isFull)
  ])
  const check = async () => {
    const session = await store.session('shop', 1)
    t.same(new Set(session?.uploads.map(({ id }) => id)), accepted)
    t.equal(session?.deliveries.length, 2 * accepted.size, 'nothing is half accepted')
    t.equal((await store.backlog()).payloadBytes, 10_000 * accepted.size)
  }
  await check()
  let sequence = 5
  const fill = async (): Promise<void> => {
    sequence += 1
    await send(sequence, 10_000)
    return fill()
  }
  await t.rejects(fill(), isFull)
  t.ok(accepted.size > 3)
  await check()
  await deliverAll(store)
  t.equal((await store.backlog()).payloadBytes, 0)
  await t.resolves(send(100, 10_000), 'there is room again')
})

test('a file that is gone is not made anew, and is used again when it is back', async (t) => {
  const path = fileIn(t)
  const store = await openStore(t, { path })
  await store.accept(upload(), sealed(), [EU])
  renameSync(path, `${path}.away`)
  const isGone = new StoreError(`the database ${path} is gone`)
  await t.rejects(store.accept(upload({ sequence: 2 }), sealed(), [EU]), isGone)
  await t.rejects(store.backlog(), isGone)
  t.notOk(existsSync(path))
  renameSync(`${path}.away`, path)
  t.equal((await store.turns()).length, 1)
  await store.accept(upload({ sequence: 2 }), sealed(), [EU])
  t.equal((await store.turns()).length, 2)
})

test('a call that cannot be done leaves nothing of itself', async (t) => {
  const store = await openStore(t, { path: fileIn(t) })
  const [good, wrong] = await Promise.allSettled([
    store.accept(upload(), sealed(), [EU]),
    store.accept(upload({ sessionId: 2, sequence: Number.NaN }), sealed(), [EU])
  ])
  t.same([good?.status, wrong?.status], ['fulfilled', 'rejected'])
  const { items } = await store.sessions({ owner: 'shop', limit: 9 })
  t.same(
    items.map(({ sessionId }) => sessionId),
    [1]
  )
})

test('a file that cannot be read any more is used again once it can', async (t) => {
  const path = fileIn(t)
  const store = await openStore(t, { path })
  const { upload: kept } = await store.accept(upload(), sealed(5_000_000), [EU])
  await store.sweep(T0)
  await until(() => statSync(`${path}-wal`).size === 0)
  const whole = readFileSync(path)
  truncateSync(path, 500_000)
  await t.rejects(store.sealedUsers(kept.id), StoreError)
  await t.rejects(store.sealedUsers(kept.id), StoreError)
  writeFileSync(path, whole)
  t.equal((await store.sealedUsers(kept.id))?.byteLength, 5_000_000)
  await store.accept(upload({ sequence: 2 }), sealed(), [EU])
  t.equal((await store.turns()).length, 2)
})

test('what is no database is told as such', async (t) => {
  const path = fileIn(t)
  writeFileSync(path, 'no database'.repeat(1_000))
  await t.rejects(openStore(t, { path }), new StoreError(`the database ${path} is no database`))
  const below = join(path, 'below', 'audience.db')
  await t.rejects(openStore(t, { path: below }), {
    name: 'StoreError',
    message: /^the database .* cannot be made: Error: ENOTDIR/
  })
})

test('the file gives its space back', async (t) => {
  const path = fileIn(t)
  const store = await openStore(t, { path })
  for (let sequence = 1; sequence <= 20; sequence += 1) {
    await store.accept(upload({ sequence }), sealed(500_000), [EU])
  }
  await deliverAll(store)
  t.ok(statSync(path).size > 5_000_000)
  await store.sweep(T0)
  await until(() => statSync(path).size < 500_000 && statSync(`${path}-wal`).size === 0)
  t.equal((await store.session('shop', 1))?.uploads.length, 20)
})

const SILENT = { warn: () => undefined, error: () => undefined }
const openFor = async (t: Test, path: string, encryptionKeys: readonly Uint8Array[] = []) => {
  const storage = await openStorage(
    { ...OPTIONS, databaseUrl: `sqlite:${path}`, encryptionKeys },
    SILENT
  )
  t.teardown(() => storage.store.close())
  return storage
}
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)

test('a key is made once, beside the database, and both are for their user alone', async (t) => {
  const folder = join(temporaryFolder(t), 'new', 'data')
  const path = join(folder, 'audience.db')
  const first = await openFor(t, path)
  t.same(readdirSync(folder).toSorted(), ['audience.db', 'audience.db-wal', 'audience.db.key'])
  t.same([folder, path, `${path}-wal`, `${path}.key`].map(modeOf), ['700', '600', '600', '600'])
  const written = readFileSync(`${path}.key`, 'utf8')
  t.equal(written, `${Buffer.from(first.keys[0]).toString('base64')}\n`)
  await first.store.close()
  const second = await openFor(t, path)
  t.same(second.keys, first.keys)
  await second.store.close()

  const given = [new Uint8Array(KEY_BYTES).fill(1), new Uint8Array(KEY_BYTES).fill(2)]
  const third = await openFor(t, path, given)
  t.same(third.keys, [...given, first.keys[0]], 'what the own key sealed is still opened')
  t.equal(readFileSync(`${path}.key`, 'utf8'), written)
})

test('a key that is given needs no key file', async (t) => {
  const path = fileIn(t)
  const key = new Uint8Array(KEY_BYTES).fill(1)
  const { keys, store } = await openFor(t, path, [key])
  t.same(keys, [key])
  t.notOk(existsSync(`${path}.key`))
  await store.accept(upload(), sealed(), [EU])
  await store.close()
  await t.rejects(openFor(t, path), {
    name: 'StoreError',
    message:
      `the key that the users in ${path} are sealed with is missing: ` +
      `restore ${path}.key or set AUDIENCE_ENCRYPTION_KEY`
  })
  t.notOk(existsSync(`${path}.key`), 'no other key takes its place')
})

test('a damaged key file stops the start', async (t) => {
  const path = fileIn(t)
  const message = `the key file ${path}.key is damaged: restore it from a backup`
  for (const text of ['', 'AAAA', `${Buffer.alloc(31).toString('base64')}\n`]) {
    writeFileSync(`${path}.key`, text)
    await t.rejects(openFor(t, path), new StoreError(message))
    t.equal(readFileSync(`${path}.key`, 'utf8'), text)
  }
  rmSync(`${path}.key`)
  symlinkSync('nowhere', `${path}.key`)
  await t.rejects(openFor(t, path), {
    message: /^the key file .* cannot be written: Error: EEXIST/
  })
  rmSync(`${path}.key`)
  mkdirSync(`${path}.key`)
  await t.rejects(openFor(t, path), { message: /^the key file .* cannot be read: Error: EISDIR/ })
})

test('no file holds personal data', async (t) => {
  const path = fileIn(t)
  const { store, keys } = await openFor(t, path)
  const user = { email: 'ada.lovelace@example.com', phone: '+4915112345678', lastName: 'Lovelace' }
  const text = JSON.stringify([user])
  const plain = Buffer.from(text.repeat(50))
  const name = 'content 1'
  const { deliveries, upload: kept } = await store.accept(upload(), seal(plain, name, keys), [
    EU,
    TT
  ])
  const stored = await store.sealedUsers(kept.id)
  t.same(open(stored ?? new Uint8Array(), name, keys), plain, 'it is there')
  const [eu, tt] = deliveries.map(({ id }) => id)
  const lastError = { code: 'invalid', message: 'refused' }
  const search = () => {
    for (const file of [path, `${path}-wal`]) {
      const bytes = readFileSync(file)
      for (const value of Object.values(user)) {
        const forms = [
          value,
          Buffer.from(value).toString('base64'),
          Buffer.from(value).toString('hex')
        ]
        t.same(
          forms.filter((form) => bytes.includes(form)),
          []
        )
      }
      t.ok(file !== path || bytes.includes('blotout_VIP') || bytes.length > 0)
    }
  }
  search()
  await store.changeDelivery(eu ?? '', { state: 'failed', lastError }, T0)
  search()
  await store.changeDelivery(tt ?? '', { state: 'delivered' }, T0)
  await store.sweep(T0 + 30 * DAY_MS)
  await store.close()
  t.notOk(existsSync(`${path}-wal`))
  t.ok(readFileSync(path).includes('CREATE TABLE payloads'), 'the search reads what is stored')
})

/** As a service of another version would do it. */
async function migrateFile(path: string, migrations: readonly Migration[]): Promise<void> {
  const file = openFile({ ...OPTIONS, path, mustExist: false })
  try {
    await migrate(
      {
        dialect: 'sqlite',
        async transaction(work) {
          file.exec('BEGIN')
          try {
            const result = await work(file.sql)
            file.exec('COMMIT')
            return result
          } catch (error) {
            file.exec('ROLLBACK')
            throw error
          }
        }
      },
      migrations
    )
  } finally {
    file.close()
  }
}

function schemaVersion(path: string): unknown {
  const database = new DatabaseSync(path)
  try {
    return database.prepare("SELECT value FROM meta WHERE name = 'version'").get()?.['value']
  } finally {
    database.close()
  }
}

const next = (oldestUser: number): readonly Migration[] => [
  ...MIGRATIONS,
  {
    version: MIGRATIONS.length + 1,
    oldestUser,
    statements: ['ALTER TABLE uploads ADD COLUMN mode TEXT', 'CREATE TABLE news (id INTEGER)']
  }
]

test('a file of the schema before is brought up to date with all that it holds', async (t) => {
  const path = fileIn(t)
  await migrateFile(path, MIGRATIONS.slice(0, 2))
  const database = new DatabaseSync(path)
  for (const [statement, values] of FROM_SCHEMA_2) database.prepare(statement).run(...values)
  database.close()
  await checkFromSchema2(t, await openStore(t, { path }))
})

test('this version runs on the next schema where that allows it', async (t) => {
  const path = fileIn(t)
  const before = await openStore(t, { path })
  await before.accept(upload(), sealed(), [EU])
  await before.close()
  await migrateFile(path, next(MIGRATIONS.length))
  const store = await openStore(t, { path })
  await store.accept(upload({ sequence: 2 }), sealed(), [EU, TT])
  await deliverAll(store)
  t.equal((await store.session('shop', 1))?.uploads.length, 2)
  t.equal((await store.backlog()).deliveries, 0)
  await store.close()
  t.equal(schemaVersion(path), MIGRATIONS.length + 1, 'and does not take it back')
})

test('this version refuses a schema that it cannot live with', async (t) => {
  const path = fileIn(t)
  await migrateFile(path, next(MIGRATIONS.length + 1))
  await t.rejects(
    openStore(t, { path }),
    new StoreError(
      'the database was migrated by a newer version of the service: ' +
        `it needs schema ${MIGRATIONS.length + 1}, this version knows ${MIGRATIONS.length}. ` +
        'Start the newer version, or restore the backup from before.'
    )
  )
})

test('a migration that fails leaves everything as it was', async (t) => {
  const path = fileIn(t)
  await migrateFile(path, MIGRATIONS)
  const broken: readonly Migration[] = [
    ...MIGRATIONS,
    {
      version: MIGRATIONS.length + 1,
      oldestUser: 1,
      statements: ['CREATE TABLE news (id INTEGER)', 'CREATE TABLE news (id INTEGER)']
    }
  ]
  await t.rejects(migrateFile(path, broken), { message: /table news already exists/ })
  t.equal(schemaVersion(path), MIGRATIONS.length)
  await migrateFile(path, next(1))
  t.equal(schemaVersion(path), MIGRATIONS.length + 1)
})

test('each migration comes after the one before it', async (t) => {
  t.same(
    MIGRATIONS.map(({ version }) => version),
    MIGRATIONS.map((_, index) => index + 1)
  )
  t.ok(MIGRATIONS.every(({ version, oldestUser }) => oldestUser <= version))
})

/** The thread's side of the port, here in this thread. */
function serveHere(t: Test, options: Partial<SqliteOptions> & { path: string }) {
  const { port1, port2 } = new MessageChannel()
  serve(port1, { ...OPTIONS, mustExist: false, ...options })
  t.teardown(() => port2.close())
  return async (...calls: readonly (readonly [keyof Store, ...unknown[]])[]) => {
    const answers: Answer[] = []
    const { promise, resolve } = Promise.withResolvers<void>()
    port2.on('message', (answer: Answer) => {
      if (answers.push(answer) === calls.length) resolve()
    })
    calls.forEach(([name, ...args], id) => {
      port2.postMessage({ id, name, args } satisfies Call)
    })
    await promise
    port2.removeAllListeners('message')
    return answers.map((answer) => ('error' in answer ? answer.error : answer.value))
  }
}

test('the thread answers on its port', async (t) => {
  const path = fileIn(t)
  const call = serveHere(t, { path, maxPages: 100 })
  const none = { deliveries: 0, oldestAt: undefined, payloadBytes: 0 }
  const full = { name: 'StoreError', message: `the database ${path} cannot grow: the disk is full` }
  t.strictSame(await call(['backlog']), [none])
  const [, ...answers] = await call(
    ['accept', upload(), sealed(10), [EU]],
    ['accept', upload({ sequence: 2 }), sealed(1_000_000), [EU]],
    ['sessions', { owner: 'shop', limit: 1, cursor: '' }],
    ['restart', 'shop', 7, undefined, T0],
    ['backlog']
  )
  t.strictSame(answers, [
    full,
    { name: 'CursorError', message: 'no page begins at this cursor' },
    undefined,
    { deliveries: 1, oldestAt: T0, payloadBytes: 10 }
  ])
  renameSync(path, `${path}.away`)
  t.strictSame(await call(['turns'], ['backlog']), [
    { name: 'StoreError', message: `the database ${path} is gone` },
    { name: 'StoreError', message: `the database ${path} is gone` }
  ])
  renameSync(`${path}.away`, path)
  const [turns] = await call(['turns'])
  t.strictSame(turns, [
    { kind: 'send', lock: '["facebook","111","blotout_VIP"]', account: 'facebook/111' }
  ])
  t.strictSame(await call(['sweep', T0], ['close']), [undefined, undefined])
  const database = new DatabaseSync(path)
  t.same(database.prepare('SELECT sequence FROM uploads').all(), [{ sequence: 1 }])
  database.close()
})
