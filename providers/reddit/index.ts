import { ProviderError } from '../errors.ts'
import { defineProvider } from '../provider.ts'
import {
  audienceStatus,
  checkAccount,
  createAudience,
  deleteAudience,
  findAudience,
  updateUsers
} from './audiences.ts'
import { encoder, hashedIdentifiers, MAX_ROWS } from './encode.ts'
import { MINIMUM_AUDIENCE_SIZE, problems, variables } from './variables.ts'

/** Reddit Ads API, version 3: customer lists of e-mail hashes. */
export const reddit = defineProvider({
  name: 'reddit',
  title: 'Reddit',
  variables,
  origin: () => 'https://ads-api.reddit.com',
  identifiers: ['email'],
  hashedIdentifiers,
  limits: () => ({
    usersPerRequest: MAX_ROWS,
    requestsInFlight: 2,
    // Reddit publishes none for this API; public descriptions of it say one a second.
    rates: [{ requests: 60, perMs: 60_000 }]
  }),
  minimumAudienceSize: MINIMUM_AUDIENCE_SIZE,
  // Not published: what other platforms take.
  matchingLatencyHours: { min: 1, max: 48 },
  accountId: ({ adAccountId }) => adAccountId,
  problems,
  storedName: (name) => name,
  encoder,
  findSegment: findAudience,
  createSegment: createAudience,
  async upload(body, _audience, segmentId, context) {
    if (segmentId === undefined) throw new ProviderError('not_found', 'the audience has no id')
    return updateUsers(body, segmentId, context)
  },
  remove: (body, _audience, segmentId, context) => updateUsers(body, segmentId, context),
  deleteSegment: deleteAudience,
  status: audienceStatus,
  check: checkAccount,
  sandbox: async (options) => (await import('./sandbox.ts')).startRedditSandbox(options)
})
