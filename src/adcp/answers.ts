import { refuseCredentials } from './credentials.ts'
import { type Fields, isFields } from './fields.ts'
import type { AdcpErrorBody, AdcpRelease } from './protocol.ts'
import { negotiate, NEWEST } from './versions.ts'

/** What an answer takes from its call. */
export interface Echo {
  readonly adcp_version: AdcpRelease
  /** The caller's own, as it came. */
  readonly context?: Fields
}

/**
 * What an answer takes from its call, whatever the call is like. A context that we would not have taken
 * is not sent back.
 */
export function echoOf(args: Fields): Echo {
  const negotiated = negotiate(args['adcp_version'], args['adcp_major_version'])
  const adcp_version = 'release' in negotiated ? negotiated.release : NEWEST
  const { context } = args
  return { adcp_version, ...(isFields(context) && isHarmless(context) && { context }) }
}

function isHarmless(context: Fields): boolean {
  try {
    refuseCredentials(context)
    return true
  } catch {
    return false
  }
}

/** What a tool answers: the fields of its envelope and its own are all in one object. */
export interface Answer {
  readonly fields: Fields
  readonly hasFailed: boolean
}

/**
 * @param own fields of the answer; `status` only where it is not that of this call but of another's task.
 */
export function completed(echo: Echo, own: Fields): Answer {
  return { fields: { status: 'completed', ...own, ...echo }, hasFailed: false }
}

/** In both layers, for readers of either ("Error handling", the two-layer model). */
export function failed(echo: Echo, error: AdcpErrorBody): Answer {
  return {
    fields: { status: 'failed', adcp_error: error, errors: [error], ...echo },
    hasFailed: true
  }
}
