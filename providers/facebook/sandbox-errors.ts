import type { PlatformAnswerTemplate } from '../sandbox.ts'

/** The one ad account of the sandbox. */
export const ACCOUNT_ID = '1234567890'

/** An answer of the platform that ends the handling of a call. */
export class Refusal extends Error {
  readonly answer: PlatformAnswerTemplate
  constructor(answer: PlatformAnswerTemplate) {
    super('refused')
    this.answer = answer
  }
}

interface MoreOfError {
  readonly error_subcode?: number
  readonly is_transient?: boolean
  readonly error_user_title?: string
}

/** Meta's form of an error; the status is 400 for nearly all of them. */
export function graphError(
  code: number,
  message: string,
  more: MoreOfError = {}
): PlatformAnswerTemplate {
  const type = code === 100 ? 'GraphMethodException' : 'OAuthException'
  return {
    status: 400,
    body: { error: { message, type, code, is_transient: false, ...more, fbtrace_id: 'Axyz' } }
  }
}

export function invalidParameter(message: string): PlatformAnswerTemplate {
  return graphError(100, `Invalid parameter: ${message}`)
}

/** Meta says the same of what is missing and of what the token must not see. */
export function missingObject(id: string): PlatformAnswerTemplate {
  return graphError(
    100,
    `Unsupported request. Object with ID '${id}' does not exist, cannot be loaded due to missing permissions, or does not support this operation`,
    { error_subcode: 33 }
  )
}

/** How much of the hourly allowance is used, and how long to wait once it is gone. */
export function usageHeader(
  percent: number,
  waitMinutes: number
): Readonly<Record<string, string>> {
  const usage = {
    type: 'custom_audience',
    call_count: percent,
    total_cputime: 1,
    total_time: 1,
    estimated_time_to_regain_access: waitMinutes
  }
  return { 'x-business-use-case-usage': JSON.stringify({ [ACCOUNT_ID]: [usage] }) }
}

function html(status: number, title: string): PlatformAnswerTemplate {
  return {
    status,
    headers: { 'content-type': 'text/html; charset=utf-8' },
    body: `<!DOCTYPE html><html><head><title>${title}</title></head><body>${title}</body></html>`
  }
}

function oauthError(subcode: number, message: string): PlatformAnswerTemplate {
  return graphError(190, message, { error_subcode: subcode })
}

/** What Meta answers once the allowance of custom audience calls is gone. */
export const RATE_LIMITED: PlatformAnswerTemplate = {
  ...graphError(
    80_003,
    'There have been too many calls from this ad-account. Wait a bit and try again.',
    { error_subcode: 2_446_079 }
  ),
  headers: usageHeader(100, 1)
}

/** Every class of error that Meta's references name. */
export const ERRORS = {
  invalid_token: graphError(190, 'Invalid OAuth access token.'),
  app_removed: oauthError(
    458,
    'Error validating access token: The user has not authorized application'
  ),
  user_checkpointed: oauthError(459, 'Error validating access token: You cannot access the app'),
  password_changed: oauthError(
    460,
    'Error validating access token: The session has been invalidated'
  ),
  expired_token: oauthError(463, 'Error validating access token: Session has expired'),
  unconfirmed_user: oauthError(464, 'Error validating access token: Sessions are not allowed'),
  revoked_token: oauthError(
    467,
    'Error validating access token: This may be because the user logged out'
  ),
  invalid_session: oauthError(
    492,
    'Error validating access token: The user is not an administrator'
  ),
  session_over: graphError(102, 'Session key invalid or no longer valid'),
  no_capability: graphError(3, 'Application does not have the capability to make this API call.'),
  no_permission: graphError(10, 'Application does not have permission for this action'),
  permissions_error: graphError(200, 'Permissions error'),
  managed_page_permission: graphError(294, 'Managing advertisements requires ads_management'),
  development_access: graphError(270, 'This API call requires a higher access tier'),
  terms_not_accepted: graphError(200, 'Permissions error', {
    error_subcode: 1_870_090,
    error_user_title: 'Custom Audience Terms Not Accepted'
  }),
  terms_not_accepted_old: graphError(2655, 'Terms of service has not been accepted'),
  terms_not_accepted_older: graphError(2663, 'Terms of service has not been accepted'),
  account_not_linked: graphError(200, 'Permissions error', { error_subcode: 1_870_050 }),
  invalid_parameter: graphError(100, 'Invalid parameter'),
  invalid_proof: graphError(100, 'Invalid appsecret_proof provided in the API argument'),
  too_many_parameters: graphError(105, 'The number of parameters exceeded the maximum'),
  missing_parameter: graphError(194, 'Missing at least one required parameter'),
  bad_query: graphError(2500, 'Error parsing graph query'),
  audience_missing: missingObject('238500001'),
  audience_not_yet_visible: graphError(803, 'Some of the aliases you requested do not exist'),
  audience_deleted: graphError(1_487_366, 'The custom audience has been deleted'),
  audience_not_shared: graphError(1_487_301, 'The custom audience is not shared with this account'),
  audience_flagged: graphError(100, 'Invalid parameter', { error_subcode: 1_713_230 }),
  flagged_edit: graphError(100, 'Invalid parameter', { error_subcode: 1_713_228 }),
  flagged_update: graphError(100, 'Invalid parameter', { error_subcode: 1_713_231 }),
  policy_block: graphError(368, 'The action attempted has been deemed abusive or is disallowed'),
  version_too_old: graphError(2635, 'You are calling a deprecated version of the Ads API.'),
  update_failed: graphError(2650, 'Failed to update the custom audience'),
  update_in_progress: graphError(2650, 'Failed to update the custom audience', {
    error_subcode: 1_870_145
  }),
  session_closed: graphError(2650, 'Failed to update the custom audience', {
    error_subcode: 1_870_159
  }),
  creation_failed: graphError(2654, 'Failed to create custom audience'),
  lookalikes_exist: graphError(2656, 'Failed to delete custom audience because lookalikes exist'),
  rate_limited: RATE_LIMITED,
  app_limit: graphError(4, 'Application request limit reached', { is_transient: true }),
  user_limit: graphError(17, 'User request limit reached', { is_transient: true }),
  page_limit: graphError(32, 'Page request limit reached'),
  application_limit: graphError(341, 'Application limit reached'),
  call_limit: graphError(613, 'Calls to this api have exceeded the rate limit.'),
  abnormal_volume: graphError(613, 'Calls to this api have exceeded the rate limit.', {
    error_subcode: 1996
  }),
  unknown_error: graphError(1, 'An unknown error occurred', { is_transient: true }),
  too_much_data: graphError(
    1,
    "Please reduce the amount of data you're asking for, then retry your request"
  ),
  service_unavailable: graphError(2, 'Service temporarily unavailable', { is_transient: true }),
  marked_transient: graphError(99, 'Something went wrong, please retry', { is_transient: true }),
  unlisted_code: graphError(999, "Cannot use the value 'jane@example.com' here"),
  bad_gateway: html(502, 'Bad Gateway'),
  too_large: html(413, 'Sorry, something went wrong.')
} satisfies Readonly<Record<string, PlatformAnswerTemplate>>
