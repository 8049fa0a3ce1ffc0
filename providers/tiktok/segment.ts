import { Type } from 'typebox'
import { cleanMessage, ProviderError } from '../errors.ts'
import type { SegmentStatus } from '../provider.ts'
import { type AudienceDetails, type Context, describeAudience, isExpired, post } from './api.ts'
import { MINIMUM_AUDIENCE_SIZE, type TikTokVariables } from './variables.ts'

/** Each route deletes its own kind of audience. */
const DELETIONS: Readonly<
  Record<TikTokVariables['route'], (id: string) => { readonly path: string; readonly body: object }>
> = {
  stream: (id) => ({
    path: '/segment/audience/',
    body: { action: 'delete', delete_audience_id: id }
  }),
  file: (id) => ({ path: '/dmp/custom_audience/delete/', body: { custom_audience_ids: [id] } })
}

export async function deleteAudience(audienceId: string, context: Context): Promise<void> {
  const { advertiserId, route } = context.variables
  const { path, body } = DELETIONS[route](audienceId)
  const text = JSON.stringify({ advertiser_id: advertiserId, ...body })
  try {
    await post(context, path, text, Type.Unknown())
  } catch (error) {
    if (!(error instanceof ProviderError) || error.errorClass !== 'not_found') throw error
  }
}

/** @throws ProviderError `not_found` where TikTok does not list the audience, any more or yet. */
export async function audienceStatus(audienceId: string, context: Context): Promise<SegmentStatus> {
  const details = await describeAudience(audienceId, context)
  if (details === undefined) {
    throw new ProviderError('not_found', 'TikTok does not know the audience any more')
  }
  const matched = details.cover_num
  return {
    ...stateOf(details, context.now()),
    // Where a number is not known yet TikTok may give a negative one.
    ...(matched != null && matched >= 0 && { matched })
  }
}

/** `dmp/custom_audience/get`: TikTok has no single field for it. */
function stateOf(details: AudienceDetails, now: number): Omit<SegmentStatus, 'matched'> {
  const { error_msg: fault, is_valid, is_expiring, expired_time, cover_num: matched } = details
  if (isExpired(details, now)) {
    return { state: 'suspended', message: 'the audience has expired and can only be deleted' }
  }
  if (fault != null && fault !== '') return { state: 'suspended', message: cleanMessage(fault) }
  if (is_valid !== true || matched == null || matched < 0) return { state: 'processing' }
  const state = matched < MINIMUM_AUDIENCE_SIZE ? 'too_small' : 'ready'
  if (is_expiring !== true || expired_time == null) return { state }
  return { state, message: `the audience expires on ${expired_time.slice(0, 10)}` }
}
