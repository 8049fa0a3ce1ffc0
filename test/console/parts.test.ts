import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'tap'
import type { DryRun, FieldPreview } from '../../src/api/answers.ts'
import { adviceFor } from '../../src/console/advice.ts'
import { addDryRun } from '../../src/client/dry-run.ts'
import { bytes, duration, percent, relative } from '../../src/console/format.ts'
import { createLoading } from '../../src/console/loading.ts'
import { routeOf, sessionHref } from '../../src/console/routes.ts'
import { createService } from '../../src/console/service.ts'
import { newSettings, problemsOf, uploadOf } from '../../src/console/settings.ts'
import { reason } from '../../src/console/words.ts'

test('addresses of the console', async (t) => {
  t.same(routeOf(''), { name: 'uploads' })
  t.same(routeOf('#/'), { name: 'uploads' })
  t.same(routeOf('#/providers'), { name: 'providers' })
  t.same(routeOf(sessionHref(1708531200)), { name: 'session', sessionId: 1708531200 })
  t.same(routeOf('#/uploads/12a'), { name: 'unknown' })
  t.same(routeOf('#/elsewhere'), { name: 'unknown' })
})

test('numbers and times in words', async (t) => {
  t.same([0, 999, 1_000, 2_345_678, 5e9].map(bytes), [
    '0 bytes',
    '999 bytes',
    '1.0 KB',
    '2.3 MB',
    '5.0 GB'
  ])
  t.same([400, 65_000, 120_000, 3_600_000, 5_400_000].map(duration), [
    '1 s',
    '1 min 5 s',
    '2 min',
    '1 h',
    '1 h 30 min'
  ])
  t.same([percent(1, 3), percent(0, 0)], ['33.3%', '–'])
  t.same(
    [percent(0, 9), percent(1, 25_000), percent(24_999, 25_000), percent(9, 9)],
    ['0%', '<0.1%', '>99.9%', '100%'],
    'all and nothing are said only where it is all or nothing'
  )
  const now = Date.parse('2026-11-22T12:00:00Z')
  const times = ['11:59:58', '11:57:00', '14:00:10'].map((time) => `2026-11-22T${time}Z`)
  t.same(
    times.map((time) => relative(time, now)),
    ['just now', '3 minutes ago', 'in 2 hours']
  )
})

test('every error has advice, and reasons are words', async (t) => {
  t.match(adviceFor({ code: 'auth', message: 'expired' }, false), {
    what: /Renew the tag's credentials/,
    readMore: 'docs/errors.md, “Held”'
  })
  t.match(adviceFor({ code: 'transient', message: 'HTTP 500' }, true).what, /given up/)
  t.match(
    adviceFor({ code: 'invalid', message: 'no usable user (no_identifier: 2)' }, true).readMore,
    'docs/matching.md'
  )
  t.equal(reason('no_identifier'), 'Nothing that this platform matches on')
  t.equal(reason('some_new_reason'), 'Some new reason')
})

test('settings that are not complete are named, the others become an upload', async (t) => {
  const providers = ['facebook', 'tiktok'].map((provider) => ({ provider, tag: 'eu' }))
  const settings = newSettings()
  settings.defaultCountry = 'D1'
  settings.without.add('facebook/eu').add('tiktok/eu')
  t.same([...problemsOf(settings, providers).keys()], ['name', 'country', 'channels'])
  settings.name = ' Summer '
  settings.defaultCountry = 'de'
  settings.without.delete('tiktok/eu')
  t.same([...problemsOf(settings, providers)], [])
  t.same(uploadOf(settings, providers), {
    name: 'Summer',
    type: 'custom',
    mode: 'add',
    disablePrefix: false,
    defaultCountry: 'DE',
    channels: 'tiktok/eu'
  })
})

const NO_VALUES: FieldPreview = {
  given: 0,
  usable: 0,
  repaired: 0,
  unusable: 0,
  hashed: 0,
  why: {}
}

/** A batch of two users, of whom one has no usable address. */
function batch(sequence: number, example: string): DryRun {
  return {
    success: true,
    dryRun: true,
    users: 2,
    report: {
      fields: {
        email: {
          given: 2,
          usable: 1,
          repaired: 1,
          unusable: 1,
          hashed: 0,
          why: { not_an_address: { users: 1, rows: [{ sequence, row: 1 }], examples: [example] } }
        },
        phone: NO_VALUES,
        firstName: NO_VALUES,
        lastName: NO_VALUES,
        country: NO_VALUES,
        postalCode: NO_VALUES
      },
      duplicates: 1,
      ignoredFields: { tier: 2 }
    },
    destinations: [
      {
        provider: 'facebook',
        tag: 'eu',
        segment: 'blotout_Summer',
        mode: 'add',
        users: { matchable: 1, leftOut: 1 },
        leftOutBy: { no_identifier: 1 },
        notes: {},
        identifiers: { 0: 1, 1: 1 },
        requests: 1
      }
    ]
  }
}

test('dry runs of batches add up to that of the file, in whatever order they end', async (t) => {
  const sum = addDryRun(addDryRun(undefined, batch(2, 'b***')), batch(1, 'a***'))
  t.same(sum, {
    success: true,
    dryRun: true,
    users: 4,
    report: {
      fields: {
        email: {
          given: 4,
          usable: 2,
          repaired: 2,
          unusable: 2,
          hashed: 0,
          why: {
            not_an_address: {
              users: 2,
              rows: [
                { sequence: 1, row: 1 },
                { sequence: 2, row: 1 }
              ],
              examples: ['b***', 'a***']
            }
          }
        },
        phone: NO_VALUES,
        firstName: NO_VALUES,
        lastName: NO_VALUES,
        country: NO_VALUES,
        postalCode: NO_VALUES
      },
      duplicates: 2,
      ignoredFields: { tier: 4 }
    },
    destinations: [
      {
        provider: 'facebook',
        tag: 'eu',
        segment: 'blotout_Summer',
        mode: 'add',
        users: { matchable: 2, leftOut: 2 },
        leftOutBy: { no_identifier: 2 },
        notes: {},
        identifiers: { 0: 2, 1: 2 },
        requests: 2
      }
    ]
  })
})

test('news wait three times as long as the last answer took, and people do not', async (t) => {
  let nowMs = 0
  t.intercept(performance, 'now', { value: () => nowMs })
  const leave = new AbortController()
  const page = {
    service: createService('http://127.0.0.1/console'),
    update: () => undefined,
    announce: () => undefined,
    ask: <T>(call: () => Promise<T>) => call(),
    signal: leave.signal
  }
  let calls = 0
  const loading = createLoading(page, async () => {
    nowMs += 60_000
    calls += 1
    return calls
  })
  await loading.refresh()
  t.equal(loading.value, 1, 'the first time nobody has to wait')
  const news = loading.refresh()
  await turn()
  t.equal(calls, 1)
  await loading.run()
  await news
  t.equal(loading.value, 2, 'somebody asked, and woke it')
  const later = loading.refresh()
  leave.abort()
  await later
})
