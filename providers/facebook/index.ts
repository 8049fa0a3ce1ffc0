import { defineProvider } from '../provider.ts'
import { check, createSegment, findSegment, remove, upload } from './api.ts'
import { encoder } from './encode.ts'
import { deleteSegment, status } from './segment.ts'
import { accountId, MINIMUM_AUDIENCE_SIZE, problems, variables } from './variables.ts'

/** Custom audiences from customer lists, through Meta's Marketing API. */
export const facebook = defineProvider({
  name: 'facebook',
  title: 'Facebook (Meta Custom Audiences)',
  variables,
  origin: () => 'https://graph.facebook.com',
  identifiers: ['email', 'phone', 'firstName', 'lastName', 'country', 'postalCode', 'edgeTagId'],
  // Phone numbers are matched as digits alone: a hash of another form is of no use to Meta.
  hashedIdentifiers: () => ['email'],
  limits: ({ batchSize }) => ({
    usersPerRequest: batchSize,
    requestsInFlight: 4,
    // The allowance of an app with limited access, without what active audiences add to it.
    rates: [{ requests: 5000, perMs: 3_600_000 }]
  }),
  minimumAudienceSize: MINIMUM_AUDIENCE_SIZE,
  matchingLatencyHours: { min: 1, max: 24 },
  accountId,
  problems,
  storedName: (name) => name,
  segmentKind: ({ type }, { primarySubtype }) => (type === 'primary' ? primarySubtype : 'CUSTOM'),
  encoder,
  findSegment,
  createSegment,
  upload,
  remove,
  deleteSegment,
  status,
  check,
  sandbox: async (options) => (await import('./sandbox.ts')).startFacebookSandbox(options)
})
