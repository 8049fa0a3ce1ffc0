import {
  createHash,
  createPrivateKey,
  createPublicKey,
  hash,
  hkdfSync,
  type KeyObject,
  randomBytes
} from 'node:crypto'
import { createSigner, httpbis } from 'http-message-signatures'
import type { KeyRing } from '../store/sealing.ts'

/** What signs pushes: Ed25519, named by the thumbprint of its public half (RFC 7638, RFC 8037). */
export interface SigningKey {
  readonly id: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

/** PKCS #8 of an Ed25519 key up to its 32 bytes (RFC 8410, 7). */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')
const SEED_BYTES = 32
/** At most five minutes (AdCP, "Webhook callbacks"). */
const VALID_FOR_MS = 5 * 60_000

/**
 * One for each key that seals, so that there is no further secret to look after: the first one signs,
 * and all are published, so that what was signed before a change of keys can be checked after it.
 */
export function signingKeys(keys: KeyRing): readonly [SigningKey, ...SigningKey[]] {
  const [first, ...others] = keys
  return [signingKey(first), ...others.map(signingKey)]
}

function signingKey(key: Uint8Array): SigningKey {
  const seed = hkdfSync('sha256', key, '', 'audience-api push signature', SEED_BYTES)
  const privateKey = createPrivateKey({
    key: Buffer.concat([ED25519_PKCS8, Buffer.from(seed)]),
    format: 'der',
    type: 'pkcs8'
  })
  const publicKey = createPublicKey(privateKey)
  const { crv, kty, x } = publicKey.export({ format: 'jwk' })
  // Its members in this order, and nothing else (RFC 8037, A.3).
  const id = createHash('sha256').update(JSON.stringify({ crv, kty, x })).digest('base64url')
  return { id, privateKey, publicKey }
}

/** The public halves as receivers look them up (RFC 7517). */
export function jwksOf(keys: readonly SigningKey[]): { readonly keys: readonly object[] } {
  return {
    keys: keys.map(({ id, publicKey }) => ({
      ...publicKey.export({ format: 'jwk' }),
      kid: id,
      alg: 'EdDSA',
      use: 'sig',
      key_ops: ['verify'],
      // The newer value is `request-signing`; receivers of all releases accept this one.
      adcp_use: 'webhook-signing'
    }))
  }
}

/**
 * Headers of a signed push: RFC 9421 in AdCP's webhook profile ("Webhook callbacks"), whose signature
 * is in unpadded base64url, unlike in the RFC.
 * @param url as it will be requested.
 */
export async function signedPushHeaders(
  { id, privateKey }: SigningKey,
  { url, body }: { readonly url: string; readonly body: string },
  at: Date
): Promise<Record<string, string>> {
  const content: Record<string, string> = {
    'content-type': 'application/json',
    'content-digest': `sha-256=:${hash('sha256', body, 'base64')}:`
  }
  const { headers } = await httpbis.signMessage(
    {
      key: createSigner(privateKey, 'ed25519', id),
      name: 'sig1',
      fields: ['@method', '@target-uri', '@authority', 'content-type', 'content-digest'],
      params: ['created', 'expires', 'nonce', 'keyid', 'alg', 'tag'],
      paramValues: {
        created: at,
        expires: new Date(at.getTime() + VALID_FOR_MS),
        nonce: randomBytes(16).toString('base64url'),
        tag: 'adcp/webhook-signing/v1'
      }
    },
    { method: 'POST', url, headers: content }
  )
  const signature = String(headers['Signature'])
  return {
    ...content,
    'signature-input': String(headers['Signature-Input']),
    signature: signature.replace(/:([A-Za-z0-9+/]+)=*:$/, (_all, padded: string) => {
      return `:${Buffer.from(padded, 'base64').toString('base64url')}:`
    })
  }
}
