import { readdirSync, readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { test } from 'tap'
import { holdsObjects, holdsTables } from './roundtrip.ts'

const FOLDER = join(import.meta.dirname, '../../src/intake')

let redirected = 0
// As the import map of a page does.
registerHooks({
  resolve(specifier, context, next) {
    if (specifier !== 'csv-parse/sync') return next(specifier, context)
    redirected += 1
    return next('csv-parse/browser/esm/sync', context)
  }
})
const { survey } = await import('../../src/intake/survey.ts')
const { readBatches } = await import('../../src/intake/read-users.ts')

test('a table comes through as it was with the parser for browsers', async (t) => {
  t.equal(redirected, 1)
  await holdsTables({ survey, readBatches })
})

test('objects come through with the parser for browsers', async () =>
  holdsObjects({ survey, readBatches }))

test('what a browser loads needs nothing of Node', async (t) => {
  const files = readdirSync(FOLDER)
  t.not(files.length, 0)
  for (const file of files) {
    const source = readFileSync(join(FOLDER, file), 'utf8')
    const loaded = [...source.matchAll(/^import (?!type )[^']*'(?<from>[^']+)'/gm)].map(
      ({ groups }) => groups?.['from'] ?? ''
    )
    const foreign = loaded.filter((from) => !from.startsWith('./'))
    t.ok(
      foreign.every((from) => ['csv-parse/sync', '@streamparser/json'].includes(from)),
      file
    )
    t.notMatch(source, /\b(?:Buffer|process|require|setImmediate)\b[.(]/, file)
  }
})
