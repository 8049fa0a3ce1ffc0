import { ProviderError } from '../errors.ts'
import { defineProvider, type ProviderLimits } from '../provider.ts'
import { checkAccount, findAudience } from './api.ts'
import { addFile, confirmFile, findFileAudience, removeFile } from './customer-file.ts'
import { encoder, hashedIdentifiers, MAX_FILE_BYTES } from './encode.ts'
import { audienceStatus, deleteAudience } from './segment.ts'
import { createStreamAudience, streamUsers } from './streaming.ts'
import { MINIMUM_AUDIENCE_SIZE, variables, type TikTokVariables } from './variables.ts'

/** The shortest row of a file: one hash and its line break. */
const MIN_FILE_ROW_BYTES = 65

/**
 * The default (Basic) level of "API rate limits" is 10 calls a second and 600 a minute for an app.
 * What the audience endpoints take side by side is not published; two are cautious.
 */
const PACE = {
  requestsInFlight: 2,
  rates: [
    { requests: 10, perMs: 1_000 },
    { requests: 600, perMs: 60_000 }
  ]
} as const

/**
 * TikTok publishes no limit of users in a mapping; a partner (Tealium) sends 1,000 records or 1 MB.
 */
const LIMITS: Readonly<
  Record<TikTokVariables['route'], (variables: TikTokVariables) => ProviderLimits>
> = {
  stream: ({ batchSize }) => ({
    ...PACE,
    usersPerRequest: batchSize,
    bytesPerRequest: 1_000_000
  }),
  file: () => ({
    ...PACE,
    usersPerRequest: Math.floor(MAX_FILE_BYTES / MIN_FILE_ROW_BYTES),
    bytesPerRequest: MAX_FILE_BYTES
  })
}

/** `segment/audience` cuts longer names to 67 characters and `...`; a customer file's may have 128. */
const STORED_NAMES: Readonly<Record<TikTokVariables['route'], (name: string) => string>> = {
  stream: (name) => (name.length > 70 ? `${cut(name, 67)}...` : name),
  file: (name) => cut(name, 128)
}

/** The first `length` UTF-16 units, one less where that would tear a character apart. */
function cut(name: string, length: number): string {
  const start = name.slice(0, length)
  return start.isWellFormed() ? start : start.slice(0, -1)
}

/** TikTok API for Business, version 1.3: audiences of e-mail and phone hashes. */
export const tiktok = defineProvider({
  name: 'tiktok',
  title: 'TikTok',
  variables,
  origin: () => 'https://business-api.tiktok.com',
  identifiers: ['email', 'phone'],
  hashedIdentifiers,
  minimumAudienceSize: MINIMUM_AUDIENCE_SIZE,
  matchingLatencyHours: { min: 24, max: 48 },
  limits: (settings) => LIMITS[settings.route](settings),
  // The routes' audiences cannot stand in for each other, so tags share segments only within a route.
  accountId: ({ advertiserId, route }) =>
    route === 'stream' ? advertiserId : `${advertiserId}/${route}`,
  storedName: (name, { route }) => STORED_NAMES[route](name),

  encoder,
  findSegment: (audience, context) =>
    context.variables.route === 'file'
      ? findFileAudience(audience, context)
      : findAudience(audience, context),

  async createSegment(audience, context) {
    // A customer file audience is made by its first 1,000 users.
    if (context.variables.route === 'file') return undefined
    return createStreamAudience(audience, context)
  },

  async upload(body, audience, segmentId, context) {
    if (context.variables.route === 'file') return addFile(body, audience, segmentId, context)
    if (segmentId === undefined) throw new ProviderError('not_found', 'there is no audience yet')
    return streamUsers(body, segmentId, 'add', context)
  },

  remove: (body, _audience, segmentId, context) =>
    context.variables.route === 'file'
      ? removeFile(body, segmentId, context)
      : streamUsers(body, segmentId, 'delete', context),

  deleteSegment: deleteAudience,
  status: audienceStatus,

  collectsBatches: ({ route }) => route === 'file',
  confirm: async (ticket, audience, context) => confirmFile(ticket, audience, context),
  check: checkAccount,
  sandbox: async (options) => (await import('./sandbox.ts')).startTikTokSandbox(options)
})
