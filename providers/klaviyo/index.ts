import { hash } from 'node:crypto'
import { ProviderError } from '../errors.ts'
import { defineProvider } from '../provider.ts'
import { encoder, MAX_BODY_BYTES, MAX_PROFILES } from './encode.ts'
import { followJobs, uploadProfiles } from './import-jobs.ts'
import {
  check,
  COUNT_OPERATION,
  createList,
  deleteList,
  findList,
  listStatus,
  MINIMUM_AUDIENCE_SIZE
} from './lists.ts'
import { removeProfiles } from './removal.ts'
import { KlaviyoVariables } from './variables.ts'

/**
 * Klaviyo: an audience is a list, filled by bulk import jobs. Being on a list says nothing about
 * consent; the endpoints that subscribe, unsubscribe or suppress are never called.
 */
export const klaviyo = defineProvider({
  name: 'klaviyo',
  title: 'Klaviyo',
  variables: KlaviyoVariables,
  origin: () => 'https://a.klaviyo.com',
  identifiers: ['email', 'phone'],
  // Profiles are made of clear text alone.
  hashedIdentifiers: () => [],
  limits: () => ({
    usersPerRequest: MAX_PROFILES,
    bytesPerRequest: MAX_BODY_BYTES,
    requestsInFlight: 4,
    // The tier of import jobs and their sub-resources; the calls to lists are allowed more.
    rates: [
      { requests: 10, perMs: 1_000 },
      { requests: 150, perMs: 60_000 }
    ],
    operationRates: {
      [COUNT_OPERATION]: [
        { requests: 1, perMs: 1_000 },
        { requests: 15, perMs: 60_000 }
      ]
    }
  }),
  minimumAudienceSize: MINIMUM_AUDIENCE_SIZE,
  matchingLatencyHours: { min: 0, max: 1 },
  // No account id is configured; a fingerprint of the key tells accounts apart without revealing it.
  accountId: ({ apiKey }) => hash('sha256', apiKey).slice(0, 16),
  storedName: (name) => name,
  encoder,
  findSegment: ({ segmentName }, context) => findList(segmentName, context),
  createSegment: ({ segmentName }, context) => createList(segmentName, context),
  upload: async (body, _audience, segmentId, context) => {
    if (segmentId === undefined) throw new ProviderError('invalid', 'an upload needs a list')
    return uploadProfiles(body, segmentId, context)
  },
  remove: (body, _audience, segmentId, context) => removeProfiles(body, segmentId, context),
  deleteSegment: deleteList,
  status: listStatus,
  confirm: (ticket, _audience, context) => followJobs(ticket, context),
  check,
  sandbox: async (options) => (await import('./sandbox.ts')).startKlaviyoSandbox(options)
})
