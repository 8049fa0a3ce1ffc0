import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { platform } from 'node:os'
import tap, { test, type Test } from 'tap'
import { LONG_ONLY } from '../support/long.ts'
import {
  keepSending,
  lies,
  sendPatiently,
  sessionOf,
  settled,
  type Stream
} from '../support/ledger.ts'
import {
  behindGate,
  eventually,
  launchService,
  type ServiceProcess,
  startPlatforms,
  temporaryFolder
} from '../support/processes.ts'
import { form } from '../support/service.ts'
import { MARKED_USER, MARKS, tracesOf } from '../support/traces.ts'

/** One process with its own file: the disk is full, it is told to stop, and what lies on the disk. */

tap.setTimeout(2 * 60_000)
tap.jobs = 2

const accepted = ({ batches }: Stream) =>
  batches.filter(({ answers }) => answers.includes(200)).length

interface Disk {
  /** Where the database is. */
  readonly folder: string
  /** Little room is left from now on. */
  fill(service: ServiceProcess): void
  makeRoom(service: ServiceProcess): void
}

/** Bytes that can still be written to a file once the disk is nearly full. */
const LITTLE_ROOM_BYTES = 256 * 1024

function limitFiles({ pid }: ServiceProcess, limit: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', String(pid), `--fsize=${limit}:unlimited`])
}

const DISKS: Readonly<Record<string, (t: Test) => Disk>> = {
  'the size of files is limited': (t) => {
    const folder = temporaryFolder(t)
    return {
      folder,
      fill(service) {
        const largest = Math.max(
          ...readdirSync(folder).map((name) => statSync(join(folder, name)).size)
        )
        limitFiles(service, largest + LITTLE_ROOM_BYTES)
      },
      makeRoom: (service) => limitFiles(service, 'unlimited')
    }
  },
  'the disk is full': (t) => {
    const folder = join(temporaryFolder(t), 'disk')
    mkdirSync(folder)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'ignore' })
    t.teardown(() => execFileSync('umount', ['-l', folder]))
    return {
      folder,
      fill: () => undefined,
      makeRoom: () => void execFileSync('mount', ['-o', 'remount,size=64m', folder])
    }
  }
}

/** `undefined` where this machine, or this user, cannot make such a disk. */
function diskOf(t: Test, make: (t: Test) => Disk): Disk | undefined {
  if (platform() !== 'linux') return undefined
  try {
    execFileSync('prlimit', ['--version'], { stdio: 'ignore' })
    return make(t)
  } catch {
    return undefined
  }
}

for (const [name, make] of Object.entries(DISKS)) {
  test(
    `when ${name} uploads are refused, and taken again once there is room`,
    { buffered: true, ...LONG_ONLY },
    async (t) => {
      const disk = diskOf(t, make)
      if (disk === undefined) {
        t.pass('left out', { skip: 'needs Linux, and root for a disk of its own' })
        return
      }
      const { facebook } = await startPlatforms(t)
      const service = launchService(t, {
        sandboxes: [facebook],
        env: { DATABASE_URL: `sqlite:${join(disk.folder, 'audience.db')}` }
      })
      const url = await service.listening()
      // Nothing is delivered, which would make room.
      const busy = { answer: { status: 429, body: '' } }
      facebook.configure({ failing: { share: 1, faults: [busy], seed: 1 } })
      disk.fill(service)
      const stream = keepSending(t, url, { users: 500 })
      await eventually(() =>
        stream.batches.filter(({ answers }) => answers.includes(503)).length > 10 ? true : undefined
      )
      t.equal((await fetch(`${url}/livez`)).status, 200)

      disk.makeRoom(service)
      const before = accepted(stream)
      await eventually(() => (accepted(stream) > before + 10 ? true : undefined))
      await stream.end()
      facebook.configure({ failing: null })
      t.same(new Set(stream.batches.flatMap((batch) => batch.answers)), new Set([200, 503]))
      // What was refused may be sent again.
      const refused = stream.batches.filter((batch) => batch.answers.includes(503)).slice(0, 5)
      for (const batch of refused) t.equal(await sendPatiently(url, batch), 200)
      const { destinations } = await settled(url, 1)
      t.same(
        destinations.map(({ state }) => state),
        ['delivered', 'delivered', 'delivered']
      )
      t.same(lies(stream.batches, [facebook]), [])
    }
  )
}

test(
  'told to stop under load it ends well in time, and delivers after the next start what it accepted',
  { buffered: true, ...LONG_ONLY },
  async (t) => {
    const { facebook } = await startPlatforms(t)
    const env = {
      DATABASE_URL: `sqlite:${join(temporaryFolder(t), 'audience.db')}`,
      AUDIENCE_DRAIN_MS: '1000'
    }
    // Calls that are not answered for longer than there is time to stop.
    facebook.configure({ failing: { share: 0.3, faults: [{ hang: true }], seed: 1 } })
    const service = launchService(t, { sandboxes: [facebook], env })
    const url = await service.listening()
    const stream = keepSending(t, url)
    await eventually(() => (accepted(stream) > 20 ? true : undefined))

    service.signal('SIGTERM')
    await eventually(async () => ((await fetch(`${url}/readyz`)).status === 503 ? true : undefined))
    const before = accepted(stream)
    await eventually(() => (accepted(stream) > before ? true : undefined))
    // The service gives itself 25 seconds, and ends with another code where they do not suffice.
    t.equal(await service.exitCode(), 0)
    await stream.end()
    t.same(
      [...new Set(stream.batches.flatMap(({ answers }) => answers))].filter(
        (status) => status === 400
      ),
      []
    )

    facebook.configure({ failing: null })
    const again = await launchService(t, { sandboxes: [facebook], env }).listening()
    const { destinations } = await settled(again, 1)
    t.same(
      destinations.map(({ state }) => state),
      ['delivered', 'delivered', 'delivered']
    )
    t.same(lies(stream.batches, [facebook]), [])
  }
)

test(
  'nobody can be read from the files while deliveries wait, after they failed or arrived',
  { buffered: true },
  async (t) => {
    const { facebook, tiktok, klaviyo } = await startPlatforms(t)
    const { gate, behind } = await behindGate(t, klaviyo)
    await gate.shut()
    const echo = {
      code: 40002,
      message: `invalid value "${MARKED_USER.email}" ${MARKED_USER.phone}`
    }
    tiktok.configure({
      failing: { share: 1, faults: [{ answer: { status: 200, body: echo } }], seed: 1 }
    })
    const folder = temporaryFolder(t)
    const service = launchService(t, {
      sandboxes: [facebook, tiktok, behind],
      env: { DATABASE_URL: `sqlite:${join(folder, 'audience.db')}` }
    })
    const url = await service.listening()
    const traces = () =>
      readdirSync(folder).flatMap((name) =>
        tracesOf(MARKS, readFileSync(join(folder, name))).map((mark) => `${mark} in ${name}`)
      )

    const batch = { sessionId: 1, sequence: 1, totalBatches: 1, totalUsers: 1 }
    const response = await fetch(`${url}/audience`, {
      method: 'POST',
      body: form({ batch, users: [MARKED_USER] })
    })
    t.equal(response.status, 200)
    await eventually(async () => {
      const states = (await sessionOf(url, 1))?.destinations.map(
        ({ provider, state }) => `${provider} ${state}`
      )
      return states?.join() === 'facebook delivered,tiktok failed,klaviyo retrying'
        ? true
        : undefined
    })
    t.same(traces(), [])

    tiktok.configure({ failing: null })
    await gate.open()
    await settled(url, 1)
    t.same(traces(), [])
    t.same(tracesOf(MARKS, Buffer.from(service.log())), [])
    t.ok(statSync(join(folder, 'audience.db')).size > 0)
    t.same(
      tracesOf(MARKS, Buffer.from(JSON.stringify(klaviyo.state()))).length,
      MARKS.length,
      'they are found where they are'
    )
  }
)
