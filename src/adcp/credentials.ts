import { AdcpError } from './protocol.ts'

/**
 * Names that credentials and keys go by, without `-` and `_` ("Credential placement",
 * https://docs.adcontextprotocol.org/docs/building/by-layer/L2/authentication).
 */
const CREDENTIAL =
  /(?:(?:access|auth|bearer|id|refresh|session)token|apikey|(?:client|app)secret|(?:private|secret)key|password)$|^(?:authorization|bearer|cookie|credentials|jwks?|jwksuri)$/
const SEPARATORS = /[-_]/g
/** A name that is none may be anything, and is not repeated. */
const NAME = /^[\w-]{1,40}$/
/** With these the seller signs what it sends; they are not its caller's. */
const ALLOWED = 'push_notification_config.authentication.credentials'

const isCredential = (name: string) => CREDENTIAL.test(name.replace(SEPARATORS, '').toLowerCase())

interface Place {
  readonly value: object
  /** As `field` of an error has it. */
  readonly path: string
}

const isNested = (value: unknown): value is object => typeof value === 'object' && value !== null

/**
 * Refuses credentials in the arguments, at any depth. Nothing that was sent is repeated but the names
 * that lead there.
 * @throws AdcpError
 */
export function refuseCredentials(root: object, rootPath = ''): void {
  const places: Place[] = [{ value: root, path: rootPath }]
  for (let place = places.pop(); place !== undefined; place = places.pop()) {
    const { value, path } = place
    const isList = Array.isArray(value)
    for (const [name, inner] of Object.entries(value)) {
      const shown = NAME.test(name) ? name : '*'
      const at = isList ? `${path}[${name}]` : path === '' ? shown : `${path}.${shown}`
      if (!isList && isCredential(name) && at !== ALLOWED) throw credentialAt(at)
      if (isNested(inner)) places.push({ value: inner, path: at })
    }
  }
}

function credentialAt(field: string): AdcpError {
  return new AdcpError(
    'CREDENTIAL_IN_ARGS',
    'Credentials do not belong into the arguments of a call.',
    { field, suggestion: 'Send them as "Authorization: Bearer" and replace those that were sent.' }
  )
}
