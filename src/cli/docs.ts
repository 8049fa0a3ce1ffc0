import { readFileSync, writeFileSync } from 'node:fs'
import { providers } from '../../providers/registry.ts'
import { withTables } from './reference.ts'

/** Writes the tables of settings and variables into the documentation: `npm run docs`. */
const document = new URL('../../docs/configuration.md', import.meta.url)
const before = readFileSync(document, 'utf8')
const after = withTables(before, providers)
if (after !== before) writeFileSync(document, after)
console.log(`docs/configuration.md ${after === before ? 'was up to date' : 'is written'}`)
