import { defineProvider } from '../provider.ts'
import { check, createSegment, findSegment, upload } from './api.ts'
import { encoder } from './encode.ts'
import { accountId, problems, variables } from './variables.ts'

/** Custom audiences from customer lists, through Meta's Marketing API. */
export const facebook = defineProvider({
  name: 'facebook',
  title: 'Facebook (Meta Custom Audiences)',
  variables,
  origin: 'https://graph.facebook.com',
  identifiers: ['email', 'phone', 'firstName', 'lastName', 'country', 'postalCode', 'edgeTagId'],
  limits: ({ batchSize }) => ({
    usersPerRequest: batchSize,
    requestsInFlight: 4,
    // The allowance of an app with limited access, without what active audiences add to it.
    rates: [{ requests: 5000, perMs: 3_600_000 }]
  }),
  minimumAudienceSize: 100,
  matchingLatencyHours: { min: 1, max: 24 },
  accountId,
  problems,
  storedName: (name) => name,
  segmentKind: ({ type }, { primarySubtype }) => (type === 'primary' ? primarySubtype : 'CUSTOM'),
  encoder,
  findSegment,
  createSegment,
  upload,
  check,
  sandbox: async (options) => (await import('./sandbox.ts')).startFacebookSandbox(options)
})
