import { refuseCredentials } from './credentials.ts'
import type { Fields } from './fields.ts'
import { expect } from './issues.ts'
import { Envelope } from './schemas.ts'
import { negotiate } from './versions.ts'

/**
 * What is checked of every call before anything else of it: that we speak its release, that it holds no
 * credentials, and the fields that all tools have.
 * @throws AdcpError
 */
export function checkCall(args: Fields): void {
  const negotiated = negotiate(args['adcp_version'], args['adcp_major_version'])
  if ('unsupported' in negotiated) throw negotiated.unsupported
  refuseCredentials(args)
  expect(Envelope, args)
}
