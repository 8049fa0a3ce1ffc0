import { ProviderError } from '../errors.ts'
import type { CheckProblem } from '../provider.ts'
import { agentOf, forget, HASH_FIELDS, toolsOf } from './agent.ts'
import { listAudiences } from './sync.ts'
import type { AdcpContext } from './variables.ts'

/**
 * Asks the seller anew what it can, and for the audiences of the account: that takes the same rights as
 * changing them, and changes nothing.
 */
export async function check(context: AdcpContext): Promise<readonly CheckProblem[]> {
  forget(context)
  const tools = await toolsOf(context)
  if (!tools.has('sync_audiences')) {
    const message = 'the seller has no tool sync_audiences: it takes no audiences, or not from us'
    return [{ code: 'no_sync_audiences', message }]
  }
  const { unwanted } = await agentOf(context)
  if (unwanted.length === Object.keys(HASH_FIELDS).length) {
    const message = 'the seller takes neither hashes of e-mail addresses nor of phone numbers'
    return [{ code: 'no_identifiers', message }]
  }
  return listAudiences(context).then(() => [], accountProblem)
}

/** What is wrong with the account and not with the token. */
function accountProblem(error: unknown): readonly CheckProblem[] {
  const isOfAccount =
    error instanceof ProviderError && error.platformCode?.startsWith('ACCOUNT_') === true
  if (!isOfAccount) throw error
  return [{ code: 'account', message: error.message }]
}
