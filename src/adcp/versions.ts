import { ADCP_RELEASES, AdcpError, type AdcpRelease } from './protocol.ts'

interface Release {
  readonly major: number
  readonly minor: number
}

/** What is no release, such as a prerelease or `3.2.3`, is matched exactly or not at all. */
const RELEASE = /^(\d{1,3})\.(\d{1,3})$/

/** For who names none. */
export const NEWEST: AdcpRelease = '3.2'

const releases = ADCP_RELEASES.map((name) => ({ name, ...parsed(name) }))
export const ADCP_MAJORS: readonly number[] = [...new Set(releases.map(({ major }) => major))]

/** Not a number where it is none, which no release is newer or older than. */
function parsed(text: string): Release {
  const [, major, minor] = RELEASE.exec(text) ?? []
  return { major: Number(major), minor: Number(minor) }
}

/** The newest of its major that is not newer than the pin. */
function servedFor({ major, minor }: Release): AdcpRelease | undefined {
  return releases.findLast((own) => own.major === major && own.minor <= minor)?.name
}

export type Negotiated = { readonly release: AdcpRelease } | { readonly unsupported: AdcpError }

/**
 * The release that a call is answered in ("Release-precision version negotiation", section 3,
 * https://github.com/adcontextprotocol/adcp/blob/main/specs/version-negotiation.md). A pin below 3.1 is
 * refused, as is told there for who does not serve it: 3.0 knows neither `submitted` nor `suspended`.
 * Its callers send their major version alone, since 3.0 has no field for more, and get the newest
 * release, which only adds to 3.0.
 * @param version `adcp_version`; @param major `adcp_major_version`; of another type they are another's
 * problem.
 */
export function negotiate(version: unknown, major: unknown): Negotiated {
  if (typeof version === 'string') {
    const pin = parsed(version)
    const release = servedFor(pin)
    if (release === undefined) return { unsupported: unsupported('adcp_version') }
    const disagrees = typeof major === 'number' && major !== pin.major
    return disagrees ? { unsupported: unsupported('adcp_major_version') } : { release }
  }
  if (typeof major !== 'number') return { release: NEWEST }
  const release = servedFor({ major, minor: Number.MAX_SAFE_INTEGER })
  return release === undefined ? { unsupported: unsupported('adcp_major_version') } : { release }
}

function unsupported(field: string): AdcpError {
  return new AdcpError(
    'VERSION_UNSUPPORTED',
    `This release of AdCP is not spoken here, but ${ADCP_RELEASES.join(' and ')} are.`,
    {
      field,
      suggestion: `Send adcp_version "${NEWEST}".`,
      // error-details/version-unsupported.json
      details: { supported_versions: ADCP_RELEASES, supported_majors: ADCP_MAJORS }
    }
  )
}
