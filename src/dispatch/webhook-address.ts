import { lookup, type LookupAddress, type LookupAllOptions } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { buildConnector } from 'undici'

/** Nothing was sent: the address may belong to a network that only this service can reach. */
export class PrivateAddressError extends Error {
  override readonly name = 'PrivateAddressError'
  readonly code = 'PRIVATE_ADDRESS'

  constructor() {
    super('the address is private (AUDIENCE_WEBHOOK_PRIVATE_ADDRESSES=allow permits it)')
  }
}

/**
 * All of IPv6's public addresses: the rest is not given to anybody.
 * https://www.iana.org/assignments/ipv6-address-space
 */
const PUBLIC_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3')

/**
 * Whether an IP address is one of the public internet: not loopback, private, link-local, shared
 * or reserved, and not an IPv6 form that leads to an IPv4 address.
 */
export function isPublicAddress(address: string): boolean {
  const parsed = ipaddr.parse(address)
  if (parsed.range() !== 'unicast') return false
  return parsed instanceof ipaddr.IPv4 || parsed.match(PUBLIC_IPV6)
}

type LookupAll = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void
) => void

/** Finds only public addresses of a name, at the moment in which the connection is made. */
export function publicLookup(resolve: LookupAll = lookup): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, [])
      const found = addresses.filter(({ address }) => isPublicAddress(address))
      const [first] = found
      if (first === undefined) callback(new PrivateAddressError(), [])
      else if (options.all === true) callback(null, found)
      else callback(null, first.address, first.family)
    })
  }
}

/**
 * Connects to public addresses only. What counts is the address that is connected to, not the name:
 * whoever owns the name may let it lead anywhere, and elsewhere each time that it is looked up.
 * https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
 */
export function publicConnector(options: buildConnector.BuildOptions): buildConnector.connector {
  const connect = buildConnector({ ...options, lookup: publicLookup() })
  return (target, callback) => {
    // Addresses that are written as such are not looked up.
    if (isIP(target.hostname) !== 0 && !isPublicAddress(target.hostname)) {
      callback(new PrivateAddressError(), null)
      return
    }
    connect(target, callback)
  }
}
