import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hash,
  hkdfSync,
  type Hmac,
  randomBytes
} from 'node:crypto'
import { promisify } from 'node:util'
import { constants, zstdCompress, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { discard } from './discard.ts'

/** Keys of 32 bytes each: the first one seals, all of them open. */
export type KeyRing = readonly [Uint8Array, ...Uint8Array[]]

/** No key of the ring opens it, or it was changed. */
export class SealError extends Error {
  override readonly name = 'SealError'
}

/**
 * What is sealed: version (1 byte), key id (4), nonce (12), ciphertext, tag (16). AES-256-GCM with
 * a random nonce, as NIST SP 800-38D has it; header and name are authenticated.
 */
const VERSION = 1
const KEY_ID_BYTES = 4
const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEADER_BYTES = 1 + KEY_ID_BYTES + NONCE_BYTES
const CIPHER = 'aes-256-gcm'

export const KEY_BYTES = 32

/** Names a key without telling it. */
function keyId(key: Uint8Array): Buffer {
  return hash('sha256', key, 'buffer').subarray(0, KEY_ID_BYTES)
}

/**
 * HMAC-SHA-256 under a key derived (HKDF, RFC 5869) from the one that seals: unlike with a plain
 * hash, whoever reads the store cannot find out by guessing what was hashed.
 */
export function keyedHash([key]: KeyRing): Hmac {
  const derived = hkdfSync('sha256', key, '', 'audience-api keyed hash', KEY_BYTES)
  return createHmac('sha256', Buffer.from(derived))
}

/** Level 1: lower ones take nearly as long and leave more to be written. */
const COMPRESSION = { [constants.ZSTD_c_compressionLevel]: 1 }

/** Most bytes that compressing gives (`ZSTD_COMPRESSBOUND`, https://facebook.github.io/zstd/zstd_manual.html). */
const compressBound = (bytes: number) => bytes + Math.ceil(bytes / 256) + 1024

const compress = promisify(zstdCompress)

/**
 * Compresses and encrypts.
 * @param name what the bytes are: they open under the same name only, so that one record cannot be
 * put in another's place.
 */
export function seal(plain: Uint8Array, name: string, keys: KeyRing): Uint8Array<ArrayBuffer> {
  return encrypt(zstdCompressSync(plain, { params: COMPRESSION }), name, keys)
}

/** Does the same; compressing is the work of another thread, and this one is free meanwhile. */
export async function sealMeanwhile(
  plain: Uint8Array,
  name: string,
  keys: KeyRing
): Promise<Uint8Array<ArrayBuffer>> {
  const packed = await compress(plain, {
    params: COMPRESSION,
    pledgedSrcSize: plain.byteLength,
    // With room for all of its output the other thread never waits for this one.
    chunkSize: compressBound(plain.byteLength)
  })
  return encrypt(packed, name, keys)
}

/** Takes what is packed away. */
function encrypt(packed: Uint8Array, name: string, [key]: KeyRing): Uint8Array<ArrayBuffer> {
  const nonce = randomBytes(NONCE_BYTES)
  const header = Buffer.concat([Buffer.of(VERSION), keyId(key), nonce])
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(aadOf(header, name))
  const encrypted = cipher.update(packed)
  cipher.final()
  discard(packed)
  const sealed = new Uint8Array(HEADER_BYTES + encrypted.length + TAG_BYTES)
  sealed.set(header)
  sealed.set(encrypted, HEADER_BYTES)
  sealed.set(cipher.getAuthTag(), HEADER_BYTES + encrypted.length)
  discard(encrypted)
  return sealed
}

/**
 * Opens what was sealed under this name.
 * @throws SealError
 */
export function open(sealed: Uint8Array, name: string, keys: KeyRing): Uint8Array {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength)
  if (bytes.length < HEADER_BYTES + TAG_BYTES || bytes[0] !== VERSION) {
    throw new SealError('not sealed by this service')
  }
  const header = bytes.subarray(0, HEADER_BYTES)
  const id = header.subarray(1, 1 + KEY_ID_BYTES)
  const key = keys.find((one) => keyId(one).equals(id))
  if (key === undefined) {
    throw new SealError('sealed with a key that is not listed in AUDIENCE_ENCRYPTION_KEY any more')
  }
  const nonce = header.subarray(1 + KEY_ID_BYTES)
  const end = bytes.length - TAG_BYTES
  try {
    const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
      .setAAD(aadOf(header, name))
      .setAuthTag(bytes.subarray(end))
    const packed = decipher.update(bytes.subarray(HEADER_BYTES, end))
    decipher.final()
    const plain = decompress(packed)
    discard(packed)
    return plain
  } catch (cause) {
    throw new SealError('the sealed bytes were changed', { cause })
  }
}

const aadOf = (header: Uint8Array, name: string) => Buffer.concat([header, Buffer.from(name)])

/** Into one buffer, where the frame tells its length: else it would be put together from many. */
function decompress(packed: Buffer): Buffer {
  const bytes = contentBytes(packed)
  if (bytes === undefined) return zstdDecompressSync(packed)
  // With a full buffer zlib would ask for another one.
  return zstdDecompressSync(packed, { chunkSize: Math.max(MIN_CHUNK_BYTES, bytes + 1) })
}

/** Smallest buffer that zlib takes. */
const MIN_CHUNK_BYTES = 64

/**
 * What a zstd frame says of its content's length (RFC 8878, 3.1.1.1). There is no dictionary, and of
 * the four ways to write it this one is used for 64 KiB and more; for less it does not matter.
 */
function contentBytes(frame: Buffer): number | undefined {
  const descriptor = frame[4] ?? 0
  const isSingleSegment = (descriptor & 0b0010_0000) !== 0
  const hasFourBytes = descriptor >> 6 === 2 && (descriptor & 0b11) === 0
  // Magic number, descriptor, and the window where it is not the whole.
  const offset = isSingleSegment ? 5 : 6
  return hasFourBytes && frame.length >= offset + 4 ? frame.readUInt32LE(offset) : undefined
}
