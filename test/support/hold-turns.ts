import { openPostgres } from '../../src/store/postgres.ts'

/** A process that takes turns and never ends them, run by tests. */
const { DATABASE_URL: databaseUrl = '', ENCRYPTION_KEY: key = '' } = process.env
const { queue } = await openPostgres(
  {
    databaseUrl,
    encryptionKeys: [Buffer.from(key, 'base64')],
    dedupMs: 0,
    retentionMs: 0,
    hookEndpoints: []
  },
  console
)
await queue?.start(
  ({ account }) => {
    console.log(`took ${account}`)
    return new Promise(() => {})
  },
  () => 1
)
