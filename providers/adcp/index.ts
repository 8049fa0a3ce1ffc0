import { defineProvider } from '../provider.ts'
import { ProviderError } from '../errors.ts'
import { storedName } from './audience-id.ts'
import { check } from './check.ts'
import { encoder } from './encode.ts'
import {
  addMembers,
  audienceStatus,
  confirmTask,
  deleteAudience,
  findAudience,
  newAudience,
  removeMembers
} from './segment.ts'
import { LIST_OPERATION } from './sync.ts'
import { accountIdOf, AdcpVariables, originOf, problemsOf } from './variables.ts'

/** Any seller that speaks the Ad Context Protocol, 3.0 to 3.2: audiences of e-mail and phone hashes. */
export const adcp = defineProvider({
  name: 'adcp',
  title: 'AdCP seller',
  variables: AdcpVariables,
  origin: originOf,
  identifiers: ['email', 'phone', 'edgeTagId'],
  // A seller that takes only one of them gets only that one.
  hashedIdentifiers: () => ['email', 'phone'],
  // AdCP has no rates of its own, sellers answer RATE_LIMITED: these are what any of them should bear.
  limits: ({ membersPerCall, bytesPerCall }) => ({
    usersPerRequest: membersPerCall,
    bytesPerRequest: bytesPerCall,
    requestsInFlight: 2,
    rates: [
      { requests: 10, perMs: 1_000 },
      { requests: 120, perMs: 60_000 }
    ],
    operationRates: { [LIST_OPERATION]: [{ requests: 60, perMs: 60_000 }] }
  }),
  // Each seller has its own, told by its capabilities; these are cautious for most of them.
  minimumAudienceSize: 1_000,
  matchingLatencyHours: { min: 1, max: 48 },
  accountId: accountIdOf,
  problems: problemsOf,
  storedName,

  encoder,
  findSegment: findAudience,
  createSegment: newAudience,

  async upload(body, audience, segmentId, context) {
    if (segmentId === undefined) throw new ProviderError('not_found', 'there is no audience yet')
    return addMembers(body, audience, segmentId, context)
  },

  remove: (body, _audience, segmentId, context) => removeMembers(body, segmentId, context),
  deleteSegment: deleteAudience,
  status: audienceStatus,
  confirm: confirmTask,
  check,
  sandbox: async (options) => (await import('./sandbox.ts')).startAdcpSandbox(options)
})
