import { ADCP_RELEASES, REPLAY_TTL_SECONDS } from '../adcp/protocol.ts'
import { destinationName } from '../dispatch/destination.ts'
import type { Account } from './accounts.ts'
import { present } from './rows.ts'
import type { Fields } from './seller.ts'
import { targetingFields, targetingOf } from './targeting.ts'

/**
 * `get_adcp_capabilities`: what all accounts together can, as the definitions of their platforms have it.
 * What one account can stands in `list_accounts`.
 * @param publicUrl where others reach the service; without it nobody finds the keys of its signatures.
 */
export function capabilityFields(
  accounts: readonly Account[],
  publicUrl: string | undefined
): Fields {
  const targeting = targetingOf(accounts.flatMap(({ destinations }) => destinations))
  const isAble = targeting !== undefined
  return {
    adcp: {
      major_versions: [3],
      supported_versions: ADCP_RELEASES,
      idempotency: { supported: true, replay_ttl_seconds: REPLAY_TTL_SECONDS }
    },
    supported_protocols: ['media_buy'],
    ...(isAble && { specialisms: ['audience-sync'] }),
    account: {
      require_operator_auth: true,
      // Required by the schema; nothing is billed here.
      supported_billing: ['operator'],
      sandbox: accounts.some(({ sandbox }) => sandbox)
    },
    media_buy: present({
      // Retired, but the official client calls nobody without it.
      features: { audience_targeting: isAble },
      audience_targeting: targeting && targetingFields(targeting)
    }),
    ...signing(publicUrl)
  }
}

/** The trust root has to be reached over TLS (`identity.brand_json_url`). */
function signing(publicUrl: string | undefined): Fields {
  if (publicUrl?.startsWith('https:') !== true) return {}
  return {
    webhook_signing: {
      supported: true,
      profile: 'adcp/webhook-signing/v1',
      algorithms: ['ed25519'],
      legacy_hmac_fallback: true
    },
    identity: { brand_json_url: `${publicUrl}/.well-known/brand.json` }
  }
}

/** One of `accounts` in the answer of `list_accounts`. */
export function accountFields(account: Account): Fields {
  const { id, name, naturalKey, sandbox, destinations, requireConsentBasis } = account
  const targeting = targetingOf(destinations)
  return {
    account_id: id,
    name,
    status: 'active',
    ...(naturalKey && {
      brand: present({ domain: naturalKey.brand.domain, brand_id: naturalKey.brand.brandId }),
      operator: naturalKey.operator,
      account_scope: 'operator_brand'
    }),
    sandbox,
    // The protocol knows capabilities of a seller, not of one of its accounts.
    ext: {
      audience_api: {
        channels: destinations.map(destinationName),
        audience_targeting: targeting
          ? targetingFields(targeting)
          : { supported_identifier_types: [] },
        requires_consent_basis: requireConsentBasis
      }
    }
  }
}
