import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { CheckProblem } from '../../providers/provider.ts'
import { type Destination, targetOf } from '../dispatch/destination.ts'
import { accountOf } from '../dispatch/job.ts'
import { toLastError } from '../dispatch/retry.ts'
import type { AccountState } from '../store/store.ts'
import { isoTime } from './session-status.ts'
import { readBoolean } from './upload-request.ts'

const Query = Type.Object({ check: Type.Optional(Type.String()) })

export interface CheckResult {
  readonly ok: boolean
  readonly checkedAt: string
  readonly problems: readonly CheckProblem[]
}

const CACHED_MS = 60_000

/** `GET /providers`: what is configured, and with `check=true` whether it works. */
const routes: FastifyPluginAsyncTypebox = async (app) => {
  const { dispatcher, store } = app
  const cache = new Map<
    Destination,
    { readonly until: number; readonly result: Promise<CheckResult> }
  >()

  function check(destination: Destination): Promise<CheckResult> {
    const cached = cache.get(destination)
    if (cached !== undefined && cached.until > Date.now()) return cached.result
    const result = dispatcher
      .check(destination)
      .catch((error: unknown): CheckProblem[] => [toLastError(error)])
      .then((problems) => ({
        ok: problems.length === 0,
        checkedAt: new Date().toISOString(),
        problems
      }))
    cache.set(destination, { until: Date.now() + CACHED_MS, result })
    return result
  }

  app.get(
    '/providers',
    { schema: { operationId: 'listProviders', querystring: Query } },
    async (request) => {
      const withCheck = readBoolean('check', request.query.check)
      const checks = withCheck ? await Promise.all(dispatcher.destinations.map(check)) : []
      // Afterwards, since a check may open what was held.
      const accounts = await store.accounts()
      const providers = dispatcher.destinations.map((destination, index) => ({
        ...describe(destination),
        account: describeAccount(accountOf(accounts, targetOf(destination))),
        ...(withCheck && { check: checks[index] })
      }))
      return { providers }
    }
  )

  app.addHook('onReady', () => {
    void Promise.all(
      dispatcher.destinations.map(async (destination) => {
        const { ok, problems } = await check(destination)
        const { provider, tag } = destination
        if (!ok && !app.isClosing())
          app.log.warn({ provider: provider.name, tag, problems }, 'provider check failed')
      })
    )
  })
}

export default routes

/** Whether the service sends to the account now, and if not, why and until when. */
function describeAccount({ status, until, since, error }: AccountState) {
  const isOpen = status === 'open' || (status === 'paused' && until <= Date.now())
  if (isOpen) return { status: 'open', since: null, until: null, error: null }
  return { status, since: isoTime(since), until: isoTime(until), error: error ?? null }
}

/** Everything that may be known of a tag; its variables may not. */
function describe({ provider, tag, accountId, variables }: Destination) {
  return {
    provider: provider.name,
    title: provider.title,
    tag,
    accountId,
    identifiers: provider.identifiers,
    limits: provider.limits(variables),
    minimumAudienceSize: provider.minimumAudienceSize,
    matchingLatencyHours: provider.matchingLatencyHours
  }
}
