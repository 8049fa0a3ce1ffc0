import { adviceFor as wayOut } from '../client/advice.ts'

/** What somebody can do about an error of a platform or of the service. */
export interface Advice {
  readonly what: string
  /** Where it is told at length, in the documentation that comes with the service. */
  readonly readMore: string
}

/** A class of a platform's error or a code of the service, and its words. */
export interface Trouble {
  readonly code: string
  readonly message: string
}

const READ_MORE: Readonly<Record<string, string>> = {
  auth: 'docs/errors.md, “Held”',
  permission: 'docs/errors.md, “Held”',
  blocked: 'docs/errors.md, “Held”',
  transient: 'docs/errors.md, “A platform that is down”',
  invalid: 'docs/errors.md, “Classes of platform errors”',
  not_found: 'docs/errors.md, “Classes of platform errors”',
  rate_limited: 'docs/errors.md, “Classes of platform errors”'
}
const OTHER_CODES = 'docs/errors.md, “Codes of the service’s own”'

/** It has the class of all refusals, but another way out. */
const NO_USABLE_USER: Advice = {
  what: 'Nobody in it has what this platform matches on. Look at the data quality: is a column missing, or a default country?',
  readMore: 'docs/matching.md'
}

/** @param isFinal the service does not try again by itself. */
export function adviceFor({ code, message }: Trouble, isFinal: boolean): Advice {
  if (code === 'invalid' && message.startsWith('no usable user')) return NO_USABLE_USER
  return { what: wayOut(code, isFinal), readMore: READ_MORE[code] ?? OTHER_CODES }
}
